import { UsageError } from '../errors.js';
import { printable } from '../wire/text.js';

/** A file that lies behind a URL. */
export interface RemoteAddress {
  readonly url: string;
  /** What people and records are shown: without query and fragment, which may hold a signature. */
  readonly shown: string;
  /** The last part of its path. */
  readonly name: string;
  /** A file of a hub, which has rules of its own; null for any other. */
  readonly hub: HubFile | null;
}

/** A file of the Hugging Face hub. @see https://huggingface.co/docs/huggingface_hub/guides/hf_file_system */
export interface HubFile {
  readonly endpoint: string;
  readonly kind: 'models' | 'datasets' | 'spaces';
  /** `owner/name`. */
  readonly repository: string;
  readonly revision: string;
  /** Inside the repository. */
  readonly path: string;
}

const HUB = 'https://huggingface.co';
const READABLE = 'a path, https://, hf://owner/repository[@revision]/path, and http:// from this machine';

/** Whether a text is a URL, of whatever scheme, and not a path. */
export function isAddress(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text);
}

/**
 * Reads a URL.
 * @param endpoint where `hf://` leads
 * @throws UsageError for a scheme that cannot be read, naming those that can; for user and password in a URL
 */
export function parseAddress(text: string, endpoint: string = HUB): RemoteAddress {
  const [, scheme = '', rest = ''] = /^([^:]+):\/\/([^]*)$/.exec(text) ?? [];
  if (scheme.toLowerCase() === 'hf') return hubAddress(parseHubPath(rest, text), endpoint);
  if (!/^https?$/i.test(scheme))
    throw new UsageError(
      `${scheme === '' ? `'${printable(text)}' is not a URL` : `${printable(scheme)}:// cannot be read`}; what can be read is ${READABLE}`,
      {
        code: 'FEATX_USAGE_SCHEME',
        hint: OTHER_WAYS[scheme.toLowerCase()] ?? 'copy the file here, or serve it over https',
      },
    );
  const url = asUrl(text);
  if (url.username !== '' || url.password !== '')
    throw new UsageError(`${shownUrl(url)} is given with a user and a password, which would end up in logs`, {
      code: 'FEATX_USAGE_URL',
      hint: 'use a signed URL, or from a program a `fetch` of your own',
    });
  assertPrivate(url);
  const hub = hubFileOf(url, endpoint);
  return hub === null ? { url: url.href, shown: shownUrl(url), name: nameOf(url), hub } : hubAddress(hub, endpoint);
}

const OTHER_WAYS: { readonly [scheme: string]: string } = {
  s3: 'give a signed https:// URL: aws s3 presign',
  gs: 'give a signed https:// URL: gcloud storage sign-url',
  file: 'give the path alone',
};

/** @throws UsageError if a URL goes over a network in the clear */
export function assertPrivate(url: URL): void {
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return;
  throw new UsageError(`${shownUrl(url)} is not read: over ${url.protocol}// anybody on the way can change the model`, {
    code: 'FEATX_USAGE_SCHEME',
    hint: 'use https://, or reach the server through this machine (ssh -L) as http://localhost',
  });
}

/** Whether a host is this machine, whatever its names are set to. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function asUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new UsageError(`'${printable(text)}' is not a URL`, { code: 'FEATX_USAGE_URL', cause });
  }
}

/** A URL as it may be printed. */
export function shownUrl({ origin, pathname }: URL): string {
  return printable(origin + decodedPath(pathname));
}

function decodedPath(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    // Not UTF-8; it is shown as it stands.
    return path;
  }
}

function nameOf({ pathname }: URL): string {
  const name = decodedPath(pathname.split('/').at(-1) ?? '');
  return /^[^/\\]+$/.test(name) && !/^\.+$/.test(name) ? name : 'model.onnx';
}

/** `[datasets/|spaces/]owner/repository[@revision]/path`; `refs/pr/3` is a revision too. */
const HUB_PATH = /^(?:(datasets|spaces)\/)?([\w.-]+\/[\w.-]+)(?:@(refs\/(?:pr|convert)\/[^/]+|[^/]+))?\/([^]+)$/;

