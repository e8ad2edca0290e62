import * as fc from 'fast-check';
import { viewGraph } from '../onnx/graph.js';
import type { Dim } from '../onnx/records.js';
import { dtypeWord, type InferredTypes, type TensorType } from '../onnx/types.js';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import type { NodeSpec } from '../testing/model-spec.js';
import { FeatureInfo } from './feature-info.js';
import { neededTensors } from './needed.js';
import { resolveFeatures } from './resolve.js';
import { selectFeatures } from './select.js';

const OPS = [
  'Conv',
  'Relu',
  'Add',
  'Mul',
  'Concat',
  'Reshape',
  'Transpose',
  'MaxPool',
  'AveragePool',
  'Shape',
  'Gather',
  'Split',
  'ReduceMean',
  'GlobalAveragePool',
  'MatMul',
  'Gemm',
  'Softmax',
  'LayerNormalization',
  'BatchNormalization',
  'Resize',
  'Slice',
  'Flatten',
  'QuantizeLinear',
  'DequantizeLinear',
  'Nonsense',
  '',
];
const ATOMS = [
  'stem',
  'stages',
  'stages.0',
  '0',
  '1',
  'blocks',
  'blocks.0',
  'blocks.1',
  'conv1',
  'act',
  '',
  '_1',
  'layer1',
  'features.conv2_1',
  'body',
  'head',
];

const dim: fc.Arbitrary<Dim> = fc.oneof(
  fc.constantFrom<Dim>(0, 1, 3, 7, 14, 28, 49, 50, 56, 112, 196, 197, 224, null, 'batch'),
  fc.nat(3000),
);
const shape = fc.oneof(
  fc.constant(null),
  fc.array(dim, { maxLength: 6 }),
  fc.tuple(fc.constant(1), fc.constantFrom(3, 64), fc.constantFrom(224, 112, 56, 1), fc.constantFrom(224, 112, 56, 1)),
);
const step = fc.record({
  op: fc.oneof(
    { arbitrary: fc.constantFrom('Conv', 'Relu', 'Add', 'MaxPool'), weight: 3 },
    { arbitrary: fc.constantFrom(...OPS), weight: 1 },
  ),
  reads: fc.array(fc.oneof({ arbitrary: fc.constant(0), weight: 4 }, { arbitrary: fc.nat(12), weight: 1 }), {
    maxLength: 2,
    minLength: 1,
  }),
  outputs: fc.oneof({ arbitrary: fc.constant(1), weight: 6 }, { arbitrary: fc.integer({ min: 0, max: 3 }), weight: 1 }),
  shape,
  follows: fc.boolean(),
  stride: fc.constantFrom(1, 1, 2, 2, 4, 0, -1),
  perm: fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 4 }),
  scope: fc.array(fc.constantFrom(...ATOMS), { maxLength: 4 }),
  style: fc.constantFrom('torchscript', 'dynamo', 'path', 'none', 'torchscript'),
});

/** The shape that a convolution or pool would really have. */
function follow(from: readonly Dim[] | null, op: string, stride: number): readonly Dim[] | null {
  const shrinks = (op === 'Conv' || op === 'MaxPool') && stride > 1;
  return (
    from?.map((size, axis) => (shrinks && axis > 1 && typeof size === 'number' ? Math.ceil(size / stride) : size)) ??
    null
  );
}

function build(
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  inputShape: readonly Dim[] | null,
): { readonly bytes: Uint8Array; readonly types: Map<string, TensorType> } {
  const types = new Map<string, TensorType>([['x', { dtype: dtypeWord(1), shape: inputShape }]]);
  const made = ['x'];
  const nodes = steps.map(
    ({ op, reads, outputs, shape: random, follows, stride, perm, scope, style }, at): NodeSpec => {
      const path = scope.join('/');
      const name = style === 'torchscript' ? `/${path}/${op}_${at}` : style === 'path' ? `${path}/${op}${at}` : '';
      const results = Array.from({ length: outputs }, (_, index) =>
        style === 'torchscript' ? `/${path}/${op}_${at}_output_${index}` : `t${at}.${index}`,
      );
      const inputs = [...reads.map((back) => made[made.length - 1 - (back % made.length)]), 'w'];
      const own = follows || at % 3 > 0 ? follow(types.get(inputs[0])?.shape ?? null, op, stride) : random;
      for (const result of results) {
        made.push(result);
        types.set(result, { dtype: 'float32', shape: own });
      }
      const metadata =
        style === 'dynamo'
          ? ([['pkg.torch.onnx.name_scopes', `['', ${scope.map((atom) => `'${atom}'`).join(', ')}, 'op']`]] as const)
          : undefined;
      return {
        op,
        name,
        inputs,
        outputs: results,
        metadata,
        attributes: { strides: { ints: [stride, stride] }, perm: { ints: perm } },
      };
    },
  );
  const bytes = encodeModel({
    graph: {
      nodes,
      inputs: [{ name: 'x', type: { tensor: 'float32' } }],
      outputs: [{ name: made[made.length - 1] }],
      initializers: [{ name: 'w', dims: [8, 8, 3, 3], external: [['location', 'none']] }],
    },
  });
  return { bytes, types };
}

test('no graph, however senseless, makes the resolvers fail or contradict themselves', async () => {
  let found = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.oneof(fc.constant([1, 3, 224, 224]), shape),
      async (steps, inputShape) => {
        const { bytes, types } = build(steps, inputShape);
        const view = viewGraph(await openModel(bytes));
        const inferred: InferredTypes = { types, nominal: types, nominalInputShape: new Map(), warnings: [] };
        for (const name of neededTensors(view).keys())
          expect(view.producerOf.has(name) || view.inputs.has(name)).toBe(true);
        const resolution = resolveFeatures(view, inferred, { explain: true, includeHead: true });
        const { features } = resolution;
        found += features.length > 1 ? 1 : 0;
        expect(features.map(({ index }) => index)).toEqual(features.map((_, at) => at));
        const tensors = features.flatMap(({ tensor }) => tensor ?? []);
        expect(new Set(tensors).size).toBe(tensors.length);
        for (const tensor of tensors) expect(view.producerOf.has(tensor)).toBe(true);
        expect(FeatureInfo.fromFeatures(features)).toHaveLength(features.length);
        if (features.length === 0)
          expect(() => selectFeatures(view, inferred, resolution)).toThrow('no features to select');
        else if (tensors.length === features.length)
          expect(selectFeatures(view, inferred, resolution)).toHaveLength(features.length);
      },
    ),
    { numRuns: 200 },
  );
  expect(found).toBeGreaterThan(10);
});
