import { dirname } from 'node:path';
import { VERSION } from '../version.js';
import { ioError, type FileSystem } from '../wire/fs.js';
import { BufferSource } from '../wire/source.js';
import { writeFile } from '../wire/sink.js';
import { relativeTo } from '../wire/find-files.js';
import type { Plan, PlannedItem } from './jobs.js';
import type { Made } from './made.js';
import type { Shard } from '../options/values.js';

/** What a run, or one shard of it, made of which items. Says nothing of when or how fast: the same work gives the same bytes. */
export interface Manifest {
  readonly schema: 1;
  readonly command: 'batch-manifest';
  readonly featx: string;
  /** Digest of everything that was asked for, by all shards together. */
  readonly plan: string;
  readonly shard: Pick<Shard, 'index' | 'count'>;
  /** What the paths are relative to, relative to the directory of the manifest. */
  readonly root: string;
  /** Items of all shards. */
  readonly total: number;
  readonly items: readonly ManifestItem[];
}

export interface ManifestItem {
  /** Place among the items of all shards, from 0. */
  readonly position: number;
  readonly item: string;
  readonly output: string;
  readonly status: 'done' | 'failed';
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Every file that it wrote: the model, and a sidecar where it has one. */
  readonly files: readonly ManifestFile[];
}

export interface ManifestFile {
  /** Relative to the root of the run. */
  readonly path: string;
  readonly size_bytes: number;
  readonly sha256: string;
}

export interface ManifestSource {
  readonly plan: Plan;
  readonly shard: Pick<Shard, 'index' | 'count'>;
  readonly items: readonly PlannedItem[];
  /** What was made of an item, or why not. */
  readonly madeOf: (item: PlannedItem) => Promise<Made | { readonly error: unknown } | null>;
}

export function manifestName({ index, count }: Pick<Shard, 'index' | 'count'>): string {
  return count === 1 ? 'manifest.json' : `manifest.${index}-of-${count}.json`;
}

export async function writeManifest(
  path: string,
  { plan, shard, items, madeOf }: ManifestSource,
  fs: FileSystem,
): Promise<void> {
  const records: ManifestItem[] = [];
  for (const item of items) {
    const made = await madeOf(item);
    const { position, item: model, output } = item;
    if (made === null || 'error' in made) {
      const error = made?.error as ManifestItem['error'] | undefined;
      records.push({
        position,
        item: model,
        output,
        status: 'failed',
        error: { code: error?.code ?? 'FEATX_BATCH', message: error?.message ?? 'nothing is known of what was made' },
        files: [],
      });
    } else {
      const files = made.writes.map(({ path: file, size, sha256 }) => ({ path: file, size_bytes: size, sha256 }));
      records.push({ position, item: model, output, status: 'done', error: null, files });
    }
  }
  const { index, count } = shard;
  await storeManifest(
    path,
    {
      schema: 1,
      command: 'batch-manifest',
      featx: VERSION,
      plan: plan.digest,
      shard: { index, count },
      root: relativeTo(dirname(path), plan.root),
      total: plan.items.length,
      items: records,
    },
    fs,
  );
}

/** Writes a manifest, whole or not at all: a header and one item per line. @throws IoError */
export async function storeManifest(path: string, { items, ...header }: Manifest, fs: FileSystem): Promise<void> {
  const head = JSON.stringify(header);
  const text = `${head.slice(0, -1)},"items":[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]}\n`;
  await fs.mkdir(dirname(path)).catch((error: unknown) => {
    throw ioError(error, 'create the directory', dirname(path));
  });
  await writeFile(new BufferSource(new Uint8Array(0)), [new TextEncoder().encode(text)], path, { fileSystem: fs });
}
