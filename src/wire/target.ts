import { dirname } from 'node:path';
import { IoError, UsageError } from '../errors.js';
import { option } from '../options/words.js';
import { isSameFile } from './file-state.js';
import { errnoOf, ioError, look, nodeFileSystem, orNothing, type FileSystem } from './fs.js';

/** What may be replaced by a result. */
export interface TargetOptions {
  readonly fileSystem?: FileSystem;
  /** Refuse to replace an existing file. */
  readonly noClobber?: boolean;
  /** If the target is a symbolic link, replace what it points to. */
  readonly follow?: boolean;
  /** Allow the target to be one of the files that are read. */
  readonly inPlace?: boolean;
}

/**
 * Checks a target before any long work and returns the path that will really be replaced.
 * @throws UsageError for links, non-files and targets that are also inputs; IoError for a folder that cannot be one, or
 * `noClobber`
 */
export async function resolveTarget(
  target: string,
  inputs: readonly string[],
  options: TargetOptions = {},
): Promise<string> {
  const fs = options.fileSystem ?? nodeFileSystem;
  const existing = await look(fs, target);
  if (existing?.isSymbolicLink()) {
    if (!options.follow)
      throw new UsageError(`${target} is a symbolic link`, {
        code: 'FEATX_USAGE_LINK',
        path: target,
        hint: `name the file itself, or pass ${option('follow', true)} to replace what the link points to`,
      });
    const real = await fs.realpath(target).catch((error: unknown) => {
      throw ioError(error, 'follow the link', target);
    });
    return resolveTarget(real, inputs, options);
  }
  if (existing !== null && !existing.isFile())
    throw new UsageError(`${target} is ${existing.isDirectory() ? 'a directory' : 'not a regular file'}`, {
      code: 'FEATX_USAGE_OUTPUT',
      path: target,
      hint: 'name a file as the output',
    });
  if (existing !== null && options.noClobber)
    throw new IoError(`${target} exists`, {
      code: 'FEATX_IO_EXISTS',
      path: target,
      hint: `leave out ${option('noClobber', true)} to replace it`,
    });
  await assertFolder(fs, dirname(target));
  if (existing !== null && !options.inPlace) {
    for (const input of inputs) {
      const state = await orNothing(fs.stat(input), input);
      if (isSameFile(state, existing)) {
        throw new UsageError(`the output ${target} is also an input (${input})`, {
          code: 'FEATX_USAGE_SAME_FILE',
          path: target,
          hint:
            options.inPlace === false
              ? 'choose another output: the result still needs that file'
              : `choose another output, or pass ${option('inPlace', true)} to replace the input`,
        });
      }
    }
  }
  return target;
}

/** A folder that is there, or that can be made once something is written into it. @throws IoError */
async function assertFolder(fs: FileSystem, folder: string): Promise<void> {
  const state = await fs.stat(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' && dirname(folder) !== folder) return null;
    throw ioError(error, 'write into', folder);
  });
  if (state === null) return assertFolder(fs, dirname(folder));
  if (!state.isDirectory()) throw new IoError(`${folder} is not a directory`, { path: folder });
}

/** The nearest folder that is there: where a missing one will be made. @throws IoError */
export async function nearestFolder(fs: FileSystem, folder: string): Promise<string> {
  const isThere = (await orNothing(fs.stat(folder), folder)) !== null;
  return isThere || dirname(folder) === folder ? folder : nearestFolder(fs, dirname(folder));
}
