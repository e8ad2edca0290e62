import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from './extract.js';
import { openModel } from './open.js';
import { jsonLine } from './report/escape.js';
import { runText } from './report/run-text.js';
import { PLAIN } from './report/style.js';
import { run, type RunOptions } from './run.js';
import { readTensors } from './tensors/array-file.js';
import { outputKeys } from './tensors/output-format.js';
import { runCli } from './testing/cli.js';
import { encodeName, hostileNames, RAW } from './testing/hostile-names.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value } from './testing/model-spec.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';

/** A thousand names, one tensor each, whose value says which. */
const NAMES = hostileNames(1_000);
const INPUT = 0.5;
/** Keys of an archive that would lead out of the folder that it is unpacked in. */
const LEADS_OUT = /(^|[/\\:])\.\.([/\\]|$)|^\\|^[A-Za-z]:[/\\]/;
const asked = (names: readonly string[]): NonNullable<RunOptions['select']> =>
  names.map((name) => ({ by: 'tensor', name }));
const named = asked(NAMES);
/** Some of every kind, for what takes long for each. */
const SOME = NAMES.filter((_name, index) => index % 5 === 0);

let folder: string;
let model: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'featx-names-'));
  model = at('model.onnx');
  const nodes = NAMES.map((name, index) =>
    node('Add', ['x', `constant${index}`], [encodeName(name)], {}, { name: encodeName(name) }),
  );
  const constants = NAMES.map((_name, index) => tensor(`constant${index}`, [1], [index]));
  const types = NAMES.slice(1).map((name) => value(encodeName(name), [1]));
  writeFileSync(
    model,
    encodeModel({
      graph: {
        nodes,
        initializers: constants,
        inputs: [value('x', [1])],
        outputs: [value(encodeName(NAMES[0]), [1])],
        valueInfo: types,
      },
    }),
  );
  writeFileSync(
    at('x.npy'),
    Buffer.concat([
      Buffer.from(
        `\x93NUMPY\x01\x00\x76\x00${"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".padEnd(117)}\n`,
        'latin1',
      ),
      Buffer.from(Float32Array.of(INPUT).buffer),
    ]),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Without waiting for the device: a thousand files would take as many turns of it. */
const unsynced: FileSystem = {
  ...nodeFileSystem,
  open: async (...args) => {
    const file = await nodeFileSystem.open(...args);
    return {
      read: (...at) => file.read(...at),
      write: (...at) => file.write(...at),
      stat: () => file.stat(),
      chmod: (mode) => file.chmod(mode),
      truncate: (size) => file.truncate(size),
      close: () => file.close(),
      sync: async () => undefined,
    };
  },
};

const clean = (shown: string): void =>
  expect(RAW.exec(shown.replace(/\r?\n/g, ' '))?.[0].codePointAt(0)?.toString(16)).toBeUndefined();
/** SGR that the program itself sets on a terminal. */
const uncoloured = (shown: string): string => shown.replace(/\x1b\[\d+m/g, '');

test('there are a thousand, distinct as bytes, and ordinary tools lose some', () => {
  expect(NAMES).toHaveLength(1_000);
  expect(new Set(NAMES.map((name) => Buffer.from(encodeName(name)).toString('hex'))).size).toBe(1_000);
  const record: { [name: string]: number } = {};
  NAMES.forEach((name, index) => (record[name] = index));
  expect(Object.keys(record).length).toBeLessThan(1_000);
  expect(new Set(NAMES.map((name) => Buffer.from(encodeName(name)).toString('utf8'))).size).toBeLessThan(1_000);
  expect(new Set(NAMES.map((name) => name.normalize())).size).toBeLessThan(1_000);
  expect(() => clean(NAMES.join('\n'))).toThrow();
  expect(() => clean(JSON.stringify(NAMES))).toThrow();
});

test('the index holds them exactly', async () => {
  await using opened = await openModel(model);
  expect(opened.graph.nodes.map(({ outputs }) => outputs[0])).toEqual(NAMES);
  expect(opened.graph.nodes.map(({ name }) => name)).toEqual(NAMES);
});

describe('inspect', () => {
  test.each([
    ['a terminal', [], { isTerminal: true, columns: 100 }],
    ['a pipe', [], {}],
    ['CSV', ['--csv'], {}],
    ['JSON', ['--json'], {}],
  ])('shows nothing raw: %s', async (_what, flags, setting) => {
    const { exit, stdout, stderr } = await runCli(['inspect', model, '--tensors', ...flags], setting);
    expect(exit).toBe(0);
    clean(uncoloured(stdout));
    clean(uncoloured(stderr));
  });

  test('JSON parses to the exact names, CSV has a line for each and no formula', async () => {
    const { tensors } = JSON.parse((await runCli(['inspect', model, '--tensors', '--json'])).stdout) as {
      readonly tensors: readonly { readonly name: string; readonly node: string }[];
    };
    expect(tensors.map(({ name }) => name)).toEqual(NAMES);
    expect(tensors.map(({ node: label }) => label)).toEqual(NAMES);
    const { stdout } = await runCli(['inspect', model, '--tensors', '--csv']);
    expect(stdout.split('\r\n')).toHaveLength(NAMES.length + 2);
    expect(stdout).not.toMatch(/(^|,)"?\s*[=+@\uff1d-]/m);
  });
});

describe('run', () => {
  const features = async (more: Partial<RunOptions>): Promise<Awaited<ReturnType<typeof run>>> =>
    run(model, { inputs: [at('x.npy')], select: named, ...more });

  test('gives each its own value, in .npz and .safetensors under its own key', async () => {
    for (const format of ['npz', 'safetensors'] as const) {
      const report = await features({ output: at(`all.${format}`) });
      expect(report.features.map(({ output, min }) => [output, min])).toEqual(
        NAMES.map((name, index) => [name, index + INPUT]),
      );
      clean(jsonLine(report));
      clean(runText(report, PLAIN));
      expect((JSON.parse(jsonLine(report)) as typeof report).features.map(({ output }) => output)).toEqual(NAMES);
      const written = await readTensors(at(`all.${format}`));
      const keys = outputKeys(format, NAMES);
      expect(new Set(keys).size).toBe(NAMES.length);
      expect(keys.map((key) => Number((written.get(key)?.data as Float32Array | undefined)?.[0]))).toEqual(
        NAMES.map((_name, index) => index + INPUT),
      );
      const plain = NAMES.flatMap((name, index) =>
        /[\0\ud800-\udfff]/u.test(name) ||
        encodeName(name).length > 60_000 ||
        name === '__metadata__' ||
        (format === 'npz' && LEADS_OUT.test(name))
          ? []
          : [[name, keys[index]] as const],
      );
      expect(plain.filter(([name, key]) => name !== key)).toEqual([]);
      expect(plain.length).toBeGreaterThan(500);
      // What cannot be a key as it is tells its bytes all the same.
      const coded = NAMES.flatMap((name, index) =>
        keys[index] === name || encodeName(name).length > 60_000
          ? []
          : [[Buffer.from(encodeName(name)).toString('hex'), unpercent(keys[index])] as const],
      );
      expect(coded.filter(([bytes, decoded]) => bytes !== decoded)).toEqual([]);
      keys.filter((_key, index) => !plain.some(([name]) => name === NAMES[index])).forEach(clean);
    }
  });

  test('writes a .pb each under a name that any system takes, which says whose it is', async () => {
    const fileNames = outputKeys('pb-directory', NAMES);
    expect(new Set(fileNames.map((file) => file.toLowerCase())).size).toBe(NAMES.length);
    expect(
      fileNames.filter(
        (file) =>
          !/^[A-Za-z0-9_%-][A-Za-z0-9_.%-]{0,200}$/.test(file) ||
          /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(file) ||
          /[. ]$/.test(file),
      ),
    ).toEqual([]);
    await features({ select: asked(SOME), output: at('pb/'), fileSystem: unsynced });
    const files = readdirSync(at('pb'));
    expect(files.sort()).toEqual(
      outputKeys('pb-directory', SOME)
        .map((file) => `${file}.pb`)
        .sort(),
    );
    const values = new Map<string, number>();
    for (const file of files)
      for (const [name, { data }] of await readTensors(join(at('pb'), file)))
        values.set(name, Number((data as Float32Array)[0]));
    expect(SOME.map((name) => values.get(name))).toEqual(SOME.map((name) => NAMES.indexOf(name) + INPUT));
  });
});

/** Bytes of a percent-encoded key, in hexadecimal. */
function unpercent(key: string): string {
  return Buffer.from(
    key.replace(/%([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString('hex');
}

describe('extract', () => {
  test('a cut has them as its outputs, and runs', async () => {
    const report = await extract(model, at('cut.onnx'), { select: named, isolate: false });
    clean(jsonLine(report));
    await using cut = await openModel(at('cut.onnx'));
    expect(cut.graph.outputs.map(({ name }) => name)).toEqual(NAMES);
    const { features } = await run(at('cut.onnx'), { inputs: [at('x.npy')], select: named });
    expect(features.map(({ output, min }) => [output, min])).toEqual(NAMES.map((name, index) => [name, index + INPUT]));
  });

  test('a cut can give its outputs these names, which come back under them', async () => {
    const plain = SOME.map((_name, index) => `t${index}`);
    writeFileSync(
      at('plain.onnx'),
      encodeModel({
        graph: {
          nodes: plain.map((name, index) => node('Add', ['x', `constant${index}`], [name])),
          initializers: plain.map((_name, index) => tensor(`constant${index}`, [1], [index])),
          inputs: [value('x', [1])],
          outputs: [value('t0', [1])],
          valueInfo: plain.slice(1).map((name) => value(name, [1])),
        },
      }),
    );
    const choice = plain.map((name) => ({ by: 'tensor' as const, name }));
    await extract(at('plain.onnx'), at('mapped.onnx'), { select: choice, outMap: SOME, isolate: false });
    await using cut = await openModel(at('mapped.onnx'));
    expect(cut.graph.outputs.map(({ name }) => name)).toEqual(SOME);
    const { features } = await run(at('mapped.onnx'), { inputs: [at('x.npy')], select: asked(SOME) });
    expect(features.map(({ output, min }) => [output, min])).toEqual(SOME.map((name, index) => [name, index + INPUT]));
  });

  test('text and errors about them show nothing raw', async () => {
    for (const flags of [[], ['--json']]) {
      const { exit, stdout, stderr } = await runCli(
        ['extract', model, '--dry-run', ...NAMES.map((name) => `--tensor=${name}`), ...flags],
        { isTerminal: flags.length === 0, columns: 120 },
      );
      expect(exit).toBe(0);
      clean(uncoloured(stdout));
      clean(uncoloured(stderr));
    }
    const missing = await runCli(['extract', model, '--dry-run', ...SOME.map((name) => `--tensor=${name}-none`)], {
      isTerminal: true,
    });
    expect(missing.exit).toBe(2);
    clean(uncoloured(missing.stderr));
    const debug = await runCli(
      ['run', model, '--tensor', NAMES[0], '--debug', ...SOME.slice(0, 40).map((name) => `--input=${name}`)],
      { isTerminal: true },
    );
    expect(debug.exit).toBeGreaterThan(0);
    clean(uncoloured(debug.stderr));
  });
});
