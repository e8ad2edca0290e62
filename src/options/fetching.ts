import { BOOLEAN, callback, live, TEXT } from './kinds.js';
import { GROUPS, PAGES, type Rows } from './row.js';

const group = GROUPS.remote;
const READING = ['inspect', 'extract', 'run', ...PAGES, 'verify', 'net', 'hookNet', 'model'] as const;
const EVERYWHERE = [...READING, 'cache', 'doctor'] as const;
const WITH_BATCHES = [...EVERYWHERE, 'batch'] as const;

/** How models and inputs behind a URL are fetched. */
export const FETCHING = {
  /** Fetch nothing: only what is on this machine already. `FEATX_OFFLINE` and `HF_HUB_OFFLINE` say the same. */
  'remote.offline': {
    kind: BOOLEAN,
    in: WITH_BATCHES,
    flag: '--offline',
    help: 'fetch nothing: only what is on this machine already (FEATX_OFFLINE=1 and HF_HUB_OFFLINE=1 say the same)',
    group,
  },
  /** Use a remote file of which the server gives neither ETag nor Last-Modified, so that a change may go unseen. */
  'remote.allowUnvalidated': {
    kind: BOOLEAN,
    in: [...READING, 'batch'],
    flag: '--allow-unvalidated',
    help: 'use a file of which the server gives neither ETag nor Last-Modified: a change in the middle may go unseen',
    group,
  },
  /** Where what was fetched is kept. */
  'remote.cacheFolder': {
    kind: TEXT,
    in: WITH_BATCHES,
    flag: '--cache-dir <dir>',
    help: 'where what was fetched is kept (default: FEATX_CACHE, else featx in the folder that this system has for caches)',
    group,
  },
  /** In the place of the platform's own `fetch`: it may add headers, or go through a proxy. */
  'remote.fetch': { kind: callback<(url: string, init: RequestInit) => Promise<Response>>(), in: EVERYWHERE },
  /** The variables that name caches, the token and the endpoint of the hub; those of this process by default. */
  'remote.environment': {
    kind: live<{ readonly [name: string]: string | undefined }>('an object of texts'),
    in: EVERYWHERE,
  },
  /** How long a silent server is waited for, and how often it is asked again. */
  'remote.patience': {
    kind: live<{
      readonly silenceMs?: number;
      readonly tries?: number;
      readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
    }>('an object'),
    in: EVERYWHERE,
  },
  /** Called with every remote file that is opened, and what tells its version from others; null if nothing does. */
  'remote.onOpen': {
    kind: callback<(file: { readonly name: string; readonly version: string | null }) => void>(),
    in: READING,
  },
  /** Everything that was fetched. */
  all: { kind: BOOLEAN, in: ['cache'], flag: '--all', help: 'rm: everything that was fetched' },
} as const satisfies Rows;
