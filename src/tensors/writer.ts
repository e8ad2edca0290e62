import type { TensorValue } from '../onnx/tensor-value.js';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checksum } from './checksum.js';
import { UsageError } from '../errors.js';
import { ioError, nodeFileSystem, orNothing } from '../wire/fs.js';
import { commitAll } from '../wire/put-in-place.js';
import { resolveTarget } from '../wire/target.js';
import { TemporaryFile } from '../wire/temporary-file.js';
import type { FeatureWriter, WriterOptions, WrittenFile } from './feature-writer.js';
import { ALONG_ROWS, axisOf, joinAlong, runsAround, type Joining } from './joining.js';
import { specBytes, type ArraySpec, type FileLayout } from './layout.js';
import { ARRAY_FORMATS, assertHolds, outputKeys, type ArrayFormat } from './output-format.js';
import { provenanceText, type Entry } from './provenance.js';
import { describe, isStrings, valueBytes } from './tensor.js';
import { encodeStrings, longestOf } from './text-arrays.js';

/** A tensor of the result as far as its batches have told. */
interface Track {
  readonly name: string;
  readonly key: string;
  readonly dtype: string;
  readonly joining: Joining;
  /** Shape of the first batch's tensor. */
  readonly shape: readonly number[];
  /** Parts of an entry along axis 0. */
  readonly parts: number;
  /** What each batch brought along the axis. */
  readonly lengths: number[];
  rows: number;
  bytes: number;
  checksum: number;
  /** Batches of strings, which get the room of the longest. */
  readonly texts: TensorValue[];
}

/** One file of the result, its temporary file, and the tracks in it. */
interface Part {
  readonly target: string;
  readonly file: TemporaryFile;
  readonly tracks: readonly Track[];
}

/** Parts whose layout is known: values go to their final places. */
interface Placed {
  readonly layouts: readonly FileLayout[];
  readonly specs: ReadonlyMap<Track, ArraySpec>;
}

/**
 * Writes tensors that come in batches along axis 0. Where the number of entries is known, every batch is written to its
 * final place as it comes; otherwise values go to a temporary file each and are put together at the end. Nothing
 * appears under the target's name before `finish`, and a failure leaves the target as it was; the files of a directory
 * are put in place one after the other, each whole.
 * @example `await using writer = await TensorWriter.open('features.npz', { totalRows }); … await writer.write(batch,
 * rows); … await writer.finish();`
 */
export class TensorWriter implements FeatureWriter {
  private tracks: readonly Track[] = [];
  private parts: readonly Part[] = [];
  private placed: Placed | null = null;
  private readonly spools = new Map<Track, TemporaryFile>();
  private readonly staged: TemporaryFile[];
  private pending: Promise<void> = Promise.resolve();
  private batches = 0;
  private readonly entries: Entry[] = [];
  readonly warnings: string[] = [];

  private constructor(
    /** The file or directory that will be there. */
    readonly target: string,
    readonly format: ArrayFormat,
    private readonly directory: string,
    first: TemporaryFile,
    private readonly options: WriterOptions,
  ) {
    this.staged = [first];
  }

  /**
   * Checks the target and creates the first temporary file.
   * @throws UsageError for links and targets that are also inputs; IoError for a folder that cannot be, or `noClobber`
   */
  static async open(target: string, format: ArrayFormat, options: WriterOptions): Promise<TensorWriter> {
    const fs = options.fileSystem ?? nodeFileSystem;
    if (options.write !== undefined) {
      const directory = tmpdir();
      return new TensorWriter(target, format, directory, await TemporaryFile.create(directory, fs), options);
    }
    const state = await orNothing(fs.stat(target), target);
    const isDirectory = state?.isDirectory() ?? false;
    if (format === 'pb-directory' && state !== null && !isDirectory)
      throw new UsageError(`${target} is a file, not a directory`, { code: 'FEATX_USAGE_OUTPUT', path: target });
    const path =
      format === 'pb-directory'
        ? target.replace(/(?<=.)[/\\]+$/, '')
        : await resolveTarget(target, options.inputs ?? [], options);
    const directory = isDirectory ? path : dirname(path);
    return new TensorWriter(path, format, directory, await TemporaryFile.create(directory, fs), options);
  }

