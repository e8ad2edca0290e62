import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import { FeatxError, UsageError } from './errors.js';
import type { FeatureRunner } from './runner.js';
import { joinAlong, type Joining } from './tensors/joining.js';
import { takeRows } from './tensors/tensor.js';

/** What of a runner a batch needs. */
export type BatchRunner = Pick<FeatureRunner, 'run' | 'recycle' | 'close'>;

/** A batch to run: `size` entries along axis 0 of the batched feeds, the same values for the others in every batch. */
export interface DeviceBatch {
  readonly size: number;
  readonly feeds: ReadonlyMap<string, TensorValue>;
}

/** How batches are run on a device. */
export interface DeviceRunsOptions<Runner> {
  /** A fresh session, and a fresh process where the model has one of its own. */
  readonly reopen: () => Promise<Runner>;
  /** Inputs whose axis 0 counts entries. */
  readonly batched: ReadonlySet<string>;
  /** How parts of each feature are joined, by output name; null where nobody knows. */
  readonly joinings: ReadonlyMap<string, Joining | null>;
  /** Whether the model takes only batches of one size. */
  readonly isFixed: boolean;
}

/**
 * Runs batches on a device. One that does not fit into its memory is run again in halves, in a fresh session: after
 * such a failure the old one and its process are not to be trusted.
 */
export class DeviceRuns<Runner extends BatchRunner> implements AsyncDisposable {
  /** The most entries that are run at once. */
  private largest = Number.POSITIVE_INFINITY;
  private renewed: Promise<void> = Promise.resolve();
  private current: Runner;
  /** The runner that failed last. */
  private discarded: Runner | null = null;

  constructor(
    first: Runner,
    private readonly options: DeviceRunsOptions<Runner>,
  ) {
    this.current = first;
  }

  /** The runner in use. */
  get runner(): Runner {
    return this.current;
  }

  get warnings(): readonly string[] {
    return Number.isFinite(this.largest)
      ? [
          `the memory of the device held ${this.largest} ${this.largest === 1 ? 'entry' : 'entries'} at once: batches were run in parts`,
        ]
      : [];
  }

  /**
   * Features by output name. Several runs may wait; they are done in order.
   * @throws what the runner throws; UsageError where features of parts cannot be joined
   */
  async run(batch: DeviceBatch): Promise<ReadonlyMap<string, TensorValue>> {
    await this.renewed;
    const runner = this.current;
    try {
      return await this.inParts(runner, batch);
    } catch (error) {
      // Otherwise another run's failure took the session along.
      if (this.discarded !== runner) this.shrink(batch, error);
      return this.run(batch);
    }
  }

  private async inParts(runner: Runner, { size, feeds }: DeviceBatch): Promise<ReadonlyMap<string, TensorValue>> {
    if (size <= this.largest) return runner.run(feeds);
    const parts: ReadonlyMap<string, TensorValue>[] = [];
    for (let start = 0; start < size; start += this.largest) {
      const rows = Math.min(this.largest, size - start);
      const part = new Map(
        [...feeds].map(([name, value]) => [
          name,
          this.options.batched.has(name) ? takeRows(value, start, start + rows) : value,
        ]),
      );
      parts.push(await runner.run(part));
    }
    const [first] = parts;
    return new Map(
      [...first.keys()].map((name) => [
        name,
        this.joined(
          name,
          parts.flatMap((part) => part.get(name) ?? []),
        ),
      ]),
    );
  }

  private joined(name: string, parts: readonly TensorValue[]): TensorValue {
    const joining = this.options.joinings.get(name) ?? null;
    if (joining === null)
      throw new UsageError(
        `${name} has the shape [${parts[0].shape.join(', ')}] for a part of a batch, and nobody knows along which axis its parts are joined`,
        { code: 'FEATX_USAGE_BATCH', hint: `use a smaller ${option('batchSize')}, or leave this feature out` },
      );
    return joining.kind === 'once' ? parts[0] : joinAlong(parts, joining.kind === 'along' ? joining.axis : 0);
  }

  /** Replaces the session by one for smaller parts. @throws the error, where parts do not help */
  private shrink({ size }: DeviceBatch, error: unknown): void {
    const tried = Math.min(size, this.largest);
    if (!(error instanceof FeatxError) || error.code !== 'FEATX_DEVICE_MEMORY' || this.options.isFixed || tried === 1)
      throw error;
    this.largest = Math.ceil(tried / 2);
    const old = this.current;
    this.discarded = old;
    this.renewed = old.close().then(async () => {
      this.current = await this.options.reopen();
    });
    // Reported by the run that waits for it.
    this.renewed.catch(() => undefined);
  }

  recycle(results: ReadonlyMap<string, TensorValue>): void {
    this.current.recycle(results);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.renewed.catch(() => undefined);
    await this.current.close();
  }
}
