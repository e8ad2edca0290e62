import { basename, dirname, join, resolve } from 'node:path';
import { IoError, UsageError } from './errors.js';
import type { Layout, Resolution } from './features/feature.js';
import { selectFeatures, type SelectOptions } from './features/select.js';
import { FEATURE_INFO_KEY, storedFeature, type StoredInfo } from './features/stored-info.js';
import type { SidecarFiles } from './onnx/external-data.js';
import { assertReference, fingerprint, REFERENCE_KEY, type ReferenceRecord } from './onnx/fingerprint.js';
import { tensorsOf, viewGraph, type GraphView } from './onnx/graph.js';
import type { OnnxModel } from './onnx/records.js';
import { tensorBytes, type InferredTypes } from './onnx/types.js';
import { openModel, type OpenModelOptions } from './open.js';
import type { CountRecord, ExtractReport } from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { GraphEdit } from './rewrite/edit.js';
import { cutFeatures, planRewrite, type Mode, type Plan } from './rewrite/plan.js';
import { droppedStarts, splice, topStart, type TensorContents } from './rewrite/splice.js';
import { assertLoadable, DEFAULT_ALIGN, planWeights, type WeightsMode, type WeightsPlan } from './rewrite/weights.js';
import { startChild, surveyModel, type SurveyOptions } from './survey.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';
import { chunksOf, sizeOf, type Piece } from './wire/pieces.js';
import { DirectorySidecars, NO_SIDECARS } from './wire/sidecar-files.js';
import { resolveTarget, stage, writeFile, type StagedFile, type WriteOptions } from './wire/sink.js';

export interface ExtractOptions extends OpenModelOptions, SelectOptions, Omit<SurveyOptions, 'tensors'>, Omit<WriteOptions, 'beforeCommit'> {
  /** What the model is called in the report; its path by default. */
  readonly name?: string;
  readonly mode?: Mode;
  /** Hook mode: drop what the features do not need. */
  readonly rewrite?: boolean;
  readonly keepOutputs?: boolean;
  readonly order?: 'out' | 'exec';
  readonly outMap?: readonly string[];
  readonly outputFmt?: Layout;
  readonly weights?: WeightsMode;
  /** Bytes at which tensors in a sidecar start. */
  readonly align?: number;
  /** Plan and report; write nothing. */
  readonly dryRun?: boolean;
  /** Warnings become errors. */
  readonly strict?: boolean;
  /** Refuse external data with several hard links. */
  readonly strictExternal?: boolean;
  /** Called with the finished file before it takes its place; the file is discarded where this throws. Where it is given, the report says `verified`. */
  readonly verifyFile?: (temporaryPath: string, outputs: Plan['outputs']) => Promise<boolean>;
  /** Takes the bytes instead of a file: for standard output. */
  readonly write?: (bytes: Uint8Array) => Promise<void>;
}

/**
 * Cuts features out of a model, or hooks them onto it, as a new ONNX file whose bytes are borrowed from the old one.
 * @param input path, or bytes
 * @param output path of the result; null for `<stem>.features.onnx` beside the model
 * @returns what was written; the file is whole and durable
 * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError; the output is then as it was before
 */
