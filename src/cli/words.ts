import type { FeatxError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import type { CommandName } from '../options/row.js';
import { COMMAND_NAMES } from '../options/table.js';
import { inFlags, reworded } from '../options/reworded.js';

/** Where records say sentences, and where they hold records that do. */
const SENTENCES = new Set(['message', 'hint', 'reason', 'warnings', 'problems']);
const HOLDERS = new Set(['error', 'report', 'runtime', 'providers', 'pictures', 'texts', 'left_out']);

/** A record whose sentences name flags, where those of the library name options; nothing else in it changes. */
export function recordInFlags<T>(record: T, command: string | null): T {
  return reworkedInside(record, commandNamed(command)) as T;
}

/** A sentence that names flags, where the library's names options. */
export function sentenceInFlags(text: string, command: string | null): string {
  return inFlags(text, commandNamed(command));
}

/** An error whose message and hint name flags. */
export function errorInFlags(error: FeatxError, command: string | null): FeatxError {
  return reworded(error, (text) => sentenceInFlags(text, command));
}

function reworkedInside(value: unknown, command: CommandName | null): unknown {
  if (Array.isArray(value)) return value.map((entry) => reworkedInside(entry, command));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SENTENCES.has(key) ? sentences(inner, command) : HOLDERS.has(key) ? reworkedInside(inner, command) : inner,
    ]),
  );
}

function sentences(value: unknown, command: CommandName | null): unknown {
  if (typeof value === 'string') return inFlags(value, command);
  return Array.isArray(value) ? value.map((text) => sentences(text, command)) : value;
}

function commandNamed(command: string | null): CommandName | null {
  return COMMAND_NAMES.find((name) => name === command) ?? null;
}
