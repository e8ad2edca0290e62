import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, type Plugin } from 'esbuild';
import * as fc from 'fast-check';
import protobuf from 'protobufjs/minimal.js';
import { commandLine } from '../browser/choices.js';
import { Writer } from '../browser/writer.js';
import * as core from '../core.js';
import { fixtureFiles } from '../testing/fixture-files.js';

/** The program of a page has less in it than the command line: what is left must do the same. */

type Core = typeof core & { readonly commandLine: typeof commandLine };

interface Bundles {
  readonly smaller: Plugin;
  readonly minified: (script: string) => Promise<string>;
  readonly browserPrograms: () => Promise<readonly (readonly [name: string, script: string])[]>;
}

const bundles = (await import(pathToFileURL(join(process.cwd(), 'scripts', 'bundles', 'browser.mjs')).href)) as Bundles;

/** The core as a page has it. */
async function coreOfPage(): Promise<Core> {
  const { smaller, minified } = bundles;
  const { outputFiles } = await build({
    stdin: {
      contents: `import * as core from './src/core.ts'; import { commandLine } from './src/browser/choices.ts';
        globalThis.coreOfPage = { ...core, commandLine };`,
      resolveDir: process.cwd(),
    },
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    plugins: [smaller],
  });
  const home = await mkdtemp(join(tmpdir(), 'featx-program-'));
  const script = join(home, 'core.mjs');
  await writeFile(script, await minified(outputFiles[0].text));
  await import(pathToFileURL(script).href);
  await rm(home, { recursive: true });
  const made: unknown = Reflect.get(globalThis, 'coreOfPage');
  Reflect.deleteProperty(globalThis, 'coreOfPage');
  return made as Core;
}

const MODES = ['dict', 'list', 'hook'] as const;
const PLACES = ['keep', 'reference', 'embed'] as const;

/** JSON: Jest compares one text faster than a tree. */
const withoutTime = (report: object): string => JSON.stringify({ ...report, elapsed_ms: 0 });

/** What a core says of a model and cuts out of it, times left out; refusals as their messages. */
async function answers(
  { BufferSource, indexModel, inspectModel, materialize, planBytes }: typeof core,
  bytes: Uint8Array,
): Promise<readonly string[]> {
  const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  const said: string[] = [];
  try {
    const model = await indexModel(new BufferSource(bytes, 'model.onnx'));
    const report = await inspectModel(model, { name: 'model.onnx', listModules: true });
    said.push(withoutTime(report));
    const tensors = model.graph.nodes.flatMap(({ outputs }) => outputs.slice(0, 1));
    const selections: (readonly core.Selector[])[] = [
      [{ by: 'last', count: 1 }],
      ...report.feature_info.map(({ index }) => [{ by: 'index', indices: [index] }] as const),
      ...report.groups.map(({ name }) => [{ by: 'index', group: name, indices: [0] }] as const),
      ...report.embeddings.map(({ role }) => [{ by: 'embedding', role }] as const),
      ...tensors.slice(-1).map((name) => [{ by: 'tensor', name }] as const),
      [{ by: 'node', name: '*' }],
    ];
    for (const [at, select] of selections.slice(0, 6).entries())
      try {
        const options = { select, mode: MODES[at % 3], outMap: at % 4 === 3 ? ['renamed'] : undefined };
        const place = { weights: PLACES[at % PLACES.length], fileName: 'model.onnx' };
        const planned = await planBytes(model, options, place);
        const cut = await materialize(planned.source, planned.pieces);
        said.push(withoutTime(planned.report), createHash('sha256').update(cut).digest('hex'));
      } catch (error) {
        said.push(message(error));
      }
  } catch (error) {
    said.push(message(error));
  }
  return said;
}

test('the core of a page finds and cuts what the core does', async () => {
  const page = await coreOfPage();
  let cuts = 0;
  for (const { name, read } of ['models', 'timm', 'zoo'].flatMap((folder) => fixtureFiles(folder as 'models'))) {
    const expected = await answers(core, read());
    expect({ name, said: await answers(page, read()) }).toEqual({ name, said: expected });
    cuts += expected.filter((each) => /^[0-9a-f]{64}$/.test(each)).length;
  }
  expect(cuts).toBeGreaterThan(200);
});

test('programs of pages stay small', async () => {
  const sizes = (await bundles.browserPrograms()).map(([name, script]) => [
    name,
    gzipSync(script, { level: 9 }).length,
  ]);
  expect(sizes).toEqual([
    ['program.js', expect.any(Number)],
    ['program-with-urls.js', expect.any(Number)],
  ]);
  // What grows beyond these asks whether a page needs it: LEFT_OUT of the bundles is for what it does not.
  expect(sizes[0][1]).toBeLessThan(155_000);
  expect(sizes[1][1]).toBeLessThan(165_000);
});

test('a page knows every flag that its command lines have', async () => {
  const page = await coreOfPage();
  const list = [
    { by: 'index', indices: [2], group: 'neck' },
    { by: 'last', count: 1 },
    { by: 'embedding', role: 'pooled' },
    { by: 'module', name: 'layer 1' },
    { by: 'tensor', name: "it's" },
    { by: 'node', name: 'n' },
  ].map((selector) => ({ key: '', label: '', selector: selector as core.Selector }));
  const asked = [
    'm.onnx',
    { list, names: new Map() },
    ['a', 'b'],
    { mode: 'hook', weights: 'reference' },
  ] as const satisfies Parameters<typeof commandLine>;
  expect(commandLine(...asked)).toMatch(/^featx extract m\.onnx --out neck:2 .* --weights reference --out-map a,b$/);
  expect(page.commandLine(...asked)).toBe(commandLine(...asked));
});

test('what is left out of a page throws there, and names itself', async () => {
  const page = await coreOfPage();
  const [{ read }] = fixtureFiles('timm');
  await expect(page.extractBytes(read(), { out: [0], pool: 'avg' })).rejects.toThrow(/^the page has no \w+$/);
  await expect(core.extractBytes(read(), { out: [0], pool: 'avg' })).resolves.toBeDefined();
});

test('the writer of a page writes what that of protobufjs does', () => {
  const value = fc.oneof(
    fc.record({ of: fc.constant('uint32' as const), value: fc.nat(2 ** 32 - 1) }),
    fc.record({ of: fc.constant('int64' as const), value: fc.maxSafeInteger() }),
    fc.record({ of: fc.constant('float' as const), value: fc.double() }),
    fc.record({ of: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 300 }) }),
  );
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const [ours, theirs] = [Writer.create(), protobuf.Writer.create()];
      for (const { of, value: one } of values) {
        ours[of](one as never);
        theirs[of](one as never);
      }
      expect([...ours.finish()]).toEqual([...theirs.finish()]);
    }),
  );
});
