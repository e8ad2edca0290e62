import type { TensorValue } from '../onnx/tensor-value.js';
import { option } from '../options/words.js';
import { UsageError } from '../errors.js';
import { Faults } from './input-files.js';
import type { InputPlan, PlannedInput } from './input-plan.js';
import type { RowRange } from './lazy-array.js';
import { padRows, stackRows } from './tensor.js';

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
}

/** How many entries a batch has, and how many batches are read ahead. */
export interface BatchOptions {
  /** Default: what the model fixes, else 1 for pictures of their own sizes, else all entries up to 16. */
  readonly batchSize?: number;
  /** Batches that are read ahead while the caller works on one. Default 1. */
  readonly prefetch?: number;
  readonly signal?: AbortSignal;
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

/**
 * The batches of a plan, in order; the next is read and decoded while the caller works on the one it got.
 * @throws IoError, ModelFormatError, UsageError: every file of a batch that cannot be read is named
 */
export async function* batches(plan: InputPlan, options: BatchOptions = {}): AsyncGenerator<InputBatch, void, void> {
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
      const batch = last.then(() => readBatch(plan, { index, size, constants }));
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
      yield batch;
    }
  } finally {
    await Promise.allSettled(queue);
  }
}

interface Wanted {
  readonly index: number;
  readonly size: number;
  readonly constants: ReadonlyMap<string, TensorValue>;
}

async function readBatch(plan: InputPlan, { index, size, constants }: Wanted): Promise<InputBatch> {
  const start = index * size;
  const end = Math.min(plan.rows, start + size);
  const feeds = new Map<string, TensorValue>();
  for (const input of plan.inputs) {
    const constant = constants.get(input.name);
    const value =
      constant ?? padRows(await readRows(input, { start, end }), plan.fixedBatch === null ? end - start : size);
    feeds.set(input.name, input.hasBatchAxis ? value : { ...value, shape: value.shape.slice(1) });
  }
  return { index, start, rows: end - start, size: plan.fixedBatch === null ? end - start : size, feeds };
}

/** Entries `[start, end)` of an input, from whichever items hold them. */
async function readRows({ name, items }: PlannedInput, { start, end }: RowRange): Promise<TensorValue> {
  const wanted: (() => Promise<TensorValue>)[] = [];
  let at = 0;
  for (const { rows, isEndless, read } of items) {
    const count = isEndless ? end : rows;
    const from = Math.max(start, at) - at;
    const to = Math.min(end, at + count) - at;
    if (from < to || items.length === 1) wanted.push(() => read({ start: from, end: to }));
    at += count;
  }
  const faults = new Faults();
  const parts: TensorValue[] = [];
  for (let index = 0; index < wanted.length; index += AT_ONCE) {
    for (const part of await Promise.all(wanted.slice(index, index + AT_ONCE).map((read) => faults.try(read))))
      if (part !== null) parts.push(part);
  }
  faults.throwIfAny('inputs cannot be read');
  const [first] = parts;
  return first?.shape.length === 0 ? first : stackEntries(name, parts);
}

/** Entries of an input along axis 0. @throws UsageError if they are pictures of several sizes */
export function stackEntries(input: string, parts: readonly TensorValue[]): TensorValue {
  const sizes = [...new Set(parts.map(({ shape }) => `[${shape.slice(1).join(', ')}]`))];
  if (sizes.length <= 1) return stackRows(parts);
  throw new UsageError(`pictures of several sizes cannot be one batch of input ${input}: ${sizes.join(', ')}`, {
    hint: `give ${option('image.size')}, or run them one by one`,
  });
}
