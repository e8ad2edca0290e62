import type { TensorValue, TypedArray } from '../onnx/tensor-value.js';
import type { OptimizationLevel } from '../options/choices.js';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { RuntimeError } from '../errors.js';
import { option } from '../options/words.js';
import type { Dim } from '../onnx/records.js';
import { assertOpenable } from '../wire/fs.js';
import { forbidTf32, loadCudaOf } from './cuda.js';
import { messageOf } from './message.js';
import { hostData } from './runtime-tensor.js';
import { requireWeb } from './web.js';

/**
 * The only importer of onnxruntime-node: 290 MB that may be absent, and native code that takes tens of milliseconds to
 * load.
 */
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

/**
 * The type of an output: its TensorProto.DataType, null if the value is not a tensor. `[]` is a scalar or an unknown
 * rank.
 */
export interface OutputType {
  readonly elemType: number | null;
  readonly shape: readonly Dim[];
}

export type { OptimizationLevel };

/** Whether onnxruntime-node is installed; loads nothing. @throws IoError if no file can be opened to look */
export function isRuntimeInstalled(): boolean {
  try {
    require.resolve('onnxruntime-node');
    return true;
  } catch {
    assertOpenable('look for', 'onnxruntime-node');
    return false;
  }
}

/** That onnxruntime-node is missing, and how to get it. */
export function runtimeMissing(cause?: unknown): RuntimeError {
  return new RuntimeError('onnxruntime-node is not installed', {
    code: 'FEATX_RUNTIME_MISSING',
    hint: `install it with: ONNXRUNTIME_NODE_INSTALL=skip npm i -E onnxruntime-node@1.30.0 (the variable skips its download of CUDA libraries); where it has no libraries, as on musl, onnxruntime-web@1.30.0 runs with ${option('providers', ['wasm'])}`,
    cause,
  });
}

let native: NativeBinding | undefined;

/**
 * Loads ONNX Runtime for questions about types. Its public API refuses sessions with a bfloat16 or float8 output; the
 * binding beneath it does not.
 * @throws RuntimeError where onnxruntime-node is missing or does not load
 */
export function loadNative(logLevel: LogLevel = 'fatal'): NativeBinding {
  loadRuntime(logLevel);
  if (native === undefined) {
    native = require('onnxruntime-node/dist/binding.js') as NativeBinding;
    native.initOrt();
  }
  return native;
}

/** What is used of the public API of onnxruntime-node. */
interface Runtime {
  readonly Tensor: new (dtype: string, data: ArrayBufferView | readonly string[], dims: readonly number[]) => RawTensor;
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<RawSession> };
  readonly env: { logLevel?: string };
  listSupportedBackends(): readonly { readonly name: string; readonly bundled: boolean }[];
}

interface RawTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: TypedArray | readonly string[];
}

interface RawMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

interface RawSession {
  readonly inputMetadata: readonly RawMetadata[];
  readonly outputMetadata: readonly RawMetadata[];
  run(feeds: Record<string, RawTensor>, fetches: readonly string[]): Promise<Record<string, RawTensor>>;
  endProfiling(): void;
  release(): Promise<void>;
}

/** What ONNX Runtime itself writes to standard error; a library is silent, a child is read by its parent. */
type LogLevel = 'error' | 'fatal';

/**
 * What the library reads of the environment once, when it is loaded. Opsets newer than it knows: the operators that it
 * does know are what they were. Telemetry: since 1.30 it writes to the home and the temporary folder, and to a host of
 * Microsoft's, unless this is set.
 */
export const RUNTIME_ENVIRONMENT = { ALLOW_RELEASED_ONNX_OPSET_ONLY: '0', ORT_DISABLE_TELEMETRY: '1' };

let runtime: Runtime | undefined;
let halves: boolean | undefined;

function loadRuntime(logLevel: LogLevel = 'fatal'): Runtime {
  if (runtime !== undefined) return runtime;
  for (const [name, text] of Object.entries(RUNTIME_ENVIRONMENT)) process.env[name] ??= text;
  try {
    runtime = withoutFloat16Array(() => {
      const loaded = require('onnxruntime-node') as Runtime;
      // 'warning' is what nobody has set.
      if (loaded.env.logLevel === undefined || loaded.env.logLevel === 'warning') loaded.env.logLevel = logLevel;
      halves = carriesHalves(loaded);
      return loaded;
    });
    return runtime;
  } catch (error) {
    if (!isRuntimeInstalled()) throw runtimeMissing(error);
    throw new RuntimeError(`ONNX Runtime does not load: ${messageOf(error)}`, {
      code: 'FEATX_RUNTIME_LOAD',
      cause: error,
      hint: 'featx doctor says what this machine lacks',
    });
  }
}

/**
 * Where a Float16Array exists, the JavaScript half of the runtime hands its native half an array of a kind that it does
 * not know. It decides at its first tensor.
 * @see https://github.com/microsoft/onnxruntime/pull/32323
 */
function withoutFloat16Array<T>(load: () => T): T {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  if (descriptor === undefined) return load();
  Reflect.deleteProperty(globalThis, 'Float16Array');
  try {
    return load();
  } finally {
    Object.defineProperty(globalThis, 'Float16Array', descriptor);
  }
}

let web: Runtime | undefined;

function loadWeb(threads: number | null): Runtime {
  web ??= withoutFloat16Array(() => {
    const loaded = requireWeb<Runtime>(threads);
    halves = carriesHalves(loaded);
    return loaded;
  });
  return web;
}

