import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diff } from './diff.js';
import { float32ToBfloat16, float32ToHalf } from './tensors/float16.js';
import { runCli } from './testing/cli.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value, type ModelSpec } from './testing/model-spec.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'featx-diff-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** y = relu(x W), z = y V: 2 x 3 times 3 x 4 times 4 x 2. */
function spec({ w = 1, v = 1, vName = 'v', op = 'Relu', act = '/a/act_output_0', alpha = 0.1 } = {}): ModelSpec {
  const numbers = (count: number, scale: number): number[] =>
    Array.from({ length: count }, (_, at) => Math.fround(scale * Math.sin(at + 1)));
  return {
    graph: {
      nodes: [
        node('MatMul', ['x', 'w'], ['/a/MatMul_output_0']),
        node(op, ['/a/MatMul_output_0'], [act], op === 'LeakyRelu' ? { alpha: { float: alpha } } : {}),
        node('MatMul', [act, vName], ['z']),
      ],
      initializers: [
        { name: 'w', dims: [3, 4], data: numbers(12, w) },
        { name: vName, dims: [4, 2], data: numbers(8, v) },
      ],
      inputs: [value('x', [2, 3])],
      outputs: [value('z', [2, 2])],
    },
  };
}

async function file(name: string, made: ModelSpec): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, encodeModel(made));
  return path;
}

const select = ['/a/MatMul_output_0', '/a/act_output_0', 'z'].map((name) => ({ by: 'tensor', name }) as const);

test('a model is the same as itself', async () => {
  const a = await file('a.onnx', spec());
  const report = await diff(a, a, { select, inputs: ['random'] });
  expect(report).toMatchObject({ equal: true, parts_at: null, weights: { a: 2, b: 2, equal: 2, differences: [] } });
  for (const each of report.features ?? [])
    expect(each).toMatchObject({ relative_error: 0, largest_difference: 0, cosine: expect.closeTo(1, 12) });
});

test('weights are told apart by their values, and names are followed', async () => {
  const a = await file('a.onnx', spec());
  const changed = await diff(a, await file('b.onnx', spec({ v: 1.5 })));
  expect(changed).toMatchObject({
    equal: false,
    weights: { equal: 1, differences: [{ name: 'v', state: 'changed' }] },
  });
  const renamed = await diff(a, await file('c.onnx', spec({ vName: 'head' })));
  expect(renamed.weights.differences).toEqual([{ name: 'head', state: 'renamed', was: 'v' }]);
});

test('nodes are told apart by operator', async () => {
  const a = await file('a.onnx', spec());
  const { nodes } = await diff(a, await file('b.onnx', spec({ op: 'Tanh' })));
  expect(nodes).toMatchObject({ a: 3, b: 3, operators: { Relu: [1, 0], Tanh: [0, 1] }, only_a: [], only_b: [] });
});

test('what differs is said in words: names alone, last bits alone, attributes', async () => {
  const a = await file('a.onnx', spec());
  const named = await diff(a, await file('b.onnx', spec({ act: 'other', vName: 'head' })));
  expect(named.says).toEqual([
    'the same weights, 1 of them under other names',
    'the same graph under other names of tensors',
  ]);
  expect(named).toMatchObject({ equal: false, nodes: { same_graph: true } });
  const z = [{ by: 'tensor', name: 'z' }] as const;
  const bits = await diff(a, await file('c.onnx', spec({ v: 1 + 1e-6 })), { select: z, inputs: ['random'] });
  expect(bits.says.join()).toMatch(
    /^the same weights but for rounding: 1 of 2 differ, by 1\.\d+e-6 of their length at most,the same graph,1 feature equal but for rounding: the largest difference is \d/,
  );
  const leaky = await file('d.onnx', spec({ op: 'LeakyRelu' }));
  const other = await diff(leaky, await file('e.onnx', spec({ op: 'LeakyRelu', alpha: 0.2 })));
  expect(other).toMatchObject({
    equal: false,
    says: ['the same weights', 'another graph: the same operators with other attributes, connections or another order'],
  });
});

test.each([
  ['float16', float32ToHalf],
  ['bfloat16', float32ToBfloat16],
] as const)('weights of %s are apart by their values', async (type, bitsOf) => {
  const of = (scale: number): ModelSpec => {
    const bits = bitsOf(Float32Array.from([1, -2, 4, 8], (value) => value * scale));
    const data = new Uint8Array(bits.buffer);
    return {
      graph: {
        nodes: [node('Mul', ['x', 'w'], ['y'])],
        initializers: [{ name: 'w', dims: [4], type, data }],
        inputs: [value('x', [4])],
        outputs: [value('y', [4])],
      },
    };
  };
  const { weights } = await diff(await file('half.onnx', of(1)), await file('more.onnx', of(1.5)));
  expect(weights.differences).toEqual([{ name: 'w', state: 'changed', relative_error: 0.5 }]);
});

test('features part where the first weight differs, by numbers that can be calculated', async () => {
  const a = await file('a.onnx', spec());
  const b = await file('b.onnx', spec({ v: 1.5 }));
  const output = join(folder, 'page.html');
  const report = await diff(a, b, { select, inputs: ['random'], output });
  expect(report.parts_at).toBe('z');
  const [first, second, third] = report.features ?? [];
  expect([first.relative_error, second.relative_error]).toEqual([0, 0]);
  // Half as much again: the same direction, half of its length too much.
  expect(third).toMatchObject({
    cosine: expect.closeTo(1, 6),
    relative_error: expect.closeTo(0.5, 5),
    cka: expect.closeTo(1, 6),
  });
  const page = await readFile(output, 'utf8');
  expect(page).toContain('features part at z');
  expect(page).not.toContain('<script');
});

test('the command line ends with 1 if they differ, and lists what', async () => {
  const a = await file('a.onnx', spec());
  const b = await file('b.onnx', spec({ w: 2 }));
  const differing = await runCli(['diff', a, b]);
  expect([differing.exit, differing.stdout]).toEqual([1, expect.stringContaining('1 equal, 1 changed')]);
  const same = await runCli(['diff', a, a, '--json']);
  expect([same.exit, JSON.parse(same.stdout)]).toMatchObject([0, { equal: true, features: null }]);
});
