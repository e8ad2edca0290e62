import { findFeatures, type FindOptions, type Found } from './features/find.js';
import { typesWanted } from './features/needed.js';
import { asksBeyondFeatures } from './features/selectors.js';
import type { SidecarFiles } from './onnx/external-data.js';
import type { GraphView } from './onnx/graph.js';
import { indexModel } from './onnx/model.js';
import type { OnnxModel } from './onnx/records.js';
import type { InferredTypes } from './onnx/types.js';
import { UsageError } from './errors.js';
import { checkOptions } from './options/check.js';
import { option } from './options/words.js';
import type { OptionsOf } from './options/types.js';
import { beginningRecords, counts, dimRecords, extractedFeatures, pixelRecords } from './report/extract-report.js';
import { inspectReport } from './report/inspect-report.js';
import type { ExtractReport, InspectReport } from './report/records.js';
import type { TextFile } from './preprocessing/find.js';
import { picturesOfCut } from './preprocessing/model-recipe.js';
import { assertOneStep, describedEdit } from './rewrite/described.js';
import { planRewrite, type PlannedOutput } from './rewrite/plan.js';
import { exposedSelection } from './rewrite/expose.js';
import { rewritesWhole } from './rewrite/whole-model.js';
import { sizedView, type SizedView } from './rewrite/sized-view.js';
import { splice } from './rewrite/splice.js';
import { assertModeFlags, planOptions } from './rewrite/tap.js';
import { assertLoadable, DEFAULT_ALIGN, planWeights } from './rewrite/weights.js';
import { readProjection } from './tensors/projection.js';
import { typesOfFile } from './shapes/file-types.js';
import { materialize, sizeOf, type Piece } from './wire/pieces.js';
import { NO_SIDECARS, type ByteSource } from './wire/source.js';
import { stopwatch } from './wire/stopwatch.js';

/** What `inspectBytes` takes. */
export interface InspectBytesOptions extends OptionsOf<'inspectBytes'>, Pick<FindOptions, 'resolve'> {}

/** What `extractBytes` takes. */
export interface ExtractBytesOptions extends OptionsOf<'extractBytes'>, Pick<FindOptions, 'resolve'> {
  /** Opens the files that the model keeps weights in. */
  readonly files?: SidecarFiles;
}

/** A cut in memory. */
export interface ExtractedModel {
  /** The ONNX file, its weights inside. */
  readonly bytes: Uint8Array;
  readonly report: ExtractReport;
}

/**
 * `inspect` without a file system and without ONNX Runtime: what a model is and which features it has. Types and shapes
 * are what the file declares and what follows from it.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError, UsageError, ResolveError
 */
export async function inspectBytes(
  input: Uint8Array | ByteSource,
  options: InspectBytesOptions = {},
): Promise<InspectReport> {
  checkOptions('inspectBytes', options);
  return inspectModel(await indexModel(input, { limits: options.limits }), options);
}

/** `inspectBytes` of a model that is open already. @throws as it does */
export async function inspectModel(model: OnnxModel, options: InspectBytesOptions = {}): Promise<InspectReport> {
  const elapsed = stopwatch();
  checkOptions('inspectBytes', options);
  const { listTensors, listModules, explain, resolve } = options;
  const found = await findIn(
    model,
    { ...options, resolve: { explain: explain !== undefined, ...resolve }, isListing: true },
    listTensors === true || listModules === true,
  );
  return { ...(await inspectReport(found, options)), elapsed_ms: elapsed() };
}

/**
 * `extract` without a file system and without ONNX Runtime: cuts features out of a model. The result holds its weights.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError, UsageError, ResolveError
 */
export async function extractBytes(
  input: Uint8Array | ByteSource,
  options: ExtractBytesOptions = {},
): Promise<ExtractedModel> {
  checkOptions('extractBytes', options);
  const model = await indexModel(input, { limits: options.limits });
  const { pieces, source, report } = await planBytes(model, options);
  return { bytes: await materialize(source, pieces), report };
}

/** Where the weights of a cut are, of a model whose file has a name. */
export interface CutPlace {
  /** In the cut, where they are (`keep`: a cut beside the model), or in the file of the model. */
  readonly weights: 'embed' | 'keep' | 'reference';
  /** The name of the model's file, which `reference` points into. */
  readonly fileName: string | null;
  /** Files beside the model that say how pictures are prepared, the most telling first. */
  readonly configs?: readonly TextFile[];
}

