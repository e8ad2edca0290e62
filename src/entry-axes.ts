import { FeatxError, UsageError } from './errors.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { printable } from './wire/text.js';
import type { Entries } from './shapes/entries.js';
import { axesOfEntry, axisThatGrows } from './tensors/entry-evidence.js';
import { joinAlong, takeAlong, type Joining } from './tensors/joining.js';
import { emptyTensor, padRows, takeRows } from './tensors/tensor.js';

type Tensors = ReadonlyMap<string, TensorValue>;

/** A run whose entries are to be found again in what it makes. */
export interface EntryQuestion {
  readonly entries: ReadonlyMap<string, Entries>;
  /** Entries of all batches together. */
  readonly rows: number;
  /** Entries of a batch. */
  readonly batchSize: number;
  /** Whether the model takes batches of this size alone. */
  readonly isFixed: boolean;
  /** Inputs with values of their own for each entry, along axis 0. */
  readonly batched: ReadonlySet<string>;
  /** The feeds of the first batch. */
  readonly first: () => Promise<{ readonly rows: number; readonly feeds: Tensors }>;
  readonly run: (feeds: Tensors, size: number) => Promise<Tensors>;
}

/**
 * How what comes of batches becomes one array each; null for what need not be joined and of which nobody knows. What
 * shapes do not prove is found by running the first batch again: one entry smaller, or, where the model fixes its size,
 * with another entry in a place.
 * @throws UsageError naming every output whose entries cannot be told apart
 */
export async function joiningsOf(question: EntryQuestion): Promise<ReadonlyMap<string, Joining | null>> {
  const { entries, rows, batchSize, isFixed } = question;
  const isOneBatch = rows <= batchSize && (!isFixed || rows === batchSize);
  const open = [...entries].flatMap(([name, { kind }]) => (kind === 'open' ? [name] : []));
  const found =
    open.length === 0
      ? new Map<string, Joining | null>()
      : await probed(question, open).catch((error: unknown) => {
          // One batch is right as it is.
          if (isOneBatch && error instanceof FeatxError) return new Map<string, Joining | null>();
          throw error;
        });
  const joinings = new Map<string, Joining | null>();
  const faults: string[] = [];
  for (const [name, own] of entries) {
    const joining =
      own.kind === 'open'
        ? (found.get(name) ?? null)
        : joiningOf(own.kind === 'unknown' && batchSize === 1 && own.one !== null ? own.one : own);
    const isNeeded = !isOneBatch || (own.kind === 'unknown' && !own.isWholeKnown);
    if (joining === null && isNeeded && rows > 1)
      faults.push(
        `${printable(name)}: ${own.kind === 'unknown' ? own.why : 'no axis of it follows the number of entries'}`,
      );
    joinings.set(name, joining);
  }
  if (faults.length > 0) throw notJoined(faults, question);
  return joinings;
}

function joiningOf(entries: Entries): Joining | null {
  switch (entries.kind) {
    case 'along':
      return { kind: 'along', axis: entries.axis };
    case 'stacked':
      return { kind: 'along', axis: 0 };
    case 'ragged':
    case 'once':
      return { kind: entries.kind };
    case 'open':
    case 'unknown':
      return null;
  }
}

function notJoined(faults: readonly string[], { rows, isFixed, batchSize }: EntryQuestion): UsageError {
  return new UsageError(
    `which part of ${faults.length === 1 ? 'a feature' : 'some features'} belongs to which entry is not known, so batches of ${batchSize} cannot be joined: ${faults.join('; ')}`,
    {
      code: 'FEATX_USAGE_BATCH',
      hint: isFixed
        ? `give ${batchSize === 1 ? 'one entry' : `${batchSize} entries`} at a time, or leave ${faults.length === 1 ? 'this feature' : 'these features'} out`
        : `run all in one batch, with ${option('batchSize', rows)}, or leave ${faults.length === 1 ? 'this feature' : 'these features'} out`,
    },
  );
}

async function probed(question: EntryQuestion, open: readonly string[]): Promise<ReadonlyMap<string, Joining | null>> {
  const evidence = question.isFixed ? await withAnother(question) : await oneSmaller(question);
  return new Map(open.map((name) => [name, evidence(name)]));
}

type Evidence = (name: string) => Joining | null;

