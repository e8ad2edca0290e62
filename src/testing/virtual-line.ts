import { indexModel } from '../onnx/model.js';
import { RemoteSource, type RemoteFile } from '../remote/remote-source.js';
import { MemoryStore } from '../remote/store.js';
import { PROBE } from '../remote/open-url.js';
import type { ByteRange } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';

/** A line to a server: how long a request takes, what comes through it, and how many requests go at once. */
export interface Line {
  readonly roundTripMs: number;
  readonly bytesPerMs: number;
  readonly parallel: number;
}

export const LINE: Line = { roundTripMs: 50, bytesPerMs: 12_500, parallel: 16 };
/** Round trips before a new connection answers. */
const FRESH = 3;

/** What indexing a model over a line takes, in seconds of a clock that only the line moves. */
export interface Indexed {
  readonly seconds: number;
  readonly requests: number;
  readonly bytes: number;
  /** What a download of the whole file takes. */
  readonly wholeSeconds: number;
}

/** Indexes a model over a line that is calculated, so that a busy machine changes nothing. */
export async function indexOverLine(file: ByteSource, line = LINE): Promise<Indexed> {
  const { get, state } = virtualHttp(file, line);
  const store = new MemoryStore();
  await get({ start: 0, end: Math.min(file.size, PROBE) }, (bytes, at) => store.write(bytes, at));
  const http: RemoteFile['http'] = {
    get,
    version: { size: file.size, etag: '"1"', linkedEtag: null, lastModified: null },
    traffic: { requests: 0, bytes: 0 },
  };
  const address = { url: 'https://far.test/m.onnx', shown: 'https://far.test/m.onnx', name: 'm.onnx', hub: null };
  const openBeside = (): Promise<never> => Promise.reject(new Error('nothing lies beside it'));
  const far = new RemoteSource({ address, http, store, size: file.size, isValidated: true, openBeside });
  await indexModel(far);
  return {
    seconds: state.now / 1000,
    requests: state.requests,
    bytes: state.bytes,
    wholeSeconds: (FRESH * line.roundTripMs + file.size / line.bytesPerMs) / 1000,
  };
}

/** Answers requests in the order in which they would come, moving the clock when nothing else goes on. */
function virtualHttp(file: ByteSource, { roundTripMs, bytesPerMs, parallel }: Line) {
  const state = { now: 0, requests: 0, bytes: 0 };
  const coming: { readonly at: number; readonly arrive: () => void }[] = [];
  const waiting: (() => void)[] = [];
  let [linkFreeAt, running, idle, isArmed] = [0, 0, 0, false];
  const arm = (): void => {
    if (isArmed) return;
    isArmed = true;
    // The reader asks for more within a few turns, or is waiting.
    setImmediate(() => setImmediate(() => setImmediate(advance)));
  };
  const advance = (): void => {
    isArmed = false;
    coming.sort((a, b) => a.at - b.at);
    const next = coming.shift();
    if (next === undefined) return;
    state.now = Math.max(state.now, next.at);
    next.arrive();
    arm();
  };
  const get = async (range: ByteRange, take: (bytes: Uint8Array, at: number) => unknown): Promise<void> => {
    if (running >= parallel) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    const isFresh = idle === 0;
    if (!isFresh) idle--;
    const size = range.end - range.start;
    state.requests++;
    state.bytes += size;
    linkFreeAt = Math.max(linkFreeAt, state.now + roundTripMs * (isFresh ? FRESH : 1)) + size / bytesPerMs;
    const at = linkFreeAt;
    await new Promise<void>((resolve) => {
      coming.push({ at, arrive: resolve });
      arm();
    });
    running--;
    idle++;
    waiting.shift()?.();
    await take(await file.read(range.start, range.end), range.start);
  };
  return { get, state };
}
