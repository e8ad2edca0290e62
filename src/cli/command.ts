import type { Command } from 'commander';
import type { Context } from './context.js';

/** One command: what it takes, and what it does with it. */
export interface CliCommand {
  /** Adds arguments, flags and help. */
  configure(command: Command): void;
  /** @returns the exit code */
  run(operands: readonly string[], command: Command, context: Context): Promise<number>;
}
