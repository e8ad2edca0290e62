import { besideAddress, parseAddress, type RemoteAddress } from './address.js';
import { isValidated } from './answers.js';
import { HttpFile } from './http-file.js';
import type { Fetch } from './route.js';
import { RemoteSource } from './remote-source.js';
import { MemoryStore } from './store.js';
import type { ByteSource } from '../wire/source.js';

/** How a URL is opened. */
export interface OpenUrlOptions {
  /** In the place of the platform's own; it may add headers. */
  readonly fetch?: Fetch;
  readonly signal?: AbortSignal;
  /** Requests at the same time; 16 by default, of which a browser makes 6. */
  readonly parallel?: number;
}

/** Bytes that the first request asks for: the graphs of most networks are shorter. */
export const PROBE = 256 * 1024;

/**
 * A file behind a URL as a source of bytes, read by ranges and kept in memory: for a browser, whose server must expose
 * Content-Range and ETag to the page, and for programs that want no file on the disk.
 * @throws UsageError for a scheme that cannot be read, IoError
 */
export async function openUrl(url: string, options: OpenUrlOptions = {}): Promise<ByteSource> {
  return openAt(parseAddress(url), options);
}

async function openAt(address: RemoteAddress, options: OpenUrlOptions): Promise<ByteSource> {
  // A page sees no redirects, and its `fetch` says so by what it gives for `manual`.
  const isFollowed = 'document' in globalThis || 'importScripts' in globalThis;
  const { file, head } = await HttpFile.open(address, PROBE, { ...options, isFollowed });
  const store = new MemoryStore();
  await store.write(head, 0);
  return new RemoteSource({
    address,
    http: file,
    store,
    size: file.version.size,
    openBeside: (location) => openAt(besideAddress(address, location, file.commit), options),
    isValidated: isValidated(file.version) || head.length === file.version.size,
  });
}