export async function extract(input: string | Uint8Array, output: string | null, options: ExtractOptions = {}): Promise<ExtractReport> {
  const started = performance.now();
  assertModeFlags(options);
  const fs = options.fileSystem ?? nodeFileSystem;
  const sourcePath = typeof input === 'string' ? input : null;
  const target = await resolveOutput(sourcePath, output, options);
  await using model = await openModel(input, options);
  const warnings: string[] = [...model.warnings];
  const warn = (message: string): void => void (warnings.includes(message) || warnings.push(message));
  const files: SidecarFiles = sourcePath === null ? NO_SIDECARS : new DirectorySidecars(sourcePath, { fileSystem: fs, strict: options.strictExternal, warn });
  try {
    await assertReference(model, files);
    using child = startChild(model, options);
    const view = viewGraph(model);
    const { types, resolution } = await surveyModel(view, { ...options, child: options.child ?? child ?? undefined, tensors: namedTensors(view, options) });
    const selections = selectFeatures(view, types, resolution, options);
    [...types.warnings, ...resolution.warnings].forEach(warn);
    const mode = options.mode ?? 'dict';
    const plan = planRewrite(view, types.types, selections, {
      mode, rewrite: mode !== 'hook' || options.rewrite === true, keepOutputs: options.keepOutputs ?? false, order: options.order ?? 'out', outMap: options.outMap ?? null, outputFmt: options.outputFmt ?? null,
    });
    plan.warnings.forEach(warn);
    const weightsMode = options.weights ?? 'keep';
    const sourceName = sourcePath === null ? null : await referableName(fs, sourcePath);
    const weights = await planWeights(model, plan.edit, files, {
      mode: weightsMode, align: options.align ?? DEFAULT_ALIGN, warn,
      sameDirectory: sourcePath !== null && target !== null && (await sameDirectory(fs, sourcePath, target)),
      sourceName,
    });
    if (weights.isReference && referenceEntries(model).length > 0) {
      throw new UsageError('--weights reference: the model is such a cut itself and points into another file', { code: 'FEATX_USAGE_REFERENCE', hint: 'use --weights keep: the result points where the model points' });
    }
    const edit: GraphEdit = {
      ...plan.edit,
      drop: { ...plan.edit.drop, metadata: weights.keepsExternal ? [] : referenceEntries(model) },
      setMetadata: await metadata(view, types, resolution, plan, weights.isReference ? sourceName : null),
    };
    if (options.strict) assertNoWarnings(warnings, sourcePath ?? undefined);
    const result = options.dryRun ? preview(model, edit, weights, target) : await write({ model, edit, plan, weights, target, options, sourcePath });
    return {
      schema: 1, command: 'extract', input: options.name ?? sourcePath, output: options.write === undefined ? target : '-', mode, weights: weightsMode,
      features: plan.outputs.map(({ tap, output: name, shape }) => ({
        index: tap.index, module: tap.module, tensor: tap.tensors[0], output: name, num_chs: tap.numChs, reduction: tap.reduction, dtype: tap.dtype, shape,
      })),
      ...counts(model, edit), ...result, warnings, elapsed_ms: Math.round(performance.now() - started), ...(options.dryRun ? { plan: edit } : {}),
    };
  } finally {
    await files.close();
  }
}

function assertModeFlags({ mode, rewrite }: ExtractOptions): void {
  if (rewrite === undefined || mode === 'hook') return;
  throw new UsageError(`${rewrite ? '--rewrite' : '--no-rewrite'} is for --mode hook; ${mode ?? 'dict'} mode always prunes the graph`, { code: 'FEATX_USAGE_MODE' });
}

async function resolveOutput(sourcePath: string | null, output: string | null, options: ExtractOptions): Promise<string | null> {
  if (options.write !== undefined) {
    if (options.weights === 'external' || options.weights === 'reference') throw new UsageError(`--weights ${options.weights} needs a file as output, not standard output`, { code: 'FEATX_USAGE_OUTPUT' });
    return null;
  }
  if (output === null && sourcePath === null) {
    if (options.dryRun) return null;
    throw new UsageError('the model is not a file, so its output has no default name', { code: 'FEATX_USAGE_OUTPUT', hint: 'name the output' });
  }
  const target = output ?? join(dirname(sourcePath ?? ''), `${basename(sourcePath ?? '').replace(/\.onnx$/i, '')}.features.onnx`);
  return resolveTarget(target, sourcePath === null ? [] : [sourcePath], options);
}

/** Tensors that are asked for by name and that the resolvers need not have looked at. */
function namedTensors(view: GraphView, { named = [], embedding = false }: ExtractOptions): Iterable<string> {
  return named.length === 0 && !embedding ? [] : view.producerOf.keys();
}

