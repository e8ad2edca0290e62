import { IoError, type FeatxError } from '../errors.js';

/** What tells one version of a remote file from another. */
export interface Version {
  readonly size: number;
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** The digest of a file of the hub, which all of its servers share. */
  readonly linkedEtag: string | null;
}

/** A fault that may pass: the request is to be made again. */
export class Passing extends Error {
  constructor(
    message: string,
    /** How long the server wants to be left alone; null if it does not say. */
    readonly waitMs: number | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Statuses that say that it may work later. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An answer that carries none of the file, as an error: `Passing` if it may work later. */
export function refusal(response: Response, shown: string, now = Date.now()): Passing | FeatxError {
  const { status } = response;
  const said = `${shown} was answered with ${status}${response.statusText === '' ? '' : ` ${response.statusText}`}`;
  if (PASSING.has(status)) return new Passing(said, waitOf(response.headers, now));
  if (status === 412) return changed(shown, 'the server has another version now');
  const hub = response.headers.get('x-error-code');
  if (status === 404 || status === 410)
    return new IoError(`${shown} does not exist${hub === null ? '' : ` (${HUB_REASONS[hub] ?? hub})`} (${status})`, {
      code: 'FEATX_IO_NOT_FOUND',
      path: shown,
    });
  if (status === 401 || status === 403)
    return new IoError(`${said}${hub === null ? '' : `: ${HUB_REASONS[hub] ?? hub}`}`, {
      code: 'FEATX_REMOTE_DENIED',
      path: shown,
      hint: shown.startsWith('hf://')
        ? 'set HF_TOKEN to a token that may read it; a gated model is asked for on its page, and a name with a typing error is answered in this way, too'
        : 'the link may have expired, or need a signature',
    });
  return new IoError(said, { code: 'FEATX_REMOTE', path: shown });
}

/** What the hub says in `X-Error-Code`. @see huggingface_hub/utils/_http.py */
const HUB_REASONS: { readonly [code: string]: string } = {
  GatedRepo: 'access to this repository must be asked for',
  RepoNotFound: 'there is no such repository, or it is private',
  RevisionNotFound: 'there is no such revision',
  EntryNotFound: 'there is no such file in the repository',
  DisabledRepo: 'this repository is disabled',
};

/** The remote file is another one than when it was opened. */
export function changed(shown: string, how: string): IoError {
  return new IoError(`${shown} changed while it was being read: ${how}`, {
    code: 'FEATX_IO_CHANGED',
    path: shown,
    hint: 'run again; what was fetched of the old version is not used for the new one',
  });
}

/** An answer that must not be taken for the bytes that were asked for. */
export function misbehaved(shown: string, what: string, hint?: string): IoError {
  return new IoError(`${shown}: ${what}`, { code: 'FEATX_REMOTE_ANSWER', path: shown, hint });
}

/** What no server that means well says. */
const LONGEST_WAIT_MS = 10 * 60_000;

/**
 * How long a server wants to be left alone: `Retry-After` in seconds or as a date; the hub's `RateLimit:
 * "resolvers";r=0;t=55`.
 */
function waitOf(headers: Headers, now: number): number | null {
  const after = headers.get('retry-after');
  const limit = /;\s*r=0\b.*?;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1];
  const seconds = after !== null && /^\d+$/.test(after) ? Number(after) : limit === undefined ? null : Number(limit);
  const date = after === null ? Number.NaN : Date.parse(after);
  const ms = seconds !== null ? seconds * 1_000 : Number.isNaN(date) ? null : date - now;
  return ms === null ? null : Math.min(LONGEST_WAIT_MS, Math.max(0, ms));
}

/** `Content-Range: bytes 0-99/1000`; `total` is null for `*`, and `start` where the range was refused. */
export interface ContentRange {
  readonly start: number | null;
  readonly end: number | null;
  readonly total: number | null;
}

/** @returns null if the header is not there, cannot be read, or is not exposed to this page */
export function contentRange(headers: Headers): ContentRange | null {
  const [, start, last, total] =
    /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(\d{1,15}|\*)$/.exec(headers.get('content-range')?.trim() ?? '') ?? [];
  if (total === undefined) return null;
  return {
    start: start === undefined ? null : Number(start),
    end: last === undefined ? null : Number(last) + 1,
    total: total === '*' ? null : Number(total),
  };
}

/** The sha256 that a digest of the hub is, of a file in large file storage; null for any other. */
export function contentOf(linkedEtag: string | null): string | null {
  return /^"?([0-9a-f]{64})"?$/.exec(linkedEtag ?? '')?.[1] ?? null;
}

/** An ETag that means the same bytes, not merely the same content. */
export function isStrong(etag: string | null): etag is string {
  return etag !== null && etag !== '' && !etag.startsWith('W/');
}

/** How an answer shows that the file is another one than `version`; null if it does not. */
export function difference(headers: Headers, version: Version): string | null {
  for (const [name, known] of [
    ['etag', version.etag],
    ['last-modified', version.lastModified],
  ] as const) {
    const now = headers.get(name);
    if (known !== null && now !== null && now !== known) return `its ${name} was ${known} and is ${now}`;
    // What has the same ETag is the same, whenever a server of a group says that it was written.
    if (known !== null && now !== null) return null;
  }
  return null;
}

/** What an answer says of the version that it is of. */
export function versionOf(headers: Headers, size: number, linkedEtag: string | null): Version {
  return { size, etag: headers.get('etag') || null, lastModified: headers.get('last-modified') || null, linkedEtag };
}

/** Whether a change of the file would be seen. */
export function isValidated({ etag, lastModified, linkedEtag }: Version): boolean {
  return (etag ?? lastModified ?? linkedEtag) !== null;
}

/** A version as one text; null if nothing tells it from others. */
export function versionText(version: Version): string | null {
  const { size, etag, lastModified, linkedEtag } = version;
  return isValidated(version) ? JSON.stringify([size, linkedEtag, etag, lastModified]) : null;
}
