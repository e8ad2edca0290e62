import { resolve } from 'node:path';
import { FeatxError, IoError } from '../errors.js';
import { FEATURE_INFO_KEY } from '../features/stored-info.js';
import { readMetadataKeys } from '../onnx/skim.js';
import { FileSource } from '../wire/file-source.js';
import { orNothing, type FileSystem } from '../wire/fs.js';

const AT_ONCE = 32;
const MANIFEST = /^\{"schema":1,"command":"batch-manifest"/;
const MANIFEST_HEAD = 64;

/** What a found name stands for: `cut`: a file that `extract` made, by what it says of itself. */
export type Kind = 'cut' | 'folder' | 'file';

/** What found names stand for. Paths are relative to the root. */
export async function lookInto(
  items: readonly string[],
  root: string,
  fs: FileSystem,
): Promise<ReadonlyMap<string, Kind>> {
  const kinds = new Map<string, Kind>();
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const some = items.slice(start, start + AT_ONCE);
    const answers = await Promise.all(some.map((item) => kindOf(resolve(root, item), fs)));
    some.forEach((item, at) => kinds.set(item, answers[at]));
  }
  return kinds;
}

/** What cannot be read is a file: what is wrong with it is said when it is worked on. */
export async function kindOf(path: string, fs: FileSystem): Promise<Kind> {
  try {
    const file = await FileSource.open(path, fs);
    try {
      return (await readMetadataKeys(file)).includes(FEATURE_INFO_KEY) ? 'cut' : 'file';
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof IoError) return (await orNothing(fs.stat(path), path))?.isDirectory() ? 'folder' : 'file';
    if (error instanceof FeatxError) return 'file';
    throw error;
  }
}

/** Whether a file is a manifest of a batch, by how it begins. */
export async function isManifestFile(path: string, fs: FileSystem): Promise<boolean> {
  const file = await FileSource.open(path, fs).catch(() => null);
  if (file === null) return false;
  try {
    return MANIFEST.test(Buffer.from(await file.read(0, Math.min(MANIFEST_HEAD, file.size))).toString('latin1'));
  } finally {
    await file.close();
  }
}

/** What is said of cuts that a folder or glob found. */
export function leftOutText(cuts: readonly string[]): string {
  const shown = cuts.length > 5 ? `${cuts.slice(0, 5).join(', ')} and ${cuts.length - 5} more` : cuts.join(', ');
  return `${shown} ${cuts.length === 1 ? 'is a cut that featx made and is' : 'are cuts that featx made and are'} left out; name a cut by its path to cut from it`;
}
