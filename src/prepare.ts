import { FeatxError } from './errors.js';
import type { FeatureEntry } from './features/feature-info.js';
import type { Resolution } from './features/feature.js';
import { neededTensors } from './features/needed.js';
import { resolveFeatures, type ResolveOptions } from './features/resolve.js';
import { readStoredInfo } from './features/resolvers/metadata.js';
import { selectFeatures } from './features/select.js';
import { asksBeyondFeatures, type Selection, type SelectOptions } from './features/selectors.js';
import type { SidecarFiles } from './onnx/external-data.js';
import { assertReference, referenceOf } from './onnx/fingerprint.js';
import { tensorNames, viewGraph, type GraphView } from './onnx/graph.js';
import type { OnnxModel } from './onnx/records.js';
import type { InferredTypes } from './onnx/types.js';
import type { OptionsOf } from './options/types.js';
import { openModel, type OpenModelOptions } from './open.js';
import type { RuntimeChild } from './runtime/child.js';
import type { InferOptions } from './runtime/type-questions.js';
import { inferTypes } from './runtime/types.js';
import { DirectorySidecars, NO_SIDECARS } from './wire/sidecar-files.js';
import type { ByteSource } from './wire/source.js';

/** How a model and the files that it needs are opened. */
export interface CheckOptions extends OpenModelOptions {
  /** Refuse external data with several hard links. */
  readonly strictExternal?: boolean;
  /**
   * Whether the original of a reference cut may be missing, which is then a warning: the graph can be read without it.
   */
  readonly mayLackOriginal?: boolean;
}

/**
 * A model that is open, and the files beside it; a reference cut is still one of its original. Disposing of it closes
 * both.
 */
export interface CheckedModel extends AsyncDisposable {
  readonly model: OnnxModel;
  readonly files: SidecarFiles;
  /** What was noticed so far, each once. */
  readonly warnings: readonly string[];
  readonly warn: (message: string) => void;
}

/**
 * Opens a model with the files beside it, and checks that a reference cut points into the file that it was cut from.
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError
 */
export async function openChecked(
  input: string | Uint8Array | ByteSource,
  options: CheckOptions = {},
): Promise<CheckedModel> {
  const model = await openModel(input, { limits: options.limits, fileSystem: options.fileSystem });
  const warnings = [...model.warnings];
  const warn = (message: string): void => void (warnings.includes(message) || warnings.push(message));
  const { path } = model.source;
  const { fileSystem, strictExternal: strict } = options;
  const files = path === undefined ? NO_SIDECARS : new DirectorySidecars(path, { fileSystem, strict, warn });
  const close = async (): Promise<void> => {
    await files.close();
    await model[Symbol.asyncDispose]();
  };
  try {
    await assertReference(model, files).catch(async (error: unknown) => {
      const reason = options.mayLackOriginal && error instanceof FeatxError ? LACKS[error.code] : undefined;
      if (reason === undefined) throw error;
      warn(`this model points into ${(await referenceOf(model))?.file}, which is ${reason}`);
    });
    return { model, files, warnings, warn, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What is said of an original that may be missing, by the code of the error. */
const LACKS: { readonly [code: string]: string } = {
  FEATX_IO_NOT_FOUND: 'missing',
  FEATX_USAGE_NO_DIRECTORY: 'not checked because the model has no directory',
};

/** How a model is prepared: what is opened, what is asked for, and how features and types are looked for. */
export interface PrepareOptions
  extends CheckOptions,
    SelectOptions,
    InferOptions,
    Pick<OptionsOf<'extract'>, 'features' | 'includeHead'> {
  /** How features are looked for. */
  readonly resolve?: ResolveOptions;
  /**
   * Whether features are listed and not taken: nothing is selected but what is asked for by name, and what resolvers
   * missed matters whatever is selected.
   */
  readonly isListing?: boolean;
  /** Whether the types of all tensors of the main graph are wanted; they are where something is selected by name. */
  readonly typesOfAll?: boolean;
}

/** A model with its features found and those that were asked for selected. */
export interface PreparedModel extends CheckedModel {
  readonly view: GraphView;
  readonly types: InferredTypes;
  readonly resolution: Resolution;
  readonly selections: readonly Selection[];
}

/**
 * What comes before every look at features and every cut: opens and checks a model, finds types, then features, and
 * selects those that are asked for.
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError; UsageError and ResolveError for a selection
 * that cannot be
 */
export async function prepare(
  input: string | Uint8Array | ByteSource,
  options: PrepareOptions = {},
): Promise<PreparedModel> {
  const checked = await openChecked(input, options);
  try {
    const { model, warn } = checked;
    using started = await startChild(model, options);
    const view = viewGraph(model);
    view.warnings.forEach(warn);
    const byName = asksBeyondFeatures(options);
    const types = await inferTypes(
      view,
      [...neededTensors(view), ...(options.typesOfAll || byName ? tensorNames(view) : [])],
      {
        ...options,
        child: options.child ?? started ?? undefined,
      },
    );
    const stored = await readStoredInfo(model);
    const resolution = resolveFeatures(view, types, { stored, ...resolving(options) });
    const selections = options.isListing && !byName ? [] : selectFeatures(view, types, resolution, options);
    types.warnings.forEach(warn);
    // What resolvers miss does not matter to a caller who names tensors.
    if (options.isListing || !byName) resolution.warnings.forEach(warn);
    return { ...checked, view, types, resolution, selections };
  } catch (error) {
    await checked[Symbol.asyncDispose]();
    throw error;
  }
}

/** How features are looked for; entries that were given take the default where they do not say what their hook sees. */
function resolving({ features, includeHead, hookType, resolve }: PrepareOptions): ResolveOptions {
  const given = resolve?.explicit ?? features;
  const explicit =
    hookType === undefined ? given : given?.map((entry): FeatureEntry => ({ hook_type: hookType, ...entry }));
  return { includeHead, ...resolve, explicit };
}

/**
 * ONNX Runtime takes as long to load as the graph takes to walk; a file that declares few of its types will need it.
 */
async function startChild(
  { graph }: OnnxModel,
  { child, isolate, memoryBytes, signal }: InferOptions,
): Promise<RuntimeChild | null> {
  const declaresTypes = graph.valueInfo.length * 2 >= graph.nodes.length;
  if (child !== undefined || isolate === false || declaresTypes) return null;
  const [{ RuntimeChild }, { isRuntimeInstalled }] = await Promise.all([
    import('./runtime/child.js'),
    import('./runtime/session.js'),
  ]);
  return isRuntimeInstalled() ? RuntimeChild.start({ memoryBytes, signal }) : null;
}
