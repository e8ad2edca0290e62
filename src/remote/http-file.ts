import { IoError } from '../errors.js';
import type { ByteRange } from '../wire/fields.js';
import type { RemoteAddress } from './address.js';
import {
  changed,
  contentRange,
  difference,
  isStrong,
  misbehaved,
  Passing,
  refusal,
  versionOf,
  type Version,
} from './answers.js';
import { Route, type Arrival, type Place, type RouteOptions } from './route.js';
import { backoff, PATIENCE, SilenceWatch, Slots, type Patience } from './waiting.js';

/** How a remote file is read. */
export interface HttpOptions extends RouteOptions {
  readonly signal?: AbortSignal;
  readonly patience?: Partial<Patience>;
  /** Requests at the same time; 16 by default. */
  readonly parallel?: number;
}

/** What was asked and what came. */
export interface Traffic {
  readonly requests: number;
  readonly bytes: number;
}

/** Bytes of a file that a server sent without being asked for all of it are read to the end up to here. */
const LARGEST_UNASKED = 32 * 1024 * 1024;
const PARALLEL = 16;
/** Progress that makes a new try of a broken request worth it, whatever came before. */
const PROGRESS = 64 * 1024;
/** Statuses by which a link says that its time is up. */
const EXPIRED = new Set([400, 401, 403, 404, 410]);

/** Takes bytes as they come, each from its place in the file on. */
export type Take = (bytes: Uint8Array, at: number) => Promise<void> | void;

/**
 * A file behind a URL, read by ranges. What a server answers is held against what was asked: a range that is another,
 * a file that is another, or a body that is cut off is never taken for the bytes that were wanted.
 */
export class HttpFile {
  readonly commit: string | null;
  private place: Place | null;
  private finding: Promise<Place> | null = null;
  private readonly patience: Patience;
  private readonly slots: Slots;
  private sent = 1;
  private received = 0;

  private constructor(
    private readonly address: RemoteAddress,
    private readonly route: Route,
    arrival: Arrival,
    readonly version: Version,
    private readonly options: HttpOptions,
  ) {
    this.place = arrival.place;
    this.commit = arrival.commit;
    this.patience = { ...PATIENCE, ...options.patience };
    this.slots = new Slots(options.parallel ?? PARALLEL);
  }

  /**
   * Asks for the first `probe` bytes, and learns from the answer how long the file is and which version it is.
   * @returns the file, and its first bytes, or all of them from a server that does not serve ranges
   * @throws IoError
   */
  static async open(
    address: RemoteAddress,
    probe: number,
    options: HttpOptions = {},
  ): Promise<{ readonly file: HttpFile; readonly head: Uint8Array }> {
    const route = new Route(address, options);
    const patience = { ...PATIENCE, ...options.patience };
    return trying(address, patience, options.signal, async () => {
      const watch = new SilenceWatch(patience.silenceMs, options.signal);
      try {
        const arrival = await route.walk({ range: `bytes=0-${probe - 1}` }, watch.signal);
        const { size, head } = await firstBytes(arrival.response, address, probe, watch);
        const version = versionOf(arrival.response.headers, size, arrival.linkedEtag);
        const file = new HttpFile(address, route, arrival, version, options);
        file.received += head.length;
        return { file, head };
      } catch (error) {
        throw silenced(error, watch, address);
      } finally {
        watch.end();
      }
    });
  }

  get traffic(): Traffic {
    return { requests: this.sent, bytes: this.received };
  }

  /** Fetches a range, going on where an answer was cut off. @throws IoError */
  async get(range: ByteRange, take: Take, signal: AbortSignal | undefined = this.options.signal): Promise<void> {
    let at = range.start;
    let counted = at;
    await trying(
      this.address,
      this.patience,
      signal,
      () =>
        this.slots.with(() =>
          this.getOnce({ start: at, end: range.end }, signal, async (bytes) => {
            await take(bytes, at);
            at += bytes.length;
            this.received += bytes.length;
          }),
        ),
      () => {
        const isProgress = at - counted >= PROGRESS;
        if (isProgress) counted = at;
        return isProgress;
      },
    );
  }

