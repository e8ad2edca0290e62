import { constants } from 'node:fs';
import { IoError } from '../errors.js';
import { openAfresh, ioError, orNothing, writeFully } from '../wire/fs.js';
import { hashFile } from '../wire/hash.js';
import { parseAddress } from './address.js';
import { misbehaved } from './answers.js';
import { HttpFile } from './http-file.js';
import type { Settings } from './settings.js';

/** A file whose bytes are known before they are fetched. */
export interface KnownFile {
  readonly url: string;
  readonly sha256: string;
  readonly size: number;
}

/**
 * Where a file with this digest lies in the cache while it is fetched. Its digest says whose bytes they are, whatever
 * server they come from: `cache rm --all` takes it for data that no record names.
 */
function downloadPath({ sha256 }: KnownFile, { folder }: Settings): string {
  return `${folder}/${sha256.slice(0, 48)}-${sha256.slice(48)}.data`;
}

/** Bytes of it that are here. @throws IoError */
export async function downloadedBytes(file: KnownFile, settings: Settings): Promise<number> {
  const path = downloadPath(file, settings);
  const state = await orNothing(settings.fs.stat(path), path);
  return state === null ? 0 : Math.min(file.size, Number(state.size));
}

/**
 * Fetches a file from its first byte to its last, going on where an earlier run stopped, and holds it against its
 * digest; the caller removes it.
 * @returns its path
 * @throws IoError if the bytes are not those that the digest is of; what was fetched is removed then
 */
export async function download(
  file: KnownFile,
  settings: Settings,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<string> {
  const { fs, folder, fetch, patience, signal } = settings;
  const path = downloadPath(file, settings);
  await fs.mkdir(folder).catch((error: unknown) => {
    throw ioError(error, 'create the cache', folder);
  });
  let at = await downloadedBytes(file, settings);
  const handle = await openAfresh(fs, path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600).catch(
    (error: unknown) => {
      throw ioError(error, 'open', path);
    },
  );
  try {
    if (at < file.size) {
      const address = parseAddress(file.url);
      const { file: http } = await HttpFile.open(address, 1, { fetch, patience, signal });
      if (http.version.size !== file.size)
        throw misbehaved(address.shown, `it has ${http.version.size} bytes, where ${file.size} are expected`);
      await http.get({ start: at, end: file.size }, async (bytes) => {
        await writeFully(handle, bytes, at, path);
        at += bytes.length;
        onProgress(bytes.length);
      });
    }
  } finally {
    await handle.close();
  }
  const { sha256, size } = await hashFile(fs, path);
  if (sha256 === file.sha256 && size === file.size) return path;
  await fs.unlink(path);
  throw new IoError(`${parseAddress(file.url).shown} has the sha256 ${sha256}, and not ${file.sha256}`, {
    code: 'FEATX_IO_CHANGED',
    path: file.url,
    hint: 'run again to fetch it anew; if that helps nothing, name another server',
  });
}
