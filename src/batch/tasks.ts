import { resolve, sep } from 'node:path';
import { FeatxError } from '../errors.js';
import { neededPaths } from '../cut-files.js';
import { extract, type ExtractOptions } from '../extract.js';
import { inspect } from '../inspect.js';
import { openModel } from '../open.js';
import { errorRecord } from '../report/messages.js';
import type { ErrorRecord, ExtractReport, InspectReport, VerifyReport } from '../report/records.js';
import { currentVersion } from '../remote/open-remote.js';
import type { RemoteOptions } from '../remote/settings.js';
import { errnoOf, nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { judge, newMade, readMade, type Made, type RemoteRecord } from './made.js';
import { decodeOptions } from './options.js';
import { RecordingFileSystem } from './recording.js';

/** Cut an item, unless the record of an earlier cut still holds. */
export interface ExtractTask {
  readonly kind: 'extract';
  readonly root: string;
  readonly item: string;
  /** Where the model is fetched from; null for a file. */
  readonly url: string | null;
  readonly remote: RemoteTask;
  readonly output: string;
  readonly options: string;
  /** An earlier cut that may still hold; null to cut in any case. */
  readonly made: Made | null;
  /** Remember what the cut is made of; costs hashing it. */
  readonly remember: boolean;
}

/** How remote models are fetched, as far as it can be said to another process. */
export type RemoteTask = Pick<RemoteOptions, 'offline' | 'allowUnvalidated' | 'cacheFolder'>;

/** List the features of a model. */
export interface InspectTask {
  readonly kind: 'inspect';
  readonly root: string;
  readonly item: string;
}

/** List the files that hold the weights of a model. */
export interface SidecarsTask {
  readonly kind: 'sidecars';
  readonly root: string;
  readonly item: string;
}

/** What a worker is asked. */
export type Task = ExtractTask | InspectTask | SidecarsTask;

/** An error as it stands in a record. */
export type ItemError = ErrorRecord['error'];

/** What a task gives if it does not fail, by its kind. */
export interface ResultOf {
  readonly extract:
    | { readonly is: 'made'; readonly report: ExtractReport; readonly made: Made | null }
    /** `verified`: what was there already was run beside its model. */
    | { readonly is: 'same'; readonly made: Made; readonly verified: boolean };
  readonly inspect: { readonly is: 'inspected'; readonly report: InspectReport };
  readonly sidecars: { readonly is: 'sidecars'; readonly paths: readonly string[] };
}

/** What a worker answers to a task of a kind. */
export type TaskResult<Kind extends Task['kind'] = Task['kind']> =
  | ResultOf[Kind]
  | { readonly is: 'failed'; readonly error: ItemError };

/**
 * Does one piece of work, in a process that may be killed: ONNX Runtime runs here. A failure is a result.
 * @param onProgress called as bytes are written
 */
export async function performTask(
  task: Task,
  onProgress: () => void,
  fs: FileSystem = nodeFileSystem,
): Promise<TaskResult> {
  try {
    const path = resolve(task.root, task.item);
    switch (task.kind) {
      case 'inspect':
        return { is: 'inspected', report: await inspect(path, { name: task.item, isolate: false, fileSystem: fs }) };
      case 'sidecars':
        return { is: 'sidecars', paths: await sidecarsOf(path, fs) };
      case 'extract':
        return await cut(task, onProgress, fs);
    }
  } catch (error) {
    return { is: 'failed', error: relativeError(itemError(error), task.root) };
  }
}

async function sidecarsOf(path: string, fileSystem: FileSystem): Promise<readonly string[]> {
  await using model = await openModel(path, { fileSystem });
  return neededPaths(model, path);
}

/**
 * An error whose paths are relative to the root, as those of its record are: the same wherever the folder is mounted.
 */
export function relativeError({ message, hint, path, ...rest }: ItemError, root: string): ItemError {
  const prefix = `${resolve(root)}${sep}`.replace(/[$()*+.?[\\\]^{|}]/g, '\\$&');
  const inside = new RegExp(`(?<![^\\s'"(:=,])${prefix}`, 'g');
  const relative = (text: string): string => text.replace(inside, '');
  return {
    ...rest,
    message: relative(message),
    hint: hint === null ? null : relative(hint),
    ...(path === undefined ? {} : { path: relative(path) }),
  };
}

async function cut(
  { root, item, url, remote, output, options, made: earlier, remember }: ExtractTask,
  onProgress: () => void,
  fs: FileSystem,
): Promise<ResultOf['extract']> {
  const known = earlier === null ? null : readMade(earlier);
  const target = resolve(root, output);
  const model = url ?? resolve(root, item);
  const { extract: wanted, verify: isVerified } = decodeOptions(options);
  // Outside the record: what the cut is made of is what extract reads.
  const verdictOn = (path: string): Promise<VerifyReport> => verdictOf(model, path, { ...wanted, remote }, fs);
  if (known !== null) {
    const verdict = await judge(
      known,
      { root, item, output, options },
      {
        fileSystem: fs,
        content: true,
        hashLimit: Infinity,
        // What cannot be reached is made again, and fails there with its reason.
        versionOf: (path) =>
          currentVersion(path === item && url !== null ? url : path, remote, { fileSystem: fs }).catch(() => null),
      },
    );
    if (verdict.is === 'same') return { is: 'same', made: verdict.made, verified: false };
    // What differs, or cannot be judged, is made again, and fails there with its reason.
    if (verdict.is === 'unverified' && (await verdictOn(target)).equal === true)
      return { is: 'same', made: { ...verdict.made, verified: true }, verified: true };
  }
  const isWritten = (path: string): boolean => path === target || path.startsWith(`${target}.`);
  const fileSystem = new RecordingFileSystem(fs, root, url === null ? null : isWritten);
  const opened = new Map<string, string | null>();
  const fetching = {
    ...remote,
    onOpen: ({ name, version }: { readonly name: string; readonly version: string | null }): void =>
      void opened.set(opened.size === 0 ? item : name, version),
  };
  const report = await extract(model, target, {
    ...wanted,
    isolate: false,
    fileSystem,
    onProgress,
    name: item,
    verifyFile: isVerified ? verdictOn : undefined,
    ...(url === null ? {} : { remote: fetching }),
  });
  // Where a file has changed since it was read, the record says what was written and never holds.
  const files = async (): Promise<Pick<Made, 'reads' | 'remote' | 'absent' | 'writes'>> => ({
    ...(url === null
      ? { reads: (await fileSystem.reads(item)) ?? [], absent: await fileSystem.absent() }
      : { reads: [], remote: versioned(opened), absent: [] }),
    writes: fileSystem.writes(),
  });
  return {
    is: 'made',
    report: { ...report, output },
    made: remember ? newMade(options, isVerified, await files()) : null,
  };
}

/** Remote files with their versions; none if one of them has none, so that the record never holds. */
function versioned(opened: ReadonlyMap<string, string | null>): readonly RemoteRecord[] {
  const records = [...opened].flatMap(([path, version]) => (version === null ? [] : [{ path, version }]));
  return records.length < opened.size ? [] : records;
}

/** Whether the finished file computes what the model computes. */
async function verdictOf(
  model: string,
  cut: string,
  { inputShapes, limits, remote }: ExtractOptions,
  fileSystem: FileSystem,
): Promise<VerifyReport> {
  const { verify } = await import('../verify.js');
  return verify(model, cut, { inputShapes, limits, remote, isolate: false, fileSystem });
}

/** An error of any kind for a record; one that is none of ours is a bug in featx, or a system call that failed. */
export function itemError(error: unknown): ItemError {
  if (error instanceof FeatxError) return errorRecord('batch', error).error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (/^E[A-Z0-9]+$/.test(errnoOf(error) ?? '')) return { code: 'FEATX_IO', message, hint: null };
  return {
    code: 'FEATX_INTERNAL',
    message: `this is a bug in featx: ${message}`,
    hint: 'run featx extract on this model alone and report what it says, with the stack of the error',
  };
}
