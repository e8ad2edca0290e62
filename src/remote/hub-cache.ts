import { join } from 'node:path';
import { FileSource } from '../wire/file-source.js';
import { orNothing, type FileSystem } from '../wire/fs.js';
import type { HubFile } from './address.js';
import type { HubSettings } from './settings.js';

/**
 * The cache of the Hugging Face libraries: `models--owner--name/{refs/<revision>, snapshots/<commit>/<path>,
 * blobs/<etag>}`.
 * @see https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
const COMMIT = /^[0-9a-f]{40}$/;
const LARGEST_TEXT = 4096;

/** Whether a revision can never mean another file. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/** The commit that a revision was when it was last fetched; null if it never was. */
export async function knownCommit(file: HubFile, { folder }: HubSettings, fs: FileSystem): Promise<string | null> {
  if (isCommit(file.revision)) return file.revision;
  const ref = join(repositoryFolder(file, folder), 'refs', ...file.revision.split('/'));
  const commit = await smallText(ref, fs);
  return commit !== null && isCommit(commit) ? commit : null;
}

/** The path of a file of a commit in that cache; null if it is not there. */
export async function cachedPath(
  file: HubFile,
  commit: string,
  { folder }: HubSettings,
  fs: FileSystem,
): Promise<string | null> {
  const path = join(repositoryFolder(file, folder), 'snapshots', commit, ...file.path.split('/'));
  const state = await orNothing(fs.stat(path), path);
  return state?.isFile() ? path : null;
}

function repositoryFolder({ kind, repository }: HubFile, folder: string): string {
  return join(folder, `${kind}--${repository.replace('/', '--')}`);
}

/** The token that the user logged in with. */
export async function tokenOf({ token, tokenFile }: HubSettings, fs: FileSystem): Promise<string | null> {
  return token?.trim() || (await smallText(tokenFile, fs));
}

async function smallText(path: string, fs: FileSystem): Promise<string | null> {
  const state = await orNothing(fs.stat(path), path);
  if (state === null || !state.isFile() || state.size > LARGEST_TEXT) return null;
  const source = await FileSource.open(path, fs);
  try {
    return new TextDecoder().decode(await source.read(0, source.size)).trim() || null;
  } finally {
    await source.close();
  }
}
