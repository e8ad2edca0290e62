import { cutAsked, cutBytes, type CutsOptions } from './cuts.js';

/** What a loader of webpack uses of its context. @see https://webpack.js.org/api/loaders/ */
export interface LoaderContext {
  readonly resourcePath: string;
  readonly resourceQuery: string;
  getOptions(): CutsOptions;
}

/** The bytes of a model come in. */
export const raw = true;

/** The cut that the query of an import asks for, in the place of the model. */
async function load(this: LoaderContext): Promise<Uint8Array> {
  return cutBytes(cutAsked(this.resourcePath + this.resourceQuery, this.getOptions()));
}

export { load as default };
