import { option } from './options/words.js';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { FeatxError, RuntimeError, UsageError } from './errors.js';
import { containedLocations, isContained } from './onnx/external-data.js';
import { referenceOf } from './onnx/fingerprint.js';
import type { OnnxModel } from './onnx/records.js';
import type { GraphEdit } from './rewrite/edit.js';
import type { Plan } from './rewrite/plan.js';
import { splice, type TensorContents } from './rewrite/splice.js';
import { assertLoadable, type WeightsMode, type WeightsOptions, type WeightsPlan } from './rewrite/weights.js';
import { errnoOf, ioError, nodeFileSystem, orNothing, type FileSystem } from './wire/fs.js';
import { chunksOfRun, fetchBorrowed, runsOf, sizeOf, type Piece } from './wire/pieces.js';
import { sidecarPlaces } from './wire/sidecar-files.js';
import { isSameFile, type FileIdentity } from './wire/file-state.js';
import { isInPlace, withdraw } from './wire/put-in-place.js';
import { stage, writeFile, type WriteOptions } from './wire/sink.js';
import { nearestFolder, resolveTarget } from './wire/target.js';
import type { TemporaryFile } from './wire/temporary-file.js';

/** How a cut is written: where its files go, and what is checked before they appear. */
export interface CutFileOptions extends Omit<WriteOptions, 'beforeCommit'> {
  readonly weights?: WeightsMode;
  /** Other files that were read for it, which the result must not replace. */
  readonly reads?: readonly string[];
  /** Plan and report; write nothing. */
  readonly dryRun?: boolean;
  /**
   * Called with the finished file before it takes its place; the file is discarded where this throws, or does not say
   * that the cut is right. Where it is given, the report says `verified`.
   */
  readonly verifyFile?: (temporaryPath: string, outputs: Plan['outputs']) => Promise<Verdict>;
  /** Called with the finished file before that, whatever is asked for. */
  readonly checkFile?: (temporaryPath: string) => Promise<void>;
  /** Takes the bytes instead of a file: for standard output. */
  readonly write?: (bytes: Uint8Array) => Promise<void>;
}

/** What a check of a cut comes to: right, wrong, or (null) that nobody can tell, with the reason. */
export type Verdict =
  | boolean
  | { readonly equal: boolean | null; readonly reason: string | null; readonly warnings: readonly string[] };

/**
 * The file that a cut will be, checked before any long work; null where there is none.
 * @param remoteName what a model behind a URL is called; a cut of it goes to the working directory by default
 * @throws UsageError, IoError
 */
export async function resolveOutput(
  sourcePath: string | null,
  output: string | null,
  options: CutFileOptions,
  remoteName: string | null = null,
): Promise<string | null> {
  if (options.write !== undefined) {
    if (options.weights === 'external' || options.weights === 'reference')
      throw new UsageError(`${option('weights', options.weights)} needs a file as output, not standard output`, {
        code: 'FEATX_USAGE_OUTPUT',
      });
    return null;
  }
  const name = remoteName ?? (sourcePath === null ? null : basename(sourcePath));
  if (output === null && name === null) {
    if (options.dryRun) return null;
    throw new UsageError('the model is not a file, so its output has no default name', {
      code: 'FEATX_USAGE_OUTPUT',
      hint: 'name the output',
    });
  }
  const target = output ?? join(dirname(sourcePath ?? ''), `${(name ?? '').replace(/\.onnx$/i, '')}.features.onnx`);
  return resolveTarget(target, sourcePath === null ? [] : [sourcePath], options);
}

/**
 * What the place of a result allows: references to the files of the model, and into the model itself. @throws IoError
 */
export async function placementOf(
  model: OnnxModel,
  sourcePath: string | null,
  target: string | null,
  { fileSystem: fs = nodeFileSystem }: CutFileOptions,
): Promise<Pick<WeightsOptions, 'sameDirectory' | 'sourceName'>> {
  if (sourcePath === null) return { sameDirectory: false, sourceName: null };
  const directory = await realPath(fs, dirname(resolve(sourcePath)));
  const real = await realPath(fs, sourcePath);
  // A model that is a link into another directory has no name of its own beside the result.
  const sourceName = dirname(real) === directory ? basename(real) : null;
  const isBeside =
    target !== null && (await realPath(fs, await nearestFolder(fs, dirname(resolve(target))))) === directory;
  return {
    sameDirectory:
      isBeside && (sourceName !== null || !(await leadsAway(fs, directory, sidecarPaths(model, sourcePath)))),
    sourceName,
  };
}