async function sameDirectory(fs: FileSystem, a: string, b: string): Promise<boolean> {
  return (await fs.realpath(dirname(resolve(a)))) === (await fs.realpath(dirname(resolve(b))));
}

async function sameFile(fs: FileSystem, a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => fs.stat(path).catch(() => null)));
  return one !== null && other !== null && one.dev === other.dev && one.ino === other.ino;
}

/** The name under which a file beside the model can point into it; a model that is a link into another directory has none. */
async function referableName(fs: FileSystem, path: string): Promise<string | null> {
  const real = await fs.realpath(path);
  return dirname(real) === (await fs.realpath(dirname(resolve(path)))) ? basename(real) : null;
}

/** What the cut says of itself. */
async function metadata(view: GraphView, types: InferredTypes, resolution: Resolution, plan: Plan, original: string | null): Promise<GraphEdit['setMetadata']> {
  const info: StoredInfo = {
    schema: 1,
    feature_info: cutFeatures(view, resolution.features, plan.edit).map((feature) => ({ ...storedFeature(feature), grid: isProven(types, feature.tensor) ? feature.grid : null })),
    out_indices: plan.outputs.flatMap(({ tap }) => tap.index ?? []),
    outputs: plan.outputs.map(({ tap, output, layout }) => ({ index: tap.index, module: tap.module, tensor: tap.tensors[0], output, layout })),
  };
  const entries = [{ key: FEATURE_INFO_KEY, value: JSON.stringify(info) }];
  if (original === null) return entries;
  const record: ReferenceRecord = { schema: 1, file: original, size_bytes: view.model.source.size, sha256: await fingerprint(view.model) };
  return [...entries, { key: REFERENCE_KEY, value: JSON.stringify(record) }];
}

/** The record of a reference cut, which says nothing of a result that points nowhere or into another file. */
function referenceEntries({ metadata: entries }: OnnxModel): readonly number[] {
  return entries.flatMap(({ key }, index) => (key === REFERENCE_KEY ? [index] : []));
}

/** Whether the token axis of a tensor is a number of the file's own and not a nominal one. */
function isProven({ types }: InferredTypes, tensor: string | null): boolean {
  return tensor !== null && (types.get(tensor)?.shape?.slice(1).every((dim) => typeof dim === 'number') ?? false);
}

function sidecarPaths(model: OnnxModel, sourcePath: string | null): string[] {
  if (sourcePath === null) return [];
  const locations = new Set([...tensorsOf(model)].flatMap(({ external }) => external?.filter(({ key }) => key === 'location').map(({ value }) => value) ?? []));
  return [...locations].map((location) => join(dirname(sourcePath), location));
}

function counts(model: OnnxModel, edit: GraphEdit): { kept: CountRecord; dropped: CountRecord } {
  const gone = droppedStarts(model, edit);
  const kept = { nodes: model.graph.nodes.length - edit.drop.nodes.length, initializers: model.graph.initializers.length - edit.drop.initializers.length, weights_bytes: 0 };
  const dropped = { nodes: edit.drop.nodes.length, initializers: edit.drop.initializers.length, weights_bytes: 0 };
  for (const tensor of tensorsOf(model)) (gone.has(topStart(model, tensor)) ? dropped : kept).weights_bytes += tensorBytes(tensor) ?? 0;
  return { kept, dropped };
}

interface Written {
  readonly size_bytes: number;
  readonly sidecar?: { readonly path: string | null; readonly size_bytes: number };
  readonly bytes_copied: number;
  readonly verified: boolean | null;
}

function measure(pieces: readonly Piece[], sidecar: readonly Piece[] = [], path: string | null = null): Omit<Written, 'verified'> {
  const borrowed = [...pieces, ...sidecar].filter((piece) => !(piece instanceof Uint8Array));
  return { size_bytes: sizeOf(pieces), ...(sidecar.length === 0 ? {} : { sidecar: { path, size_bytes: sizeOf(sidecar) } }), bytes_copied: sizeOf(borrowed) };
}

