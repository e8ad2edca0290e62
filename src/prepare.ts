import { option } from './options/words.js';
import { FeatxError, PolicyError } from './errors.js';
import { findFeatures, type FindOptions, type Found } from './features/find.js';
import { typesWanted } from './features/needed.js';
import { asksBeyondFeatures } from './features/selectors.js';
import type { SidecarFiles } from './onnx/external-data.js';
import { assertReference, referenceOf } from './onnx/fingerprint.js';
import type { GraphView } from './onnx/graph.js';
import type { OnnxModel } from './onnx/records.js';
import type { InferredTypes } from './onnx/types.js';
import { openModel, type OpenModelOptions } from './open.js';
import { exposedSelection } from './rewrite/expose.js';
import { sizedView, type SizeOptions } from './rewrite/sized-view.js';
import type { Resized } from './rewrite/sizes.js';
import type { PlannedSizes } from './rewrite/tap.js';
import type { InferOptions } from './runtime/type-questions.js';
import { inferTypes } from './runtime/types.js';
import { filesBeside } from './remote/beside.js';
import { RemoteSource } from './remote/remote-source.js';
import type { ByteSource } from './wire/source.js';

/** How a model and the files that it needs are opened. */
export interface CheckOptions extends OpenModelOptions {
  /** Refuse external data with several hard links. */
  readonly strictExternal?: boolean;
  /**
   * Whether only the graph is wanted: that the original of a reference cut is missing, or that a remote file may change
   * unseen, is then a warning.
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
  const { limits, fileSystem, remote, signal, strictExternal: strict } = options;
  const model = await openModel(input, { limits, fileSystem, remote, signal });
  const warnings = [...model.warnings];
  const warn = (message: string): void => void (warnings.includes(message) || warnings.push(message));
  const files = filesBeside(model.source, { fileSystem, strict, warn });
  const close = async (): Promise<void> => {
    await files.close();
    await model[Symbol.asyncDispose]();
  };
  try {
    assertValidated(model.source, options, warn);
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

/** @throws PolicyError for a remote file that could become another one without anybody noticing */
function assertValidated(source: ByteSource, options: CheckOptions, warn: (message: string) => void): void {
  if (!(source instanceof RemoteSource) || source.isValidated || options.remote?.allowUnvalidated) return;
  const what = `the server of ${source.path} gives neither ETag nor Last-Modified, so that nobody could tell if the file changed while it was read`;
  if (options.mayLackOriginal) return warn(what);
  throw new PolicyError(what, {
    code: 'FEATX_REMOTE_UNVALIDATED',
    path: source.path,
    hint: `download it, or use it all the same with ${option('remote.allowUnvalidated', true)}`,
  });
}

/** What is said of an original that may be missing, by the code of the error. */
const LACKS: { readonly [code: string]: string } = {
  FEATX_IO_NOT_FOUND: 'missing',
  FEATX_USAGE_NO_DIRECTORY: 'not checked because the model has no directory',
};

/** How a model is prepared: what is opened, what is asked for, and how features and types are looked for. */
export interface PrepareOptions extends CheckOptions, FindOptions, InferOptions, SizeOptions {
  /** Whether the types of all tensors of the main graph are wanted; they are where something is selected by name. */
  readonly typesOfAll?: boolean;
}

/** A model with its features found and those that were asked for selected. */
export interface PreparedModel extends CheckedModel, Omit<Found, 'warnings'> {
  readonly view: GraphView;
  readonly types: InferredTypes;
  /** The sizes that were asked for; null if none were. */
  readonly resized: (Resized & PlannedSizes) | null;
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
    const { warn } = checked;
    const { view: sized, resized } = await sizedView(checked.model, options);
    const { view, select } = await exposedSelection(sized, options.select);
    view.warnings.forEach(warn);
    resized?.warnings.forEach(warn);
    const all = options.typesOfAll === true || options.from !== undefined || asksBeyondFeatures(options);
    const types = await inferTypes(view, typesWanted(view, all), options);
    const { warnings, ...found } = await findFeatures(view, types, { ...options, select });
    warnings.forEach(warn);
    return { ...checked, ...found, model: view.model, view, types, resized };
  } catch (error) {
    await checked[Symbol.asyncDispose]();
    throw error;
  }
}
