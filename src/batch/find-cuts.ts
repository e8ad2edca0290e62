import { resolve } from 'node:path';
import { FeatxError } from '../errors.js';
import { FEATURE_INFO_KEY } from '../features/stored-info.js';
import { readMetadataKeys } from '../onnx/metadata-keys.js';
import { FileSource } from '../wire/file-source.js';
import type { FileSystem } from '../wire/fs.js';

const AT_ONCE = 32;

/** Those of the files that `extract` made, by what they say of themselves. Paths are relative to the root. */
export async function findCuts(items: readonly string[], root: string, fs: FileSystem): Promise<readonly string[]> {
  const cuts: string[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const some = items.slice(start, start + AT_ONCE);
    const answers = await Promise.all(some.map((item) => isCut(resolve(root, item), fs)));
    cuts.push(...some.filter((_item, at) => answers[at]));
  }
  return cuts;
}

/** What cannot be read is no cut: what is wrong with it is said when it is worked on. */
async function isCut(path: string, fs: FileSystem): Promise<boolean> {
  try {
    const file = await FileSource.open(path, fs);
    try {
      return (await readMetadataKeys(file)).includes(FEATURE_INFO_KEY);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof FeatxError) return false;
    throw error;
  }
}

/** What is said of cuts that a folder or glob found. */
export function leftOutText(cuts: readonly string[]): string {
  const shown = cuts.length > 5 ? `${cuts.slice(0, 5).join(', ')} and ${cuts.length - 5} more` : cuts.join(', ');
  return `${shown} ${cuts.length === 1 ? 'is a cut that featx made and is' : 'are cuts that featx made and are'} left out; name a cut by its path to cut from it`;
}