async function realPath(fs: FileSystem, path: string): Promise<string> {
  return fs.realpath(path).catch((error: unknown) => {
    throw ioError(error, 'look at', path);
  });
}

/**
 * Whether a sidecar is a link to another directory: a model that is such a link itself may use it (as in a Hugging Face
 * cache), a result beside it may not.
 */
async function leadsAway(fs: FileSystem, directory: string, paths: readonly string[]): Promise<boolean> {
  for (const path of paths) {
    const real = await orNothing(fs.realpath(path), path);
    if (real !== null && !real.startsWith(join(directory, sep))) return true;
  }
  return false;
}

async function sameFile(fs: FileSystem, a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => orNothing(fs.stat(path), path)));
  return isSameFile(one, other);
}

/** Where the sidecars of a model would lie: what must not be written over. */
export function sidecarPaths(model: OnnxModel, sourcePath: string | null): string[] {
  if (sourcePath === null) return [];
  return [...containedLocations(model)].flatMap((location) => sidecarPlaces(sourcePath, location));
}

/**
 * Every file that a model is nothing without: its sidecars, and the original of a reference cut, which it needs even
 * where it names no weights there.
 */
export async function neededPaths(model: OnnxModel, sourcePath: string): Promise<readonly string[]> {
  const original = await referenceOf(model).catch((error: unknown) => {
    if (error instanceof FeatxError) return null;
    throw error;
  });
  return [
    ...sidecarPaths(model, sourcePath),
    ...(original !== null && isContained(original.file) ? sidecarPlaces(sourcePath, original.file) : []),
  ];
}

/** What was written, for the report. */
export interface Written {
  readonly size_bytes: number;
  readonly sidecar?: { readonly path: string | null; readonly size_bytes: number };
  readonly bytes_copied: number;
  readonly verified: boolean | null;
}

function measure(
  pieces: readonly Piece[],
  sidecar: readonly Piece[] = [],
  path: string | null = null,
): Omit<Written, 'verified'> {
  const borrowed = [...pieces, ...sidecar].filter((piece) => !(piece instanceof Uint8Array));
  return {
    size_bytes: sizeOf(pieces),
    ...(sidecar.length === 0 ? {} : { sidecar: { path, size_bytes: sizeOf(sidecar) } }),
    bytes_copied: sizeOf(borrowed),
  };
}

/** Sizes of what would be written. */
export function previewCut(model: OnnxModel, edit: GraphEdit, weights: WeightsPlan, target: string | null): Written {
  const pieces = splice(
    model,
    edit,
    weights.sidecar?.contents(sidecarName(target ?? 'out.onnx', UNKNOWN_HASH)) ?? weights.contents,
  );
  assertLoadable(pieces);
  return { ...measure(pieces, weights.sidecar?.pieces), verified: null };
}

const UNKNOWN_HASH = '0'.repeat(8);

/**
 * A sidecar is named after its content: whatever stands there already under its name is the same. @throws UsageError
 * where no model may name it
 */
function sidecarName(target: string, sha256: string): string {
  const name = `${basename(target)}.${sha256.slice(0, 8)}.data`;
  if (!isContained(name))
    throw new UsageError(`the weights would go to '${name}', which no model may name as a place of its weights`, {
      code: 'FEATX_USAGE_OUTPUT',
      path: target,
      hint: 'give the output a name without a colon, and not that of a device or a home directory',
    });
  return name;
}

/** A cut that is ready to be written. */
export interface Writing {
  readonly model: OnnxModel;
  readonly edit: GraphEdit;
  readonly plan: Plan;
  readonly weights: WeightsPlan;
  readonly target: string | null;
  readonly options: CutFileOptions;
  readonly sourcePath: string | null;
}

