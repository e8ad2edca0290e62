import { option } from '../options/words.js';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { FeatxError, IoError, PolicyError } from '../errors.js';
import { FileSource } from '../wire/file-source.js';
import { isSameFile } from '../wire/file-state.js';
import { errnoOf, ioError, orNothing, writeFully, type FileHandle, type FileSystem } from '../wire/fs.js';
import { isGone, thisWriter, type Writer } from '../wire/writers.js';
import type { BorrowedPiece } from '../wire/pieces.js';
import { writeFile } from '../wire/sink.js';
import { decodeLine, encodeLine, headOf, type JournalRecord } from './journal-lines.js';
import { isRecord } from '../options/schema.js';

/**
 * The journal of a batch: one JSON record per line, appended and synced before the record is reported. It is the
 * memory of an interrupted run and the cache of
 * the next one. Every line carries a digest of itself, so that a torn or altered line is as good as none.
 */

interface Place {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const WINDOW = 1024 * 1024;
/** How the names of journals end. */
export const SUFFIX = '.journal.jsonl';
/** Less than this is not worth rewriting. */
const SMALL = 64 * 1024;

/** What a run says of itself when it starts. */
export interface RunHeader {
  readonly plan: string;
  readonly shard: string;
}

/** The journal of one batch, open for writing or recalled to be read. */
export class Journal {
  /**
   * Where the last record of each item with a `made` is, in any journal of the directory. Says nothing of what this run
   * appends: memory is flat.
   */
  private readonly cache = new Map<string, Place>();
  /** Records of the run that goes on, or after `reread` of this run. */
  private readonly current = new Map<string, Place>();
  /** Where the run that goes on says that it starts. */
  private header: Place | null = null;
  private readonly waiting: Waiting[] = [];
  private flushing: Promise<void> | null = null;
  /** Why nothing can be written any more. */
  private failure: { readonly cause: unknown } | null = null;
  private readonly readers = new Map<string, FileSource>();
  private run = '';
  /** Bytes of it that have been written. */
  private written = 0;
  private last: (JournalRecord & { readonly ended: boolean }) | null = null;

  private constructor(
    private readonly fs: FileSystem,
    private readonly path: string,
    private file: FileHandle | null,
    private size: number,
  ) {}

  /** Opens or creates the journal `name` in a directory and reads what all journals there remember. @throws IoError */
  static async open(fs: FileSystem, directory: string, name: string): Promise<Journal> {
    const path = join(directory, `${name}${SUFFIX}`);
    try {
      await fs.mkdir(directory);
      const others = (await fs.readdir(directory))
        .filter((entry) => entry.endsWith(SUFFIX))
        .sort()
        .map((entry) => join(directory, entry));
      const state = await orNothing(fs.lstat(path), path);
      if (state !== null && !state.isFile())
        throw new PolicyError(
          `${path} is not a regular file, and the journal of the batch would be written through it`,
          {
            code: 'FEATX_BATCH_JOURNAL',
            path,
            hint: `remove it, or choose another ${option('stateDirectory')} directory`,
          },
        );
      const journal = new Journal(fs, path, await fs.open(path, 'a+', 0o666), 0);
      // Its own last: it knows best.
      for (const other of [...others.filter((entry) => entry !== path), path]) await journal.load(other);
      return journal;
    } catch (error) {
      throw error instanceof FeatxError ? error : ioError(error, 'keep the journal of the batch in', directory);
    }
  }

  /**
   * What the journals of a directory remember, without writing anything; a directory that is not there remembers
   * nothing.
   */
  static async recall(fs: FileSystem, directory: string): Promise<Journal> {
    const journal = new Journal(fs, '', null, 0);
    try {
      for (const entry of (await fs.readdir(directory)).sort())
        if (entry.endsWith(SUFFIX)) await journal.load(join(directory, entry));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT')
        throw error instanceof FeatxError ? error : ioError(error, 'read the journal of the batch in', directory);
    }
    return journal;
  }

