import { FeatxError } from './errors.js';
import type { ResolveOptions } from './features/resolve.js';
import { externalReference, openContained } from './onnx/external-data.js';
import { referenceOf } from './onnx/fingerprint.js';
import { tensorsOf } from './onnx/graph.js';
import type { Tensor } from './onnx/records.js';
import { called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { prepare, type PreparedModel } from './prepare.js';
import { inspectReport } from './report/inspect-report.js';
import type { InspectReport } from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { InferOptions } from './runtime/type-questions.js';
import type { FileSystem } from './wire/fs.js';
import type { ByteSource } from './wire/source.js';
import { stopwatch } from './wire/stopwatch.js';

/** What `inspect` takes: the options of the table, and what only a program can give. */
export type InspectOptions = OptionsOf<'inspect'> &
  Pick<InferOptions, 'child'> & {
    readonly fileSystem?: FileSystem;
    /** How features are looked for. */
    readonly resolve?: ResolveOptions;
  };

/**
 * What a model is and which features it has, as timm's `features_only=True` would list them. Reads the graph, never the
 * weights; runs nothing of the model.
 * @throws IoError, ModelFormatError, UnsupportedModelError, PolicyError; ResolveError for an index that the model does
 * not have
 */
export async function inspect(
  source: string | Uint8Array | ByteSource,
  options: InspectOptions = {},
): Promise<InspectReport> {
  return called('inspect', options, () => look(source, options));
}

async function look(source: string | Uint8Array | ByteSource, options: InspectOptions): Promise<InspectReport> {
  const elapsed = stopwatch();
  await using prepared = await prepare(source, {
    ...options,
    resolve: { explain: options.explain !== undefined, ...options.resolve },
    isListing: true,
    mayLackOriginal: true,
    typesOfAll: options.listTensors === true || options.listModules === true,
  });
  await noteSidecars(prepared);
  const report = await inspectReport(prepared, options);
  if (options.strict) assertNoWarnings(report.warnings, report.model.path ?? undefined);
  await prepared.model.source.assertUnchanged?.();
  return { ...report, elapsed_ms: elapsed() };
}

/** Files of weights that are looked for; a graph may name any number of them. */
const MOST_SIDECARS = 100;

/**
 * Says which files of weights are missing or would be refused; inspecting needs none of them. The original of a
 * reference cut was looked at already.
 */
async function noteSidecars({ model, files, warn }: PreparedModel): Promise<void> {
  const original = (await referenceOf(model))?.file;
  const users = new Map<string, Tensor>();
  for (const tensor of tensorsOf(model)) {
    const location = tensor.external?.find(({ key }) => key === 'location')?.value ?? '';
    if (tensor.external !== null && location !== original && !users.has(location)) users.set(location, tensor);
  }
  for (const tensor of [...users.values()].slice(0, MOST_SIDECARS)) {
    try {
      const { location } = externalReference(tensor, warn);
      if (model.source.path !== undefined) await openContained(location, tensor.place, tensor.place, files);
    } catch (error) {
      if (!(error instanceof FeatxError)) throw error;
      warn(
        error.code === 'FEATX_IO_NOT_FOUND'
          ? `${error.path ?? 'a file of weights'} is missing: ${tensor.place} keeps its values there`
          : error.message,
      );
    }
  }
  if (users.size > MOST_SIDECARS)
    warn(`the weights lie in ${users.size} files; the first ${MOST_SIDECARS} were looked for`);
}
