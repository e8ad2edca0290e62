import { isRecord } from '../options/schema.js';
import { option } from '../options/words.js';
import { ResolveError, UsageError } from '../errors.js';
import type { FeatureEntry } from '../options/feature-kinds.js';
import type { Feature } from './feature.js';
import { parseJson } from '../wire/json.js';

export type { FeatureEntry };

/** Some keys of an entry, for reading a few of them. */
export type FeatureDict = Readonly<Record<string, unknown>>;

/** Indices into a FeatureInfo: all that are selected, one, or several. */
export type FeatureIndex = number | readonly number[];

/**
 * What a model's features are: a list of entries, and the indices in use.
 * @see https://github.com/huggingface/pytorch-image-models/blob/v0.9.2/timm/models/_features.py
 */
export class FeatureInfo implements Iterable<FeatureEntry> {
  readonly outIndices: readonly number[];
  private readonly entries: readonly FeatureEntry[];

  /**
   * Checks every entry (`num_chs` above 0, `reduction` from 1 on and never falling, a `module`) and every index;
   * negative indices count from the end and stay as given.
   * @throws UsageError naming every entry and every index that is wrong
   */
  constructor(entries: readonly FeatureEntry[], outIndices: FeatureIndex = entries.map((_entry, index) => index)) {
    assertEntries(entries);
    this.entries = entries;
    this.outIndices =
      typeof outIndices === 'number' ? takeIndices(entries.length, outIndices).indices : [...outIndices];
    takeIndices(entries.length, this.outIndices);
  }

  /** The entries of resolved features; what is unknown is null. */
  static fromFeatures(features: readonly Feature[], outIndices?: FeatureIndex): FeatureInfo {
    return new FeatureInfo(features.map(entryOf), outIndices);
  }

  /** A deep copy of the entries, with the same or other indices. */
  static fromOther(other: FeatureInfo, outIndices?: FeatureIndex): FeatureInfo {
    return new FeatureInfo(structuredClone(other.entries), outIndices ?? other.outIndices);
  }

  /** Reads timm's `feature_info`: a JSON list of dicts. @throws UsageError */
  static fromJSON(json: string | readonly unknown[], outIndices?: FeatureIndex): FeatureInfo {
    return new FeatureInfo(parseEntries(json), outIndices);
  }

  /** timm's list of dicts. */
  toJSON(): readonly FeatureEntry[] {
    return structuredClone(this.entries);
  }

  /** Number of entries, selected or not. */
  get length(): number {
    return this.entries.length;
  }

  [Symbol.iterator](): Iterator<FeatureEntry> {
    return this.entries[Symbol.iterator]();
  }

  /** The entry at an absolute index; negative from the end. @throws ResolveError */
  at(index: number): FeatureEntry {
    return this.entries[takeIndices(this.entries.length, [index]).indices[0]];
  }

  /**
   * Values of a key: over `outIndices`, of one entry, or of several, in the order asked.
   * @throws ResolveError for an index out of range or a key that an entry does not have
   */
  get(key: string, index?: null): readonly unknown[];
  get(key: string, index: number): unknown;
  get(key: string, index: readonly number[]): readonly unknown[];
  get(key: string, index?: FeatureIndex | null): unknown {
    if (typeof index === 'number') return valueOf(this.at(index), key, index);
    return takeIndices(this.entries.length, index ?? this.outIndices).indices.map((at) =>
      valueOf(this.entries[at], key, at),
    );
  }

  /** Whole entries, or only the given keys of them; entries are the live records, not copies. @throws ResolveError */
  getDicts(keys?: null, index?: null | readonly number[]): readonly FeatureEntry[];
  getDicts(keys: null, index: number): FeatureEntry;
  getDicts(keys: readonly string[], index?: null | readonly number[]): readonly FeatureDict[];
  getDicts(keys: readonly string[], index: number): FeatureDict;
  getDicts(keys?: readonly string[] | null, index?: FeatureIndex | null): FeatureDict | readonly FeatureDict[] {
    const pick = (at: number): FeatureDict => {
      const entry = this.at(at);
      return keys == null ? entry : Object.fromEntries(keys.map((key) => [key, valueOf(entry, key, at)]));
    };
    return typeof index === 'number' ? pick(index) : [...(index ?? this.outIndices)].map(pick);
  }

  channels(index?: null | readonly number[]): readonly (number | null)[];
  channels(index: number): number | null;
  channels(index?: FeatureIndex | null): number | null | readonly (number | null)[] {
    return this.field((entry) => entry.num_chs, index);
  }

  reduction(index?: null | readonly number[]): readonly (number | null)[];
  reduction(index: number): number | null;
  reduction(index?: FeatureIndex | null): number | null | readonly (number | null)[] {
    return this.field((entry) => entry.reduction, index);
  }

  moduleName(index?: null | readonly number[]): readonly (string | null)[];
  moduleName(index: number): string | null;
  moduleName(index?: FeatureIndex | null): string | null | readonly (string | null)[] {
    return this.field((entry) => entry.module, index);
  }

