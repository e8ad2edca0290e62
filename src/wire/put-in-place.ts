import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { FeatxError, IoError } from '../errors.js';
import { isSameFile, type FileIdentity } from './file-state.js';
import { errnoOf, ioError, look, orNothing, type FileSystem } from './fs.js';
import { forget, remove } from './temporary-names.js';

/** Windows answers these while a virus scanner or another reader holds the target. */
const RENAME_LATER = new Set(['EPERM', 'EACCES', 'EBUSY']);
const RENAME_RETRIES = 4;
const RENAME_RETRY_MS = 250;

/**
 * Code of the error of a file that is whole and in its place, but could not be made to stay there through a loss of
 * power.
 */
const NOT_DURABLE = 'FEATX_IO_NOT_DURABLE';

/**
 * Renames a finished temporary file over its target, keeps the target's mode, and makes the rename durable.
 * @throws IoError; the temporary file is gone then, unless it cannot be removed
 */
export async function putInPlace(fs: FileSystem, temporaryPath: string, target: string): Promise<FileIdentity> {
  let finished: FileIdentity;
  try {
    finished = await fs.lstat(temporaryPath);
    const existing = await look(fs, target);
    if (existing?.isFile()) await keepMode(fs, temporaryPath, Number(existing.mode & 0o777n));
    await replace(fs, temporaryPath, target, finished);
  } catch (error) {
    await remove(fs, temporaryPath).catch(() => undefined);
    throw error instanceof FeatxError ? error : ioError(error, 'replace', target);
  }
  forget(temporaryPath);
  await syncDirectory(fs, target);
  return finished;
}

async function replace(fs: FileSystem, temporaryPath: string, target: string, finished: FileIdentity): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await fs.rename(temporaryPath, target);
      return;
    } catch (error) {
      const errno = errnoOf(error) ?? '';
      // A file server may rename, lose its answer, and be asked again: then there is nothing left to rename.
      if (errno === 'ENOENT' && isSameFile(await look(fs, target), finished)) return;
      if (attempt >= RENAME_RETRIES || !RENAME_LATER.has(errno)) throw error;
      await new Promise((resolve) => setTimeout(resolve, RENAME_RETRY_MS));
    }
  }
}

/** Whether an error is that of a file that is in its place all the same. */
export function isInPlace(error: unknown): error is IoError {
  return error instanceof IoError && error.code === NOT_DURABLE;
}

/** Takes back a file that nothing came to need, unless another run has put its own there since. */
export async function withdraw(fs: FileSystem, path: string, placed: FileIdentity): Promise<void> {
  const found = await fs.lstat(path).catch(() => null);
  if (isSameFile(found, placed)) await fs.unlink(path).catch(() => undefined);
}

async function keepMode(fs: FileSystem, path: string, mode: number): Promise<void> {
  const handle = await fs.open(path, constants.O_RDONLY);
  try {
    // Some file systems have one mode for all files and refuse to set any.
    if (Number((await handle.stat()).mode & 0o777n) !== mode) await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

/**
 * Makes a rename durable; file systems that cannot sync a directory say so with EINVAL, ENOTSUP, or EPERM and EISDIR on
 * Windows.
 */
async function syncDirectory(fs: FileSystem, target: string): Promise<void> {
  const directory = dirname(target);
  try {
    const handle = await fs.open(directory, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (['EINVAL', 'ENOTSUP', 'EPERM', 'EISDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return;
    const { message } = ioError(error, 'sync', directory);
    throw new IoError(`${target} is written, but might not outlive a loss of power: ${message}`, {
      code: NOT_DURABLE,
      path: target,
      cause: error,
      hint: 'run again once the device is in order',
    });
  }
}

/**
 * Puts sealed files in their places, one after the other; if one cannot be put there, those are taken back that stand
 * where nothing stood before.
 * @throws IoError
 */
export async function commitAll(
  files: readonly { readonly target: string; readonly file: { commit(target: string): Promise<FileIdentity> } }[],
  fs: FileSystem,
): Promise<void> {
  const added: (readonly [path: string, placed: FileIdentity])[] = [];
  let notDurable: unknown = null;
  try {
    for (const { file, target } of files) {
      const isNew = (await orNothing(fs.lstat(target), target)) === null;
      try {
        const placed = await file.commit(target);
        if (isNew) added.push([target, placed]);
      } catch (error) {
        if (!isInPlace(error)) throw error;
        notDurable ??= error;
        const placed = await fs.lstat(target).catch(() => null);
        if (isNew && placed !== null) added.push([target, placed]);
      }
    }
  } catch (error) {
    for (const [path, placed] of added) await withdraw(fs, path, placed);
    throw error;
  }
  if (notDurable !== null) throw notDurable;
}
