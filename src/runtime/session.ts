import { createRequire } from 'node:module';
import { RuntimeError } from '../errors.js';
import type { Dim } from '../onnx/records.js';

/** The only importer of onnxruntime-node: 290 MB that may be absent, and native code that takes tens of milliseconds to load. */
const require = createRequire(import.meta.url);

/** What the native binding says of an output. @see onnxruntime-node dist/binding.d.ts (ValueMetadata) */
interface NativeMetadata {
  readonly isTensor: boolean;
  /** TensorProto.DataType */
  readonly type: number;
  /** -1 where a dim is not a number. */
  readonly shape: readonly number[];
  /** `''` where a dim has no name. */
  readonly symbolicDimensions: readonly string[];
}

interface NativeSession {
  loadModel(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, options: object): void;
  dispose(): void;
  readonly outputMetadata: readonly NativeMetadata[];
}

interface NativeBinding {
  readonly initOrt: () => void;
  readonly binding: { readonly InferenceSession: new () => NativeSession };
}

/** The type of an output: its TensorProto.DataType, null where the value is no tensor. `[]` is a scalar or an unknown rank. */
export interface OutputType {
  readonly elemType: number | null;
  readonly shape: readonly Dim[];
}

/** How much ONNX Runtime may rewrite a graph: `basic` folds constants, which computes the shapes that a graph computes. */
export type OptimizationLevel = 'disabled' | 'basic' | 'extended' | 'all';

/** Whether onnxruntime-node is installed; loads nothing. */
export function isRuntimeInstalled(): boolean {
  try {
    require.resolve('onnxruntime-node');
    return true;
  } catch {
    return false;
  }
}

/** That onnxruntime-node is missing, and how to get it. */
export function runtimeMissing(cause?: unknown): RuntimeError {
  return new RuntimeError('onnxruntime-node is not installed', {
    code: 'FEATX_RUNTIME_MISSING',
    hint: 'install it with: ONNXRUNTIME_NODE_INSTALL=skip npm i onnxruntime-node@1.30.0 (the variable skips its download of CUDA libraries)',
    cause,
  });
}

let native: NativeBinding | undefined;

/**
 * Loads ONNX Runtime for questions about types. Its public API refuses sessions with a bfloat16, float8 or int4 output; the binding beneath it does not.
 * @throws RuntimeError where onnxruntime-node is missing or does not load
 */
export function loadNative(): NativeBinding {
  if (native !== undefined) return native;
  try {
    const fromRuntime = createRequire(require.resolve('onnxruntime-node'));
    const { env } = fromRuntime('onnxruntime-common') as { env: { logLevel?: string } };
    env.logLevel ??= 'error';
    native = require('onnxruntime-node/dist/binding.js') as NativeBinding;
    native.initOrt();
    return native;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === 'MODULE_NOT_FOUND' && !isRuntimeInstalled()) throw runtimeMissing(error);
    throw new RuntimeError(`ONNX Runtime does not load: ${messageOf(error)}`, { code: 'FEATX_RUNTIME_LOAD', cause: error, hint: 'featx doctor says what this machine lacks' });
  }
}

/** Loads a model and says what its outputs are, in their order. @throws Error with ONNX Runtime's own message */
export function outputTypes(model: Uint8Array, level: OptimizationLevel): OutputType[] {
  const { binding } = loadNative();
  const session = new binding.InferenceSession();
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
    graphOptimizationLevel: level, intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', enableCpuMemArena: false, enableMemPattern: false, logSeverityLevel: 4,
    extra: { session: { disable_prepacking: '1', intra_op: { allow_spinning: '0' } } },
  });
  try {
    return session.outputMetadata.map(({ isTensor, type, shape, symbolicDimensions }) => ({
      elemType: isTensor ? type : null,
      shape: isTensor ? shape.map((dim, axis) => (dim >= 0 ? dim : symbolicDimensions[axis] || null)) : [],
    }));
  } finally {
    session.dispose();
  }
}

/** The message of an error of any realm: native code makes its errors outside of ours. */
export function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === 'string' ? message : String(error);
}
