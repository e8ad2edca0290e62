import { basename } from 'node:path';
import { placementOf, previewCut, resolveOutput, writeCut, type CutFileOptions, type Written } from './cut-files.js';
import type { TensorTypes } from './onnx/types.js';
import { localPath } from './open.js';
import type { PreparedModel } from './prepare.js';
import { counts } from './report/extract-report.js';
import type { PartRecord } from './report/split-records.js';
import { describedEdit } from './rewrite/described.js';
import type { Plan } from './rewrite/plan.js';
import type { Tap } from './rewrite/tap.js';
import { DEFAULT_ALIGN, planWeights } from './rewrite/weights.js';
import { nodeFileSystem } from './wire/fs.js';
import { hashFile } from './wire/hash.js';

/** A tensor as it leaves a part: under its own name, as it is. */
export function plainTap(types: TensorTypes, tensor: string): Tap {
  const type = types.get(tensor);
  return {
    index: null,
    module: null,
    tensors: [tensor],
    numChs: null,
    reduction: null,
    dtype: type?.dtype ?? null,
    shape: type?.shape ?? null,
    layout: null,
    prefixTokens: 0,
    grid: null,
  };
}

/** Writes what a plan leaves of a model to a file. @throws UsageError, PolicyError, IoError */
export async function writePlan(
  { model, view, files, types, resolution, warn }: PreparedModel,
  plan: Plan,
  target: string,
  options: Omit<CutFileOptions, 'verifyFile' | 'write'> & { readonly align?: number },
): Promise<Omit<PartRecord, 'inputs' | 'outputs'>> {
  const input = localPath(model.source.path ?? '') ?? '';
  const cutting: CutFileOptions = { ...options, verifyFile: undefined };
  const place = await resolveOutput(input, target, cutting);
  plan.warnings.forEach(warn);
  const placement = await placementOf(model, input, place, cutting);
  const weights = await planWeights(model, plan.edit, files, {
    mode: options.weights ?? 'keep',
    align: options.align ?? DEFAULT_ALIGN,
    warn,
    ...placement,
  });
  const edit = await describedEdit(
    { view, types, resolution, plan, resized: null, pictures: new Map() },
    weights,
    placement.sourceName,
  );
  const written: Written = options.dryRun
    ? previewCut(model, edit, weights, place)
    : await writeCut({ model, edit, plan, weights, target: place, options: cutting, sourcePath: input });
  const { kept } = counts(model, edit);
  const path = place ?? target;
  return {
    file: basename(path),
    sha256: options.dryRun ? null : (await hashFile(options.fileSystem ?? nodeFileSystem, path)).sha256,
    nodes: kept.nodes,
    weights_bytes: kept.weights_bytes,
    size_bytes: written.size_bytes,
  };
}