  /** Starts a run, or goes on with the last one where that is wanted and it did not end. Returns whether it goes on. */
  async begin(header: RunHeader, resume: boolean): Promise<boolean> {
    const { last } = this;
    const goesOn = resume && last !== null && !last.ended;
    if (!goesOn) {
      this.current.clear();
      this.header = null;
    }
    if (last === null || last.ended || isGone(writerOf(last))) await this.compact();
    if (goesOn) {
      this.run = last.run;
      return true;
    }
    this.run = randomBytes(8).toString('hex');
    await this.append({ kind: 'run', run: this.run, ...header, writer: thisWriter(), started_ms: Date.now() });
    return false;
  }

  /** Makes a record durable. Records that come together are synced together. */
  private async append(record: JournalRecord): Promise<void> {
    const written = new Promise<void>((resolve, reject) =>
      this.waiting.push({ bytes: encodeLine(record), resolve, reject }),
    );
    this.flushing ??= this.flush().finally(() => (this.flushing = null));
    await written;
  }

  item(id: string, content: Readonly<Record<string, unknown>>): Promise<void> {
    return this.append({ kind: 'item', run: this.run, id, remembers: isRecord(content.made), ...content });
  }

  /**
   * Remembers what was made of an item; its record in this run stays as it is. Goes to the device with the next record:
   * where it is lost, the next run hashes.
   */
  remember(id: string, made: object): void {
    this.waiting.push({
      bytes: encodeLine({ kind: 'made', run: this.run, id, remembers: true, made }),
      resolve: () => undefined,
      reject: () => undefined,
    });
  }

  /** Makes the records of this run readable. */
  async reread(): Promise<void> {
    await this.flushing;
    this.current.clear();
    await this.load(this.path, this.run);
  }

  /** The last record of an item that says what was made; null where there is none. */
  cached(id: string): Promise<JournalRecord | null> {
    return this.read(id, this.cache.get(id));
  }

  /** The record of an item in this run; null where it has none yet. */
  ofThisRun(id: string): Promise<JournalRecord | null> {
    return this.read(id, this.current.get(id));
  }

  async end(summary: Readonly<Record<string, unknown>>): Promise<void> {
    await this.append({ kind: 'end', run: this.run, ...summary });
  }

  async close(): Promise<void> {
    await this.flushing;
    await this.flush();
    for (const reader of this.readers.values()) await reader.close();
    this.readers.clear();
    await this.file?.close().catch((error: unknown) => {
      throw ioError(error, 'close', this.path);
    });
  }

  private async flush(): Promise<void> {
    // The caller has just queued a record; whatever else is queued in this turn goes along.
    await Promise.resolve();
    while (this.file !== null && this.waiting.length > 0) {
      const { file } = this;
      const batch = this.waiting.splice(0);
      try {
        if (this.failure !== null) throw this.failure.cause;
        const bytes = Buffer.concat(batch.map((entry) => entry.bytes));
        await writeFully(file, bytes, this.written, this.path);
        this.written += bytes.length;
        await file.sync();
        await this.keepInPlace(file);
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        // Half a record may be there now, which would swallow the next; and what a device did not take once it has not
        // taken.
        this.failure ??= { cause };
        for (const { reject } of batch) reject(cause);
      }
    }
  }

  /**
   * A journal that was removed in the middle of a run, with its directory or without, is put back whole: the next run
   * is not to do everything again.
   * @throws IoError if something else has taken its place
   */
  private async keepInPlace(file: FileHandle): Promise<void> {
    const [found, own] = [await orNothing(this.fs.lstat(this.path), this.path), await file.stat()];
    if (isSameFile(found, own)) return;
    if (found !== null)
      throw new IoError(`the journal of the batch was replaced while it ran: ${this.path}`, { path: this.path });
    await this.fs.mkdir(dirname(this.path));
    const copy = await this.fs.open(this.path, 'ax+', 0o666);
    const window = new Uint8Array(WINDOW);
    for (let at = 0; at < this.written; ) {
      const count = await file.read(window.subarray(0, Math.min(WINDOW, this.written - at)), at);
      if (count === 0)
        throw new IoError(`the journal of the batch cannot be put back: ${this.path}`, { path: this.path });
      await writeFully(copy, window.subarray(0, count), at, this.path);
      at += count;
    }
    await copy.sync();
    this.file = copy;
    await file.close();
    for (const reader of this.readers.values()) await reader.close();
    this.readers.clear();
  }

