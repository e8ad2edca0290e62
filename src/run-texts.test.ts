import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type RunOptions } from './run.js';
import type { RunReport } from './report/run-records.js';
import { readTensors } from './tensors/array-file.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value } from './testing/model-spec.js';
import { TextTokenizer } from './tensors/tokenize.js';

/** A repository of a small text encoder, laid out as sentence-transformers does: each token has a vector of its own. */

const folder = mkdtempSync(join(tmpdir(), 'featx-texts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const WIDTH = 3;
const VOCABULARY = 500;
const table = Float32Array.from({ length: VOCABULARY * WIDTH }, (_, at) => Math.sin(at));
const model = join(folder, 'onnx', 'model.onnx');
mkdirSync(join(folder, 'onnx'));
mkdirSync(join(folder, '1_Pooling'));
writeFileSync(
  model,
  encodeModel({
    graph: {
      inputs: [value('input_ids', ['b', 's'], 'int64'), value('attention_mask', ['b', 's'], 'int64')],
      outputs: [value('last_hidden_state', ['b', 's', WIDTH])],
      initializers: [
        tensor('table', [VOCABULARY, WIDTH], [...table]),
        tensor('axis', [1], [2], 'int64'),
        tensor('zero', [], [0]),
      ],
      nodes: [
        node('Gather', ['table', 'input_ids'], ['vectors']),
        node('Cast', ['attention_mask'], ['mask'], { to: { int: 1 } }),
        node('Unsqueeze', ['mask', 'axis'], ['wide']),
        node('Mul', ['wide', 'zero'], ['nothing']),
        node('Add', ['vectors', 'nothing'], ['last_hidden_state']),
      ],
    },
  }),
);
copyFileSync('fixtures/tokenizers/wordpiece.json', join(folder, 'tokenizer.json'));
writeFileSync(join(folder, 'modules.json'), '[{"type":"m.Transformer"},{"type":"m.Pooling"},{"type":"m.Normalize"}]');
const pooling = join(folder, '1_Pooling', 'config.json');

const TEXTS = [
  'a feature of the network',
  'backbone',
  'the maps of its neck, and of a head that is longer than the rest',
];
const lines = join(folder, 'lines.txt');
writeFileSync(lines, `${TEXTS.join('\n')}\n`);

interface Row {
  readonly file: string | null;
  readonly index: number;
  readonly embedding: readonly number[];
}
async function rows(options: RunOptions): Promise<{ readonly report: RunReport; readonly rows: readonly Row[] }> {
  const chunks: string[] = [];
  const write = async (bytes: Uint8Array): Promise<void> => void chunks.push(new TextDecoder().decode(bytes));
  const report = await run(model, { output: '-', write, ...options });
  const made = chunks.join('').trimEnd().split('\n');
  return { report, rows: made.map((line): Row => JSON.parse(line)) };
}

/** The vectors of the tokens of a text. */
async function vectorsOf(text: string): Promise<number[][]> {
  const tokenizer = await TextTokenizer.load(async (name) =>
    name === 'tokenizer.json' ? { path: name, text: readFileSync(join(folder, name), 'utf8') } : null,
  );
  const ids = tokenizer?.encode([text]).ids[0] ?? [];
  return ids.map((id) => [...table.subarray(id * WIDTH, (id + 1) * WIDTH)]);
}

/** The recipe of sentence-transformers, in JavaScript. */
async function expected(text: string, how: 'mean' | 'cls' | 'max'): Promise<number[]> {
  const vectors = await vectorsOf(text);
  const whole =
    how === 'cls'
      ? vectors[0]
      : how === 'max'
        ? vectors[0].map((_, at) => Math.max(...vectors.map((own) => own[at])))
        : vectors[0].map((_, at) => vectors.reduce((sum, own) => sum + own[at], 0) / vectors.length);
  const length = Math.hypot(...whole);
  return whole.map((number) => number / length);
}

test.each([
  ['mean', '{"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":false}'],
  ['cls', '{"pooling_mode":"cls"}'],
  ['max', '{"pooling_mode_max_tokens":true}'],
] as const)('the vector of a text, by the %s that its files declare, alone as in a batch', async (how, config) => {
  writeFileSync(pooling, config);
  const { report, rows: made } = await rows({ texts: [lines, 'backbone'] });
  expect(made.map(({ file, index }) => [file, index])).toEqual([
    [lines, 0],
    [lines, 1],
    [lines, 2],
    [null, 0],
  ]);
  for (const [at, text] of [...TEXTS, 'backbone'].entries()) {
    const wanted = await expected(text, how);
    for (const [channel, number] of made[at].embedding.entries()) expect(number).toBeCloseTo(wanted[channel], 5);
  }
  expect(report).toMatchObject({
    inputs: [lines],
    tokenizer: { path: join(folder, 'tokenizer.json'), max_length: 16 },
    pooling: { pool: how === 'cls' ? 'cls' : `${how}:attention_mask`, normalize: true },
  });
  const alone = await rows({ texts: [lines], batchSize: 1 });
  expect(alone.rows.map(({ embedding }) => embedding.map((number) => number.toFixed(5)))).toEqual(
    made.slice(0, 3).map(({ embedding }) => embedding.map((number) => number.toFixed(5))),
  );
});

test('what is not computed here is refused, and what is asked for by name is taken', async () => {
  writeFileSync(pooling, '{"pooling_mode":["cls","max"]}');
  await expect(rows({ texts: ['a'] })).rejects.toMatchObject({ code: 'FEATX_POOLING' });
  const { report } = await rows({ texts: ['a'], select: [{ by: 'tensor', name: 'last_hidden_state' }], pool: 'cls' });
  expect(report.features[0].shape).toEqual([1, WIDTH]);
});

describe('a part for each token', () => {
  const select = [{ by: 'tensor', name: 'last_hidden_state' }] as const;
  const wanted = async (): Promise<readonly (readonly number[])[]> =>
    Promise.all(TEXTS.map(async (text) => (await vectorsOf(text)).flat()));

  test('rows hold the tokens of their text, and nothing of what fills a batch up', async () => {
    const { report, rows: made } = await rows({ texts: [lines], select });
    const own = made.map((row) => Object.values(row).at(-1)).map((tokens) => [tokens].flat(2));
    const counts = (await wanted()).map((numbers) => numbers.length / WIDTH);
    expect(own.map((tokens) => tokens.length / WIDTH)).toEqual(counts);
    expect(own.flat().map(Math.fround)).toEqual((await wanted()).flat().map(Math.fround));
    const longest = Math.max(...counts);
    const total = counts.reduce((sum, count) => sum + count, 0);
    expect(report).toMatchObject({
      batch_size: 3,
      features: [{ shape: [total, WIDTH], entry_axis: 0, padding_left_out: 3 * longest - total }],
    });
  });

  test('one array holds them with their offsets, if that is asked for', async () => {
    const output = join(folder, 'tokens.npz');
    await expect(run(model, { texts: [lines], select, output })).rejects.toMatchObject({ code: 'FEATX_USAGE_RAGGED' });
    for (const batchSize of [2, 3]) {
      const { features } = await run(model, { texts: [lines], select, output, ragged: true, batchSize });
      const arrays = await readTensors(output);
      const { offsets = '', output: name } = features[0];
      expect([...(arrays.get(name)?.data ?? [])]).toEqual((await wanted()).flat().map(Math.fround));
      const ends = (await wanted()).map((_, at, all) => BigInt(all.slice(0, at + 1).flat().length / WIDTH));
      expect([...(arrays.get(offsets)?.data ?? [])]).toEqual([0n, ...ends]);
    }
  });

  test('one text keeps its axis', async () => {
    const { features } = await run(model, { texts: ['backbone'], select });
    expect(features[0]).toMatchObject({ shape: [1, (await vectorsOf('backbone')).length, WIDTH], parts_per_entry: 1 });
  });
});

test('pictures for a model of texts, and texts for one of pictures', async () => {
  await expect(
    run(model, { inputs: ['fixtures/tensors/picture.png'], select: [{ by: 'tensor', name: 'last_hidden_state' }] }),
  ).rejects.toMatchObject({
    message: expect.stringContaining('is a picture, and the model takes the tokens of texts'),
    hint: expect.stringContaining('`texts`'),
  });
  const pictures = encodeModel({
    graph: {
      inputs: [value('x', ['n', 3, 8, 8])],
      outputs: [value('y', ['n', 3, 8, 8])],
      nodes: [node('Relu', ['x'], ['y'])],
    },
  });
  const select = [{ by: 'tensor', name: 'y' }] as const;
  await expect(run(pictures, { texts: ['a'], select })).rejects.toThrow('takes pictures, as input x, and no tokens');
});

test('a model that has no tokenizer beside it says where one was looked for', async () => {
  mkdirSync(join(folder, 'bare'));
  copyFileSync(model, join(folder, 'bare', 'alone.onnx'));
  const select = [{ by: 'tensor', name: 'last_hidden_state' }] as const;
  await expect(run(join(folder, 'bare', 'alone.onnx'), { texts: ['a'], select })).rejects.toMatchObject({
    code: 'FEATX_TOKENIZER',
    message: expect.stringContaining(join('bare', 'tokenizer.json')),
  });
});

describe('a model of 32 positions whose tokenizer.json fills up to 128', () => {
  const place = join(folder, 'positions');
  const short = join(place, 'model.onnx');
  beforeAll(() => {
    mkdirSync(place);
    writeFileSync(
      short,
      encodeModel({
        graph: {
          inputs: [value('input_ids', ['b', 's'], 'int64')],
          outputs: [value('last_hidden_state', ['b', 's', WIDTH])],
          initializers: [
            tensor('table', [VOCABULARY, WIDTH], [...table]),
            tensor(
              'places',
              [1, 32, 1],
              Array.from({ length: 32 }, (_, at) => at),
            ),
            tensor('zero', [1], [0], 'int64'),
            tensor('one', [1], [1], 'int64'),
          ],
          nodes: [
            node('Gather', ['table', 'input_ids'], ['vectors']),
            node('Shape', ['input_ids'], ['shape']),
            node('Gather', ['shape', 'one'], ['length']),
            node('Slice', ['places', 'zero', 'length', 'one'], ['some']),
            node('Add', ['vectors', 'some'], ['last_hidden_state']),
          ],
        },
      }),
    );
    const definition: Record<string, unknown> = JSON.parse(readFileSync('fixtures/tokenizers/wordpiece.json', 'utf8'));
    definition['truncation'] = null;
    definition['padding'] = { ...(definition['padding'] as object), strategy: { Fixed: 128 } };
    writeFileSync(join(place, 'tokenizer.json'), JSON.stringify(definition));
  });
  const long = 'features of a network '.repeat(20);
  const select = [{ by: 'tensor', name: 'last_hidden_state' }] as const;

  test('is given what counts of it, and no more', async () => {
    const { features } = await run(short, { texts: ['backbone'], select });
    expect(features[0].shape[1]).toBeLessThan(32);
    const cut = await run(short, { texts: [long, 'backbone'], select, pool: 'cls', maxLength: 32 });
    expect(cut).toMatchObject({
      texts: 2,
      tokenizer: { max_length: 32, truncated: 1 },
      warnings: ['1 text is longer than 32 tokens and cut there'],
    });
  });

  test('says how long a text may be if it does not take it', async () => {
    const hint = expect.stringMatching(/^the network may take fewer than \d+ tokens: try a smaller `maxLength`$/);
    await expect(run(short, { texts: [long], select })).rejects.toMatchObject({ name: 'RuntimeError', hint });
  });
});

describe('what is a file and what is a text', () => {
  const options = { select: [{ by: 'tensor', name: 'last_hidden_state' }], pool: 'cls' } as const;

  test('a file of another kind is refused, and a folder', async () => {
    for (const path of [pooling, join(folder, 'onnx')])
      await expect(run(model, { texts: [path], ...options })).rejects.toMatchObject({
        code: 'FEATX_USAGE_INPUT',
        path,
        hint: expect.stringMatching(/^give FILE.txt \(a line each\)/),
      });
  });

  test('a name without a file is run with a warning that names the nearest', async () => {
    const near = join(folder, 'line.md');
    const { texts, warnings } = await run(model, { texts: [near, 'How are you?', 'e.g. this'], ...options });
    expect(texts).toBe(3);
    expect(warnings).toContainEqual(`'${near}' is run as a text: there is no such file; there is ${lines}`);
    await expect(run(model, { texts: ['node.js'], strict: true, ...options })).rejects.toThrow(
      "'node.js' is run as a text: there is no such file",
    );
  });
});
