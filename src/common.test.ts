import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { common } from './common.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value, weights, type GraphSpec, type ModelSpec, type TensorSpec } from './testing/model-spec.js';
import { verify } from './verify.js';

/** What models share, whatever their tensors are called. */
let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-common-'))));
afterAll(() => rm(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
let count = 0;

async function written(spec: GraphSpec | ModelSpec): Promise<string> {
  const path = at(`m${count++}.onnx`);
  await writeFile(path, encodeModel('graph' in spec ? spec : { graph: spec }));
  return path;
}

interface Net {
  /** In front of every name. */
  readonly prefix?: string;
  readonly seeds?: readonly [number, number, number];
  readonly head?: string;
  /** Changes one value far inside the first weight. */
  readonly nudge?: boolean;
}

const SIDE = 160;

/** Two products with weights of 100 KB, a skip over the second, and a head. */
function net({ prefix = '', seeds = [1, 2, 3], head = 'Relu', nudge = false }: Net = {}): GraphSpec {
  const p = (name: string): string => `${prefix}${name}`;
  const [first, ...others] = seeds.map((seed, index): TensorSpec => weights(p(`w${index}`), [SIDE, SIDE], seed, 0.1));
  const data = [...(first.data as readonly number[])];
  if (nudge) data[Math.floor(data.length / 3)] += 0.5;
  const v = (name: string): ReturnType<typeof value> => value(name, ['n', SIDE]);
  return {
    nodes: [
      node('MatMul', [p('x'), p('w0')], [p('a')]),
      node('Tanh', [p('a')], [p('b')]),
      node('MatMul', [p('b'), p('w1')], [p('c')]),
      node('MatMul', [p('c'), p('w2')], [p('d')]),
      node(head, [p('d')], [p('e')]),
      node('Add', [p('e'), p('b')], [p('y')]),
    ],
    initializers: [{ ...first, data }, ...others],
    inputs: [v(p('x'))],
    outputs: [v(p('y'))],
  };
}

test('11: a renamed twin is the same; models with other last weights share what is in front, and the skip', async () => {
  const one = await written(net());
  const twin = await written(net({ prefix: 'other/' }));
  expect(await common([one, twin])).toMatchObject({
    values: 6,
    common: 6,
    frontier: [{ tensor: 'y' }],
    first_difference: null,
  });

  const tuned = await written(net({ prefix: 't/', seeds: [1, 2, 9] }));
  const report = await common([one, tuned], { split: true, output: at('shared') });
  expect(report).toMatchObject({
    common: 3,
    frontier: [
      { tensor: 'b', dtype: 'float32', shape: ['n', SIDE] },
      { tensor: 'c', dtype: 'float32', shape: ['n', SIDE] },
    ],
    tensor_in: { [tuned]: ['t/b', 't/c'] },
    shared_weights_bytes: 2 * SIDE * SIDE * 4,
    first_difference: {
      tensor: 'd',
      kind: 'weights',
      what: expect.stringContaining("the values of 'w2'"),
      distance: { values: SIDE * SIDE },
    },
  });
  expect(await verify(one, report.trunk ?? '')).toMatchObject({ equal: true });
  for (const [index, model] of [one, tuned].entries())
    expect(await verify(model, report.heads?.[index] ?? '')).toMatchObject({ equal: true });
});

test('another operator; a value between the samples; statistics that moved in the first layer', async () => {
  const one = await written(net());
  const other = await written(net({ head: 'Sigmoid' }));
  expect((await common([one, other])).first_difference).toEqual({
    tensor: 'e',
    kind: 'operator',
    what: 'Relu here, Sigmoid there',
  });
  const nudged = await written(net({ nudge: true }));
  await expect(common([one, nudged])).rejects.toMatchObject({
    code: 'FEATX_COMMON_NONE',
    message: expect.stringMatching(
      /they part at 'a', the values of 'w0', by up to 8\.\d standard deviations in 1 of 25600: where batch norm is folded in/,
    ),
  });
});

test('three models share what all of them have', async () => {
  const models = [net(), net({ seeds: [1, 2, 7] }), net({ seeds: [1, 8, 3] })];
  const report = await common(await Promise.all(models.map(written)));
  expect([report.common, report.frontier.map(({ tensor }) => tensor)]).toEqual([2, ['b']]);
});

test('what cannot be compared is refused', async () => {
  const one = await written(net());
  const older = await written({ opset: 13, graph: net() });
  await expect(common([one, older])).rejects.toMatchObject({ code: 'FEATX_COMMON_OPSET' });
  await expect(common([one])).rejects.toMatchObject({ code: 'FEATX_USAGE_COMMON' });
  await expect(common([one, older], { split: true })).rejects.toThrow('needs a folder');
});
