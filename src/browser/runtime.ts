import type { TensorValue, TypedArray } from '../onnx/tensor-value.js';

/** ONNX Runtime Web, which the visitor gives: the page has none, and loads nothing. */
export interface Runtime {
  /** Outputs of a model by name. @throws Error if the model cannot be loaded or run */
  run(model: Uint8Array, feeds: ReadonlyMap<string, TensorValue>): Promise<ReadonlyMap<string, TensorValue>>;
}

/** What is used of onnxruntime-web. @see https://onnxruntime.ai/docs/api/js */
interface OrtModule {
  readonly env: { readonly wasm: { wasmBinary?: ArrayBuffer; numThreads?: number } };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array): Promise<{
      run(feeds: { readonly [name: string]: OrtTensor }): Promise<{ readonly [name: string]: OrtTensor }>;
      release(): Promise<void>;
    }>;
  };
}

interface OrtTensor {
  readonly type: string;
  readonly data: TypedArray;
  readonly dims: readonly number[];
}

const PROGRAM = /^ort\.wasm\.bundle\.min\.mjs$/;
const BINARY = /^ort-wasm-simd-threaded\.wasm$/;

/**
 * ONNX Runtime Web of two files of its package.
 * @throws Error if one is missing, or is something else
 */
export async function openRuntime(files: readonly File[]): Promise<Runtime> {
  const program = files.find(({ name }) => PROGRAM.test(name));
  const binary = files.find(({ name }) => BINARY.test(name));
  if (program === undefined || binary === undefined)
    throw new Error(
      'choose both files of onnxruntime-web: ort.wasm.bundle.min.mjs and ort-wasm-simd-threaded.wasm, from its folder dist',
    );
  const ort = await imported(program);
  ort.env.wasm.wasmBinary = await binary.arrayBuffer();
  // More threads need headers that a file has not.
  ort.env.wasm.numThreads = 1;
  return { run: (model, feeds) => runIn(ort, model, feeds) };
}

async function imported(program: File): Promise<OrtModule> {
  const url = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }));
  try {
    const module: unknown = await import(url);
    if (isOrt(module)) return module;
    throw new Error(`${program.name} is not the program of onnxruntime-web`);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function isOrt(module: unknown): module is OrtModule {
  return typeof module === 'object' && module !== null && 'InferenceSession' in module && 'env' in module;
}

async function runIn(
  ort: OrtModule,
  model: Uint8Array,
  feeds: ReadonlyMap<string, TensorValue>,
): Promise<ReadonlyMap<string, TensorValue>> {
  const session = await ort.InferenceSession.create(model);
  try {
    const tensors = Object.fromEntries(
      [...feeds].map(([name, { dtype, data, shape }]) => [name, new ort.Tensor(dtype, data, shape)]),
    );
    const values = await session.run(tensors);
    return new Map(
      Object.entries(values).map(([name, { type, data, dims }]) => [
        name,
        { dtype: type, shape: [...dims], data: asBits(type, data) },
      ]),
    );
  } finally {
    await session.release();
  }
}

/** Browsers that have a Float16Array give one; halves are bits here. */
function asBits(type: string, data: TypedArray): TypedArray {
  return type === 'float16' && !(data instanceof Uint16Array)
    ? new Uint16Array(data.buffer, data.byteOffset, data.length)
    : data;
}
