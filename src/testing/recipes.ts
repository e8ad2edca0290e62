import * as ort from 'onnxruntime-node';
import { UnsupportedModelError } from '../errors.js';
import type { Layout } from '../features/feature.js';
import { indexModel } from '../onnx/model.js';
import { viewGraph } from '../onnx/graph.js';
import { declaredTypes } from '../onnx/types.js';
import type { Cast, Concat } from '../options/choices.js';
import { planRewrite } from '../rewrite/plan.js';
import { splice } from '../rewrite/splice.js';
import { stepsOf } from '../rewrite/steps.js';
import { DEFAULT_PLAN, type Tap } from '../rewrite/tap.js';
import { readProjection } from '../tensors/projection.js';
import { float32ToHalf, halfToFloat32 } from '../tensors/float16.js';
import { materialize } from '../wire/pieces.js';
import { encodeModel } from './model-builder.js';
import { node, value, type DataType, type DimSpec } from './model-spec.js';

/** An array as JSON has it; null is not a number. */
export interface ListedArray {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: readonly (number | boolean | null)[];
}

/** Features, what is to be computed of them, and what PyTorch makes of that. */
export interface RecipeCase {
  readonly name: string;
  readonly features: readonly {
    readonly value: ListedArray;
    readonly layout: Layout;
    readonly prefix: number;
    readonly reduction: number | null;
  }[];
  readonly mask?: ListedArray;
  readonly weights?: ListedArray;
  readonly mean?: ListedArray;
  readonly options: {
    readonly pool?: string;
    readonly flatten?: boolean;
    readonly normalize?: boolean;
    readonly concat?: boolean | Concat;
    readonly cast?: Cast;
  };
  /** The opset from which it can be done. */
  readonly since: number;
  /** The largest difference from PyTorch; 0: every bit. */
  readonly error: number;
  readonly want: ListedArray;
}

/** A recipe in a model, and what it gave. */
export interface RecipeResult {
  readonly model: Uint8Array;
  readonly shape: readonly number[];
  /** As the model declares it. */
  readonly declared: readonly DimSpec[] | null;
  /** The largest difference from what PyTorch gives; infinite where one of the two alone is not a number. */
  readonly error: number;
  readonly dtype: string;
}

/** The IR version that goes with an opset. */
const IR_OF: { readonly [opset: number]: number } = { 7: 3, 8: 3, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7 };

/**
 * Builds a model of an opset whose tensors hold the features of a case, adds what the case asks for, and runs it; null
 * if that is refused because of the opset.
 */
export async function runRecipe(
  wanted: RecipeCase,
  opset: number,
  optimization: 'disabled' | 'all' = 'disabled',
  isSymbolic = false,
): Promise<RecipeResult | null> {
  const { features, mask } = wanted;
  const dims = (shape: readonly number[]): DimSpec[] =>
    isSymbolic
      ? shape.map((dim, axis) => (axis === 0 ? 'batch' : axis === 1 && shape.length === 2 ? 'length' : dim))
      : [...shape];
  const model = await indexModel(
    encodeModel({
      irVersion: IR_OF[opset] ?? 8,
      opset,
      graph: {
        nodes: features.map((_feature, index) => node('Identity', [`f${index}`], [`t${index}`])),
        inputs: [
          ...features.map((feature, index) => value(`f${index}`, dims(feature.value.shape), typeOf(feature.value))),
          ...(mask === undefined ? [] : [value('mask', dims(mask.shape), typeOf(mask))]),
        ],
        outputs: features.map((feature, index) => value(`t${index}`, dims(feature.value.shape), typeOf(feature.value))),
      },
    }),
  );
  const view = viewGraph(model);
  const types = declaredTypes(model);
  const taps = features.map(({ layout, prefix, reduction, value: { shape, dtype } }, index): Tap => {
    const channels = shape[layout.indexOf('C')];
    const facts = { layout, prefixTokens: prefix, reduction, dtype, numChs: channels, grid: null };
    return { ...facts, index, module: null, tensors: [`t${index}`], shape: types.get(`t${index}`)?.shape ?? null };
  });
  const { weights, mean } = wanted;
  const project = weights === undefined ? undefined : { weights: floats(weights), mean: mean && floats(mean) };
  const projection = await readProjection(project, () => Promise.reject(new Error('no files')));
  let bytes: Uint8Array;
  try {
    const plan = planRewrite(view, types, taps, { ...DEFAULT_PLAN, steps: stepsOf({ ...wanted.options, projection }) });
    bytes = await materialize(model.source, splice(model, plan.edit));
  } catch (error) {
    if (error instanceof UnsupportedModelError && error.code === 'FEATX_OPSET') return null;
    throw error;
  }
  const cut = await indexModel(bytes);
  const [output] = cut.graph.outputs;
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: optimization,
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  try {
    const feeds = Object.fromEntries([
      ...features.map((feature, index) => [`f${index}`, feed(feature.value)] as const),
      ...(mask === undefined ? [] : [['mask', feed(mask)] as const]),
    ]);
    const results = await session.run(feeds);
    const got = results[output.name];
    const data =
      got.type === 'float16'
        ? halfToFloat32(new Uint16Array(bufferOf(got.data)))
        : Array.from(got.data as Float32Array, Number);
    return {
      model: bytes,
      shape: got.dims,
      declared: output.type?.kind === 'tensor' ? output.type.shape : null,
      error: largest(data, wanted.want.data),
      dtype: got.type,
    };
  } finally {
    await session.release();
  }
}

function bufferOf(data: ort.Tensor.DataType): ArrayBuffer {
  if (!ArrayBuffer.isView(data)) throw new Error('no numbers');
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice().buffer;
}

function largest(got: ArrayLike<number>, want: ListedArray['data']): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  return want.reduce<number>((most, value, at) => {
    const difference = Math.abs(got[at] - Number(value ?? Number.NaN));
    const isBothNaN = Number.isNaN(got[at]) && value === null;
    return Math.max(most, isBothNaN ? 0 : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
  }, 0);
}

function typeOf({ dtype }: ListedArray): DataType {
  return dtype as DataType;
}

function floats({ shape, data }: ListedArray): { dtype: string; shape: readonly number[]; data: Float32Array } {
  return { dtype: 'float32', shape, data: Float32Array.from(data, Number) };
}

function feed({ dtype, shape, data }: ListedArray): ort.Tensor {
  const numbers = data.map((each) => (each === null ? Number.NaN : Number(each)));
  switch (dtype) {
    case 'int64':
      return new ort.Tensor('int64', BigInt64Array.from(numbers, BigInt), shape);
    case 'int32':
      return new ort.Tensor('int32', Int32Array.from(numbers), shape);
    case 'bool':
      return new ort.Tensor('bool', Uint8Array.from(numbers), shape);
    case 'float16':
      return new ort.Tensor('float16', float32ToHalf(Float32Array.from(numbers)), shape);
    default:
      return new ort.Tensor('float32', Float32Array.from(numbers), shape);
  }
}
