import { placementOf, previewCut, resolveOutput, writeCut, type CutOptions } from './cut-files.js';
import { UsageError } from './errors.js';
import type { Feature, Resolution } from './features/feature.js';
import {
  FEATURE_INFO_KEY,
  storedFeature,
  type StoredFeature,
  type StoredInfo,
  type StoredOutput,
} from './features/stored-info.js';
import { fingerprint, REFERENCE_KEY, type ReferenceRecord } from './onnx/fingerprint.js';
import { tensorsOf, type GraphView } from './onnx/graph.js';
import type { OnnxModel } from './onnx/records.js';
import { tensorBytes, type InferredTypes } from './onnx/types.js';
import { checkOptions } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { prepare, type PrepareOptions } from './prepare.js';
import type { CountRecord, ExtractReport } from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { GraphEdit } from './rewrite/edit.js';
import { cutFeatures, planRewrite, type Plan } from './rewrite/plan.js';
import type { Tap } from './rewrite/tap.js';
import { droppedStarts, topStart } from './rewrite/splice.js';
import { DEFAULT_ALIGN, planWeights } from './rewrite/weights.js';

/** What `extract` takes: the options of the table, and what only a program can give. */
export type ExtractOptions = OptionsOf<'extract'> &
  Pick<PrepareOptions, 'child' | 'resolve'> &
  Pick<CutOptions, 'fileSystem' | 'onProgress' | 'verifyFile'>;

/**
 * Cuts features out of a model, or hooks them onto it, as a new ONNX file whose bytes are borrowed from the old one.
 * @param input path, or bytes
 * @param output path of the result; null for `<stem>.features.onnx` beside the model
 * @returns what was written; the file is whole and durable
 * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError; the output is then as it was before
 */
export async function extract(
  input: string | Uint8Array,
  output: string | null,
  options: ExtractOptions = {},
): Promise<ExtractReport> {
  const started = performance.now();
  checkOptions('extract', options);
  assertModeFlags(options);
  const sourcePath = typeof input === 'string' ? input : null;
  const target = await resolveOutput(sourcePath, output, options);
  await using prepared = await prepare(input, options);
  const { model, view, files, types, resolution, selections, warnings, warn } = prepared;
  const mode = options.mode ?? 'dict';
  const plan = planRewrite(view, types.types, selections, {
    mode,
    rewrite: mode !== 'hook' || options.rewrite === true,
    keepOutputs: options.keepOutputs ?? false,
    order: options.order ?? 'out',
    outMap: options.outMap ?? null,
    outputFmt: options.outputFmt ?? null,
  });
  plan.warnings.forEach(warn);
  const weightsMode = options.weights ?? 'keep';
  const placement = await placementOf(model, sourcePath, target, options);
  const weights = await planWeights(model, plan.edit, files, {
    mode: weightsMode,
    align: options.align ?? DEFAULT_ALIGN,
    warn,
    ...placement,
  });
  if (weights.isReference && referenceEntries(model).length > 0) {
    throw new UsageError('--weights reference: the model is such a cut itself and points into another file', {
      code: 'FEATX_USAGE_REFERENCE',
      hint: 'use --weights keep: the result points where the model points',
    });
  }
  const edit: GraphEdit = {
    ...plan.edit,
    drop: { ...plan.edit.drop, metadata: weights.keepsExternal ? [] : referenceEntries(model) },
    setMetadata: await metadata(view, types, resolution, plan, weights.isReference ? placement.sourceName : null),
  };
  if (options.strict) assertNoWarnings(warnings, sourcePath ?? undefined);
  const result = options.dryRun
    ? previewCut(model, edit, weights, target)
    : await writeCut({ model, edit, plan, weights, target, options, sourcePath });
  return {
    schema: 1,
    command: 'extract',
    input: options.name ?? sourcePath,
    output: options.write === undefined ? target : '-',
    mode,
    weights: weightsMode,
    features: plan.outputs.map(({ tap, output: name, shape }) => ({
      index: tap.index,
      ...(tap.group == null ? {} : { group: tap.group }),
      module: tap.module,
      tensor: tap.tensors[0],
      output: name,
      num_chs: tap.numChs,
      reduction: tap.reduction,
      dtype: tap.dtype,
      shape,
    })),
    ...counts(model, edit),
    ...result,
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
    ...(options.dryRun ? { plan: edit } : {}),
  };
}