  private async getOnce(
    range: ByteRange,
    outer: AbortSignal | undefined,
    take: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const { address, route, version } = this;
    const place = await this.find(outer);
    const watch = new SilenceWatch(this.patience.silenceMs, outer);
    let response: Response | null = null;
    try {
      this.sent++;
      response = await route.send(place, this.headers(range), watch.signal);
      if (!place.isAddress && EXPIRED.has(response.status)) {
        // Others may have found the way again already.
        if (this.place === place) this.place = null;
        throw new Passing(`a link of ${address.shown} has expired`, 0);
      }
      assertRange(response, range, version, address);
      let left = range.end - range.start;
      for await (const bytes of (response.body as AsyncIterable<Uint8Array> | null) ?? []) {
        watch.heard();
        if (bytes.length > left) throw misbehaved(address.shown, `a range is longer than it says`);
        left -= bytes.length;
        await take(bytes);
      }
      if (left > 0) throw new Passing(`${address.shown} was cut off ${left} bytes before the end of a range`);
    } catch (error) {
      await response?.body?.cancel().catch(() => undefined);
      throw silenced(error, watch, address);
    } finally {
      watch.end();
    }
  }

  private headers({ start, end }: ByteRange): Readonly<Record<string, string>> {
    const { etag } = this.version;
    const range = `bytes=${start}-${end - 1}`;
    // In a browser If-Match costs a request of its own before each.
    return isStrong(etag) && !this.options.isFollowed ? { range, 'if-match': etag } : { range };
  }

  /** Where the file is fetched from; many requests whose link has expired find the new one together. */
  private find(outer: AbortSignal | undefined): Promise<Place> {
    if (this.place !== null) return Promise.resolve(this.place);
    this.finding ??= this.findAgain(outer).finally(() => (this.finding = null));
    return this.finding;
  }

  private async findAgain(outer: AbortSignal | undefined): Promise<Place> {
    const { address, version } = this;
    const range = { start: 0, end: 1 };
    const watch = new SilenceWatch(this.patience.silenceMs, outer);
    try {
      this.sent++;
      const { place, response, linkedEtag } = await this.route.walk({ range: 'bytes=0-0' }, watch.signal);
      await response.body?.cancel();
      if (version.linkedEtag !== null && linkedEtag !== version.linkedEtag)
        throw changed(address.shown, `it was ${version.linkedEtag} and is ${linkedEtag}`);
      assertRange(response, range, version, address);
      return (this.place = place);
    } catch (error) {
      throw silenced(error, watch, address);
    } finally {
      watch.end();
    }
  }
}

/** Work over the network, as often as it pays. @throws IoError */
export async function trying<T>(
  { shown }: RemoteAddress,
  { tries: most, pause }: Patience,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
  isProgress: () => boolean = () => false,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      if (isProgress()) tries = 1;
      if (tries >= most)
        throw new IoError(`${error.message}${most === 1 ? '' : `, ${most} times in a row`}`, {
          code: 'FEATX_REMOTE',
          path: shown,
          cause: error,
          hint: 'run again later; what was fetched is kept',
        });
      await pause(error.waitMs ?? backoff(tries), signal);
    }
  }
}

/** An error of a request that was ended because nothing came. */
export function silenced(error: unknown, watch: SilenceWatch, { shown }: RemoteAddress): unknown {
  if (watch.isSilent) return new Passing(`${shown} fell silent`, 0, { cause: error });
  // A connection that breaks in the middle of a body is an error of the stream.
  const isBroken = (error as { name?: unknown } | null)?.name === 'TypeError';
  return isBroken ? new Passing(`the connection to ${shown} broke`, null, { cause: error }) : error;
}

