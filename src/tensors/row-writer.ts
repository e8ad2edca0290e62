import type { TensorValue } from '../onnx/tensor-value.js';
import { dirname } from 'node:path';
import { UsageError } from '../errors.js';
import { option } from '../options/words.js';
import { resolveTarget } from '../wire/target.js';
import { TemporaryFile } from '../wire/temporary-file.js';
import type { FeatureWriter, WriterOptions, WrittenFile } from './feature-writer.js';
import { ALONG_ROWS, type Joining } from './joining.js';
import { assertHolds, outputKeys, type RowFormat } from './output-format.js';
import type { Entry } from './provenance.js';
import type { RowColumn, RowEncoder } from './row-encoder.js';
import { rowEncoder } from './row-encoders.js';
import { rowsOf } from './row-text.js';
import { describe } from './tensor.js';

/** A feature as the first batch has it. */
interface Known {
  readonly name: string;
  readonly key: string;
  readonly dtype: string;
  readonly joining: Joining | null;
  readonly axes: number;
  readonly shape: readonly number[];
}

/** Writes a row an entry; nothing appears under the target's name before `finish`. */
export class RowWriter implements FeatureWriter {
  private known: readonly Known[] = [];
  private size = 0;
  private count = 0;
  private pending: Promise<void> = Promise.resolve();
  readonly warnings: string[] = [];

  private constructor(
    readonly target: string,
    readonly format: RowFormat,
    private readonly encoder: RowEncoder,
    /** Null where the rows go somewhere else. */
    private readonly file: TemporaryFile | null,
    private readonly options: WriterOptions,
  ) {}

  /**
   * Checks the target and creates the temporary file.
   * @throws UsageError for links and targets that are also inputs; IoError
   */
  static async open(target: string, format: RowFormat, options: WriterOptions): Promise<RowWriter> {
    const encoder = rowEncoder(format);
    if (options.write !== undefined) return new RowWriter(target, format, encoder, null, options);
    const path = await resolveTarget(target, options.inputs ?? [], options);
    const file = await TemporaryFile.create(dirname(path), options.fileSystem);
    return new RowWriter(path, format, encoder, file, options);
  }

  async write(batch: ReadonlyMap<string, TensorValue>, rows: number, entries: readonly Entry[] = []): Promise<void> {
    await this.pending;
    this.options.signal?.throwIfAborted();
    if (this.count === 0) this.begin(batch, rows);
    const columns = this.columnsOf(batch, rows);
    const own = Array.from({ length: rows }, (_, row) => entries[row] ?? { file: null, index: this.count + row });
    this.count += rows;
    this.pending = this.encoder.encode({ entries: own, columns }).then((bytes) => this.append(bytes));
    // Reported by whoever awaits `pending` next.
    this.pending.catch(() => undefined);
  }

  private begin(batch: ReadonlyMap<string, TensorValue>, rows: number): void {
    const { joinings, offsets } = this.options;
    const features = new Map([...batch].filter(([name]) => offsets?.has(name) !== true));
    assertHolds(this.format, features, this.target);
    const keys = outputKeys(this.format, [...features.keys()]);
    this.known = [...features].map(([name, tensor], at) => {
      const joining = joinings === undefined ? ALONG_ROWS : (joinings.get(name) ?? null);
      const shape = rowsOf(tensor, rows, joining)?.shape ?? [];
      return { name, key: keys[at], dtype: tensor.dtype, joining, axes: shape.length, shape };
    });
  }

  /** @throws UsageError for a feature that has no part for each entry, or is another than in the batches before */
  private columnsOf(batch: ReadonlyMap<string, TensorValue>, rows: number): RowColumn[] {
    return this.known.map(({ name, key, dtype, axes, joining }) => {
      const tensor = batch.get(name);
      if (tensor === undefined) throw new UsageError(`a batch has no ${name}`);
      const found = rowsOf(tensor, rows, joining);
      if (found === null)
        throw new UsageError(
          `${name} is ${describe(tensor)} for ${rows} ${rows === 1 ? 'entry' : 'entries'}: it has no row for each in ${this.target}`,
          { code: 'FEATX_USAGE_BATCH', hint: `write .npz or .safetensors, or leave this feature out` },
        );
      if (tensor.dtype !== dtype || found.shape.length !== axes)
        throw new UsageError(
          `${name} is ${describe(tensor)}, and ${dtype} of ${axes} axes an entry in the batches before`,
          { hint: `run all with the same ${option('batchSize')}` },
        );
      return { key, ...found };
    });
  }

  private async append(bytes: Uint8Array): Promise<void> {
    if (this.file === null) await this.options.write?.(bytes);
    else await this.file.write(bytes, this.size);
    this.size += bytes.length;
  }

  finish(): Promise<WrittenFile[]> {
    const written = this.pending.then(() => this.complete());
    // Disposal waits for it, also where the caller does not.
    this.pending = written.then(() => undefined);
    this.pending.catch(() => undefined);
    return written;
  }

  private async complete(): Promise<WrittenFile[]> {
    const { origin, totalRows } = this.options;
    if (this.count === 0) throw new UsageError('there is no batch to write');
    if (totalRows !== null && totalRows !== this.count)
      throw new UsageError(`${this.count} of the ${totalRows} entries announced came`, { path: this.target });
    // The names of the entries are a column.
    const text = origin === undefined ? undefined : JSON.stringify({ ...origin.provenance, entries: this.count });
    await this.append(await this.encoder.end(text));
    if (this.encoder.nulls > 0)
      this.warnings.push(
        `${this.encoder.nulls} values are not a number or infinite and stand as null in ${this.target}: .parquet and .npz keep them`,
      );
    if (this.file !== null) {
      await this.file.seal(this.size);
      this.options.signal?.throwIfAborted();
      await this.file.commit(this.target);
    }
    const tensors = this.known.map(({ name, key, shape }) => ({ name, key, shape: [this.count, ...shape] }));
    return [{ path: this.target, sizeBytes: this.size, tensors }];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pending.catch(() => undefined);
    await this.file?.discard();
  }
}
