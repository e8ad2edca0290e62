import { option } from './options/words.js';
import { placementOf, previewCut, resolveOutput, writeCut, type CutFileOptions } from './cut-files.js';
import { UsageError } from './errors.js';
import { assertPath, called } from './options/check.js';
import type { GraphView } from './onnx/graph.js';
import type { OptionsOf } from './options/types.js';
import { inferWhole } from './shapes/whole.js';
import { recipeFiles } from './model-recipe.js';
import { picturesOfCut } from './preprocessing/model-recipe.js';
import { inputName, localPath } from './open.js';
import { prepare, type PrepareOptions } from './prepare.js';
import { fileNameOf } from './remote/open-remote.js';
import { beginningRecords, counts, dimRecords, extractedFeatures, pixelRecords } from './report/extract-report.js';
import type { ExtractReport } from './report/records.js';
import { assertNoWarnings } from './report/strict.js';
import type { FreeBatch } from './rewrite/batch-visit.js';
import { assertOneStep, describedEdit } from './rewrite/described.js';
import { printableEdit } from './rewrite/edit.js';
import { planRewrite } from './rewrite/plan.js';
import { assertModeFlags, planOptions } from './rewrite/tap.js';
import { DEFAULT_ALIGN, planWeights } from './rewrite/weights.js';
import { rewritesWhole } from './rewrite/whole-model.js';
import { readOneArray } from './tensors/array-file.js';
import { projectionFiles, readProjection } from './tensors/projection.js';
import { stopwatch } from './wire/stopwatch.js';

/** What `extract` takes: the options of the table, and what only a program can give. */
export type ExtractOptions = OptionsOf<'extract'> &
  Pick<PrepareOptions, 'child' | 'resolve'> &
  Pick<CutFileOptions, 'fileSystem' | 'onProgress' | 'verifyFile'>;

/**
 * Cuts features out of a model, or hooks them onto it, as a new ONNX file whose bytes are borrowed from the old one.
 * @param input path, URL, or bytes
 * @param output path of the result; null for `<stem>.features.onnx` beside the model
 * @returns what was written; the file is whole and durable
 * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError; the output is then as it was before
 */
export async function extract(
  input: string | Uint8Array,
  output: string | null,
  options: ExtractOptions = {},
): Promise<ExtractReport> {
  return called('extract', options, () => extractTo(input, output, options));
}

async function extractTo(
  input: string | Uint8Array,
  output: string | null,
  options: ExtractOptions,
): Promise<ExtractReport> {
  const elapsed = stopwatch();
  assertModeFlags(options, options.from);
  if (output != null) assertPath('the output', output);
  const sourcePath = localPath(input);
  const remoteName = typeof input === 'string' && sourcePath === null ? fileNameOf(input, options.remote) : null;
  const target = await resolveOutput(sourcePath, output, options, remoteName);
  const whole = rewritesWhole(options);
  await using prepared = await prepare(input, { ...options, isWhole: whole });
  const { model, view, files, types, resolution, selections, beginnings, resized, warnings, warn } = prepared;
  const mode = options.mode ?? 'dict';
  const projection = await readProjection(options.project, (path) =>
    readOneArray(path, { fileSystem: options.fileSystem }),
  );
  const pictures = await picturesOfCut(view, {
    how: options.pixels?.preprocess,
    isNeeded: options.pixels !== undefined,
    files: recipeFiles(view, options.fileSystem),
    warn,
  });
  const [pixelRecipe = null] = pictures.values();
  const freeing = await freeingOf(view, options);
  const asked = planOptions({ ...options, beginnings, projection, pixelRecipe, sizes: resized, freeing, whole });
  const plan = planRewrite(view, types.types, selections, asked);
  plan.warnings.forEach(warn);
  const weightsMode = options.weights ?? 'keep';
  const placement = await placementOf(model, sourcePath, target, options);
  const weights = await planWeights(model, plan.edit, files, {
    mode: weightsMode,
    align: options.align ?? DEFAULT_ALIGN,
    warn,
    ...placement,
  });
  assertOneStep(model, weights);
  const edit = await describedEdit({ view, types, resolution, plan, resized, pictures }, weights, placement.sourceName);
  if (options.strict) assertNoWarnings(warnings, sourcePath ?? undefined);
  const result = options.dryRun
    ? previewCut(model, edit, weights, target)
    : await writeCut({
        model,
        edit,
        plan,
        weights,
        target,
        sourcePath,
        options: {
          ...withWarnings(options, warn),
          checkFile: async (path: string): Promise<void> => {
            if (plan.freed === null) return;
            const { assertFreed } = await import('./freed-entries.js');
            const { isolate = false, timeoutMs, memoryBytes, signal, fileSystem } = options;
            const session = { isolate, ...(isolate ? { timeoutMs, memoryBytes } : {}), signal, fileSystem };
            const cut = {
              view,
              types: types.types,
              taps: selections,
              options: asked,
              plan,
              freed: plan.freed,
              session,
            };
            await assertFreed(cut, path);
          },
          reads: [...(options.reads ?? []), ...projectionFiles(options.project)],
        },
      });
  return {
    schema: 1,
    command: 'extract',
    input: options.name ?? inputName(input, options.remote),
    output: options.write === undefined ? target : '-',
    mode,
    weights: weightsMode,
    ...extractedFeatures(plan),
    ...beginningRecords(plan),
    ...dimRecords(resized),
    ...(plan.freed === null ? {} : { freed: plan.freed }),
    ...pixelRecords({ view, plan, pictures }),
    ...counts(model, edit),
    ...result,
    warnings,
    elapsed_ms: elapsed(),
    ...(options.dryRun ? { plan: printableEdit(edit) } : {}),
  };
}

/** What a free batch needs to know of a model; null if it is not asked for. @throws UsageError */
async function freeingOf(
  view: GraphView,
  { freeBatch = false, write, pixels }: ExtractOptions,
): Promise<FreeBatch | null> {
  if (freeBatch === false) return null;
  if (write !== undefined || pixels !== undefined)
    throw new UsageError(
      write === undefined
        ? `${option('freeBatch', true)} and ${option('pixels.layout')} are two cuts: free the batch first`
        : `${option('freeBatch', true)} needs a file as output: it is run before it appears`,
      { code: 'FEATX_USAGE_FREE_BATCH' },
    );
  const { proven } = await inferWhole(view);
  return { name: freeBatch === true ? 'batch' : freeBatch, infos: proven.infos };
}

/** Options whose check of the finished file adds what it warns of to the report. */
function withWarnings(options: ExtractOptions, warn: (message: string) => void): ExtractOptions {
  const { verifyFile } = options;
  if (verifyFile === undefined) return options;
  return {
    ...options,
    verifyFile: async (...file) => {
      const verdict = await verifyFile(...file);
      if (typeof verdict !== 'boolean') verdict.warnings.forEach(warn);
      return verdict;
    },
  };
}