  private async read(id: string, place: Place | undefined): Promise<JournalRecord | null> {
    if (place === undefined) return null;
    let reader = this.readers.get(place.file);
    if (reader === undefined || reader.size < place.end) {
      await reader?.close();
      reader = await FileSource.open(place.file, this.fs);
      this.readers.set(place.file, reader);
      if (reader.size < place.end) return null;
    }
    const record = decodeLine(Buffer.from(await reader.read(place.start, place.end)));
    return record?.id === id ? record : null;
  }

  /** Reads one journal, line by line; records of `run` alone count as those of this run, where it is given. */
  private async load(path: string, run: string | null = null): Promise<void> {
    const isOwn = path === this.path;
    const source = await FileSource.open(path, this.fs);
    try {
      let rest = Buffer.alloc(0);
      let at = 0;
      for (let start = 0; start < source.size; start += WINDOW) {
        const chunk = Buffer.from(await source.read(start, Math.min(source.size, start + WINDOW)));
        let from = 0;
        for (let newline = chunk.indexOf(10, from); newline >= 0; newline = chunk.indexOf(10, from)) {
          const line =
            rest.length === 0
              ? chunk.subarray(from, newline + 1)
              : Buffer.concat([rest, chunk.subarray(from, newline + 1)]);
          rest = Buffer.alloc(0);
          this.note(line, { file: path, start: at, end: at + line.length }, isOwn, run);
          at += line.length;
          from = newline + 1;
        }
        rest = Buffer.concat([rest, chunk.subarray(from)]);
      }
      if (!isOwn || run !== null) return;
      this.size = source.size;
      // A line that a crash cut short must not swallow the next one.
      if (rest.length > 0 && this.file !== null) {
        await writeFully(this.file, Uint8Array.of(10), this.size, path);
        this.size += 1;
      }
      this.written = this.size;
    } finally {
      await source.close();
    }
  }

  /** Notes what a line is about. Lines of items are checked when they are read: most never are. */
  private note(line: Buffer, place: Place, isOwn: boolean, run: string | null): void {
    const head = headOf(line);
    if (head !== null && head.id !== null) {
      if (head.remembers) this.cache.set(head.id, place);
      if (isOwn && head.kind === 'item' && head.run === (run ?? this.last?.run)) this.current.set(head.id, place);
      return;
    }
    const record = isOwn && run === null ? decodeLine(line) : null;
    switch (record?.kind) {
      case 'run':
        this.last = { ...record, ended: false };
        this.current.clear();
        this.header = place;
        return;
      case 'end':
        if (record?.run === this.last?.run) this.last = { ...this.last, ended: true };
        return;
      case 'item':
      case 'made':
      case undefined:
        return;
    }
  }

  /** Keeps the last useful records of each item, and the run that goes on, if most of the file is out of date. */
  private async compact(): Promise<void> {
    const places = [...this.cache.values(), ...this.current.values(), ...(this.header === null ? [] : [this.header])];
    const own = places.filter(({ file }) => file === this.path);
    const live = [...new Map(own.map((place) => [place.start, place])).values()].sort((a, b) => a.start - b.start);
    const kept = live.reduce((sum, { start, end }) => sum + end - start, 0);
    if (this.size < SMALL || kept * 2 > this.size) return;
    for (const reader of this.readers.values()) await reader.close();
    this.readers.clear();
    const source = await FileSource.open(this.path, this.fs);
    try {
      const pieces: BorrowedPiece[] = live.map(({ start, end }) => ({ start, end }));
      await writeFile(source, pieces, this.path, { fileSystem: this.fs });
    } finally {
      await source.close();
    }
    const before = this.file;
    // Closing it again would close whatever has its number by then.
    this.file = null;
    await before?.close();
    this.file = await this.fs.open(this.path, 'a+', 0o666);
    this.size = 0;
    const moved = new Map<number, Place>();
    for (const { start, end } of live)
      moved.set(start, { file: this.path, start: this.size, end: (this.size += end - start) });
    for (const table of [this.cache, this.current])
      for (const [id, { file, start }] of table) {
        const place = file === this.path ? moved.get(start) : undefined;
        if (place !== undefined) table.set(id, place);
      }
    this.written = this.size;
  }
}

function writerOf({ writer }: JournalRecord): Writer {
  return isRecord(writer) && typeof writer.host === 'string' && typeof writer.process === 'number'
    ? { host: writer.host, process: writer.process }
    : { host: '', process: 0 };
}
