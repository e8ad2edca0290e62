import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { extractBytes, openModel } from '../index.js';
import { esbuild, rollup, vite, webpack, type CutsOptions, type RollupContext } from './plugins.js';
import * as loader from './webpack-loader.js';

/** The plugins of bundlers, on examples/bundler: what a program imports is the cut that `extract` makes. */

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'featx-unplugin-')));
const MODEL = join(folder, 'backbone.onnx');
let options: CutsOptions;
let pyramid: Uint8Array;

beforeAll(async () => {
  cpSync('examples/bundler', folder, { recursive: true });
  cpSync('fixtures/timm/test_resnet.ts.onnx', MODEL);
  options = { cuts: ((await import(resolve('examples/bundler/cuts.js'))) as Required<CutsOptions>).cuts };
  pyramid = (await extractBytes(readFileSync(MODEL), options.cuts?.pyramid)).bytes;
});
afterAll(() => rmSync(folder, { recursive: true }));

async function outputsOf(path: string): Promise<readonly string[]> {
  await using model = await openModel(path);
  return model.graph.outputs.map(({ name }) => name);
}

test('esbuild writes the cuts beside the bundle, and says in the bundle where', async () => {
  const dist = join(folder, 'dist');
  await build({
    entryPoints: [join(folder, 'app.js')],
    bundle: true,
    format: 'esm',
    outdir: dist,
    plugins: [esbuild(options)],
    logLevel: 'error',
  });
  const cuts = readdirSync(dist).filter((name) => name.endsWith('.onnx'));
  const outputs = await Promise.all(cuts.map((name) => outputsOf(join(dist, name))));
  expect(outputs.map(String).sort()).toEqual(['embedding', 'p2,p3,p4']);
  const text = readFileSync(join(dist, 'app.js'), 'utf8');
  for (const name of cuts) expect(text).toContain(`"./${name}`);
});

test('a cut that no option names fails the build, with the nearest', async () => {
  const failing = build({
    stdin: { contents: "import url from './backbone.onnx?featx=pyramide'; console.log(url);", resolveDir: folder },
    bundle: true,
    write: false,
    outdir: folder,
    plugins: [esbuild(options)],
    logLevel: 'silent',
  });
  await expect(failing).rejects.toThrow("no cut is called 'pyramide' (nearest: pyramid)");
});

interface Emitted {
  readonly name: string;
  readonly source: Uint8Array;
}

function context(emitted: Emitted[], watched: string[]): RollupContext {
  return {
    resolve: async (source, importer) => ({ id: resolve(importer ?? folder, '..', source) }),
    addWatchFile: (path) => void watched.push(path),
    emitFile: ({ name, source }) => `ref${emitted.push({ name, source })}`,
  };
}

test("Rollup's hooks emit the cut as an asset, and leave other modules alone", async () => {
  const [emitted, watched]: [Emitted[], string[]] = [[], []];
  const [plugin, hooks] = [rollup(options), context(emitted, watched)];
  const id = await plugin.resolveId.call(hooks, './backbone.onnx?featx=pyramid', join(folder, 'app.js'));
  expect(id).toBe(`${MODEL}?featx=pyramid`);
  expect(await plugin.load.call(hooks, id ?? '')).toBe('export default import.meta.ROLLUP_FILE_URL_ref1;\n');
  expect(emitted.map(({ name }) => name)).toEqual(['backbone.pyramid.onnx']);
  expect(Buffer.compare(emitted[0].source, pyramid)).toBe(0);
  expect(watched[0]).toBe(MODEL);
  expect(watched).toContain(join(dirname(MODEL), 'preprocessor_config.json'));
  expect(await plugin.resolveId.call(hooks, './other.js', MODEL)).toBeNull();
  expect(await plugin.load.call(hooks, MODEL)).toBeNull();
});

test("Vite's hooks write the cut where Vite finds it", async () => {
  const home = process.cwd();
  process.chdir(folder);
  try {
    const plugin = vite({ cuts: { ...options.cuts, 'a.b': options.cuts?.pyramid ?? {}, a_b: { out: [0] } } });
    const pathOf = async (name: string): Promise<string> => {
      const code = await plugin.load.call(context([], []), `${MODEL}?featx=${name}`);
      return /from "(.+)\?url&no-inline"/.exec(code ?? '')?.[1] ?? '';
    };
    expect(Buffer.compare(readFileSync(await pathOf('pyramid')), pyramid)).toBe(0);
    // Names that one file name stands for are files of their own.
    expect(await pathOf('a.b')).not.toBe(await pathOf('a_b'));
  } finally {
    process.chdir(home);
  }
});

test('webpack gets a rule whose loader gives the bytes of the cut', async () => {
  const rules: { readonly resourceQuery: RegExp; readonly use: readonly { readonly options: CutsOptions }[] }[] = [];
  webpack(options).apply({ options: { module: { rules } } });
  const [{ resourceQuery, use }] = rules;
  const depends: string[] = [];
  expect([resourceQuery.test('?featx=pyramid'), resourceQuery.test('?url'), loader.raw]).toEqual([true, false, true]);
  const bytes = await loader.default.call({
    resourcePath: MODEL,
    resourceQuery: '?featx=pyramid',
    getOptions: () => use[0].options,
    addDependency: (path: string) => void depends.push(path),
  });
  expect(Buffer.compare(bytes, pyramid)).toBe(0);
});