function parseHubPath(rest: string, text: string): Omit<HubFile, 'endpoint'> {
  const [, kind = 'models', repository, revision = 'main', path] = HUB_PATH.exec(rest) ?? [];
  const isPlain = path !== undefined && !path.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (repository === undefined || !isPlain)
    throw new UsageError(`'${printable(text)}' does not name a file of a repository`, {
      code: 'FEATX_USAGE_URL',
      hint: 'write hf://owner/repository/path/to/model.onnx, with @revision behind the repository if it is not main',
    });
  return { kind: kind as HubFile['kind'], repository, revision: decodeURIComponent(revision), path };
}

/** The page of a file, and the place that it is fetched from. */
const HUB_URL =
  /^\/(?:(datasets|spaces)\/)?([\w.-]+\/[\w.-]+)\/(?:blob|resolve|raw)\/(refs\/(?:pr|convert)\/[^/]+|[^/]+)\/([^]+)$/;

function hubFileOf(url: URL, endpoint: string): HubFile | null {
  if (url.origin !== new URL(endpoint).origin && url.origin !== HUB) return null;
  const [, kind = 'models', repository, revision, path] = HUB_URL.exec(decodedPath(url.pathname)) ?? [];
  if (repository === undefined || path === undefined) return null;
  return {
    endpoint: url.origin,
    kind: kind as HubFile['kind'],
    repository,
    revision: decodeURIComponent(revision),
    path,
  };
}

function hubAddress(file: Omit<HubFile, 'endpoint'> & { readonly endpoint?: string }, fallback: string): RemoteAddress {
  const hub = { ...file, endpoint: file.endpoint ?? asUrl(fallback).origin };
  const { kind, repository, revision, path } = hub;
  const at = revision === 'main' ? '' : `@${revision}`;
  return {
    url: hubUrl(hub),
    shown: printable(`hf://${kind === 'models' ? '' : `${kind}/`}${repository}${at}/${path}`),
    name: path.split('/').at(-1) ?? 'model.onnx',
    hub,
  };
}

function hubUrl({ endpoint, kind, repository, revision, path }: HubFile): string {
  const url = new URL(endpoint);
  assertPrivate(url);
  const where = path.split('/').map(encodeURIComponent).join('/');
  url.pathname = `${kind === 'models' ? '' : `${kind}/`}${repository}/resolve/${encodeURIComponent(revision)}/${where}`;
  return url.href;
}

/**
 * The address of a file beside a remote one.
 * @param location a path that the gate of external data let through
 * @param commit the commit that the first file came from, so that both are of one
 */
export function besideAddress(address: RemoteAddress, location: string, commit: string | null): RemoteAddress {
  const parts = plainParts(location.replaceAll('\\', '/'));
  if (address.hub !== null) {
    const { path, revision } = address.hub;
    const folder = path.split('/').slice(0, -1);
    return hubAddress(
      { ...address.hub, revision: commit ?? revision, path: [...folder, ...parts].join('/') },
      address.hub.endpoint,
    );
  }
  const url = new URL(parts.map(encodeURIComponent).join('/'), address.url);
  return { url: url.href, shown: shownUrl(url), name: parts.at(-1) ?? '', hub: null };
}

/** The parts of a path without `.` and `..`; it does not lead out of where it starts. */
function plainParts(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split('/'))
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  return parts;
}

/** A path for results of a URL, relative and with its name at the end: `owner/repository/onnx/model.onnx`. */
export function pathOfAddress({ shown, name }: RemoteAddress): string {
  const parts = shown
    .replace(/^[a-z]+:\/\//, '')
    .split('/')
    .slice(0, -1);
  return [...parts, name].map((part) => (/^\.*$/.test(part) ? '_' : part.replace(UNFIT, '_'))).join('/');
}

/** Characters that names of files cannot have everywhere, and those that templates and patterns take for others. */
// eslint-disable-next-line no-control-regex
const UNFIT = /[\u0000-\u001f<>:"|?*\\{}]/g;