/** Writes a cut and its sidecar, whole or not at all. @throws UsageError, PolicyError, IoError */
export async function writeCut({ model, edit, plan, weights, target, options, sourcePath }: Writing): Promise<Written> {
  const { source } = model;
  const { sidecar } = weights;
  if (target === null) {
    if (sidecar !== null)
      throw new UsageError('the weights would go to a file beside the result, and standard output has none', {
        code: 'FEATX_USAGE_OUTPUT',
        hint: `put them inside with ${option('weights', 'embed')}, or name an output file`,
      });
    const pieces = splice(model, edit, weights.contents);
    assertLoadable(pieces);
    await stream(model, pieces, options);
    return { ...measure(pieces), verified: null };
  }
  // Even in place, what the model itself refers to must stay.
  const fs = options.fileSystem ?? nodeFileSystem;
  const inputs = sourcePath === null ? [] : [sourcePath];
  await resolveTarget(target, [...sidecarPaths(model, sourcePath), ...(options.reads ?? [])], {
    ...options,
    inPlace: false,
  });
  await resolveTarget(target, inputs, options);
  if (weights.isReference && sourcePath !== null && (await sameFile(fs, sourcePath, target))) {
    throw new UsageError(`${option('weights', 'reference')} cannot replace the model it would point into`, {
      code: 'FEATX_USAGE_REFERENCE',
      path: target,
      hint: 'choose another output',
    });
  }
  if (sidecar !== null) sidecarName(target, UNKNOWN_HASH);
  let contents: TensorContents = weights.contents;
  let verified: boolean | null = null;
  let sidecarPath: string | null = null;
  let fresh: FileIdentity | null = null;
  try {
    if (sidecar !== null) {
      const staged = await stage(source, sidecar.pieces, dirname(target), { ...options, hash: true });
      const name = sidecarName(target, staged.sha256 ?? '');
      const path = join(dirname(target), name);
      contents = sidecar.contents(name);
      sidecarPath = path;
      fresh = await commitSidecar(fs, staged.file, path, () => assertLoadable(splice(model, edit, contents)));
    }
    const pieces = splice(model, edit, contents);
    assertLoadable(pieces);
    await writeFile(source, pieces, target, {
      ...options,
      beforeCommit: async (temporaryPath) => {
        await options.checkFile?.(temporaryPath);
        if (options.verifyFile === undefined) return;
        verified = isRight(await options.verifyFile(temporaryPath, plan.outputs), target);
      },
    });
    return { ...measure(pieces, sidecar?.pieces, sidecarPath), verified };
  } catch (error) {
    // A result that is in its place needs its sidecar, whatever came after.
    if (sidecarPath !== null && fresh !== null && !isInPlace(error)) await withdraw(fs, sidecarPath, fresh);
    throw error;
  }
}

/** @throws RuntimeError for a cut that is wrong, or that nobody can judge */
function isRight(verdict: Verdict, path: string): boolean {
  const { equal, reason } = typeof verdict === 'boolean' ? { equal: verdict, reason: null } : verdict;
  if (equal === true) return true;
  if (equal === null)
    throw new RuntimeError(`the cut cannot be judged: ${reason}; nothing was written`, {
      code: 'FEATX_VERIFY_UNJUDGED',
      path,
      hint: `leave out ${option('verify')} to write it all the same`,
    });
  throw new RuntimeError('the cut does not compute what the model computes; nothing was written', {
    code: 'FEATX_VERIFY',
    path,
    hint: 'featx verify shows which features differ; please report this model',
  });
}

/**
 * Puts a sidecar in its place; returns which file it is, or null where its name was taken already, by a run that wrote
 * the same.
 */
async function commitSidecar(
  fs: FileSystem,
  file: TemporaryFile,
  path: string,
  check: () => void,
): Promise<FileIdentity | null> {
  let isNew = false;
  try {
    check();
    isNew = await fs.lstat(path).then(
      () => false,
      (error: unknown) => errnoOf(error) === 'ENOENT',
    );
    const placed = await file.commit(path);
    return isNew ? placed : null;
  } catch (error) {
    await file.discard();
    if (!isInPlace(error)) throw error;
    if (isNew) await fs.unlink(path).catch(() => undefined);
    throw ioError(error.cause, 'sync', dirname(path));
  }
}

async function stream(
  model: OnnxModel,
  pieces: readonly Piece[],
  { write: sink, signal, onProgress }: CutFileOptions,
): Promise<void> {
  await fetchBorrowed(model.source, pieces, { signal });
  const total = sizeOf(pieces);
  let done = 0;
  for (const run of runsOf(pieces)) {
    for await (const chunk of chunksOfRun(run, model.source)) {
      signal?.throwIfAborted();
      await sink?.(chunk);
      done += chunk.length;
      onProgress?.(done, total);
    }
  }
}
