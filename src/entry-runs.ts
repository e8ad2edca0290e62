import { basename } from 'node:path';
import { joiningsOf } from './entry-axes.js';
import { UsageError } from './errors.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { FeatureRunner, type RunnerOptions } from './runner.js';
import { batches, firstBatch } from './tensors/batches.js';
import { ALONG_ROWS, takeAlong, type Joining } from './tensors/joining.js';
import { planInputs, type InputPlan } from './tensors/input-plan.js';
import { textInputs, type TextInputs } from './tensors/text-inputs.js';

/** What entries are run with. */
export type EntryRunOptions = RunnerOptions & { readonly inputs?: readonly string[] };

/** What feeds a runner, and the texts that are in it. */
export interface EntryPlan extends InputPlan {
  readonly text: TextInputs | null;
}

type Tensors = ReadonlyMap<string, TensorValue>;

/**
 * One entry: what it is called (its file, its text, or which of random ones it is), what the network was given, and its
 * features by output name.
 */
export interface EntryRun {
  readonly name: string;
  readonly feeds: Tensors;
  readonly values: Tensors;
}

/** Characters of a text that an entry is called by. */
const LONGEST_NAME = 60;

/** Entries in a page: each has its pictures. */
const MOST_ENTRIES = 64;

/**
 * The features of a model, one entry after the other: where pictures of each are looked at, several at once bring
 * nothing.
 */
export class EntryRuns implements AsyncDisposable {
  private constructor(
    readonly runner: FeatureRunner,
    readonly plan: EntryPlan,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** @throws what `FeatureRunner.open` and `planInputs` throw; UsageError without an input, or with too many entries */
  static async open(source: string | Uint8Array, options: EntryRunOptions): Promise<EntryRuns> {
    const runner = await FeatureRunner.open(source, options);
    try {
      return new EntryRuns(runner, await planOf(runner, options), options.signal);
    } catch (error) {
      await runner.close();
      throw error;
    }
  }

  /** @throws IoError, RuntimeError; UsageError for a batch whose entries nobody can tell apart */
  async *entries(plan = this.plan): AsyncGenerator<EntryRun, void> {
    const { runner, signal } = this;
    const batchSize = plan.fixedBatch ?? 1;
    const batched = new Set(plan.inputs.filter(({ isBatched }) => isBatched).map(({ name }) => name));
    const joinings = batchSize === 1 ? new Map<string, Joining | null>() : await this.joinings(plan, batched);
    for await (const batch of batches(plan, { batchSize, signal })) {
      const values = await runner.run(batch.feeds);
      for (let row = 0; row < batch.rows; row++) {
        const own = (tensors: Tensors, joiningOf: (name: string) => Joining | null): Tensors =>
          batch.size === 1
            ? tensors
            : new Map([...tensors].map(([name, value]) => [name, entryOf(value, row, batch.size, joiningOf(name))]));
        const entry = batch.entries[row];
        yield {
          name: nameOf(plan, entry?.file ?? null, batch.start + row),
          feeds: own(batch.feeds, (name) => (batched.has(name) ? ALONG_ROWS : null)),
          values: own(values, (name) => joinings.get(name) ?? null),
        };
      }
    }
  }

  /** How entries lie in what a model makes that fixes its batch: as `run` proves it for further batches. */
  private async joinings(plan: InputPlan, batched: ReadonlySet<string>): Promise<ReadonlyMap<string, Joining | null>> {
    const { runner, signal } = this;
    const batchSize = plan.fixedBatch ?? 1;
    const entries = await runner.entriesIn({
      batched: [...batched],
      hasBatchAxis: plan.inputs.every((input) => input.hasBatchAxis),
      fixed: plan.fixedBatch,
      varied: plan.ownSizes,
    });
    return joiningsOf({
      entries,
      rows: Math.max(plan.rows, batchSize + 1),
      batchSize,
      isFixed: true,
      batched,
      first: () => firstBatch(plan, { batchSize, signal }),
      run: (feeds) => runner.run(feeds),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.runner.close();
  }
}

/** What feeds a runner. */
export async function planOf(runner: FeatureRunner, options: EntryRunOptions): Promise<EntryPlan> {
  const { inputs = [], texts = [], fileSystem, image, remote, signal, tensorLimits: limits } = options;
  if (inputs.length === 0 && texts.length === 0)
    throw new UsageError('no input is given', {
      code: 'FEATX_USAGE_INPUT',
      hint: `name files with ${option('inputs')}, or try ${option('inputs', ['random'])}`,
    });
  const elsewhere = (): ReturnType<FeatureRunner['elsewhere']> => runner.elsewhere();
  const asked = { ...options, texts, elsewhere };
  const text = texts.length === 0 ? null : await textInputs(runner.path, runner.session.inputs, asked);
  const plan = await planInputs(inputs, runner.session.inputs, {
    fileSystem,
    image,
    remote,
    signal,
    limits,
    recipe: (input) => runner.recipeFor(input, image?.preprocess, fileSystem),
    shapes: runner.inputShapes,
    given: runner.givenInputs,
    made: text?.items,
    elsewhere,
  });
  if (plan.rows > MOST_ENTRIES)
    throw new UsageError(`${plan.rows} entries are more than a page shows; it shows ${MOST_ENTRIES} at most`, {
      code: 'FEATX_USAGE_INPUT',
      hint: 'name fewer files',
    });
  return {
    ...plan,
    text,
    files: [...plan.files, ...(text?.files ?? [])],
    warnings: [...(text?.warnings ?? []), ...plan.warnings],
  };
}

function nameOf({ text }: EntryPlan, file: string | null, at: number): string {
  const own = text?.entries[at]?.text;
  if (own !== undefined) return own.length <= LONGEST_NAME ? own : `${own.slice(0, LONGEST_NAME)}…`;
  return file === null ? `random entry ${at}` : basename(file);
}

/** An entry's own part of a batch; the whole of what is one for all entries. */
function entryOf(value: TensorValue, row: number, size: number, joining: Joining | null): TensorValue {
  if (joining?.kind !== 'along') return value;
  const parts = value.shape[joining.axis] / size;
  return takeAlong(value, joining.axis, row * parts, (row + 1) * parts);
}
