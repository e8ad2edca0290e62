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
import { recipeNamed } from './preprocessing/find.js';
import { pictureInputs } from './preprocessing/input.js';
import { describedEdit } from './rewrite/described.js';
import { planRewrite } from './rewrite/plan.js';
import { exposedSelection } from './rewrite/expose.js';
import { rewritesWhole } from './rewrite/whole-model.js';
import { sizedView, type SizedView } from './rewrite/sizes.js';
import { splice } from './rewrite/splice.js';
import { assertModeFlags, planOptions } from './rewrite/tap.js';
import { assertLoadable, DEFAULT_ALIGN, planWeights } from './rewrite/weights.js';
import { readProjection } from './tensors/projection.js';
import { typesOfFile } from './shapes/file-types.js';
import { materialize, sizeOf } from './wire/pieces.js';
import { NO_SIDECARS, type ByteSource } from './wire/source.js';

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
  const started = performance.now();
  checkOptions('inspectBytes', options);
  const { listTensors, listModules, explain, resolve } = options;
  const found = await findIn(
    input,
    { ...options, resolve: { explain: explain !== undefined, ...resolve }, isListing: true },
    listTensors === true || listModules === true,
  );
  return { ...(await inspectReport(found, options)), elapsed_ms: Math.round(performance.now() - started) };
}

/**
 * `extract` without a file system and without ONNX Runtime: cuts features out of a model. The result holds its weights.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError, UsageError, ResolveError
 */
export async function extractBytes(
  input: Uint8Array | ByteSource,
  options: ExtractBytesOptions = {},
): Promise<ExtractedModel> {
  const started = performance.now();
  checkOptions('extractBytes', options);
  assertModeFlags(options, options.from);
  const whole = rewritesWhole(options);
  const { model, view, types, resolution, selections, beginnings, resized, warnings } = await findIn(
    input,
    { ...options, isWhole: whole },
    options.from !== undefined,
  );
  const warn = (message: string): void => void (warnings.includes(message) || warnings.push(message));
  const projection = await readProjection(options.project, (path) => Promise.reject(noFiles(path)));
  const named = options.pixels?.preprocess;
  const pixelRecipe = named === undefined ? null : await recipeNamed(named, (path) => Promise.reject(noFiles(path)));
  const pictures = new Map(
    pixelRecipe === null ? [] : pictureInputs(view).map(({ name }) => [name, pixelRecipe] as const),
  );
  const plan = planRewrite(
    view,
    types.types,
    selections,
    planOptions({ ...options, beginnings, projection, pixelRecipe, sizes: resized, whole }),
  );
  plan.warnings.forEach(warn);
  const weights = await planWeights(model, plan.edit, options.files ?? NO_SIDECARS, {
    mode: 'embed',
    sameDirectory: false,
    align: DEFAULT_ALIGN,
    sourceName: null,
    warn,
  });
  const edit = await describedEdit({ view, types, resolution, plan, resized, pictures }, weights, null);
  const pieces = splice(model, edit, weights.contents);
  assertLoadable(pieces);
  return {
    bytes: await materialize(model.source, pieces),
    report: {
      schema: 1,
      command: 'extract',
      input: options.name ?? model.source.path ?? null,
      output: null,
      mode: options.mode ?? 'dict',
      weights: 'embed',
      ...extractedFeatures(plan),
      ...beginningRecords(plan),
      ...dimRecords(resized),
      ...pixelRecords({ view, plan, pictures }),
      ...counts(model, edit),
      size_bytes: sizeOf(pieces),
      bytes_copied: sizeOf(pieces.filter((piece) => !(piece instanceof Uint8Array))),
      verified: null,
      warnings,
      elapsed_ms: Math.round(performance.now() - started),
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
  input: Uint8Array | ByteSource,
  options: OptionsOf<'extractBytes'> & FindOptions,
  typesOfAll: boolean,
): Promise<FoundInMemory> {
  const { view: sized, resized } = await sizedView(await indexModel(input, { limits: options.limits }), options);
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
