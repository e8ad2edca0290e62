import type { OptionsOf } from '../options/types.js';
import type { FileSystem } from '../wire/fs.js';

/** What `merge` takes: `manifest.json` beside the first shard's is written by default. */
export type MergeOptions = OptionsOf<'merge'> & { readonly fileSystem?: FileSystem };

/** What `merge` returns. */
export interface MergeReport {
  readonly schema: 1;
  readonly command: 'merge';
  /** Null if there were problems: nothing was written. */
  readonly output: string | null;
  readonly shards: number;
  readonly items: number;
  readonly done: number;
  readonly failed: number;
  readonly files: number;
  readonly size_bytes: number;
  /** What keeps the shards from being one whole. */
  readonly problems: readonly string[];
  readonly elapsed_ms: number;
}
