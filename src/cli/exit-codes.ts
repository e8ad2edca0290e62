import {
  FeatxError,
  IoError,
  ModelFormatError,
  PolicyError,
  ResolveError,
  RuntimeError,
  TimeoutError,
  UnsupportedModelError,
  UsageError,
} from '../errors.js';

/** What the process says to its caller; fixed. */
export const ExitCode = {
  done: 0,
  partial: 1,
  usage: 2,
  model: 3,
  io: 4,
  policy: 5,
  runtime: 6,
  timeout: 7,
  bug: 70,
  closedPipe: 141,
} as const;

const BY_CLASS = [
  [UsageError, ExitCode.usage],
  [ResolveError, ExitCode.usage],
  [ModelFormatError, ExitCode.model],
  [UnsupportedModelError, ExitCode.model],
  [IoError, ExitCode.io],
  [PolicyError, ExitCode.policy],
  [RuntimeError, ExitCode.runtime],
  [TimeoutError, ExitCode.timeout],
] as const;

/** The exit code that an error ends the process with. */
export function exitCodeOf(error: unknown): number {
  // A negative answer, not a failure.
  if (error instanceof FeatxError && error.code === 'FEATX_VERIFY') return ExitCode.partial;
  for (const [kind, code] of BY_CLASS) if (error instanceof kind) return code;
  return ExitCode.bug;
}
