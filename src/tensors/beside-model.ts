import { basename, dirname, join } from 'node:path';
import type { TextFile } from '../preprocessing/find.js';
import { CONFIG_NAMES, LARGEST_CONFIG } from '../preprocessing/config-names.js';
import { FileSource } from '../wire/file-source.js';
import { orNothing, type FileSystem } from '../wire/fs.js';
import { decodeText } from '../wire/text.js';
import { PolicyError } from '../errors.js';

/** The folder of a model, and the one above it if it is called `onnx`, as exporters of transformers lay files out. */
export function foldersOf(model: string): readonly string[] {
  const folder = dirname(model);
  return basename(folder) === 'onnx' ? [folder, dirname(folder)] : [folder];
}

/** Where configs of a model may lie. */
export function configPaths(model: string): readonly string[] {
  return CONFIG_NAMES.flatMap((name) => foldersOf(model).map((folder) => join(folder, name)));
}

/** The configs that lie beside a model. @throws IoError for one that cannot be read */
export async function configsBeside(model: string, fs: FileSystem): Promise<readonly TextFile[]> {
  const found: TextFile[] = [];
  for (const path of configPaths(model))
    if (await isFile(path, fs)) found.push({ path, text: await readText(path, fs) });
  return found;
}

async function isFile(path: string, fs: FileSystem): Promise<boolean> {
  return (await orNothing(fs.stat(path), path))?.isFile() === true;
}

/** The text of a small file. @throws IoError; PolicyError for one that is too large to be a config */
export async function readText(path: string, fs: FileSystem): Promise<string> {
  const source = await FileSource.open(path, fs);
  try {
    if (source.size > LARGEST_CONFIG)
      throw new PolicyError(`${path} has ${source.size} bytes, and a config has at most ${LARGEST_CONFIG}`, {
        code: 'FEATX_LIMIT_CONFIG',
        path,
      });
    return decodeText(await source.read(0, source.size));
  } finally {
    await source.close();
  }
}
