import { ioError, writeFully, type FileSystem } from './fs.js';

/** Adds text to the end of a file that another program reads; the file is made if it is missing. @throws IoError */
export async function appendText(fs: FileSystem, path: string, text: string): Promise<void> {
  const handle = await fs.open(path, 'a').catch((error: unknown) => {
    throw ioError(error, 'write', path);
  });
  try {
    // Where appending is not the system's own doing, the position says it.
    await writeFully(handle, new TextEncoder().encode(text), Number((await handle.stat()).size), path);
  } finally {
    await handle.close();
  }
}
