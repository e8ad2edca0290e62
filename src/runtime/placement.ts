import { dirname, basename, join } from 'node:path';
import { IoError } from '../errors.js';
import { ioError, nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { FileSource } from '../wire/file-source.js';
import { providerOfProfile } from './providers.js';

/** Where the nodes of a run were executed, from ONNX Runtime's own profile. */
export interface Placement {
  /** Provider by share of the kernels' time, the largest first. */
  readonly providers: readonly { readonly provider: string; readonly nodes: number; readonly us: number }[];
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly dur?: number;
  readonly args?: { readonly provider?: string };
}

/**
 * The profile that a session wrote: the newest file that begins with the prefix.
 * @throws IoError where there is none
 */
export async function profileFile(prefix: string, fs: FileSystem = nodeFileSystem): Promise<string> {
  const last = (await profileFiles(prefix, fs)).at(-1);
  if (last === undefined) throw new IoError(`ONNX Runtime wrote no profile ${prefix}*.json`, { path: dirname(prefix) });
  return last;
}

/** The files that begin with the prefix, oldest first. @throws IoError */
export async function profileFiles(prefix: string, fs: FileSystem): Promise<string[]> {
  const folder = dirname(prefix);
  const all = await fs.readdir(folder).catch((error: unknown) => {
    throw ioError(error, 'look for the profile in', folder);
  });
  return all
    .filter((name) => name.startsWith(basename(prefix)) && name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * A profile that the library could not write in full ends before its closing bracket; it says nothing of that itself.
 * @throws IoError
 */
export async function assertWhole(path: string, fs: FileSystem): Promise<void> {
  const source = await FileSource.open(path, fs);
  try {
    const tail = new TextDecoder().decode(await source.read(Math.max(0, source.size - 16), source.size));
    if (tail.trimEnd().endsWith(']')) return;
    throw new IoError(`ONNX Runtime wrote only ${source.size} bytes of the profile ${path}, which is not all of it`, {
      path,
      hint: 'is the device full?',
    });
  } finally {
    await source.close();
  }
}

/** Reads a profile. @throws IoError */
export async function readPlacement(path: string, fs: FileSystem = nodeFileSystem): Promise<Placement> {
  const source = await FileSource.open(path, fs);
  try {
    const text = new TextDecoder().decode(await source.read(0, source.size));
    return placementOf(JSON.parse(text) as readonly ProfileEvent[]);
  } catch (error) {
    throw error instanceof IoError ? error : ioError(error, 'read the profile', path);
  } finally {
    await source.close();
  }
}

/** Which provider ran how many nodes, and how long, from the events of a profile. */
export function placementOf(events: readonly ProfileEvent[]): Placement {
  const totals = new Map<string, { nodes: number; us: number }>();
  for (const { cat, name, dur, args } of events) {
    if (cat !== 'Node' || args?.provider === undefined || name?.endsWith('_kernel_time') !== true) continue;
    const provider = providerOfProfile(args.provider);
    const total = totals.get(provider) ?? { nodes: 0, us: 0 };
    totals.set(provider, { nodes: total.nodes + 1, us: total.us + (dur ?? 0) });
  }
  return { providers: [...totals].map(([provider, total]) => ({ provider, ...total })).sort((a, b) => b.us - a.us) };
}
