import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AskedCut, cutAsked, cutBytes, cutInFile, type CutsOptions, filesOfCut } from './cuts.js';

/**
 * Plugins that cut when a program is built: `import url from './backbone.onnx?featx=pyramid'` gives the address of the
 * cut that is called so. Each is the plain object that its bundler takes.
 */

const NAME = 'featx';
const ASKED = /\.onnx\?featx\b/;

/** What a plugin of esbuild uses of its build. @see https://esbuild.github.io/plugins/ */
export interface EsbuildBuild {
  resolve(path: string, options: object): Promise<{ readonly path: string; readonly errors: readonly unknown[] }>;
  onResolve(options: { filter: RegExp }, resolved: (args: EsbuildImport) => Promise<object>): void;
  onLoad(options: { filter: RegExp; namespace: string }, loaded: (args: EsbuildFile) => Promise<object>): void;
}

/** What esbuild says of an import. */
export interface EsbuildImport {
  readonly path: string;
  readonly importer: string;
  readonly resolveDir: string;
  readonly kind: string;
}

/** What esbuild says of a file. */
export interface EsbuildFile {
  readonly path: string;
  readonly suffix: string;
}

/** A plugin of esbuild: the cut is a file beside the bundle, under esbuild's names of assets. */
export function esbuild(options: CutsOptions = {}): { name: string; setup(build: EsbuildBuild): void } {
  return {
    name: NAME,
    setup(given) {
      given.onResolve({ filter: ASKED }, async ({ path, importer, resolveDir, kind }) => {
        const [file, query] = path.split('?');
        const found = await given.resolve(file, { importer, resolveDir, kind });
        if (found.errors.length > 0) return { errors: found.errors };
        return { path: found.path, suffix: `?${query}`, namespace: NAME };
      });
      given.onLoad({ filter: /\.onnx$/, namespace: NAME }, async ({ path, suffix }) => {
        const cut = cutAsked(path + suffix, options);
        return { contents: await cutBytes(cut), loader: 'file', watchFiles: await filesOfCut(cut) };
      });
    },
  };
}

/**
 * What plugins of Rollup, and of what speaks its language, use of their context.
 * @see https://rollupjs.org/plugin-development/
 */
export interface RollupContext {
  resolve(source: string, importer: string | undefined, options: object): Promise<{ readonly id: string } | null>;
  addWatchFile(path: string): void;
  emitFile(file: { type: 'asset'; name: string; source: Uint8Array }): string;
}

/** A plugin of Rollup and Rolldown, or with `enforce` of Vite. */
export interface RollupPlugin {
  readonly name: string;
  readonly enforce?: 'pre';
  resolveId(this: RollupContext, source: string, importer?: string): Promise<string | null>;
  load(this: RollupContext, id: string): Promise<string | null>;
}

/** @param moduleOf the module that stands for a cut */
function hooks(
  options: CutsOptions,
  moduleOf: (cut: AskedCut, context: RollupContext) => Promise<string>,
): RollupPlugin {
  return {
    name: NAME,
    async resolveId(source, importer) {
      if (!ASKED.test(source)) return null;
      const [file, query] = source.split('?');
      const found = await this.resolve(file, importer, { skipSelf: true });
      return found === null ? null : `${found.id}?${query}`;
    },
    async load(id) {
      if (!ASKED.test(id)) return null;
      const cut = cutAsked(id, options);
      for (const path of await filesOfCut(cut)) this.addWatchFile(path);
      return moduleOf(cut, this);
    },
  };
}

/** A plugin of Rollup and Rolldown: the cut is an asset of the bundle. */
export function rollup(options: CutsOptions = {}): RollupPlugin {
  return hooks(options, async (cut, context) => {
    const asset = context.emitFile({ type: 'asset', name: cut.fileName, source: await cutBytes(cut) });
    return `export default import.meta.ROLLUP_FILE_URL_${asset};\n`;
  });
}

/** A plugin of Vite: the cut is written under `node_modules/.cache`, from where Vite serves and bundles it. */
export function vite(options: CutsOptions = {}): RollupPlugin {
  const written = hooks(options, async (cut) => {
    const path = await cutInFile(cut, resolve('node_modules', '.cache', NAME));
    return `export { default } from ${JSON.stringify(`${path.replaceAll('\\', '/')}?url&no-inline`)};\n`;
  });
  return { ...written, enforce: 'pre' };
}

/** A compiler of webpack or Rspack, as far as it is used. @see https://webpack.js.org/contribute/writing-a-plugin/ */
export type WebpackCompiler = { readonly options: { readonly module: { readonly rules: unknown[] } } };

/** A plugin of webpack and Rspack: the cut is an asset of the bundle. */
export function webpack(options: CutsOptions = {}): { apply(compiler: WebpackCompiler): void } {
  const use = [{ loader: fileURLToPath(new URL('./webpack-loader.js', import.meta.url)), options }];
  const rule = { test: /\.onnx$/, resourceQuery: /^\?featx\b/, type: 'asset/resource', use };
  return { apply: (compiler) => void compiler.options.module.rules.unshift(rule) };
}

export type { CutsOptions } from './cuts.js';
