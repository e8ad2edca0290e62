import { IoError } from '../errors.js';
import { isLoopback, shownUrl, type RemoteAddress } from './address.js';
import { misbehaved, Passing } from './answers.js';

/** `fetch`, or what a program has in its place. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How requests are made. */
export interface RouteOptions {
  readonly fetch?: Fetch;
  /** A token of the hub; sent to its endpoint and to no other host. */
  readonly token?: string | null;
  /** Whether the platform follows redirects by itself, as a browser does, which shows none of them. */
  readonly isFollowed?: boolean;
}

/** Where a file is fetched from at the moment. */
export interface Place {
  readonly url: string;
  /** Whether it is the address itself, which cannot expire; else a link that the address led to. */
  readonly isAddress: boolean;
}

/** An answer, and what the address said on the way to it. */
export interface Arrival {
  readonly place: Place;
  readonly response: Response;
  readonly linkedEtag: string | null;
  readonly commit: string | null;
}

/** Of an answer, not of external data. */
const LOCATION = 'Location';
const MOST_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** What does not pass by waiting. */
const FINAL_CAUSES = /^(ENOTFOUND|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME|ERR_INVALID)/;

/** What fetch says of a port that it never asks. @see https://fetch.spec.whatwg.org/#port-blocking */
const BLOCKED = 'bad port';

/** The way from an address to its bytes: redirects are followed once, and where they led is remembered. */
export class Route {
  private readonly fetch: Fetch;
  private hasAnswered = false;

  constructor(
    private readonly address: RemoteAddress,
    private readonly options: RouteOptions,
  ) {
    // As a method, a browser's own refuses to be called.
    const given = options.fetch;
    this.fetch = given === undefined ? (url, init) => fetch(url, init) : (url, init) => given(url, init);
  }

  /** Asks the address itself. @throws Passing, IoError */
  async walk(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Arrival> {
    const { address } = this;
    let url = address.url;
    let linkedEtag: string | null = null;
    let commit: string | null = null;
    for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
      const response = await this.send({ url, isAddress: hops === 0 }, headers, signal);
      if (address.hub !== null && new URL(url).origin === new URL(address.url).origin) {
        linkedEtag ??= response.headers.get('x-linked-etag');
        commit ??= response.headers.get('x-repo-commit');
      }
      const followed = this.options.isFollowed === true && response.url !== '' ? response.url : url;
      if (!REDIRECTS.has(response.status))
        return { place: { url: followed, isAddress: followed === address.url }, response, linkedEtag, commit };
      await response.body?.cancel();
      url = this.next(url, response.headers.get(LOCATION));
    }
    throw misbehaved(address.shown, `it redirects more than ${MOST_REDIRECTS} times`);
  }

  private next(url: string, location: string | null): string {
    const { shown } = this.address;
    if (location === null) throw misbehaved(shown, 'it redirects to nowhere');
    let next: URL;
    try {
      next = new URL(location, url);
    } catch {
      throw misbehaved(shown, 'it redirects to what is not a URL');
    }
    const isHome = isLoopback(new URL(this.address.url).hostname);
    if (next.protocol === 'https:' || (next.protocol === 'http:' && isHome && isLoopback(next.hostname)))
      return next.href;
    throw misbehaved(shown, `it redirects to ${shownUrl(next)}, which is not followed: only https:// is`);
  }

  /** One request. @throws Passing if the network fails; IoError for what does not pass by waiting */
  async send(place: Place, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const { address, options } = this;
    try {
      const init = {
        headers: { ...this.authorization(place.url), ...headers },
        redirect: options.isFollowed ? ('follow' as const) : ('manual' as const),
        // Browsers keep what they fetch; Node.js does not know the word.
        cache: 'no-store' as const,
        signal,
      };
      const response = await this.fetch(place.url, init);
      this.hasAnswered = true;
      return response;
    } catch (error) {
      if (signal.aborted) throw error;
      const { code, message } = causeOf(error);
      const isBlocked = message === BLOCKED;
      const said = `${address.shown} cannot be reached: ${message}`;
      const isFinal = isBlocked || FINAL_CAUSES.test(code) || (code === 'ECONNREFUSED' && !this.hasAnswered);
      if (!isFinal) throw new Passing(said, null, { cause: error });
      throw new IoError(said, {
        code: 'FEATX_REMOTE_UNREACHABLE',
        path: address.shown,
        cause: error,
        hint: isBlocked
          ? 'fetch refuses ports that belong to other protocols; serve the file on another port'
          : 'is the address right, and is there a network? behind a proxy, Node.js 24 takes it from HTTPS_PROXY under NODE_USE_ENV_PROXY=1',
      });
    }
  }

  /** A token is for the host that it was made for, and never goes where that one leads. */
  private authorization(url: string): Readonly<Record<string, string>> {
    const { address, options } = this;
    const isOwn = address.hub !== null && new URL(url).origin === new URL(address.hub.endpoint).origin;
    return isOwn && options.token ? { authorization: `Bearer ${options.token}` } : {};
  }
}

/** What a failed fetch says of its reason, which Node hides in a chain of causes. */
function causeOf(error: unknown): { readonly code: string; readonly message: string } {
  let at = (error ?? {}) as { readonly cause?: unknown; readonly code?: unknown; readonly message?: unknown };
  for (let depth = 0; depth < 5 && typeof at.cause === 'object' && at.cause !== null; depth++) at = at.cause;
  const { code, message } = at;
  return {
    code: typeof code === 'string' ? code : '',
    message: typeof message === 'string' && message !== '' ? message : String(code),
  };
}
