import type * as ort from 'onnxruntime-node';
import { messageOf } from '../../runtime/message.js';
import { loadNative } from '../../runtime/session.js';
import { nodeMessage, valueMessage } from '../model-builder.js';
import { DATA_TYPES, node, value, type DataType } from '../model-spec.js';
import { bytes, joinAll, message } from '../wire-writer.js';

/** Runs of ONNX Runtime with its optimiser off: what a graph means. */

/** A tensor as a run gives it; a dtype that JavaScript has no arrays for comes as one that holds it exactly. */
export interface RunTensor {
  readonly dtype: DataType;
  readonly dims: readonly number[];
  readonly data: ort.Tensor['data'];
  /** What ONNX Runtime infers of its dims, -1 for what it does not know; nothing for a scalar or an unknown rank. */
  readonly inferred: readonly number[];
}

/** What an output is. */
export type RunValue = RunTensor | 'not a tensor';

/** Values of inputs, by name. */
export type Feeds = Readonly<Record<string, ort.Tensor>>;

/** That ONNX Runtime refuses a model, or to run it. */
export class Refused extends Error {}

const WORDS = new Map<number, DataType>(Object.entries(DATA_TYPES).map(([word, code]) => [code, word as DataType]));

/** dtypes that the JavaScript API of ONNX Runtime has no arrays for, or dies of. */
export const EXOTIC: readonly DataType[] = [
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'int4',
  'uint4',
  'float4e2m1',
];

const carrier = (dtype: DataType): DataType => (dtype.endsWith('int4') ? 'int32' : 'float32');
const carriedName = (name: string): string => `${name} for JavaScript`;

/** The part of the native binding that is used here. */
interface NativeSession {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: object): void;
  readonly inputMetadata: readonly { readonly name: string }[];
  readonly outputMetadata: readonly {
    readonly name: string;
    readonly isTensor: boolean;
    readonly type: number;
    readonly shape: readonly number[];
  }[];
  run(feeds: object, fetches: object, options: object): Record<string, ort.Tensor>;
  dispose(): void;
}

function opened(model: Uint8Array, folder: string | null): NativeSession {
  const { binding } = loadNative();
  const session = new binding.InferenceSession() as unknown as NativeSession;
  const place = folder === null ? {} : { model_external_initializers_file_folder_path: folder };
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    extra: { session: { intra_op: { allow_spinning: '0' }, ...place } },
  });
  return session;
}

/** The same model with an output behind each of those that JavaScript cannot take. */
function withCarriers(model: Uint8Array, exotic: ReadonlyMap<string, DataType>): Uint8Array {
  const graph = [...exotic].flatMap(([name, dtype]) => [
    bytes(1, nodeMessage(node('Cast', [name], [carriedName(name)], { to: { int: DATA_TYPES[carrier(dtype)] } }))),
    bytes(12, valueMessage(value(carriedName(name), null, carrier(dtype)), {})),
  ]);
  // A message that comes twice is one: the lists of both are joined.
  return joinAll([model, message([bytes(7, message(graph))])]);
}

/**
 * The values of all outputs of a model; `folder` is where its external data lies. @throws Refused with ONNX Runtime's
 * own message
 */
export function runModel(model: Uint8Array, feeds: Feeds, folder: string | null = null): Map<string, RunValue> {
  try {
    return run(model, feeds, folder);
  } catch (error) {
    throw new Refused(messageOf(error));
  }
}

function run(model: Uint8Array, feeds: Feeds, folder: string | null): Map<string, RunValue> {
  let session = opened(model, folder);
  try {
    const outputs = session.outputMetadata;
    const shapes = new Map(outputs.map(({ name, isTensor, shape }) => [name, isTensor ? shape : []]));
    const dtypes = new Map(outputs.map(({ name, isTensor, type }) => [name, isTensor ? WORDS.get(type) : undefined]));
    const exotic = new Map(
      [...dtypes].filter((entry): entry is [string, DataType] => EXOTIC.includes(entry[1] ?? 'bool')),
    );
    if (exotic.size > 0) {
      session.dispose();
      session = opened(withCarriers(model, exotic), folder);
    }
    const fetched = outputs
      .filter(({ name }) => dtypes.get(name) !== undefined)
      .map(({ name }) => (exotic.has(name) ? carriedName(name) : name));
    const known = new Set(session.inputMetadata.map(({ name }) => name));
    const given = Object.fromEntries(Object.entries(feeds).filter(([name]) => known.has(name)));
    const results =
      fetched.length === 0 ? {} : session.run(given, Object.fromEntries(fetched.map((name) => [name, null])), {});
    return new Map(
      [...dtypes].map(([name, dtype]): [string, RunValue] => {
        if (dtype === undefined) return [name, 'not a tensor'];
        const { dims, data } = results[exotic.has(name) ? carriedName(name) : name];
        return [name, { dtype, dims, data, inferred: shapes.get(name) ?? [] }];
      }),
    );
  } finally {
    session.dispose();
  }
}

/** The bytes of a tensor, for comparing. */
export function bytesOfTensor({ data }: RunTensor): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new TextEncoder().encode(JSON.stringify(data));
}