/** False where something else loaded the runtime before, and it settled on Float16Array. */
function carriesHalves({ Tensor }: Runtime): boolean {
  try {
    new Tensor('float16', new Uint16Array(1), [1]);
    return true;
  } catch {
    return false;
  }
}

/** Loads a model and says what its outputs are, in their order. @throws Error with ONNX Runtime's own message */
export function outputTypes(model: Uint8Array, level: OptimizationLevel): OutputType[] {
  const { binding } = loadNative();
  const session = new binding.InferenceSession();
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 4,
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

/** How a session is to be made; plain data, for it may be made in another process. */
export interface SessionSpec {
  readonly provider: string;
  readonly deviceId: number | null;
  readonly threads: number | null;
  readonly optimization: OptimizationLevel;
  readonly prepacking: boolean;
  /** Whether CUDA may multiply float32 as TF32; null leaves it as it is. */
  readonly tf32: boolean | null;
  /** Whether threads that have nothing to do look for work at full speed, which takes processors from other work. */
  readonly spinning: boolean;
  /** Directory of external data. */
  readonly folder: string | null;
  /** Where a profile goes: `<prefix>_<time>.json`; it is written when profiling ends. */
  readonly profilePrefix: string | null;
}

/** An input or output as the runtime sees it; dtype null if it is not a tensor. */
export interface SessionValue {
  readonly name: string;
  readonly dtype: string | null;
  readonly shape: readonly Dim[];
}

/** A session in this process. */
export interface LocalSession {
  readonly inputs: readonly SessionValue[];
  readonly outputs: readonly SessionValue[];
  /** @throws Error with ONNX Runtime's own message */
  run(feeds: ReadonlyMap<string, TensorValue>, fetches: readonly string[]): Promise<ReadonlyMap<string, TensorValue>>;
  endProfiling(): void;
  close(): Promise<void>;
}

/** Opens a session. @throws RuntimeError where the runtime is missing; Error with ONNX Runtime's own message */
export async function createSession(model: Uint8Array, spec: SessionSpec): Promise<LocalSession> {
  const ort = spec.provider === 'wasm' ? loadWeb(spec.threads) : loadRuntime();
  const { provider, deviceId, threads, optimization, prepacking, folder, profilePrefix, tf32, spinning } = spec;
  if (provider === 'cuda' || provider === 'tensorrt') {
    if (tf32 === false) forbidTf32();
    loadCudaOf(runtimeFiles().libraries);
  }
  const entries = {
    ...(prepacking ? {} : { disable_prepacking: '1' }),
    ...(folder === null ? {} : { model_external_initializers_file_folder_path: folder }),
    // More threads than processors would wait for one another at full speed.
    ...(!spinning || (threads !== null && threads > availableParallelism())
      ? { intra_op: { allow_spinning: '0' } }
      : {}),
  };
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [deviceId === null || provider === 'webgpu' ? provider : { name: provider, deviceId }],
    graphOptimizationLevel: optimization,
    logSeverityLevel: 4,
    extra: { session: entries },
    ...(threads === null ? {} : { intraOpNumThreads: threads }),
    ...(profilePrefix === null ? {} : { enableProfiling: true, profileFilePrefix: profilePrefix }),
  });
  const inputs = session.inputMetadata.map(sessionValue);
  const outputs = session.outputMetadata.map(sessionValue);
  if (halves === false && [...inputs, ...outputs].some(({ dtype }) => dtype === 'float16')) {
    await session.release();
    throw new RuntimeError(
      'float16 tensors cannot be exchanged: onnxruntime-node was loaded before featx and uses Float16Array, which its native part does not know',
      {
        code: 'FEATX_RUNTIME_FLOAT16',
        hint: 'import featx first, or run isolated (isolate: true)',
      },
    );
  }
  let closed = false;
  return {
    inputs,
    outputs,
    run: async (feeds, fetches) => {
      const raw = Object.create(null) as Record<string, RawTensor>;
      for (const [name, { dtype, shape, data }] of feeds)
        raw[name] = new ort.Tensor(dtype, hostData(dtype, data), shape);
      const results = await session.run(raw, fetches);
      return new Map(
        Object.entries(results).map(([name, { type, dims, data }]) => [name, { dtype: type, shape: [...dims], data }]),
      );
    },
    endProfiling: () => session.endProfiling(),
    close: async () => {
      if (closed) return;
      closed = true;
      await session.release();
    },
  };
}

function sessionValue({ name, isTensor, type, shape = [] }: RawMetadata): SessionValue {
  return {
    name,
    dtype: isTensor ? (type ?? null) : null,
    shape: shape.map((dim) => (typeof dim === 'number' ? dim : dim || null)),
  };
}

/**
 * The runtime's version, the directory of its native libraries, and the script that downloads more of them.
 * @throws RuntimeError where it is missing
 */
export function runtimeFiles(): { readonly version: string; readonly libraries: string; readonly installer: string } {
  if (!isRuntimeInstalled()) throw runtimeMissing();
  const { version } = require('onnxruntime-node/package.json') as { version: string };
  const root = dirname(require.resolve('onnxruntime-node/package.json'));
  return {
    version,
    libraries: join(root, 'bin', 'napi-v6', process.platform, process.arch),
    installer: join(root, 'script', 'install.js'),
  };
}