function assertModeFlags({ mode, rewrite }: ExtractOptions): void {
  if (rewrite === undefined || mode === 'hook') return;
  throw new UsageError(
    `${rewrite ? '--rewrite' : '--no-rewrite'} is for --mode hook; ${mode ?? 'dict'} mode always prunes the graph`,
    { code: 'FEATX_USAGE_MODE' },
  );
}

/** What the cut says of itself. */
async function metadata(
  view: GraphView,
  types: InferredTypes,
  resolution: Resolution,
  plan: Plan,
  original: string | null,
): Promise<GraphEdit['setMetadata']> {
  const stored = (features: readonly Feature[]): readonly StoredFeature[] =>
    cutFeatures(view, features, plan.edit).map((feature) => ({
      ...storedFeature(feature),
      grid: isProven(types, feature.tensor) ? feature.grid : null,
    }));
  const { features, groups, embeddings } = resolution;
  const info: StoredInfo = {
    schema: 1,
    feature_info: stored(features),
    ...(groups.length === 0
      ? {}
      : { groups: groups.map(({ name, features: list }) => ({ name, features: stored(list) })) }),
    out_indices: plan.outputs.flatMap(({ tap }) => (tap.group == null ? (tap.index ?? []) : [])),
    outputs: plan.outputs.map(({ tap, output, layout, prefixTokens, converted }) => ({
      index: tap.index,
      ...(tap.group == null ? {} : { group: tap.group }),
      ...roleOf(embeddings, tap),
      module: tap.module,
      tensor: tap.tensors[0],
      output,
      layout,
      prefix_tokens: prefixTokens,
      converted,
    })),
  };
  const entries = [{ key: FEATURE_INFO_KEY, value: JSON.stringify(info) }];
  if (original === null) return entries;
  const record: ReferenceRecord = {
    schema: 1,
    file: original,
    size_bytes: view.model.source.size,
    sha256: await fingerprint(view.model),
  };
  return [...entries, { key: REFERENCE_KEY, value: JSON.stringify(record) }];
}

/** The role of a tap that is one of the model's embeddings. */
function roleOf(embeddings: Resolution['embeddings'], { tensors, index }: Tap): Pick<StoredOutput, 'embedding'> {
  const found = index === null && tensors.length === 1 && embeddings.find(({ tensor }) => tensor === tensors[0]);
  return found ? { embedding: found.role } : {};
}

/** The record of a reference cut, which says nothing of a result that points nowhere or into another file. */
function referenceEntries({ metadata: entries }: OnnxModel): readonly number[] {
  return entries.flatMap(({ key }, index) => (key === REFERENCE_KEY ? [index] : []));
}

/** Whether the token axis of a tensor is a number of the file's own and not a nominal one. */
function isProven({ types }: InferredTypes, tensor: string | null): boolean {
  return (
    tensor !== null &&
    (types
      .get(tensor)
      ?.shape?.slice(1)
      .every((dim) => typeof dim === 'number') ??
      false)
  );
}

function counts(model: OnnxModel, edit: GraphEdit): { kept: CountRecord; dropped: CountRecord } {
  const gone = droppedStarts(model, edit);
  const kept = {
    nodes: model.graph.nodes.length - edit.drop.nodes.length,
    initializers: model.graph.initializers.length - edit.drop.initializers.length,
    weights_bytes: 0,
  };
  const dropped = { nodes: edit.drop.nodes.length, initializers: edit.drop.initializers.length, weights_bytes: 0 };
  for (const tensor of tensorsOf(model))
    (gone.has(topStart(model, tensor)) ? dropped : kept).weights_bytes += tensorBytes(tensor) ?? 0;
  return { kept, dropped };
}
