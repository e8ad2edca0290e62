import { homedir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import type { Fetch } from './route.js';
import type { Patience } from './waiting.js';

/** Variables of a process. */
export type Environment = { readonly [name: string]: string | undefined };

/** How remote files are opened. */
export interface RemoteOptions {
  /** Fetch nothing: only what is on this machine already. */
  readonly offline?: boolean;
  /** Use files of which nobody could say whether they changed. */
  readonly allowUnvalidated?: boolean;
  /** Where what was fetched is kept. */
  readonly cacheFolder?: string;
  readonly fetch?: Fetch;
  /** The variables that say where caches are and what the hub is told; those of this process by default. */
  readonly environment?: Environment;
  readonly patience?: Partial<Patience>;
  /** Called with every file that is opened: its name as it is shown, and what tells its version from others. */
  readonly onOpen?: OnOpen;
}

/** Is told which version of a file was opened; null if nothing tells it from others. */
export type OnOpen = (file: { readonly name: string; readonly version: string | null }) => void;

/** What surrounds the opening of a remote file. */
export interface Surroundings {
  readonly fileSystem?: FileSystem;
  readonly signal?: AbortSignal;
  readonly warn?: (message: string) => void;
}

/** `RemoteOptions` with all that the environment says. */
export interface Settings {
  readonly fs: FileSystem;
  readonly signal: AbortSignal | undefined;
  readonly warn: (message: string) => void;
  readonly fetch: Fetch | undefined;
  readonly patience: Partial<Patience> | undefined;
  readonly onOpen: OnOpen | undefined;
  readonly offline: boolean;
  /** Our own cache. */
  readonly folder: string;
  readonly hub: HubSettings;
}

/** What the Hugging Face libraries are told by. @see huggingface_hub/constants.py */
export interface HubSettings {
  readonly endpoint: string;
  /** Their cache. */
  readonly folder: string;
  readonly token: string | undefined;
  /** Where a token is kept. */
  readonly tokenFile: string;
}

/** Reads the environment. */
export function settingsOf(options: RemoteOptions = {}, around: Surroundings = {}): Settings {
  const { environment: env = process.env, fetch, patience, onOpen } = options;
  const home = env.HOME ?? env.USERPROFILE ?? homedir();
  const hubHome = env.HF_HOME ?? join(env.XDG_CACHE_HOME ?? join(home, '.cache'), 'huggingface');
  return {
    fs: around.fileSystem ?? nodeFileSystem,
    signal: around.signal,
    warn: around.warn ?? (() => undefined),
    fetch,
    patience,
    onOpen,
    offline: options.offline ?? (isTrue(env.FEATX_OFFLINE) || isTrue(env.HF_HUB_OFFLINE)),
    folder: options.cacheFolder ?? env.FEATX_CACHE ?? join(cachesOf(env, home), 'featx'),
    hub: {
      endpoint: (env.HF_ENDPOINT ?? 'https://huggingface.co').replace(/\/+$/, ''),
      folder: env.HF_HUB_CACHE ?? join(hubHome, 'hub'),
      token: env.HF_TOKEN,
      tokenFile: env.HF_TOKEN_PATH ?? join(hubHome, 'token'),
    },
  };
}

function cachesOf(env: Environment, home: string): string {
  if (env.XDG_CACHE_HOME) return env.XDG_CACHE_HOME;
  if (process.platform === 'win32') return env.LOCALAPPDATA ?? join(home, 'AppData', 'Local');
  return process.platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache');
}

/** @see huggingface_hub/constants.py */
function isTrue(text: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(text ?? '');
}
