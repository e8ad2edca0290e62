import type { ByteRange } from '../wire/fields.js';
import { ExactSource, type ByteSource, type FetchOptions, type ReadStep } from '../wire/source.js';
import type { RemoteAddress } from './address.js';
import { changed, contentOf } from './answers.js';
import type { HttpFile, Traffic } from './http-file.js';
import { coalesced, pieces } from './ranges.js';
import { ReadAhead, ROUND_TRIP_BYTES } from './read-ahead.js';
import type { RangeStore } from './store.js';

/** A file behind a URL as a `ByteSource`: what is read is fetched once, and kept. */
export interface RemoteFile {
  readonly address: RemoteAddress;
  /** null where nothing may be fetched. */
  readonly http: Pick<HttpFile, 'get' | 'version' | 'traffic'> | null;
  readonly store: RangeStore;
  readonly size: number;
  readonly isValidated: boolean;
  /** Opens a file beside it, at a location that the gate of external data let through. */
  readonly openBeside: (location: string) => Promise<ByteSource>;
  /** What a read of bytes says that are not there while nothing may be fetched. */
  readonly offline?: () => Error;
}

/** Shorter files are fetched whole: they cost no more than a request. */
const SMALL_FILE = 1024 * 1024;
/** What is stepped over between ranges that are fetched together. */
const SMALL_GAP = 64 * 1024;
const LARGEST_PIECE = 8 * 1024 * 1024;
/** Large pieces at the same time; more brings nothing. */
const PIECES_AT_ONCE = 8;
/** What a byte ahead may cost, in bytes, before all of them are better. */
const SLOW = 0.8;
/** Of the cost of fetching all, what is paid before that is asked: networks have their small layers first. */
const PATIENCE = 1 / 5;
/** Where fetching all takes no second, it is not worth so much. */
const LITTLE_PATIENCE = 1 / 8;
const SHORT_FILE = 32 * 1024 * 1024;
/** Bytes after which those that came so far are made to last. */
const SAVED_EVERY = 64 * 1024 * 1024;
/** Bytes at both ends that are read again where nothing else shows a change. */
const ENDS = 4 * 1024;

/** Reads a remote file through a store; see `ReadAhead` for what is fetched beside what is asked for. */
export class RemoteSource extends ExactSource {
  readonly size: number;
  readonly path: string;
  readonly isValidated: boolean;
  private readonly ahead: ReadAhead;
  private readonly running = new Set<{ readonly range: ByteRange; readonly done: Promise<void> }>();
  private rounds = 0;
  private unsaved = 0;
  private saving: Promise<void> = Promise.resolve();
  private failure: unknown = null;
  private isClosed = false;

  constructor(private readonly file: RemoteFile) {
    super();
    this.size = file.size;
    this.path = file.address.shown;
    this.isValidated = file.isValidated;
    this.ahead = new ReadAhead(file.size);
  }

  /** A file beside it. @throws IoError if there is none */
  openBeside(location: string): Promise<ByteSource> {
    return this.file.openBeside(location);
  }

  get traffic(): Traffic {
    return this.file.http?.traffic ?? { requests: 0, bytes: 0 };
  }

  /** What its server says of its bytes as a whole. */
  get identity(): { readonly sha256: string | null; readonly etag?: string } {
    const { etag, linkedEtag } = this.file.http?.version ?? { etag: null, linkedEtag: null };
    return { sha256: contentOf(linkedEtag), ...(etag === null ? {} : { etag }) };
  }

  /** What is the same for the same bytes, as far as the server tells. */
  get version(): string {
    const { http } = this.file;
    return http === null ? '' : JSON.stringify(http.version);
  }

  /** The file on this machine that has what was fetched at its place; null if it is kept in memory. */
  get mirror(): string | null {
    return this.file.store.path;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    await this.need([{ start, end }]);
    return this.file.store.read(start, end);
  }

  async readInto(bytes: Uint8Array, start: number): Promise<void> {
    await this.need([{ start, end: start + bytes.length }]);
    await this.file.store.readInto(bytes, start);
  }

  async readAhead({ start, end, until, left }: ReadStep): Promise<Uint8Array> {
    const { store } = this.file;
    if (left !== null) this.ahead.step(left, start);
    if (store.have.reach(start) < end) {
      this.rounds++;
      if (this.size <= SMALL_FILE || this.isDear(start)) await this.fetch([{ start: 0, end: this.size }]);
      else {
        const [first, ...more] = this.ahead.plan({ start, end });
        // It goes first: a connection that is open is worth more than a new one.
        const needed = this.need([first]);
        // What fails of a guess is asked for again when it turns out to be needed.
        for (const range of more) for (const gap of this.gaps(range)) void this.start(gap).catch(() => undefined);
        await needed;
      }
    }
    return store.read(start, Math.max(end, Math.min(until, store.have.reach(start))));
  }