  async write(batch: ReadonlyMap<string, TensorValue>, rows: number, entries: readonly Entry[] = []): Promise<void> {
    await this.pending;
    this.options.signal?.throwIfAborted();
    if (this.batches++ === 0) await this.begin(batch, rows);
    const tensors = this.match(batch, rows);
    // Those that are known from the beginning are not kept twice.
    if (this.options.origin?.entries === null) this.entries.push(...entries);
    this.pending = this.store(tensors);
    // Reported by whoever awaits `pending` next.
    this.pending.catch(() => undefined);
  }

  private async begin(batch: ReadonlyMap<string, TensorValue>, rows: number): Promise<void> {
    const names = [...batch.keys()];
    const { totalRows, joinings } = this.options;
    assertHolds(this.format, batch, this.target);
    const keys = outputKeys(this.format, names);
    this.tracks = [...batch].map(([name, { dtype, shape }], index) => ({
      name,
      key: keys[index],
      dtype,
      joining: joinings?.get(name) ?? ALONG_ROWS,
      shape,
      parts: shape[0] / rows,
      lengths: [],
      rows: 0,
      bytes: 0,
      checksum: 0,
      texts: [],
    }));
    this.parts = await this.openParts();
    const shapes = this.tracks.map((track) => (track.dtype === 'string' ? null : wholeShape(track, rows, totalRows)));
    if (shapes.every((shape) => shape !== null)) this.place(shapes);
    else for (const track of this.tracks) if (track.dtype !== 'string') this.spools.set(track, await this.stage());
  }

  private async stage(): Promise<TemporaryFile> {
    const file = await TemporaryFile.create(this.directory, this.options.fileSystem);
    this.staged.push(file);
    return file;
  }

  private async openParts(): Promise<Part[]> {
    const [first] = this.staged;
    if (this.format !== 'pb-directory') return [{ target: this.target, file: first, tracks: this.tracks }];
    const parts: Part[] = [];
    for (const track of this.tracks) {
      const target = join(this.target, `${track.key}.pb`);
      if (this.directory === this.target) await resolveTarget(target, this.options.inputs ?? [], this.options);
      parts.push({ target, file: parts.length === 0 ? first : await this.stage(), tracks: [track] });
    }
    return parts;
  }

  private place(shapes: readonly (readonly number[])[]): Placed {
    const isDirectory = this.format === 'pb-directory';
    const specs = new Map(
      this.tracks.map((track, index): readonly [Track, ArraySpec] => {
        const { name, key, dtype, texts } = track;
        const longest = texts.map(({ data }) => (isStrings(data) ? longestOf(data) : 1));
        const characters = dtype === 'string' ? { characters: Math.max(1, ...longest) } : {};
        return [track, { key: isDirectory ? name : key, dtype, shape: shapes[index], ...characters }];
      }),
    );
    const provenance = this.provenance();
    const layouts = this.parts.map(({ tracks }) =>
      ARRAY_FORMATS[this.format].layout(
        tracks.flatMap((track) => specs.get(track) ?? []),
        provenance,
      ),
    );
    for (const [part, { tracks }] of this.parts.entries()) {
      for (const [index, track] of tracks.entries()) track.checksum = layouts[part].checksumSeeds?.[index] ?? 0;
    }
    this.placed = { layouts, specs };
    return this.placed;
  }

  private provenance(): string | undefined {
    const { origin } = this.options;
    const { provenanceBytes: longest } = ARRAY_FORMATS[this.format];
    if (origin === undefined || longest === 0) return undefined;
    const entries = origin.entries ?? this.entries;
    const { text, isWhole } = provenanceText(origin.provenance, entries, longest);
    if (!isWhole)
      this.warnings.push(
        `the names of ${entries.length} entries do not fit into ${this.target}: .safetensors, .parquet, .jsonl and .csv keep them`,
      );
    return text;
  }