/** A cut that nothing was copied for yet. */
export interface PlannedBytes {
  /** The ONNX file in order; what is borrowed without `from` is of `source`. */
  readonly pieces: readonly Piece[];
  readonly source: ByteSource;
  /** What leaves it, in order. */
  readonly outputs: readonly PlannedOutput[];
  readonly report: ExtractReport;
}

/** What `extractBytes` would give of a model that is open already, with nothing copied. @throws as it does */
export async function planBytes(
  model: OnnxModel,
  options: ExtractBytesOptions = {},
  { weights: mode, fileName, configs = [] }: CutPlace = { weights: 'embed', fileName: null },
): Promise<PlannedBytes> {
  const elapsed = stopwatch();
  checkOptions('extractBytes', options);
  assertModeFlags(options, options.from);
  const whole = rewritesWhole(options);
  const found = await findIn(model, { ...options, isWhole: whole }, options.from !== undefined);
  const { view, types, resolution, selections, beginnings, resized, warnings } = found;
  const warn = (message: string): void => void (warnings.includes(message) || warnings.push(message));
  const { project } = options;
  const projection =
    project === undefined ? null : await readProjection(project, (path) => Promise.reject(noFiles(path)));
  const pictures = await picturesOfCut(view, {
    how: options.pixels?.preprocess,
    isNeeded: options.pixels !== undefined,
    files: {
      beside: () => Promise.resolve(configs),
      read: (path) => Promise.reject(noFiles(path)),
    },
    warn,
  });
  const [pixelRecipe = null] = pictures.values();
  const plan = planRewrite(
    view,
    types.types,
    selections,
    planOptions({ ...options, beginnings, projection, pixelRecipe, sizes: resized, whole }),
  );
  plan.warnings.forEach(warn);
  const weights = await planWeights(found.model, plan.edit, options.files ?? NO_SIDECARS, {
    mode,
    sameDirectory: mode !== 'embed',
    align: DEFAULT_ALIGN,
    sourceName: fileName,
    warn,
  });
  assertOneStep(found.model, weights);
  const edit = await describedEdit({ view, types, resolution, plan, resized, pictures }, weights, fileName);
  const pieces = splice(found.model, edit, weights.contents);
  assertLoadable(pieces);
  return {
    pieces,
    source: found.model.source,
    outputs: plan.outputs,
    report: {
      schema: 1,
      command: 'extract',
      input: options.name ?? model.source.path ?? null,
      output: null,
      mode: options.mode ?? 'dict',
      weights: mode,
      ...extractedFeatures(plan),
      ...beginningRecords(plan),
      ...dimRecords(resized),
      ...pixelRecords({ view, plan, pictures }),
      ...counts(found.model, edit),
      size_bytes: sizeOf(pieces),
      bytes_copied: sizeOf(pieces.filter((piece) => !(piece instanceof Uint8Array))),
      verified: null,
      warnings,
      elapsed_ms: elapsed(),
    },
  };
}

function noFiles(path: string): UsageError {
  return new UsageError(`there is no file system to read ${path} from`, {
    code: 'FEATX_USAGE_PROJECT',
    hint: `give what it says: ${option('project')} takes { weights, mean }, and single options say how pixels are prepared`,
  });
}

interface FoundInMemory extends Found {
  readonly model: OnnxModel;
  readonly view: GraphView;
  readonly types: InferredTypes;
  readonly resized: SizedView['resized'];
  readonly warnings: string[];
}

async function findIn(
  indexed: OnnxModel,
  options: OptionsOf<'extractBytes'> & FindOptions,
  typesOfAll: boolean,
): Promise<FoundInMemory> {
  const { view: sized, resized } = await sizedView(indexed, options);
  const { view, select } = await exposedSelection(sized, options.select);
  const { model } = view;
  const wanted = typesWanted(view, typesOfAll || asksBeyondFeatures(options));
  const types = await typesOfFile(view, wanted, options.inputShapes);
  const found = await findFeatures(view, types, { ...options, select });
  return {
    ...found,
    model,
    view,
    types,
    resized,
    warnings: [...model.warnings, ...view.warnings, ...(resized?.warnings ?? []), ...found.warnings],
  };
}
