import type { Fetch } from '../../remote/route.js';
import type { Script } from './script.js';

/** A server whose answers follow from the bytes of an input: honest, or wrong in a way that was thought of. */

/** Two versions of a file that differ in every byte. */
export interface Versions {
  readonly old: Uint8Array;
  readonly fresh: Uint8Array;
}

/** How a version shows that it is one. */
const VALIDATORS = ['both', 'etag', 'weak', 'date', 'none'] as const;

const STATUSES = [200, 201, 204, 206, 300, 304, 400, 401, 403, 404, 408, 410, 412, 416, 418, 425, 429, 500, 503, 599];
const BODILESS = new Set([204, 205, 304]);
const LOCATIONS = [
  'https://cdn.example/file?signature=1',
  'https://hub.example/elsewhere',
  '/moved',
  '../up',
  'http://cdn.example/file',
  'http://localhost/file',
  'file:///etc/passwd',
  'data:,x',
  'javascript:1',
  'https://',
  '//cdn.example/file',
  '',
  'https://user:password@cdn.example/file',
  `https://cdn.example/${'x'.repeat(5000)}`,
] as const;
const RANGES = [
  '',
  'bytes',
  'bytes */*',
  'bytes */0',
  'bytes 0-0/0',
  'bytes 0-0/*',
  'bytes 5-2/100',
  'bytes 0-99999999999999999999/99999999999999999999',
  'bytes 0-9007199254740992/9007199254740993',
  'bytes=0-1/2',
  'items 0-1/2',
  'bytes 0-1/2, bytes 3-4/5',
  'bytes -1-1/2',
] as const;
const WORDS = ['', 'W/""', '"', 'x'.repeat(9000), '*', 'null', '"a", "b"', 'Thu, 99 Foo 0000', '-1', '1e99', '\u00ff'];
const ENCODINGS = ['identity', 'gzip', 'br', 'deflate', '', 'gzip, gzip', 'chunked'] as const;
const LOST: readonly (() => unknown)[] = [
  () => broken('ECONNRESET'),
  () => broken('ENOTFOUND'),
  () => broken('ECONNREFUSED'),
  () => broken('UND_ERR_SOCKET'),
  () => broken('CERT_HAS_EXPIRED'),
  () => new TypeError('fetch failed'),
  () => new Error('odd'),
  () => null,
  () => 'a text',
];

function broken(code: string): TypeError {
  return new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) });
}

/** Answers of a whole file or of a range of it. */
interface Draft {
  status: number;
  readonly headers: Map<string, string>;
  body: Uint8Array;
  /** The body ends so: well, too early, or never. */
  end: 'well' | 'broken' | 'silent';
}

/** What was asked of it and what it told, for laws. */
export interface Told {
  requests: number;
  /** Whether it said what it did not do, so that bytes may be others. */
  lied: boolean;
  readonly urls: Set<string>;
  /** The hosts that were shown a token. */
  readonly tokens: Set<string>;
}

/** More requests than any of the tests may need. */
const MOST_REQUESTS = 3000;

export class ScriptedServer {
  readonly told: Told = { requests: 0, lied: false, urls: new Set(), tokens: new Set() };
  private readonly validator: (typeof VALIDATORS)[number];
  private readonly servesRanges: boolean;
  private readonly minds: boolean;
  private isFresh = false;

  constructor(
    private readonly script: Script,
    private readonly versions: Versions,
  ) {
    this.validator = script.pick(VALIDATORS);
    this.servesRanges = !script.once(16);
    this.minds = script.once(2);
  }

  /** Whether a change of version shows in its answers. */
  get isValidated(): boolean {
    return this.validator !== 'none';
  }

  readonly fetch: Fetch = async (url, init) => {
    const { told, script } = this;
    told.urls.add(url);
    const headers = new Headers(init.headers);
    if (headers.has('authorization')) told.tokens.add(new URL(url).host);
    if (++told.requests > MOST_REQUESTS) return new Response(null, { status: 404 });
    const { signal } = init;
    signal?.throwIfAborted();
    const isWrong = script.once(4);
    if (isWrong && script.once(8)) throw script.pick(LOST)();
    if (isWrong && script.once(24)) await aborted(signal);
    if (script.once(6)) this.isFresh = !this.isFresh;
    const draft = this.honest(headers);
    if (isWrong) this.spoil(draft);
    return this.response(draft, signal);
  };

  private get bytes(): Uint8Array {
    return this.isFresh ? this.versions.fresh : this.versions.old;
  }