  /** The tensors of a batch in the order of the first, checked against it. */
  private match(batch: ReadonlyMap<string, TensorValue>, rows: number): TensorValue[] {
    const unknown = [...batch.keys()].filter((name) => !this.tracks.some((track) => track.name === name));
    const missing = this.tracks.filter(({ name }) => !batch.has(name)).map(({ name }) => name);
    const changes = [...unknown.map((name) => `${name} is new`), ...missing.map((name) => `${name} is missing`)];
    if (changes.length > 0)
      throw new UsageError(`batch ${this.batches} has other tensors than the first: ${changes.join(', ')}`);
    return this.tracks.map((track) => {
      const tensor = batch.get(track.name) ?? { dtype: track.dtype, shape: [], data: [] };
      if (this.batches > 1 && !this.joins(track, tensor, rows)) {
        const axis = axisOf(track.joining);
        const known = track.shape.map((dim, at) => (at === axis ? (this.placed === null ? null : 'batch') : dim));
        const before =
          track.shape.length === 0 ? `a scalar ${track.dtype}` : describe({ dtype: track.dtype, shape: known });
        throw new UsageError(
          `${track.name} is ${describe(tensor)} in batch ${this.batches} of ${rows} and cannot be joined to ${before} of the batches before`,
          {
            hint: 'run all inputs in one batch, or each by itself',
          },
        );
      }
      return tensor;
    });
  }

  private joins(track: Track, tensor: TensorValue, rows: number): boolean {
    const { dtype, shape, bytes } = track;
    const axis = axisOf(track.joining);
    if (
      (axis !== null && shape.length === 0) ||
      tensor.dtype !== dtype ||
      tensor.shape.length !== shape.length ||
      shape.some((dim, at) => at !== axis && dim !== tensor.shape[at])
    )
      return false;
    if (axis === null || this.placed === null) return true;
    return tensor.shape[0] === track.parts * rows && bytes + valueBytes(tensor).length <= roomOf(this.placed, track);
  }

  private async store(tensors: readonly TensorValue[]): Promise<void> {
    const values = new Map(this.tracks.map((track, index) => [track, tensors[index]]));
    for (const [part, { file, tracks }] of this.parts.entries()) {
      for (const [index, track] of tracks.entries()) {
        const tensor = values.get(track);
        const axis = axisOf(track.joining);
        if (tensor === undefined || (axis === null && track.lengths.length > 0)) continue;
        track.lengths.push(tensor.shape[axis ?? 0] ?? 1);
        track.rows += tensor.shape[axis ?? 0] ?? 1;
        if (isStrings(tensor.data)) {
          track.texts.push(tensor);
          continue;
        }
        const bytes = valueBytes(tensor);
        if (this.placed === null) await this.spools.get(track)?.write(bytes, track.bytes);
        else await this.append(track, { file, layout: this.placed.layouts[part], index }, bytes);
        if (this.placed === null) track.bytes += bytes.length;
      }
    }
  }

  private async append(
    track: Track,
    { file, layout, index }: { readonly file: TemporaryFile; readonly layout: FileLayout; readonly index: number },
    bytes: Uint8Array,
  ): Promise<void> {
    if (layout.checksumSeeds !== null) track.checksum = checksum(bytes, track.checksum);
    await file.write(bytes, layout.offsets[index] + track.bytes);
    track.bytes += bytes.length;
  }

  finish(): Promise<WrittenFile[]> {
    const written = this.pending.then(() => this.complete());
    // Disposal waits for it, also where the caller does not.
    this.pending = written.then(() => undefined);
    this.pending.catch(() => undefined);
    return written;
  }

