import type { TensorValue } from '../onnx/tensor-value.js';
import { option } from '../options/words.js';
import { UsageError } from '../errors.js';
import { Faults, type SkipBad } from './input-files.js';
import type { InputItem, PlannedInput } from './input-item.js';
import type { InputPlan } from './input-plan.js';
import type { RowRange } from './lazy-array.js';
import type { Entry } from './provenance.js';
import { padRows, stackRows, takeRows, type ValueMemory } from './tensor.js';

/**
 * One batch: tensors by input name, `size` entries of which the first `rows` are real and the others copies of the
 * last.
 */
export interface InputBatch {
  readonly index: number;
  /** Position of its first entry among all. */
  readonly start: number;
  readonly rows: number;
  readonly size: number;
  readonly feeds: ReadonlyMap<string, TensorValue>;
  /** Where its real entries came from. */
  readonly entries: readonly Entry[];
}

/** How many entries a batch has, and how many batches are read ahead. */
export interface BatchingOptions {
  /** Default: what the model fixes, else 1 for pictures of their own sizes, else all entries up to 16. */
  readonly batchSize?: number;
  /** Batches that are read ahead while the caller works on one. Default 1. */
  readonly prefetch?: number;
  readonly signal?: AbortSignal;
  /** Takes the files that cannot be read, whose entries are left out; without it they are errors. */
  readonly skip?: SkipBad;
  /** What helps if some of several files cannot be read. */
  readonly advice?: string;
  /** Where the memory of batches comes from; who takes a batch gives its feeds back. */
  readonly memory?: ValueMemory;
}

const LARGEST_DEFAULT = 16;
/** Pictures decoded at once: enough to fill the cores, few enough for big pictures. */
const AT_ONCE = 4;

/** The batch size that a run of this plan uses. @throws UsageError if the model fixes another */
export function batchSizeOf({ rows, fixedBatch, ownSizes }: InputPlan, asked?: number): number {
  if (asked !== undefined && (!Number.isSafeInteger(asked) || asked < 1))
    throw new UsageError(`the batch size is ${asked}; it is at least 1`);
  if (fixedBatch !== null && asked !== undefined && asked !== fixedBatch) {
    throw new UsageError(`the model runs in batches of ${fixedBatch}, not ${asked}`, {
      hint: `leave out ${option('batchSize')}`,
    });
  }
  return fixedBatch ?? Math.min(rows, asked ?? (ownSizes ? 1 : LARGEST_DEFAULT));
}

/** The first batch of a plan, to be run before all of them are. @throws what `batches` throws, UsageError for none */
export async function firstBatch(plan: InputPlan, options: BatchingOptions = {}): Promise<InputBatch> {
  for await (const batch of batches(plan, options)) return batch;
  throw new UsageError('there is no input');
}

/**
 * The batches of a plan, in order; the next is read and decoded while the caller works on the one it got.
 * @throws IoError, ModelFormatError, UsageError: every file of a batch that cannot be read is named
 */
export async function* batches(plan: InputPlan, options: BatchingOptions = {}): AsyncGenerator<InputBatch, void, void> {
  const size = batchSizeOf(plan, options.batchSize);
  const constants = new Map<string, TensorValue>();
  for (const input of plan.inputs)
    if (!input.isBatched)
      constants.set(
        input.name,
        await readRows(input, { start: 0, end: input.items.reduce((sum, { rows }) => sum + rows, 0) }),
      );
  const count = Math.ceil(plan.rows / size);
  const queue: Promise<InputBatch>[] = [];
  let started = 0;
  let last: Promise<unknown> = Promise.resolve();
  const readAhead = (): void => {
    while (started < count && queue.length < Math.max(1, options.prefetch ?? 1)) {
      const index = started++;
      const batch = last.then(() => readBatch(plan, { ...options, index, size, constants }));
      // Reported when its turn comes, or never if the caller stops before.
      batch.catch(() => undefined);
      last = batch;
      queue.push(batch);
    }
  };
  try {
    readAhead();
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const batch = await next;
      options.signal?.throwIfAborted();
      readAhead();
      if (batch.rows > 0) yield batch;
    }
  } finally {
    await Promise.allSettled(queue);
  }
}

interface Wanted extends Pick<BatchingOptions, 'skip' | 'advice' | 'memory'> {
  readonly index: number;
  readonly size: number;
  readonly constants: ReadonlyMap<string, TensorValue>;
}

async function readBatch(
  plan: InputPlan,
  { index, size, constants, skip, advice, memory }: Wanted,
): Promise<InputBatch> {
  const start = index * size;
  const end = Math.min(plan.rows, start + size);
  const bad = new Set<number>();
  const read = new Map<PlannedInput, readonly ReadPart[]>();
  for (const input of plan.inputs)
    if (!constants.has(input.name))
      read.set(input, await readParts(input, { start, end }, { bad, skip, advice, memory }));
  const rows = end - start - bad.size;
  const sources = entriesOfPlan(plan, { start, end });
  const entries = sources.filter((_source, at) => !bad.has(start + at));
  const padded = plan.fixedBatch === null ? rows : size;
  const feeds = new Map<string, TensorValue>();
  for (const input of rows === 0 ? [] : plan.inputs) {
    const parts = read.get(input) ?? [];
    const value = constants.get(input.name) ?? padRows(joined(input.name, goodRows(parts, bad), memory), padded);
    if (memory !== undefined) giveBack(parts, value, memory);
    feeds.set(input.name, input.hasBatchAxis ? value : { ...value, shape: value.shape.slice(1) });
  }
  return { index, start, rows, size: padded, feeds, entries };
}