  private field<T>(read: (entry: FeatureEntry) => T, index?: FeatureIndex | null): T | readonly T[] {
    if (typeof index === 'number') return read(this.at(index));
    return takeIndices(this.entries.length, index ?? this.outIndices).indices.map((at) => read(this.entries[at]));
  }
}

/** A feature as timm's dict; `hook_type` only where it is not a module's output, `tensor` where there is one. */
export function entryOf(feature: Feature): FeatureEntry {
  const { index, numChs, reduction, module, hookType, tensor } = feature;
  return {
    // An axis that holds nothing counts no channels.
    num_chs: numChs === 0 ? null : numChs,
    reduction,
    module,
    index,
    ...(hookType === 'forward' ? {} : { hook_type: hookType }),
    ...(tensor === null ? {} : { tensor }),
  };
}

/**
 * Absolute indices: null takes all, a number the last n, a list each of its own (negatives from the end), in the order
 * given.
 * @throws UsageError for a count out of range
 * @throws ResolveError naming every index that is out of range
 * @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/_features.py (feature_take_indices)
 */
export function takeIndices(
  count: number,
  indices?: FeatureIndex | null,
  whose = 'the model',
): { readonly indices: readonly number[]; readonly max: number } {
  if (indices == null) return { indices: Array.from({ length: count }, (_, index) => index), max: count - 1 };
  if (typeof indices === 'number') {
    if (!Number.isInteger(indices) || indices < 1 || indices > count)
      throw new UsageError(`the last ${indices} features were asked for; ${whose} has ${count}`, {
        hint: count > 0 ? `ask for 1 to ${count}` : NO_FEATURES,
      });
    return { indices: Array.from({ length: indices }, (_, index) => count - indices + index), max: count - 1 };
  }
  const wrong = indices.filter((index) => !Number.isInteger(index) || index >= count || index < -count);
  if (wrong.length > 0) {
    const range = count > 0 ? `use 0 to ${count - 1}, or -${count} to -1 from the end` : NO_FEATURES;
    throw new ResolveError(
      `feature ${wrong.length === 1 ? `index ${wrong[0]} is` : `indices ${wrong.join(', ')} are`} out of range: ${whose} has ${count} feature${count === 1 ? '' : 's'}`,
      { hint: range },
    );
  }
  const absolute = indices.map((index) => (index < 0 ? count + index : index));
  return { indices: absolute, max: absolute.reduce((max, index) => Math.max(max, index), -1) };
}

const NO_FEATURES = `no feature pyramid was found in this model; name tensors with ${option('tensor')}`;

function valueOf(entry: FeatureEntry, key: string, index: number): unknown {
  if (!Object.hasOwn(entry, key))
    throw new ResolveError(`feature ${index} has no '${key}'`, { hint: `it has ${Object.keys(entry).join(', ')}` });
  return entry[key];
}

/** timm's list of dicts from JSON; keys it does not know are carried through. @throws UsageError */
function parseEntries(json: string | readonly unknown[]): readonly FeatureEntry[] {
  let list: unknown = json;
  if (typeof json === 'string') {
    try {
      list = parseJson(json);
    } catch (cause) {
      throw new UsageError(`the FeatureInfo is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
        hint: ENTRY_HINT,
      });
    }
  }
  if (!Array.isArray(list))
    throw new UsageError(`a FeatureInfo is a list of entries, not ${list === null ? 'null' : typeof list}`, {
      hint: ENTRY_HINT,
    });
  const entries: unknown[] = list;
  const wrong = entries.flatMap((entry, index) => (isRecord(entry) ? [] : [index]));
  if (wrong.length > 0)
    throw new UsageError(
      `entries ${wrong.slice(0, 20).join(', ')}${wrong.length > 20 ? ` and ${wrong.length - 20} more` : ''} of the FeatureInfo are not objects`,
      { hint: ENTRY_HINT },
    );
  const records = entries.filter(isRecord).map((entry) => ({ ...entry }));
  assertEntries(records);
  return records;
}

const ENTRY_HINT = 'give [{"num_chs": 64, "reduction": 4, "module": "layer1"}, …]';

function assertEntries(entries: readonly FeatureDict[]): asserts entries is readonly FeatureEntry[] {
  const wrong: string[] = [];
  let previous = 1;
  entries.forEach((entry, index) => {
    for (const key of ['num_chs', 'reduction', 'module'])
      if (!Object.hasOwn(entry, key)) wrong.push(`entry ${index} has no ${key}`);
    const { num_chs: channels, reduction, module } = entry;
    if (channels != null && !(typeof channels === 'number' && channels > 0))
      wrong.push(`entry ${index} has num_chs ${show(channels)} (above 0)`);
    if (module != null && typeof module !== 'string')
      wrong.push(`entry ${index} has module ${show(module)} (a module path)`);
    if (reduction == null) return;
    if (typeof reduction !== 'number' || !(reduction >= previous))
      wrong.push(`entry ${index} has reduction ${show(reduction)} (at least ${previous}, as the entry before)`);
    else previous = reduction;
  });
  if (wrong.length > 0) throw new UsageError(`the FeatureInfo is wrong: ${wrong.join('; ')}`, { hint: ENTRY_HINT });
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
