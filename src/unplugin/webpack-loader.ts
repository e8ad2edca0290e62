import { cutAsked, cutBytes, type CutsOptions, filesOfCut } from './cuts.js';

/** What a loader of webpack uses of its context. @see https://webpack.js.org/api/loaders/ */
export interface LoaderContext {
  readonly resourcePath: string;
  readonly resourceQuery: string;
  getOptions(): CutsOptions;
  addDependency(path: string): void;
}

/** The bytes of a model come in. */
export const raw = true;

/** The cut that the query of an import asks for, in the place of the model. */
async function load(this: LoaderContext): Promise<Uint8Array> {
  const cut = cutAsked(this.resourcePath + this.resourceQuery, this.getOptions());
  for (const path of await filesOfCut(cut)) this.addDependency(path);
  return cutBytes(cut);
}

export { load as default };
