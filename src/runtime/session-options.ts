import type { OptionsOf } from '../options/types.js';
import type { FileSystem } from '../wire/fs.js';

/** How a session is opened: the CPU alone by default. */
export type SessionOptions = OptionsOf<'session'> & { readonly fileSystem?: FileSystem };