/** The size of a file and its first bytes, from the answer to the first request. */
async function firstBytes(
  response: Response,
  address: RemoteAddress,
  probe: number,
  watch: SilenceWatch,
): Promise<{ readonly size: number; readonly head: Uint8Array }> {
  const { shown } = address;
  const range = contentRange(response.headers);
  if (response.status === 416 && range?.total === 0) return { size: 0, head: new Uint8Array(0) };
  if (response.status === 200) {
    const head = await wholeBody(response, LARGEST_UNASKED, watch);
    if (head !== null) return { size: head.length, head };
    throw misbehaved(
      shown,
      'the server does not serve ranges of it, and it is too long to be fetched whole by guess',
      'download it, and give the path',
    );
  }
  if (response.status !== 206) {
    await response.body?.cancel();
    throw refusal(response, shown);
  }
  assertNotEncoded(response, shown);
  if (range === null || range.total === null || range.end === null) {
    await response.body?.cancel();
    throw misbehaved(
      shown,
      range === null
        ? 'the answer does not say which range it is (Content-Range), or does not expose that to this page'
        : 'the server does not say how long it is',
      'download it, and give the path',
    );
  }
  const size = range.total;
  if (range.start !== 0 || range.end > Math.min(size, probe)) {
    await response.body?.cancel();
    throw misbehaved(
      shown,
      `bytes 0 to ${Math.min(size, probe)} were asked for, and the answer is ${range.start} to ${range.end}`,
    );
  }
  const head = await wholeBody(response, range.end, watch);
  if (head === null) throw misbehaved(shown, 'a range is longer than it says');
  // A cut body is no loss: what is missing is asked for when it is needed.
  return { size, head };
}

/** A body up to `most` bytes; null if it is longer. */
export async function wholeBody(response: Response, most: number, watch: SilenceWatch): Promise<Uint8Array | null> {
  const declared = Number(response.headers.get('content-length') ?? 0);
  const isPlain = response.headers.get('content-encoding') === null;
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (!isPlain || declared <= most)
    for await (const bytes of (response.body as AsyncIterable<Uint8Array> | null) ?? []) {
      watch.heard();
      length += bytes.length;
      if (length > most) break;
      chunks.push(bytes);
    }
  if (length > most || (isPlain && declared > most)) {
    await response.body?.cancel().catch(() => undefined);
    return null;
  }
  if (response.status === 200 && isPlain && declared !== 0 && length !== declared)
    throw new Passing('a body was cut off');
  const whole = new Uint8Array(length);
  let at = 0;
  for (const bytes of chunks) {
    whole.set(bytes, at);
    at += bytes.length;
  }
  return whole;
}

/** @throws IoError, Passing if an answer does not begin the range that was asked for, of the version that was opened */
function assertRange(response: Response, range: ByteRange, version: Version, { shown }: RemoteAddress): void {
  if (response.status === 200)
    throw misbehaved(shown, 'the server sends all of it where a range was asked for', 'download it, and give the path');
  if (response.status !== 206) throw refusal(response, shown);
  assertNotEncoded(response, shown);
  const how = difference(response.headers, version);
  if (how !== null) throw changed(shown, how);
  const got = contentRange(response.headers);
  if (got === null) throw misbehaved(shown, 'an answer does not say which range it is');
  if (got.total !== null && got.total !== version.size)
    throw changed(shown, `it had ${version.size} bytes and has ${got.total}`);
  if (got.start !== range.start || got.end === null || got.end > range.end)
    throw misbehaved(
      shown,
      `bytes ${range.start} to ${range.end} were asked for, and the answer is ${got.start} to ${got.end}`,
    );
}

/** @throws IoError if the bytes of an answer are those of a compressed stream */
function assertNotEncoded({ headers, body }: Response, shown: string): void {
  const encoding = headers.get('content-encoding') ?? 'identity';
  if (encoding === 'identity') return;
  void body?.cancel().catch(() => undefined);
  throw misbehaved(
    shown,
    `a range of it comes compressed (${encoding}), which is a range of other bytes`,
    'switch compression off for this file on the server, or download it and give the path',
  );
}
