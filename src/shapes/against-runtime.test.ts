import * as fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { arbitraryModel } from '../testing/arbitrary-model.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { fixtureFiles } from '../testing/fixture-files.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, weights, type ModelSpec, type TensorSpec } from '../testing/model-spec.js';
import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import type { OnnxModel } from '../onnx/records.js';
import { skeleton } from '../onnx/skeleton.js';
import type { TensorType } from '../onnx/types.js';
import { Constants } from './constants.js';
import { inferGraph } from './infer.js';
import { tensorTypeOf } from './tensor-type.js';

/** Laws that ONNX Runtime judges, over every fixture and generated models. */

async function typesOf(spec: ModelSpec): Promise<Map<string, TensorType>> {
  const model = await indexModel(encodeModel(spec));
  const { infos } = inferGraph(viewGraph(model), await Constants.of(model));
  return new Map([...infos].map(([name, info]) => [name, tensorTypeOf(info)]));
}

async function skeletonOf(
  file: Uint8Array,
  tensors: readonly string[],
): Promise<{ bytes: Uint8Array; model: OnnxModel }> {
  const bytes = (await skeleton(viewGraph(await indexModel(file)), tensors)).slice();
  return { bytes, model: await indexModel(bytes) };
}

const BIG = [64, 64];
const big = (name: string): TensorSpec => weights(name, BIG, 1);
const names = (list: readonly { readonly name: string }[]): string[] => list.map(({ name }) => name);

/** The numbers of a shape; what is not a number in both is left out. */
function comparable(shape: readonly unknown[], other = shape): unknown[] {
  return shape.map((dim, axis) => (typeof dim === 'number' && typeof other[axis] === 'number' ? dim : null));
}

describe('the rules never contradict ONNX Runtime', () => {
  /** Every tensor of the main graph an output without a type, no value_info. */
  const bare = (spec: ModelSpec): ModelSpec => {
    const names = (spec.graph.nodes ?? []).flatMap((each) => (each.outputs ?? []).filter((name) => name !== ''));
    return { ...spec, graph: { ...spec.graph, valueInfo: [], outputs: names.map((name) => value(name, null, null)) } };
  };

  const compare = async (spec: ModelSpec): Promise<void> => {
    const types = await typesOf(spec);
    const session = await ort.InferenceSession.create(encodeModel(spec), {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 4,
    });
    for (const output of session.outputMetadata) {
      const ours = types.get(output.name);
      if (ours === undefined) continue;
      expect([output.name, ours.type === undefined]).toEqual([output.name, output.isTensor]);
      if (!output.isTensor) continue;
      if (ours.dtype !== null) expect([output.name, ours.dtype]).toEqual([output.name, output.type]);
      if (ours.shape !== null && output.shape.length > 0)
        expect([output.name, comparable(ours.shape, output.shape)]).toEqual([
          output.name,
          comparable(output.shape, ours.shape),
        ]);
    }
    await session.release();
  };

  // ONNX Runtime has no way to say bytes that are not UTF-8, and finds sidecars by path only.
  test.each(
    FIXTURES.filter(
      ({ notRunnable, sidecars, name }) =>
        notRunnable === undefined && sidecars === undefined && name !== '13-names-not-utf8',
    ),
  )('$name', async ({ model }) => {
    await compare(bare(model));
  });

  test('of generated models', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryModel, async ({ spec }) => compare(bare(spec))),
      { numRuns: 25 },
    );
  });
});

test('Constants: big ones become inputs at the top, random values in bodies and functions; nothing big remains', async () => {
  const constant = (output: string, type: TensorSpec['type'] = 'float32'): ReturnType<typeof node> =>
    node('Constant', [], [output], {
      value: {
        tensor: { name: '', dims: BIG, type, data: type === 'float32' ? big('').data : new Uint8Array(64 * 64 * 8) },
      },
    });
  const sparseConstant = node('Constant', [], ['k4'], {
    sparse_value: {
      sparse: {
        values: weights('', [500], 4),
        indices: tensor(
          '',
          [500],
          Array.from({ length: 500 }, (_, index) => index),
          'int64',
        ),
        dims: BIG,
      },
    },
  });
  const file = encodeModel({
    opset: [
      ['', 17],
      ['featx.test', 1],
    ],
    functions: [
      {
        name: 'F',
        domain: 'featx.test',
        inputs: ['p'],
        outputs: ['q'],
        nodes: [constant('k1'), node('MatMul', ['p', 'k1'], ['q'])],
      },
    ],
    graph: {
      nodes: [
        constant('k0'),
        sparseConstant,
        node('MatMul', ['x', 'k0'], ['a0']),
        node('MatMul', ['a0', 'k4'], ['a']),
        node('F', ['a'], ['f'], {}, { domain: 'featx.test' }),
        node('If', ['cond'], ['y'], {
          then_branch: {
            graph: {
              name: 'then',
              nodes: [
                constant('k2', 'int64'),
                node('Cast', ['k2'], ['k2f'], { to: { int: 1 } }),
                node('MatMul', ['f', 'k2f'], ['t']),
              ],
              outputs: [value('t', null)],
            },
          },
          else_branch: {
            graph: {
              name: 'else',
              nodes: [node('MatMul', ['f', 'k3'], ['m']), node('MatMul', ['m', 'k5'], ['e'])],
              initializers: [big('k3'), weights('tiny', [1], 5)],
              sparseInitializers: [
                {
                  values: weights('k5', [500], 6),
                  indices: tensor(
                    '',
                    [500],
                    Array.from({ length: 500 }, (_, index) => index),
                    'int64',
                  ),
                  dims: BIG,
                },
              ],
              outputs: [value('e', null)],
            },
          },
        }),
      ],
      inputs: [value('x', [1, 64]), value('cond', [], 'bool')],
    },
  });
  expect(file.length).toBeGreaterThan(90_000);
  const { bytes, model } = await skeletonOf(file, ['y']);
  expect(bytes.length).toBeLessThan(2500);
  expect(names(model.graph.inputs)).toEqual(['x', 'cond', 'k0', 'k4']);
  const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 });
  expect(session.outputNames).toEqual(['y']);
  await session.release();
});

describe('ONNX Runtime loads the skeleton of every tensor at once', () => {
  const everything = (model: OnnxModel): string[] =>
    model.graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''));

  test.each(FIXTURES.filter(({ notRunnable }) => notRunnable === undefined))(
    '$name',
    async ({ model: spec, style }) => {
      const file = encodeModel(spec, style);
      const { bytes } = await skeletonOf(file, everything(await indexModel(file)));
      await (
        await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })
      ).release();
    },
  );

  test.each(fixtureFiles('zoo').filter(({ name }) => /anon|none_/.test(name)))('$name', async ({ read }) => {
    const file = read();
    const { bytes } = await skeletonOf(file, everything(await indexModel(file)));
    await (
      await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })
    ).release();
  });

  test('of generated models, one tensor each', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryModel, fc.nat(), async ({ spec: generated, style, tensors }, at) => {
        const made = [...tensors.keys()].filter((name) => name.startsWith('t'));
        const { bytes, model } = await skeletonOf(encodeModel(generated, style), [made[at % made.length]]);
        expect(model.graph.outputs).toHaveLength(1);
        await (
          await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })
        ).release();
      }),
      { numRuns: 25 },
    );
  });
});
