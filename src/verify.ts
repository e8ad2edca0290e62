import { readStoredInfo } from './features/resolvers/metadata.js';
import { carriersOf } from './features/stored-info.js';
import { viewGraph, type GraphView } from './onnx/graph.js';
import { DataType } from './onnx/schema.js';
import { called } from './options/check.js';
import { mapOf } from './options/by-name.js';
import type { OptionsOf } from './options/types.js';
import { inputName, localPath } from './open.js';
import { assertOfModel, readManifest, type Chain } from './chain.js';
import { declaredTypes } from './onnx/types.js';
import { openChecked } from './prepare.js';
import { preprocessingRecord } from './report/preprocessing-record.js';
import type { VerifyFeatureRecord, VerifyReport } from './report/records.js';
import { exposed } from './rewrite/expose.js';
import { bothWays, Judge, seededNote, together, type Verdict } from './verify-judge.js';
import { outputPairs, type Pair } from './verify-pairs.js';
import { enteringTensors, Sides, type Compared } from './verify-runs.js';
import type { FileSystem } from './wire/fs.js';

/** What `verify` takes: the options of the table, and what only a program can give. */
export type VerifyOptions = OptionsOf<'verify'> & {
  readonly fileSystem?: FileSystem;
  /** What the models are called in the report; their paths by default. */
  readonly names?: readonly [model: string, extracted: string];
};

/**
 * Runs a model and a cut of it on the same inputs and compares every feature: bit for bit at optimisation level
 * `disabled`, within a tolerance at `all`. Nodes that draw random numbers get the same seeds in both; what differs all
 * the same, and between two runs of the model too, is not judged.
 * @throws UsageError if the cut is not of this model; what `openModel` and `openSession` throw
 */
export async function verify(
  source: string | Uint8Array,
  extracted: string | Uint8Array,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  return called('verify', options, () => compare(source, extracted, options));
}

async function compare(
  source: string | Uint8Array,
  extracted: string | Uint8Array,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const started = performance.now();
  const { limits, fileSystem, remote, signal } = options;
  const opening = { limits, fileSystem, remote, signal };
  await using whole = await openChecked(source, opening);
  const view = viewGraph(whole.model);
  const chain = await chainOf(extracted, options);
  const result = chain === null ? await verifyCut(view, extracted, options) : await verifyChain(view, chain, options);
  return {
    schema: 1,
    command: 'verify',
    model: options.names?.[0] ?? inputName(source, remote),
    extracted: options.names?.[1] ?? inputName(extracted, remote),
    ...result,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** The manifest of parts that a path names; null for a cut. */
async function chainOf(extracted: string | Uint8Array, { fileSystem }: VerifyOptions): Promise<Chain | null> {
  const path = localPath(extracted);
  return path === null ? null : readManifest(path, fileSystem);
}

async function verifyCut(model: GraphView, extracted: string | Uint8Array, options: VerifyOptions): Promise<Verdict> {
  const { limits, fileSystem, remote, signal } = options;
  await using cut = await openChecked(extracted, { limits, fileSystem, remote, signal });
  return await verifyViews(model, viewGraph(cut.model), options);
}

/** `verify` of the parts of a model, run one after the other: every output of the model is compared. */
async function verifyChain(model: GraphView, chain: Chain, options: VerifyOptions): Promise<Verdict> {
  await assertOfModel(chain, model.model);
  const types = declaredTypes(model.model);
  const outputs = [...model.outputs.keys()].filter((name) => types.get(name)?.type === undefined);
  const compared = {
    model,
    cut: model,
    chain,
    tensors: outputs,
    outputs,
    entering: new Map<string, string>(),
    names: new Map<string, string>(),
  };
  return judged(
    compared,
    outputs.map((output) => ({ index: null, tensors: [output], output, layout: null })),
    options,
  );
}

/** `verify` on models that are open. */
export async function verifyViews(whole: GraphView, cut: GraphView, options: VerifyOptions = {}): Promise<Verdict> {
  const stored = await readStoredInfo(cut.model);
  const map = options.map === undefined ? undefined : mapOf(options.map);
  const asked = new Set(map?.keys());
  const carried = new Set(stored?.outputs.flatMap(carriersOf).map(({ tensor }) => tensor));
  const { view: model, names: inner } = await exposed(whole, [...asked, ...carried]);
  const pairs = await outputPairs(model, cut, map);
  const compared = {
    model,
    cut,
    tensors: [...new Set(pairs.flatMap((pair) => pair.tensors))],
    outputs: [...new Set(pairs.flatMap(({ output, leavesAs = output }) => [output, leavesAs]))],
    entering: enteringTensors(model, cut, stored),
    sizes: stored?.dims,
    pixels: stored?.preprocess,
    names: new Map(pairs.map(({ tensors, output }) => [output, tensors[0]])),
  };
  const verdict = await judged(compared, pairs, options);
  const hasChoice = [...whole.inputs.values()].some(
    ({ type }) => type?.kind === 'tensor' && type.elemType === DataType.bool,
  );
  if (inner.size === 0 || !hasChoice || (options.inputs ?? []).length > 0) return verdict;
  return bothWays(verdict, await judged({ ...compared, isOtherWay: true }, pairs, options));
}

async function judged(compared: Compared, pairs: readonly Pair[], options: VerifyOptions): Promise<Verdict> {
  const sides = await Sides.of(compared, options);
  const judge = new Judge(sides, options.tolerance);
  const features: VerifyFeatureRecord[] = [];
  const runs = { disabled: await sides.run('disabled'), all: await sides.run('all') };
  for (const pair of pairs) features.push(await judge.feature(pair, runs));
  return {
    ...together(features),
    preprocessing: [...sides.preprocessing].map((one) => preprocessingRecord(...one)),
    features,
    warnings: [...new Set([...sides.random.seeded.map(seededNote), ...sides.warnings, ...judge.warnings])],
  };
}
