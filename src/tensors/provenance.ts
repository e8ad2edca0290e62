import { isRecord } from '../options/schema.js';
import { parseJson } from '../wire/json.js';

/** Under which key .safetensors and .parquet keep what a file of features says of itself. */
export const PROVENANCE_KEY = 'featx';

/** Where one entry of a result came from. */
export interface Entry {
  /** Null where no file gave it: random values. */
  readonly file: string | null;
  /** Its place in that file, from 0. */
  readonly index: number;
}

/**
 * What made the features of a file; of a remote model the digest only where its server told it. No dates and no
 * absolute paths: two runs write the same bytes.
 */
export interface Provenance {
  readonly schema: 1;
  readonly featx: string;
  readonly model: { readonly name: string | null; readonly sha256: string | null; readonly etag?: string };
  readonly features: readonly {
    readonly output: string;
    readonly index: number | null;
    readonly group?: string;
    readonly module: string | null;
    readonly tensor: string;
    readonly layout: string | null;
  }[];
  /** How pictures became each input that took any. */
  readonly preprocessing: readonly object[];
}

/** The entries as a file keeps them: names alone where each file gave one entry. */
function entriesRecord(entries: readonly Entry[]): object {
  return {
    entries: entries.length,
    files: entries.map(({ file }) => file),
    ...(entries.some(({ index }) => index > 0) ? { indices: entries.map(({ index }) => index) } : {}),
  };
}

/** What a file says of itself, as JSON, or without the names of its entries if it has no room for them. */
export function provenanceText(
  provenance: Provenance,
  entries: readonly Entry[],
  longest: number,
): { readonly text?: string; readonly isWhole: boolean } {
  const bytesOf = (text: string): number => new TextEncoder().encode(text).length;
  const whole = JSON.stringify({ ...provenance, ...entriesRecord(entries) });
  if (bytesOf(whole) <= longest) return { text: whole, isWhole: true };
  const short = JSON.stringify({ ...provenance, entries: entries.length });
  return bytesOf(short) <= longest ? { text: short, isWhole: false } : { isWhole: false };
}

/** What parts of a result say of themselves, as the whole would: of the first, with the entries of all. */
export function joinedProvenance(
  texts: readonly (string | undefined)[],
): { readonly provenance: Provenance; readonly entries: readonly Entry[] } | undefined {
  const parts = texts.map((text) => (text === undefined ? null : readProvenance(text)));
  const [first] = parts;
  if (first == null) return undefined;
  const entries = parts.flatMap((part) => part?.entries ?? []);
  return { provenance: first.provenance, entries };
}

/** What a text says; null if featx did not write it. */
function readProvenance(text: string): { readonly provenance: Provenance; readonly entries: readonly Entry[] } | null {
  let said: unknown;
  try {
    said = parseJson(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  if (!isProvenance(said)) return null;
  const { entries: _count, files = [], indices, ...provenance } = said;
  return { provenance, entries: files.map((file, at) => ({ file, index: indices?.[at] ?? 0 })) };
}

interface Said extends Provenance {
  readonly entries: number;
  readonly files?: readonly (string | null)[];
  readonly indices?: readonly number[];
}

function isProvenance(said: unknown): said is Said {
  return (
    isRecord(said) &&
    said['schema'] === 1 &&
    typeof said['featx'] === 'string' &&
    isRecord(said['model']) &&
    Array.isArray(said['features']) &&
    Array.isArray(said['preprocessing']) &&
    Number.isSafeInteger(said['entries']) &&
    [said['files'], said['indices']].every((list) => list === undefined || Array.isArray(list))
  );
}
