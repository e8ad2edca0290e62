import { createHash } from 'node:crypto';
import { isRecord } from '../options/schema.js';

/** Lines of the journal: JSON that carries a digest of itself, so that a torn or altered line is as good as none. */

const KINDS = ['run', 'item', 'made', 'end'] as const;
type Kind = (typeof KINDS)[number];

/** A line of the journal. */
export type JournalRecord = {
  readonly kind: Kind;
  readonly run: string;
  readonly [key: string]: unknown;
};

const SUM_LENGTH = 16;
const PREFIX = '{"sum":"';
/**
 * The start of a line, as `append` writes it: kind, run, and for items their name and whether they say what was made.
 */
const HEAD =
  /^\{"sum":"[0-9a-f]{16}","kind":"([a-z]+)","run":"([0-9a-f]+)"(?:,"id":("(?:[^"\\]|\\.)*"),"remembers":(true|false))?/;
const LONGEST_HEAD = 64 * 1024;

/** What a line is about, without reading all of it. */
export interface LineHead {
  readonly kind: Kind;
  readonly run: string;
  /** Null where it is not about an item. */
  readonly id: string | null;
  /** Whether it says what was made. */
  readonly remembers: boolean;
}

/** The head of a line; null where it is none of ours. Whether the line is whole shows when it is decoded. */
export function headOf(line: Buffer): LineHead | null {
  const [, word, run, id, remembers] = HEAD.exec(line.toString('utf8', 0, LONGEST_HEAD)) ?? [];
  const kind = KINDS.find((each) => each === word);
  return kind === undefined || run === undefined
    ? null
    : { kind, run, id: parsedId(id), remembers: remembers === 'true' };
}

function parsedId(text: string | undefined): string | null {
  if (text === undefined) return null;
  try {
    const id: unknown = JSON.parse(text);
    return typeof id === 'string' ? id : null;
  } catch {
    return null;
  }
}

function sumOf(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, SUM_LENGTH);
}

/** A record as a line, its digest in front. */
export function encodeLine(record: JournalRecord): Uint8Array {
  const json = JSON.stringify(record);
  return Buffer.from(`${PREFIX}${sumOf(json)}",${json.slice(1)}\n`);
}

/** The record of a line, or null where the line is not what was written. */
export function decodeLine(line: Buffer): JournalRecord | null {
  const text = line.toString('utf8').trimEnd();
  if (!text.startsWith(PREFIX)) return null;
  const json = `{${text.slice(PREFIX.length + SUM_LENGTH + 2)}`;
  if (text.slice(PREFIX.length, PREFIX.length + SUM_LENGTH) !== sumOf(json)) return null;
  // The digest is ours, so this is JSON.
  const record: unknown = JSON.parse(json);
  return isJournalRecord(record) ? record : null;
}

function isJournalRecord(value: unknown): value is JournalRecord {
  return isRecord(value) && typeof value.run === 'string' && KINDS.some((kind) => kind === value.kind);
}
