import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { errnoOf, ioError, look, removeNow, type FileSystem } from './fs.js';
import { isGone, thisWriter } from './writers.js';

const TEMPORARY = /^\.featx-([0-9a-f]{8})-(\d+)-[0-9a-f]+\.tmp$/;
const STALE_MS = 3_600_000;

/** Temporary files of this process that are neither in their place nor removed. */
const unfinished = new Set<string>();

/** A name in a folder that tells which process of which machine writes there. */
export function temporaryName(directory: string): string {
  const { host, process } = thisWriter();
  const path = join(directory, `.featx-${host}-${process}-${randomBytes(6).toString('hex')}.tmp`);
  unfinished.add(path);
  return path;
}

/** Says that a temporary file is none any more: it is in its place. */
export function forget(path: string): void {
  unfinished.delete(path);
}

/** Removes a file that may be gone already. @throws IoError */
export async function remove(fs: FileSystem, path: string): Promise<void> {
  await fs.unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw ioError(error, 'remove', path);
  });
  forget(path);
}

/** Removes what is being written, in a process that ends without waiting. */
export function removeUnfinished(): void {
  for (const path of unfinished) removeNow(path);
}

/**
 * Removes temporary files that a killed run left behind: of a process of this machine that is gone, or of another
 * machine and old.
 */
export async function removeStale(fs: FileSystem, directory: string): Promise<void> {
  const own = thisWriter();
  let names: string[];
  try {
    names = await fs.readdir(directory);
  } catch (error) {
    // A directory may be writable and not listable; then there is nothing to tidy.
    if (errnoOf(error) === 'EACCES') return;
    throw ioError(error, 'write into', directory);
  }
  for (const name of names) {
    const [, host, process] = TEMPORARY.exec(name) ?? [];
    // A thousand files of this run are no reason to look at each a thousand times.
    if (host === undefined || (host === own.host && Number(process) === own.process)) continue;
    const path = join(directory, name);
    const state = await look(fs, path);
    if (state === null) continue;
    const old = host !== own.host && Date.now() - Number(state.mtimeMs) > STALE_MS;
    if (!old && !isGone({ host, process: Number(process) })) continue;
    await fs.unlink(path).catch((error: unknown) => {
      // Another user's file in a shared directory is that user's to remove.
      if (!['ENOENT', 'EPERM', 'EACCES'].includes(errnoOf(error) ?? '')) throw ioError(error, 'remove', path);
    });
  }
}
