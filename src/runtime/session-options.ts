import type { FileSystem } from '../wire/fs.js';
import type { OptimizationLevel } from './session.js';

/** How a session of ONNX Runtime is opened, and what it may take. */
export interface SessionOptions {
  /** Tensors to compute, of the main graph; the model's outputs by default. What none of them needs is left out. */
  readonly outputs?: readonly string[];
  /**
   * Providers to try in order, or `auto`; the CPU by default. A provider that is not named is never used in the place
   * of one that is.
   */
  readonly providers?: 'auto' | readonly string[];
  readonly deviceId?: number;
  /** Threads inside an operator, at most 1,024; ONNX Runtime's own choice by default. */
  readonly threads?: number;
  readonly optimization?: OptimizationLevel;
  /**
   * Whether weights are copied into the layout that kernels like best: quicker runs, slower start, twice the memory.
   * The last bits of a MatMul depend on it.
   */
  readonly prepacking?: boolean;
  /** Whether the model runs in a child process that can be killed; in this process by default. */
  readonly isolate?: boolean;
  /** Time for opening and for each run, in milliseconds; isolated only. */
  readonly timeoutMs?: number;
  /** Resident memory, in bytes; isolated only. */
  readonly memoryBytes?: number;
  /** Ends the work at once when it is aborted; isolated only. */
  readonly signal?: AbortSignal;
  /** The file that the external data of a model that was given as bytes lies beside. */
  readonly beside?: string;
  /** Refuse external data with several hard links. */
  readonly strictExternal?: boolean;
  /** Keeps ONNX Runtime's profile of the first run: the path it begins with. */
  readonly profilePrefix?: string;
  readonly fileSystem?: FileSystem;
}