  /**
   * Whether looking for the graph has cost a third of what fetching all would; or less, without getting ahead faster
   * than by reading all.
   * @param start how far it got
   */
  private isDear(start: number): boolean {
    const cost = this.rounds * ROUND_TRIP_BYTES + this.file.store.have.size;
    const patience = this.size < SHORT_FILE ? LITTLE_PATIENCE : PATIENCE;
    return cost > this.size / 3 || (cost > this.size * patience && cost > SLOW * start);
  }

  async fetch(ranges: readonly ByteRange[], { signal, onProgress }: FetchOptions = {}): Promise<void> {
    const wanted = coalesced(ranges, SMALL_GAP).flatMap((range) => this.gaps(range));
    const queue = pieces(wanted, LARGEST_PIECE);
    const work = async (): Promise<void> => {
      for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
        signal?.throwIfAborted();
        await this.start(piece, signal, onProgress);
        if (this.unsaved >= SAVED_EVERY) await this.save();
      }
    };
    try {
      await together(Array.from({ length: Math.min(PIECES_AT_ONCE, queue.length) }, work), () => (queue.length = 0));
    } finally {
      if (this.unsaved > 0) await this.save();
    }
    await this.need(ranges);
  }

  /** Bytes from the server, whatever is kept of them. @throws IoError where nothing may be fetched */
  async readAfresh(start: number, end: number): Promise<Uint8Array> {
    const { http, offline } = this.file;
    if (http === null) throw offline?.();
    const bytes = new Uint8Array(end - start);
    await http.get({ start, end }, (part, at) => bytes.set(part, at - start));
    return bytes;
  }

  /** Fetches what is not there of ranges, and waits for what is on its way. */
  private async need(ranges: readonly ByteRange[]): Promise<void> {
    for (;;) {
      if (this.failure !== null) throw this.failure;
      const missing = ranges.flatMap((range) => this.file.store.have.missing(range));
      if (missing.length === 0) return;
      const own = ranges.flatMap((range) => this.gaps(range)).map((gap) => this.start(gap));
      const others = [...this.running].filter(({ range }) =>
        missing.some(({ start, end }) => range.start < end && start < range.end),
      );
      await Promise.all([...own, ...others.map(({ done }) => done.catch(() => undefined))]);
    }
  }

  /** The parts of a range that are neither there nor on their way. */
  private gaps(range: ByteRange): readonly ByteRange[] {
    let gaps: readonly ByteRange[] = this.file.store.have.missing(range);
    for (const { range: taken } of this.running)
      gaps = gaps.flatMap(({ start, end }) =>
        taken.end <= start || taken.start >= end
          ? [{ start, end }]
          : [
              { start, end: taken.start },
              { start: taken.end, end },
            ].filter((rest) => rest.start < rest.end),
      );
    return gaps;
  }

  private start(range: ByteRange, signal?: AbortSignal, onProgress?: (bytes: number) => void): Promise<void> {
    const { http, store, offline } = this.file;
    const load = async (): Promise<void> => {
      if (this.failure !== null) throw this.failure;
      if (http === null) throw offline?.();
      await http.get(
        range,
        async (bytes, at) => {
          await store.write(bytes, at);
          this.unsaved += bytes.length;
          onProgress?.(bytes.length);
        },
        signal,
      );
    };
    const done = load().catch((error: unknown) => {
      // Once it is another file, no part of it goes with what is there.
      if ((error as { code?: unknown } | null)?.code === 'FEATX_IO_CHANGED') this.failure ??= error;
      throw error;
    });
    const entry = { range, done };
    this.running.add(entry);
    const forget = (): void => void this.running.delete(entry);
    done.then(forget, forget);
    return done;
  }

  private save(): Promise<void> {
    this.unsaved = 0;
    this.saving = this.saving.then(() => this.file.store.save());
    return this.saving;
  }

  /**
   * What the server says of its versions is held against every answer; where it says nothing, both ends of the file are
   * read again.
   */
  async assertUnchanged(): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const { http, store, address } = this.file;
    if (this.isValidated || http === null) return;
    for (const start of [0, Math.max(0, this.size - ENDS)]) {
      const range = { start, end: Math.min(this.size, start + ENDS) };
      await this.need([range]);
      const [before, now] = [await store.read(range.start, range.end), await this.readAfresh(range.start, range.end)];
      if (before.some((byte, at) => byte !== now[at])) throw changed(address.shown, 'its bytes are others');
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    const { store } = this.file;
    await Promise.all([...this.running].map(({ done }) => done.catch(() => undefined)));
    try {
      if (this.unsaved > 0) await this.save();
    } finally {
      await store.close();
    }
  }
}

/** All of them, or the first error once all have ended; `stop` keeps those that go on from starting anything new. */
async function together(work: readonly Promise<void>[], stop: () => void): Promise<void> {
  const settled = await Promise.allSettled(
    work.map((each) =>
      each.catch((error: unknown) => {
        stop();
        throw error;
      }),
    ),
  );
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
