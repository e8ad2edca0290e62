import { UsageError } from './errors.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { FeatureRunner, type RunnerOptions } from './runner.js';
import { batches } from './tensors/batches.js';
import { takeAlong } from './tensors/joining.js';
import { planInputs, type InputPlan } from './tensors/input-plan.js';

/** What entries are run with. */
export type EntryRunOptions = RunnerOptions & { readonly inputs?: readonly string[] };

type Tensors = ReadonlyMap<string, TensorValue>;

/** One entry: what it is called, what the network was given, and its features by output name. */
export interface EntryRun {
  readonly name: string;
  readonly feeds: Tensors;
  readonly values: Tensors;
}

/** Entries in a page: each has its pictures. */
const MOST_ENTRIES = 64;

/**
 * The features of a model, one entry after the other: where pictures of each are looked at, several at once bring
 * nothing.
 */
export class EntryRuns implements AsyncDisposable {
  private constructor(
    readonly runner: FeatureRunner,
    readonly plan: InputPlan,
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
    for await (const batch of batches(plan, { batchSize: plan.fixedBatch ?? 1, signal })) {
      const values = await runner.run(batch.feeds);
      for (let row = 0; row < batch.rows; row++) {
        const own = (tensors: Tensors): Tensors =>
          batch.size === 1
            ? tensors
            : new Map([...tensors].map(([name, value]) => [name, entryOf(name, value, row, batch.size)]));
        const entry = batch.entries[row];
        yield {
          name: entry?.file ?? `random entry ${batch.start + row}`,
          feeds: own(batch.feeds),
          values: own(values),
        };
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.runner.close();
  }
}

/** What feeds a runner. */
export async function planOf(runner: FeatureRunner, options: EntryRunOptions): Promise<InputPlan> {
  const { inputs = [], fileSystem, image, remote, signal, tensorLimits: limits } = options;
  if (inputs.length === 0)
    throw new UsageError('no input is given', {
      code: 'FEATX_USAGE_INPUT',
      hint: `name files with ${option('inputs')}, or try ${option('inputs', ['random'])}`,
    });
  const plan = await planInputs(inputs, runner.session.inputs, {
    fileSystem,
    image,
    remote,
    signal,
    limits,
    recipe: (input) => runner.recipeFor(input, image?.preprocess, fileSystem),
    shapes: runner.inputShapes,
    given: runner.givenInputs,
  });
  if (plan.rows > MOST_ENTRIES)
    throw new UsageError(`${plan.rows} entries are more than a page shows; it shows ${MOST_ENTRIES} at most`, {
      code: 'FEATX_USAGE_INPUT',
      hint: 'name fewer files',
    });
  return plan;
}

function entryOf(name: string, value: TensorValue, row: number, size: number): TensorValue {
  if (value.shape[0] !== size)
    throw new UsageError(
      `the model runs in batches of ${size}, and ${name} is [${value.shape.join(', ')}]: nobody can tell its entries apart`,
    );
  return takeAlong(value, 0, row, row + 1);
}