/** Entries `[from, …)` of a batch, as one item gave them. */
interface ReadPart {
  readonly from: number;
  readonly value: TensorValue;
}

/** The parts without entries that some input has not. */
function goodRows(parts: readonly ReadPart[], bad: ReadonlySet<number>): TensorValue[] {
  if (bad.size === 0) return parts.map(({ value }) => value);
  return parts.flatMap(({ from, value }) => {
    const good: TensorValue[] = [];
    for (let row = 0; row < value.shape[0]; row++) if (!bad.has(from + row)) good.push(takeRows(value, row, row + 1));
    return good;
  });
}

function joined(name: string, parts: readonly TensorValue[], memory?: ValueMemory): TensorValue {
  const [first] = parts;
  return first?.shape.length === 0 ? first : stackEntries(name, parts, memory);
}

/** Gives the memory of parts back that were copied into a whole. */
function giveBack(parts: readonly ReadPart[], whole: TensorValue, memory: ValueMemory): void {
  const used = ArrayBuffer.isView(whole.data) ? whole.data.buffer : null;
  for (const { value } of parts)
    if (ArrayBuffer.isView(value.data) && value.data.buffer !== used) memory.give(value.data);
}

/** Entries `[start, end)` of an input, from whichever items hold them. */
async function readRows(input: PlannedInput, range: RowRange): Promise<TensorValue> {
  return joined(
    input.name,
    (await readParts(input, range, { bad: new Set() })).map(({ value }) => value),
  );
}

/** As `readRows`, item by item; entries that cannot be read are added to `bad` if they are to be skipped. */
async function readParts(
  { items }: PlannedInput,
  { start, end }: RowRange,
  { bad, skip, advice, memory }: Pick<BatchingOptions, 'skip' | 'advice' | 'memory'> & { readonly bad: Set<number> },
): Promise<ReadPart[]> {
  const wanted: { readonly item: InputItem; readonly first: number; readonly from: number; readonly to: number }[] = [];
  let at = 0;
  for (const item of items) {
    const count = item.isEndless ? end : item.rows;
    const from = Math.max(start, at) - at;
    const to = Math.min(end, at + count) - at;
    if (from < to || items.length === 1) wanted.push({ item, first: at, from, to });
    at += count;
  }
  const faults = new Faults(skip);
  const parts: ReadPart[] = [];
  for (let index = 0; index < wanted.length; index += AT_ONCE) {
    const some = wanted.slice(index, index + AT_ONCE);
    const values = await Promise.all(
      some.map(({ item, from, to }) => faults.try(() => item.read({ start: from, end: to }, memory), item.file)),
    );
    for (const [place, value] of values.entries()) {
      const { first, from, to } = some[place];
      if (value !== null) parts.push({ from: first + from, value });
      else for (let row = first + from; row < first + to; row++) bad.add(row);
    }
  }
  faults.throwIfAny('inputs cannot be read', items.length > 1 ? advice : undefined);
  return parts;
}

/** Where the entries `[start, end)` of a plan come from: of the input that most files feed. */
export function entriesOfPlan({ inputs }: InputPlan, { start, end }: RowRange): Entry[] {
  const filesOf = ({ items }: PlannedInput): number =>
    items.filter(({ file, entries }) => file !== null || entries !== undefined).length;
  const batched = inputs.filter(({ isBatched }) => isBatched);
  const [first] = [...(batched.length > 0 ? batched : inputs)].sort((a, b) => filesOf(b) - filesOf(a));
  const entries: Entry[] = [];
  let at = 0;
  for (const { file, rows, isEndless, entries: own } of first?.items ?? []) {
    const count = isEndless ? end : rows;
    for (let index = Math.max(0, start - at); index < Math.min(count, end - at); index++)
      entries.push(own === undefined ? { file, index } : { file: own[index].file, index: own[index].index });
    at += count;
  }
  for (let index = start + entries.length; index < end; index++) entries.push({ file: null, index });
  return entries;
}

/** Entries of an input along axis 0. @throws UsageError if they are pictures of several sizes */
export function stackEntries(input: string, parts: readonly TensorValue[], memory?: ValueMemory): TensorValue {
  const sizes = [...new Set(parts.map(({ shape }) => `[${shape.slice(1).join(', ')}]`))];
  if (sizes.length <= 1) return stackRows(parts, memory);
  throw new UsageError(`pictures of several sizes cannot be one batch of input ${input}: ${sizes.join(', ')}`, {
    hint: `give ${option('image.size')}, or run them one by one`,
  });
}