/** Sizes of what would be written. */
function preview(model: OnnxModel, edit: GraphEdit, weights: WeightsPlan, target: string | null): Written {
  const pieces = splice(model, edit, weights.sidecar?.contents(sidecarName(target ?? '', '0'.repeat(8))) ?? weights.contents);
  assertLoadable(pieces);
  return { ...measure(pieces, weights.sidecar?.pieces), verified: null };
}

/** A sidecar is named after its content: whatever stands there already under its name is the same. */
function sidecarName(target: string, sha256: string): string {
  return `${basename(target)}.${sha256.slice(0, 8)}.data`;
}

interface Writing {
  readonly model: OnnxModel;
  readonly edit: GraphEdit;
  readonly plan: Plan;
  readonly weights: WeightsPlan;
  readonly target: string | null;
  readonly options: ExtractOptions;
  readonly sourcePath: string | null;
}

async function write({ model, edit, plan, weights, target, options, sourcePath }: Writing): Promise<Written> {
  const { source } = model;
  const { sidecar } = weights;
  if (target === null) {
    if (sidecar !== null) throw new UsageError('the weights would go to a file beside the result, and standard output has none', { code: 'FEATX_USAGE_OUTPUT', hint: 'put them inside with --weights embed, or name an output file' });
    const pieces = splice(model, edit, weights.contents);
    assertLoadable(pieces);
    await stream(model, pieces, options);
    return { ...measure(pieces), verified: null };
  }
  // Even in place, what the model itself refers to must stay.
  const fs = options.fileSystem ?? nodeFileSystem;
  const inputs = sourcePath === null ? [] : [sourcePath];
  await resolveTarget(target, sidecarPaths(model, sourcePath), { ...options, inPlace: false });
  await resolveTarget(target, inputs, options);
  if (weights.isReference && sourcePath !== null && (await sameFile(fs, sourcePath, target))) {
    throw new UsageError('--weights reference cannot replace the model it would point into', { code: 'FEATX_USAGE_REFERENCE', path: target, hint: 'choose another output' });
  }
  let contents: TensorContents = weights.contents;
  let verified: boolean | null = null;
  let sidecarPath: string | null = null;
  let isNew = false;
  try {
    if (sidecar !== null) {
      const staged = await stage(source, sidecar.pieces, dirname(target), { ...options, hash: true });
      const name = sidecarName(target, staged.sha256 ?? '');
      const path = join(dirname(target), name);
      contents = sidecar.contents(name);
      isNew = !(await commitSidecar(fs, staged, path, () => assertLoadable(splice(model, edit, contents))));
      sidecarPath = path;
    }
    const pieces = splice(model, edit, contents);
    assertLoadable(pieces);
    await writeFile(source, pieces, target, {
      ...options,
      beforeCommit: async (temporaryPath) => {
        if (options.verifyFile === undefined) return;
        verified = await options.verifyFile(temporaryPath, plan.outputs);
        if (!verified) throw new IoError('the cut does not compute what the model computes; nothing was written', { code: 'FEATX_VERIFY', path: target });
      },
    });
    return { ...measure(pieces, sidecar?.pieces, sidecarPath), verified };
  } catch (error) {
    if (sidecarPath !== null && isNew) await fs.unlink(sidecarPath).catch(() => undefined);
    throw error;
  }
}

/** Puts a sidecar in its place; returns whether that name was taken, by a run that wrote the same. */
async function commitSidecar(fs: FileSystem, staged: StagedFile, path: string, check: () => void): Promise<boolean> {
  try {
    check();
    const existing = await fs.lstat(path).catch(() => null);
    await staged.commit(path);
    return existing !== null;
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

async function stream(model: OnnxModel, pieces: readonly Piece[], { write: sink, signal, onProgress }: ExtractOptions): Promise<void> {
  const total = sizeOf(pieces);
  let done = 0;
  for (const piece of pieces) {
    for await (const chunk of chunksOf(piece, model.source)) {
      signal?.throwIfAborted();
      await sink?.(chunk);
      done += chunk.length;
      onProgress?.(done, total);
    }
  }
}
