import { basename, join } from 'node:path';
import type { CutFileOptions } from './cut-files.js';
import { UsageError } from './errors.js';
import { tensorBytes } from './onnx/types.js';
import { assertPaths, called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import { prepare, type PreparedModel, type PrepareOptions } from './prepare.js';
import type { CommonReport } from './report/common-records.js';
import { assertNoWarnings } from './report/strict.js';
import { planRewrite } from './rewrite/plan.js';
import { DEFAULT_PLAN, type Beginning } from './rewrite/tap.js';
import { firstDifference, trunkOf, type Trunk } from './trunk.js';
import { plainTap, writePlan } from './write-plan.js';

/** What `common` takes: the options of the table, and what only a program can give. */
export type CommonOptions = OptionsOf<'common'> &
  Pick<PrepareOptions, 'resolve'> &
  Pick<CutFileOptions, 'fileSystem' | 'onProgress'>;

/**
 * Finds up to where models are the same, graph and weights, whatever their tensors are called; and, if asked, writes
 * what they share and the rest of each.
 * @throws UsageError `FEATX_COMMON_NONE` if they share no more than inputs and weights; ModelFormatError, IoError
 */
export async function common(inputs: readonly string[], options: CommonOptions = {}): Promise<CommonReport> {
  return called('common', options, () => compare(inputs, options));
}

async function compare(inputs: readonly string[], options: CommonOptions): Promise<CommonReport> {
  const started = performance.now();
  assertPaths('the models', inputs);
  if (inputs.length < 2 || new Set(inputs).size < inputs.length)
    throw new UsageError('common takes two models or more, each once', { code: 'FEATX_USAGE_COMMON' });
  if (options.split === true && options.output === undefined)
    throw new UsageError(`${option('split', true)} needs a folder`, { hint: `give it with ${option('output')}` });
  const models: PreparedModel[] = [];
  try {
    for (const input of inputs) models.push(await prepare(input, { ...options, typesOfAll: true, isListing: true }));
    return { ...(await compareOpen(models, inputs, options)), elapsed_ms: Math.round(performance.now() - started) };
  } finally {
    for (const model of models) await model[Symbol.asyncDispose]();
  }
}

async function compareOpen(
  models: readonly PreparedModel[],
  inputs: readonly string[],
  options: CommonOptions,
): Promise<Omit<CommonReport, 'elapsed_ms'>> {
  assertOpsets(models, inputs);
  const trunk = await trunkOf(models);
  const [first] = models;
  const values = [...first.view.producerOf.keys()].filter((name) => isVariable(trunk, first, name)).length;
  const difference = await firstDifference(models, trunk);
  if (trunk.common.size === 0)
    throw new UsageError(
      `the models share no more than inputs and weights${difference === null ? '' : `: they part at '${difference.tensor}', ${difference.what}`}`,
      {
        code: 'FEATX_COMMON_NONE',
        hint: 'models that were trained on, quantised or folded differ from their first layer on',
      },
    );
  const warnings = [...new Set(models.flatMap((model) => model.warnings))];
  if (options.strict) assertNoWarnings(warnings);
  const written = options.split === true ? await writeShared(models, inputs, trunk, options) : {};
  return {
    schema: 1,
    command: 'common',
    models: inputs,
    values,
    common: trunk.common.size,
    frontier: trunk.frontier[0].map((tensor) => {
      const type = first.types.types.get(tensor);
      return { tensor, dtype: type?.dtype ?? null, shape: type?.shape ?? null };
    }),
    tensor_in: Object.fromEntries(inputs.map((input, at) => [input, trunk.frontier[at]])),
    shared_weights_bytes: bytesOf(first, trunk.weights),
    weights_bytes: bytesOf(first, [...first.view.initializers.keys()]),
    first_difference: difference,
    ...written,
    warnings,
  };
}

/** Whether a tensor is computed from an input: common values all are. */
function isVariable({ digests, common: shared }: Trunk, { view }: PreparedModel, name: string): boolean {
  const made = view.producerOf.get(name)?.node;
  return (
    made !== undefined &&
    (shared.has(digests[0].get(name) ?? '') ||
      made.inputs.some((read) => view.producerOf.has(read) || view.inputs.has(read)))
  );
}

/** @throws UsageError */
function assertOpsets(models: readonly PreparedModel[], inputs: readonly string[]): void {
  const versions = models.map(({ model }) => model.opsetImports.find(({ domain }) => domain === '')?.version ?? 0);
  if (new Set(versions).size === 1) return;
  throw new UsageError(
    `the models are of different opsets: ${inputs.map((input, at) => `${input} of ${versions[at]}`).join(', ')}`,
    {
      code: 'FEATX_COMMON_OPSET',
      hint: 'export them for one opset: operators of different versions may compute other values',
    },
  );
}

function bytesOf({ view }: PreparedModel, names: readonly string[]): number {
  return names.reduce((bytes, name) => {
    const tensor = view.initializers.get(name);
    return bytes + (tensor === undefined ? 0 : (tensorBytes(tensor) ?? 0));
  }, 0);
}

/**
 * The trunk of the first model, and what computes the outputs of each from there, its inputs named as they leave it.
 */
async function writeShared(
  models: readonly PreparedModel[],
  inputs: readonly string[],
  trunk: Trunk,
  options: CommonOptions,
): Promise<Pick<CommonReport, 'trunk' | 'heads'>> {
  const folder = options.output ?? '.';
  const [first] = models;
  const [names] = trunk.frontier;
  const taps = names.map((name) => plainTap(first.types.types, name));
  const trunkPath = join(folder, 'trunk.onnx');
  await writePlan(
    first,
    planRewrite(first.view, first.types.types, taps, { ...DEFAULT_PLAN, mode: 'list' }),
    trunkPath,
    options,
  );
  const heads: string[] = [];
  for (const [at, model] of models.entries()) {
    const own = trunk.frontier[at];
    const from = own.map((tensor): Beginning => ({ name: tensor, tensor, module: null, index: null, group: null }));
    const inMap = new Map(
      own.flatMap((tensor, place) => (tensor === names[place] ? [] : [[tensor, names[place]] as const])),
    );
    const plan = planRewrite(model.view, model.types.types, [], { ...DEFAULT_PLAN, from, inMap, keepInputs: true });
    const stem = basename(inputs[at]).replace(/\.onnx$/i, '');
    const isTaken = heads.some((head) => basename(head) === `${stem}.head.onnx`);
    const path = join(folder, `${stem}${isTaken ? `.${at + 1}` : ''}.head.onnx`);
    await writePlan(model, plan, path, options);
    heads.push(path);
  }
  return { trunk: trunkPath, heads };
}
