import { TimeoutError } from './errors.js';
import { extract } from './extract.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type NodeSpec } from './testing/model-spec.js';

/** A selection by index is the same tensor whether ONNX Runtime answers or not, or there is an error. */

const NEVER = { isolate: true, timeoutMs: 1 } as const;
const HERE = { isolate: false } as const;

const selected = async (model: string | Uint8Array, out: readonly number[], how: object): Promise<unknown> => {
  const { features } = await extract(model, null, { out, dryRun: true, weights: 'embed', ...how });
  return features.map(({ index, tensor: name, num_chs, reduction }) => ({ index, name, num_chs, reduction }));
};

/** Stages of strided convolutions; behind the first, an operator that featx has no rule for, and its reverse. */
function stages(isForeign: boolean): Uint8Array {
  const nodes: NodeSpec[] = [];
  const sizes = [3, 16, 32, 64, 128];
  let from = 'x';
  for (let at = 1; at < sizes.length; at++) {
    const strided = { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } };
    nodes.push(node('Conv', [from, `k${at}`], [`c${at}`], strided), node('Relu', [`c${at}`], [`r${at}`]));
    from = `r${at}`;
    if (at > 1 || !isForeign) continue;
    nodes.push(node('ExpandDims', [from, 'axis'], ['wide'], {}, { domain: 'com.microsoft' }));
    nodes.push(node('Squeeze', ['wide', 'axes'], ['back']));
    from = 'back';
  }
  return encodeModel({
    opset: [
      ['', 17],
      ['com.microsoft', 1],
    ],
    graph: {
      inputs: [value('x', ['batch', 3, 'height', 'width'])],
      outputs: [value(from, null, null)],
      initializers: [
        ...sizes.slice(1).map((size, at) => weights(`k${at + 1}`, [size, sizes[at], 3, 3], at)),
        tensor('axis', [], [1], 'int32'),
        tensor('axes', [1], [1], 'int64'),
      ],
      nodes,
    },
  });
}

test.each(['timm/test_resnet.ts.onnx', 'timm/test_vit.dy.onnx', 'timm/test_convnext.ts.onnx'])(
  '%s: the same without an answer',
  async (name) => {
    const path = `fixtures/${name}`;
    const found = await selected(path, [0, -1], HERE).catch((error: unknown) => error);
    const other = await selected(path, [0, -1], NEVER).catch((error: unknown) => error);
    expect(other).toEqual(found);
  },
);

test('the same where every operator has a rule', async () => {
  const found = await selected(stages(false), [0, 1, -1], HERE);
  expect(found).toMatchObject([{ num_chs: 16 }, { num_chs: 32 }, { num_chs: 128, reduction: 16 }]);
  expect(await selected(stages(false), [0, 1, -1], NEVER)).toEqual(found);
});

test('where ONNX Runtime is needed: what it says, or an error that names the operator', async () => {
  const found = await selected(stages(true), [0, 1, -1], HERE);
  expect(found).toMatchObject([{ num_chs: 16 }, { num_chs: 32 }, { num_chs: 128, reduction: 16 }]);
  const failure: unknown = await selected(stages(true), [1], NEVER).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(TimeoutError);
  expect(failure).toMatchObject({ message: expect.stringContaining('com.microsoft:ExpandDims') as string });
});