/** Runs a batch and one of another size. */
async function oneSmaller({ first, batched, run }: EntryQuestion): Promise<Evidence> {
  const { rows, feeds } = await first();
  const resized = (change: (value: TensorValue) => TensorValue): Tensors =>
    new Map([...feeds].map(([name, value]) => [name, batched.has(name) ? change(value) : value]));
  const sizes = rows > 1 ? ([rows - 1, rows] as const) : ([1, 2] as const);
  const [few, many] =
    rows > 1
      ? [resized((value) => takeRows(value, 0, rows - 1)), feeds]
      : [feeds, resized((value) => padRows(value, 2))];
  const [small, large] = [await run(few, sizes[0]), await run(many, sizes[1])];
  return (name) => {
    const [a, b] = [small.get(name), large.get(name)];
    const axis = a === undefined || b === undefined ? null : axisThatGrows({ small: a, large: b, sizes });
    return axis === null ? null : axis === 'none' ? { kind: 'once' } : { kind: 'along', axis };
  };
}

/** Runs a batch, and the same with another value in the place of its last and of its first entry. */
async function withAnother({ first, batched, batchSize: size, run }: EntryQuestion): Promise<Evidence> {
  const { feeds } = await first();
  const before = await run(feeds, size);
  const changed = new Map<number, Tensors>();
  for (const entry of [size - 1, 0]) {
    const other = new Map(
      [...feeds].map(([name, value]) => [name, batched.has(name) ? exchanged(value, entry) : value]),
    );
    changed.set(entry, await run(other, size));
  }
  return (name) => {
    const own = before.get(name);
    if (own === undefined) return null;
    const axes = [...changed].map(([entry, results]) => {
      const after = results.get(name);
      return after === undefined ? [] : axesOfEntry(own, after, { size, entry });
    });
    const common = axes[0].filter((axis) => axes.every((list) => list.includes(axis)));
    return common.length === 1 ? { kind: 'along', axis: common[0] } : null;
  };
}

/** A batch with zeros in the place of one entry; with the entry beside it if it is zeros already. */
function exchanged(value: TensorValue, entry: number): TensorValue {
  const rows = value.shape[0];
  const own = takeRows(value, entry, entry + 1);
  const zeros = emptyTensor(own.dtype, own.shape);
  const isZero = own.data.every((number: unknown, at: number) => Object.is(number, zeros.data[at]));
  const beside = entry === 0 ? rows - 1 : 0;
  const other = isZero ? takeRows(value, beside, beside + 1) : zeros;
  return joinAlong(
    [takeRows(value, 0, entry), other, takeRows(value, entry + 1, rows)].filter(({ shape }) => shape[0] > 0),
    0,
  );
}

/** What is read of a batch that has `rows` entries of `size`. */
export interface Batch {
  readonly rows: number;
  readonly size: number;
}

/**
 * Takes the entries of batches out of what they made, and holds every batch against those before: as many parts for an
 * entry, the same value where there is one for all.
 */
export class EntryTaker {
  private readonly parts = new Map<string, number>();
  private readonly shared = new Map<string, TensorValue>();

  constructor(
    private readonly joinings: ReadonlyMap<string, Joining | null>,
    private readonly entries: ReadonlyMap<string, Entries>,
  ) {}

  /** Parts of an entry, along its axis; null if there is no fixed number. */
  partsOf(name: string): number | null {
    return this.parts.get(name) ?? null;
  }

  /** @throws UsageError if a batch is not like those before */
  take(name: string, value: TensorValue, { rows, size }: Batch): TensorValue {
    const joining = this.joinings.get(name) ?? null;
    if (joining === null || joining.kind === 'ragged') return value;
    if (joining.kind === 'once') return this.same(name, value);
    const { axis } = joining;
    const own = this.entries.get(name)?.kind === 'stacked' ? { ...value, shape: [1, ...value.shape] } : value;
    const parts = own.shape[axis] / size;
    const before = this.parts.get(name) ?? parts;
    this.parts.set(name, before);
    if (!Number.isInteger(parts) || parts !== before)
      throw new UsageError(
        `${printable(name)} has the shape [${value.shape.join(', ')}] for ${size} entries, and ${before} parts of each along axis ${axis} before: it cannot be joined`,
        {
          code: 'FEATX_USAGE_BATCH',
          hint: `run one entry at a time, with ${option('batchSize', 1)}, or leave this feature out`,
        },
      );
    return rows === size ? own : takeAlong(own, axis, 0, parts * rows);
  }

  private same(name: string, value: TensorValue): TensorValue {
    const before = this.shared.get(name);
    if (before === undefined) {
      // Memory of results is given back to later runs.
      this.shared.set(name, { ...value, data: value.data.slice() });
      return value;
    }
    const isSame =
      String(before.shape) === String(value.shape) &&
      before.data.every((number: unknown, at: number) => Object.is(number, value.data[at]));
    if (isSame) return value;
    throw new UsageError(
      `${printable(name)} does not grow with the number of entries, and is another in every batch: it cannot be joined`,
      { code: 'FEATX_USAGE_BATCH', hint: 'run all in one batch, or leave this feature out' },
    );
  }
}
