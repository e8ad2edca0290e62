import { dirname, resolve } from 'node:path';
import { IoError, UsageError } from './errors.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import { ioError, nodeFileSystem, type FileSystem } from './wire/fs.js';
import { resolveTarget } from './wire/target.js';

/** What says where the profile of a run goes. */
type ProfileOptions = Pick<OptionsOf<'run'>, 'profile' | 'output' | 'noClobber'> & { readonly fileSystem?: FileSystem };

/**
 * A profile that cannot be written, or that would replace what is read or written, is known before anything runs.
 * @throws UsageError, IoError
 */
export async function assertProfile(
  { profile, output, ...options }: ProfileOptions,
  inputs: readonly string[],
): Promise<void> {
  if (profile === undefined) return;
  if (output !== undefined && resolve(output) === resolve(profile))
    throw new UsageError(`the profile and the features would both be ${profile}`, {
      code: 'FEATX_USAGE_SAME_FILE',
      path: profile,
      hint: `choose another ${option('profile')}`,
    });
  const { fileSystem = nodeFileSystem } = options;
  await resolveTarget(profile, inputs, {
    fileSystem,
    noClobber: options.noClobber,
    inPlace: false,
  });
  // ONNX Runtime writes it there, and makes no folder.
  await fileSystem.mkdir(dirname(resolve(profile))).catch((error: unknown) => {
    throw ioError(error, 'create the directory', dirname(profile));
  });
}

/** ONNX Runtime adds a time to the name that it is given; the profile gets the name that was asked for. */
export async function keepProfile(
  written: string | null,
  { profile, fileSystem = nodeFileSystem }: ProfileOptions,
): Promise<void> {
  if (profile === undefined) return;
  if (written === null) throw new IoError(`ONNX Runtime wrote no profile to ${profile}`, { path: profile });
  await fileSystem.rename(written, profile).catch((error: unknown) => {
    throw ioError(error, 'write the profile', profile);
  });
}
