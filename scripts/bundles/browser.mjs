// The programs of the page of `featx page`: each all of it in one script, made as small as it goes.
import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import swc from '@swc/core';
import { build } from 'esbuild';
import { root } from '../ready.mjs';

const source = join(root, 'src');

/** Modules that only options lead to which the page never gives: what they export throws there. */
const LEFT_OUT = new Set([
  'features/beginnings.ts',
  'features/resolvers/explicit.ts',
  'options/cutting.ts',
  'options/feature-kinds.ts',
  'options/pixels.ts',
  'options/selecting.ts',
  'options/steps.ts',
  'report/inspect-more.ts',
  'rewrite/behind.ts',
  'rewrite/freed.ts',
  'rewrite/layout.ts',
  'rewrite/mask.ts',
  'rewrite/pixels.ts',
  'rewrite/sidecar.ts',
  'rewrite/sizes.ts',
  'rewrite/span.ts',
  'tensors/projection.ts',
]);

/** TypeScript has checked the options of the page. */
const UNCHECKED = 'export const checkOptions = () => undefined;';

/** The exports of a module, as functions that throw. */
const throwing = (path) =>
  [...readFileSync(path, 'utf8').matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)]
    .map(([, name]) => `export function ${name}() { throw new Error('the page has no ${name}'); }`)
    .join('\n');

/** The table of options with nothing but flags and words. */
async function shortTable(path) {
  const table = { entryPoints: [path], bundle: true, format: 'esm', write: false, logLevel: 'warning' };
  const [{ text }] = (await build(table)).outputFiles;
  const { ROWS, longFlag } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  const rows = ROWS.filter(([, { in: sets, words }]) => words !== undefined || sets.includes('extract')).map(
    ([key, { flag = '', words }]) => [key, { flag: longFlag(flag), words }],
  );
  return `const ROWS = ${JSON.stringify(Object.fromEntries(rows))};
    export const rowOf = (key) => ROWS[key] ?? {};
    export const flagOf = (key) => ROWS[key].flag;`;
}

/** Leaves out what the page does not use. */
export const smaller = {
  name: 'smaller',
  setup: (plugins) => {
    plugins.onResolve({ filter: /^protobufjs\/minimal\.js$/ }, ({ path }) => ({ path, namespace: 'writer' }));
    plugins.onLoad({ filter: /.*/, namespace: 'writer' }, () => ({
      contents: "import { Writer } from './writer.ts'; export default { Writer };",
      resolveDir: join(source, 'browser'),
    }));
    plugins.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path }) => {
      const name = relative(source, path).split(sep).join('/');
      if (LEFT_OUT.has(name)) return { contents: throwing(path) };
      if (name === 'options/check.ts') return { contents: UNCHECKED };
      return name === 'options/table.ts' ? { contents: await shortTable(path) } : undefined;
    });
  },
};

/** A script in fewer bytes. */
export async function minified(script) {
  const { code } = await swc.minify(script, {
    ecma: 2022,
    module: false,
    compress: { ecma: 2022, passes: 3, toplevel: true, unsafe_arrows: true },
    mangle: { toplevel: true },
    format: { ecma: 2022 },
  });
  return code;
}

/** The programs by the names of their files. */
export async function browserPrograms() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['program', 'program-with-urls'].map((name) => join(source, 'browser', `${name}.ts`)),
    outdir: source,
    write: false,
    bundle: true,
    minifySyntax: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [smaller],
  });
  return Promise.all(outputFiles.map(async ({ path, text }) => [relative(source, path), await minified(text)]));
}
