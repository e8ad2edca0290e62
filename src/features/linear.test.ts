import { viewGraph } from '../onnx/graph.js';
import { declaredTypes } from '../onnx/types.js';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import type { NodeSpec } from '../testing/model-spec.js';
import { resolveFeatures } from './resolve.js';
import { expectLess, stopwatch } from '../testing/time.js';

/**
 * A residual network of about `size` nodes: stages that halve the map, blocks of convolution, activation, convolution,
 * sum and activation.
 */
async function resnet(size: number, named: boolean): Promise<() => ReturnType<typeof resolveFeatures>> {
  const nodes: NodeSpec[] = [];
  const initializers = [
    { name: 'w', type: 'float32' as const, dims: [8, 8, 3, 3], external: [['location', 'weights.bin']] as const },
  ];
  let value = 'x';
  const add = (op: string, scope: string, inputs: string[], stride?: number): string => {
    const name = `/${scope}/${op}_${nodes.length}`;
    const output = named ? `${name}_output_0` : `t${nodes.length}`;
    nodes.push({
      op,
      name: named ? name : '',
      inputs,
      outputs: [output],
      ...(stride === undefined
        ? {}
        : {
            attributes: {
              strides: { ints: [stride, stride] },
              kernel_shape: { ints: [3, 3] },
              pads: { ints: [1, 1, 1, 1] },
            },
          }),
    });
    return output;
  };
  const perStage = Math.max(1, Math.floor(size / 25));
  for (let stage = 0; stage < 5; stage++) {
    for (let block = 0; block < perStage; block++) {
      const scope = `layer${stage}/layer${stage}.${block}`;
      const entry =
        block === 0 ? (value = add('Relu', `${scope}/down`, [add('Conv', `${scope}/down`, [value, 'w'], 2)])) : value;
      const branch = add(
        'Conv',
        `${scope}/conv2`,
        [add('Relu', `${scope}/act1`, [add('Conv', `${scope}/conv1`, [entry, 'w'], 1)]), 'w'],
        1,
      );
      value = add('Relu', `${scope}/act2`, [add('Add', scope, [branch, entry])]);
    }
  }
  const model = await openModel(
    encodeModel({
      graph: {
        nodes,
        initializers,
        inputs: [{ name: 'x', type: { tensor: 'float32', shape: [1, 8, 256, 256] } }],
        outputs: [{ name: value }],
      },
    }),
  );
  const view = viewGraph(model);
  const types = declaredTypes(model);
  return () => resolveFeatures({ ...view }, { types, nominal: types, nominalInputShape: new Map(), warnings: [] });
}

describe.each([true, false])('names: %p', (named) => {
  test('ten times the nodes take not much more than ten times the time', async () => {
    const time = async (size: number): Promise<number> => {
      const resolve = await resnet(size, named);
      const times = Array.from({ length: size > 1_000 ? 1 : 3 }, () => {
        const clock = stopwatch();
        expect(resolve().features.map(({ reduction }) => reduction)).toEqual([2, 4, 8, 16, 32]);
        return clock.ms();
      });
      return Math.min(...times);
    };
    const [small, large] = [await time(1_000), await time(10_000)];
    expectLess(large / Math.max(small, 1), 50);
  });
});

test('names that nest without end cost no more than a limit', async () => {
  const nodes = Array.from(
    { length: 300 },
    (_, at): NodeSpec => ({
      op: 'Relu',
      name: `${'/a'.repeat(20_000)}/Relu_${at}`,
      inputs: [at === 0 ? 'x' : `t${at - 1}`],
      outputs: [`t${at}`],
    }),
  );
  const model = await openModel(
    encodeModel({
      graph: {
        nodes,
        inputs: [{ name: 'x', type: { tensor: 'float32', shape: [1, 3, 8, 8] } }],
        outputs: [{ name: 't299' }],
      },
    }),
  );
  const types = declaredTypes(model);
  const clock = stopwatch();
  expect(
    resolveFeatures(viewGraph(model), { types, nominal: types, nominalInputShape: new Map(), warnings: [] }).features,
  ).toEqual([]);
  clock.within(2000);
});
