/**
 * The errors of featx, named by who must act. Messages say what is wrong, the value seen and the range allowed; `hint`
 * says what to do. Only `cli/` turns them into exit codes.
 */

export interface FeatxErrorOptions {
  /** Stable, for scripts: `FEATX_…`. */
  readonly code?: string;
  /** What to do about it. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** What an error about a file knows beside its message. */
export interface LocatedErrorOptions extends FeatxErrorOptions {
  /** The file the error is about. */
  readonly path?: string;
  /** Byte offset in that file. */
  readonly offset?: number;
  /** Field path, such as `graph.node[12].attribute[0].t`. */
  readonly field?: string;
}

/** The common class of all errors that featx throws on purpose: `code` is for programs, `hint` says what to do. */
export abstract class FeatxError extends Error {
  readonly code: string;
  readonly hint?: string;
  readonly path?: string;
  readonly offset?: number;
  readonly field?: string;

  protected constructor(name: string, defaultCode: string, message: string, options: LocatedErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = name;
    this.code = options.code ?? defaultCode;
    this.hint = options.hint;
    this.path = options.path;
    this.offset = options.offset;
    this.field = options.field;
  }
}

/** The request cannot be met as it stands: flags, patterns, names, paths that would collide. */
export class UsageError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('UsageError', 'FEATX_USAGE', message, options);
  }
}

/** The bytes are not a valid ONNX model (`FEATX_WIRE_*` for protobuf, `FEATX_GRAPH_*` for what the graph says). */
export class ModelFormatError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('ModelFormatError', 'FEATX_WIRE', message, options);
  }
}

/** A valid file that featx or its formats cannot handle. */
export class UnsupportedModelError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('UnsupportedModelError', 'FEATX_UNSUPPORTED', message, options);
  }
}

/** No feature, module, tensor or node of that name or index. */
export class ResolveError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('ResolveError', 'FEATX_RESOLVE', message, options);
  }
}

/** The operating system refused: missing, denied, full, or changed while being read. */
export class IoError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('IoError', 'FEATX_IO', message, options);
  }
}

/** Refused for safety, or a limit that has a flag. */
export class PolicyError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('PolicyError', 'FEATX_POLICY', message, options);
  }
}

/** ONNX Runtime or a device failed. */
export class RuntimeError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('RuntimeError', 'FEATX_RUNTIME', message, options);
  }
}

/** The watchdog stopped it: time (`FEATX_TIMEOUT`) or memory (`FEATX_MEMORY`). */
export class TimeoutError extends FeatxError {
  constructor(message: string, options?: LocatedErrorOptions) {
    super('TimeoutError', 'FEATX_TIMEOUT', message, options);
  }
}