  private honest(asked: Headers): Draft {
    const { bytes } = this;
    const headers = new Map<string, string>();
    const name = this.isFresh ? 'fresh' : 'old';
    if (this.validator === 'both' || this.validator === 'etag') headers.set('etag', `"${name}"`);
    if (this.validator === 'weak') headers.set('etag', `W/"${name}"`);
    if (this.validator === 'both' || this.validator === 'date')
      headers.set('last-modified', `Sat, 0${this.isFresh ? 2 : 1} Aug 2026 10:00:00 GMT`);
    const match = asked.get('if-match');
    if (match !== null && this.minds && match !== headers.get('etag'))
      return { status: 412, headers, body: new Uint8Array(0), end: 'well' };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(asked.get('range') ?? '') ?? [];
    if (from === undefined || !this.servesRanges) {
      headers.set('content-length', String(bytes.length));
      return { status: 200, headers, body: bytes, end: 'well' };
    }
    const [start, end] = [Number(from), Math.min(bytes.length, Number(to) + 1)];
    if (start >= end) {
      headers.set('content-range', `bytes */${bytes.length}`);
      return { status: 416, headers, body: new Uint8Array(0), end: 'well' };
    }
    return this.part(start, end, headers);
  }

  private part(start: number, end: number, headers: Map<string, string>): Draft {
    const body = this.bytes.subarray(start, end);
    headers.set('content-range', `bytes ${start}-${end - 1}/${this.bytes.length}`);
    headers.set('content-length', String(body.length));
    return { status: 206, headers, body, end: 'well' };
  }

  /** One thing that is wrong with an answer. */
  private spoil(draft: Draft): void {
    const { script, told } = this;
    const { headers } = draft;
    switch (script.byte() % 14) {
      case 0:
        draft.status = script.pick(STATUSES);
        // All of it under the status for all of it, and a part under that for a part.
        if (draft.status === 200 && headers.has('content-range')) draft.body = this.bytes;
        else if (draft.status === 206 && !headers.has('content-range')) told.lied = true;
        headers.delete('content-length');
        break;
      case 1:
        draft.status = script.pick([301, 302, 303, 307, 308]);
        headers.set('location', script.pick(LOCATIONS));
        break;
      case 2:
        headers.set('content-range', script.pick(RANGES));
        told.lied = true;
        break;
      case 3: {
        // Another range than the one that was asked for, and it says so.
        const start = script.below(this.bytes.length + 1);
        const end = Math.min(this.bytes.length, start + script.below(this.bytes.length + 1));
        if (start < end) Object.assign(draft, this.part(start, end, headers));
        break;
      }
      case 4:
        draft.body = draft.body.subarray(0, script.below(draft.body.length + 1));
        headers.delete('content-length');
        draft.end = script.pick(['broken', 'silent', draft.status === 206 ? 'well' : 'broken'] as const);
        break;
      case 5:
        // More than it says, of what it is not.
        draft.body = joinedWith(draft.body, 1 + script.byte());
        told.lied ||= draft.status === 200;
        headers.delete('content-length');
        break;
      case 6:
        draft.body = new Uint8Array(0);
        told.lied ||= draft.status === 200;
        headers.delete('content-length');
        break;
      case 7:
        if (!this.isFresh) headers.delete(script.pick(['etag', 'last-modified']));
        break;
      case 8:
        headers.set(script.pick(['etag', 'last-modified']), script.pick(WORDS));
        told.lied = true;
        break;
      case 9:
        headers.set('content-encoding', script.pick(ENCODINGS));
        break;
      case 10:
        draft.status = script.pick([429, 503]);
        headers.set(script.pick(['retry-after', 'ratelimit']), script.pick([...WORDS, '0', '"x";r=0;t=99999999999']));
        break;
      case 11:
        headers.set(script.pick(['x-linked-etag', 'x-repo-commit', 'x-error-code']), script.pick(WORDS));
        break;
      case 12:
        headers.set('content-length', script.pick(WORDS));
        told.lied = true;
        break;
      default:
        draft.end = script.pick(['broken', 'silent']);
    }
  }

  private response({ status, headers, body, end }: Draft, signal: AbortSignal | null | undefined): Response {
    const { script } = this;
    const isEmpty = BODILESS.has(status);
    const size = script.once(3) ? 1 + script.below(Math.max(1, body.length)) : body.length;
    const stream = chunked(body, Math.max(size, body.length / 50), end, signal);
    return new Response(isEmpty ? null : stream, { status, headers: latin(headers) });
  }
}

/** Headers that a browser or Node.js lets through; others never reach a program. */
function latin(headers: ReadonlyMap<string, string>): Headers {
  const result = new Headers();
  for (const [name, value] of headers) result.set(name, value);
  return result;
}

function joinedWith(body: Uint8Array, count: number): Uint8Array {
  const longer = new Uint8Array(body.length + count).fill(0xee);
  longer.set(body);
  return longer;
}

/** A body in pieces, which comes to an end, breaks off, or stays silent until the request is given up. */
function chunked(
  body: Uint8Array,
  size: number,
  end: Draft['end'],
  signal: AbortSignal | null | undefined,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      if (at < body.length) {
        const next = Math.min(body.length, at + Math.max(1, Math.floor(size)));
        controller.enqueue(body.slice(at, next));
        at = next;
      } else if (end === 'well') controller.close();
      else if (end === 'broken') controller.error(new TypeError('terminated'));
      else await aborted(signal).catch((error: unknown) => controller.error(error));
    },
  });
}

/** Never comes to an end but by the signal. */
function aborted(signal: AbortSignal | null | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal?.reason as Error);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