  private async complete(): Promise<WrittenFile[]> {
    if (this.batches === 0) throw new UsageError('there is no batch to write');
    const placed = this.placed ?? (await this.gather());
    const { layouts, specs } = placed;
    const short = this.tracks.filter((track) => track.bytes !== roomOf(placed, track));
    if (short.length > 0) {
      throw new UsageError(
        `${short.map(({ name, rows }) => `${name} has ${rows}`).join(', ')} of the ${this.options.totalRows} entries announced`,
        {
          path: this.target,
        },
      );
    }
    for (const [part, { file, tracks }] of this.parts.entries()) {
      for (const { position, bytes } of layouts[part].frame(tracks.map(({ checksum }) => checksum)))
        await file.write(bytes, position);
      if (this.options.write === undefined) await file.seal(layouts[part].size);
      else for await (const chunk of file.chunks(layouts[part].size)) await this.options.write(chunk);
    }
    this.options.signal?.throwIfAborted();
    await this.putInPlace();
    const written = (track: Track): WrittenFile['tensors'][number] => ({
      name: track.name,
      key: track.key,
      shape: specs.get(track)?.shape ?? [],
    });
    return this.parts.map(({ target, tracks }, part) => ({
      path: target,
      sizeBytes: layouts[part].size,
      tensors: tracks.map(written),
    }));
  }

  private async putInPlace(): Promise<void> {
    if (this.options.write !== undefined) return;
    const fs = this.options.fileSystem ?? nodeFileSystem;
    if (this.format === 'pb-directory' && this.directory !== this.target)
      await fs.mkdir(this.target).catch((error: unknown) => {
        throw ioError(error, 'create the directory', this.target);
      });
    await commitAll(this.parts, fs);
  }

  /** Copies spooled values to their places, now that every shape is known. */
  private async gather(): Promise<Placed> {
    const placed = this.place(
      this.tracks.map(({ joining, shape, rows }) => shape.map((dim, at) => (at === axisOf(joining) ? rows : dim))),
    );
    for (const [part, { file, tracks }] of this.parts.entries()) {
      for (const [index, track] of tracks.entries()) {
        const place = { file, layout: placed.layouts[part], index };
        for (const some of encodedTexts(track, placed.specs.get(track)?.characters ?? 1))
          await this.append(track, place, some);
        const spool = this.spools.get(track);
        if (spool === undefined) continue;
        for await (const chunk of spooled(spool, track)) await this.append(track, place, chunk);
        await spool.discard();
      }
    }
    return placed;
  }

  /** Removes whatever temporary files are left: all of them before `finish`, none after it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.pending.catch(() => undefined);
    for (const file of this.staged) await file.discard();
  }
}

const STRINGS_AT_ONCE = 4096;

/** Bytes that the values of a track take in its file. */
function roomOf({ specs }: Placed, track: Track): number {
  const spec = specs.get(track);
  return spec === undefined ? 0 : specBytes(spec);
}

/** The strings of a track in the order of the whole array, as the bytes of its file. */
function* encodedTexts({ texts, joining, name }: Track, characters: number): Generator<Uint8Array> {
  if (texts.length === 0) return;
  const { data } = joinAlong(texts, axisOf(joining) ?? 0);
  for (let start = 0; isStrings(data) && start < data.length; start += STRINGS_AT_ONCE)
    yield encodeStrings(data.slice(start, start + STRINGS_AT_ONCE), characters, name);
}

/** The shape that all batches together have; null if it is not known from the first. */
function wholeShape({ joining, shape }: Track, rows: number, totalRows: number | null): readonly number[] | null {
  if (joining.kind === 'once' || (rows === totalRows && joining.kind !== 'ragged')) return shape;
  if (totalRows === null || joining.kind === 'ragged' || joining.axis > 0 || shape.length === 0) return null;
  const parts = shape[0] / rows;
  return Number.isInteger(parts) ? [parts * totalRows, ...shape.slice(1)] : null;
}

/** The values of a track in the order of the whole array: batch by batch, for each place in front of its axis. */
async function* spooled(spool: TemporaryFile, track: Track): AsyncGenerator<Uint8Array> {
  const { joining, shape, lengths, rows } = track;
  const size = track.bytes;
  const axis = axisOf(joining) ?? 0;
  track.bytes = 0;
  if (axis === 0 || lengths.length === 1) {
    yield* spool.chunks(size);
    return;
  }
  const { outer } = runsAround(shape, axis);
  const width = size / outer / rows;
  for (let at = 0; at < outer; at++) {
    let start = 0;
    for (const length of lengths) {
      yield* spool.chunks(length * width, start + at * length * width);
      start += outer * length * width;
    }
  }
}
