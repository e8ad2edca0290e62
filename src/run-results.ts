import { EntryTaker, type Batch } from './entry-axes.js';
import { UsageError } from './errors.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import type { RunFeatureRecord } from './report/run-records.js';
import type { PlannedOutput } from './rewrite/plan.js';
import type { Entries } from './shapes/entries.js';
import type { TokenEntries } from './token-entries.js';
import { axisOf, type Joining } from './tensors/joining.js';
import { RunningSummary } from './tensors/statistics.js';

type Tensors = ReadonlyMap<string, TensorValue>;

/** What the batches of a run come to: arrays to be written, and a record of each feature. */
export class Results {
  private readonly taker: EntryTaker;
  private readonly totals: readonly FeatureTotal[];

  constructor(
    features: readonly PlannedOutput[],
    private readonly own: ReadonlyMap<string, Joining | null>,
    entries: ReadonlyMap<string, Entries>,
    isSummarised: boolean,
  ) {
    this.taker = new EntryTaker(own, entries);
    const names = new Set(features.map(({ output }) => output));
    this.totals = features.map((feature) => {
      const joining = own.get(feature.output) ?? null;
      const offsets = joining?.kind === 'ragged' ? offsetsName(feature.output, names) : null;
      return new FeatureTotal(feature, joining, offsets, isSummarised ? new RunningSummary() : null);
    });
  }

  /** How each array that is written is joined. */
  get joinings(): ReadonlyMap<string, Joining | null> {
    return new Map([
      ...this.own,
      ...this.totals.flatMap(({ offsets }) => (offsets === null ? [] : [[offsets, { kind: 'ragged' }] as const])),
    ]);
  }

  /** The arrays that say where the rows of each entry begin. */
  get offsets(): ReadonlySet<string> {
    return new Set(this.totals.flatMap(({ offsets }) => offsets ?? []));
  }

  /**
   * The entries of a batch, without what only fills it up, and where those of each number of rows begin.
   * @throws UsageError if they do not go together with those before
   */
  take(values: Tensors, batch: Batch): Tensors {
    const taken = new Map<string, TensorValue>();
    for (const total of this.totals) {
      const { output } = total.feature;
      const value = values.get(output);
      if (value === undefined) continue;
      const own = this.taker.take(output, value, batch);
      taken.set(output, own);
      const offsets = total.add(own);
      if (offsets !== null && total.offsets !== null) taken.set(total.offsets, offsets);
    }
    return taken;
  }

  /** A record of each feature, in their order. */
  records(notes: FeatureNotes): readonly RunFeatureRecord[] {
    return this.totals.map((total) => {
      const { output } = total.feature;
      const [mixes, padding] = [notes.mixed.get(output), notes.tokens?.paddingOf(output)];
      return {
        ...total.record(this.taker.partsOf(output)),
        ...(mixes === undefined ? {} : { mixes_entries: mixes }),
        ...(padding === undefined ? {} : { padding_left_out: padding }),
      };
    });
  }
}

/** What is known of features beside their values. */
export interface FeatureNotes {
  /** Why entries of some depend on each other. */
  readonly mixed: ReadonlyMap<string, string>;
  /** Those with a part for each token, if there are any. */
  readonly tokens: Pick<TokenEntries, 'paddingOf'> | null;
}

/** What the array is called that says where the rows of each entry begin. */
function offsetsName(output: string, taken: ReadonlySet<string>): string {
  let name = `${output}.offsets`;
  while (taken.has(name)) name += '_';
  return name;
}

/** What a feature turned out to be, over all batches. */
class FeatureTotal {
  private shape: readonly number[] | null = null;
  private dtype = '';

  constructor(
    readonly feature: PlannedOutput,
    private readonly joining: Joining | null,
    /** The array that says where the rows of each entry begin, if each has a number of its own. */
    readonly offsets: string | null,
    /** Null where nobody wants to know what the values are like. */
    private readonly summary: RunningSummary | null,
  ) {}

  /** Adds a batch. @returns where its rows end, behind a 0 for the first, if each entry has a number of its own */
  add(value: TensorValue): TensorValue | null {
    const axis = this.joining === null ? 0 : axisOf(this.joining);
    const before = this.shape;
    if (before !== null && axis === null) return null;
    const others = (shape: readonly number[]): readonly (number | string)[] =>
      shape.map((dim, at) => (at === axis ? '*' : dim));
    if (before !== null && String(others(before)) !== String(others(value.shape)))
      throw new UsageError(
        `${this.feature.output} is [${value.shape.join(', ')}] for one input and [${others(before).join(', ')}] for those before: they cannot be joined`,
        { hint: `run each by itself, or pictures at one size (${option('image.size')})` },
      );
    this.summary?.add(value);
    this.dtype = value.dtype;
    this.shape = before === null ? value.shape : before.map((dim, at) => (at === axis ? dim + value.shape[at] : dim));
    if (this.offsets === null) return null;
    const end = BigInt(this.shape[0]);
    const data = before === null ? BigInt64Array.of(0n, end) : BigInt64Array.of(end);
    return { dtype: 'int64', shape: [data.length], data };
  }

  record(parts: number | null): RunFeatureRecord {
    const { tap, output } = this.feature;
    return {
      index: tap.index,
      ...(tap.group == null ? {} : { group: tap.group }),
      module: tap.module,
      tensor: tap.tensors[0],
      output,
      shape: this.shape ?? [],
      dtype: this.dtype,
      entry_axis: this.joining === null ? null : axisOf(this.joining),
      parts_per_entry: parts,
      ...(this.offsets === null ? {} : { offsets: this.offsets }),
      ...(this.summary === null ? {} : summaryRecord(this.summary)),
    };
  }
}

function summaryRecord(
  summary: RunningSummary,
): Pick<RunFeatureRecord, 'min' | 'max' | 'mean' | 'std' | 'nan' | 'infinite'> {
  const { min, max, mean, std, nan, infinite } = summary.result();
  return { min, max, mean, std, ...(nan === 0 ? {} : { nan }), ...(infinite === 0 ? {} : { infinite }) };
}
