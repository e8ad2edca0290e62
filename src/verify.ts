import type { TensorValue } from './onnx/tensor-value.js';
import { isBitEqual, largestDifference, roundingTolerance } from './tensors/compare.js';
import { readStoredInfo } from './features/resolvers/metadata.js';
import { carriersOf } from './features/stored-info.js';
import { viewGraph, type GraphView } from './onnx/graph.js';
import type { Node } from './onnx/records.js';
import { DataType } from './onnx/schema.js';
import { called } from './options/check.js';
import { option } from './options/words.js';
import { mapOf } from './options/by-name.js';
import type { OptionsOf } from './options/types.js';
import { inputName, localPath } from './open.js';
import { assertOfModel, readManifest, type Chain } from './chain.js';
import { declaredTypes } from './onnx/types.js';
import { openChecked } from './prepare.js';
import { preprocessingRecord } from './report/preprocessing-record.js';
import type { VerifyFeatureRecord, VerifyReport } from './report/records.js';
import { exposed } from './rewrite/expose.js';
import type { OptimizationLevel } from './runtime/session.js';
import { comparison, outputPairs, type Pair, type Results } from './verify-pairs.js';
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
    sizes: [],
    pixels: [],
    names: new Map<string, string>(),
  };
  return judged(
    compared,
    outputs.map((output) => ({ index: null, tensors: [output], output, layout: null })),
    options,
  );
}

type Verdict = Pick<VerifyReport, 'equal' | 'reason' | 'preprocessing' | 'features' | 'warnings'>;

/** `verify` on models that are open. */
export async function verifyViews(whole: GraphView, cut: GraphView, options: VerifyOptions = {}): Promise<Verdict> {
  const stored = await readStoredInfo(cut.model);
  const map = options.map === undefined ? undefined : mapOf(options.map);
  const tapped = [...(map?.keys() ?? []), ...(stored?.outputs ?? []).flatMap(carriersOf).map(({ tensor }) => tensor)];
  const { view: model, names: inner } = await exposed(whole, tapped);
  const pairs = await outputPairs(model, cut, map);
  const compared = {
    model,
    cut,
    tensors: [...new Set(pairs.flatMap((pair) => pair.tensors))],
    outputs: [...new Set(pairs.flatMap(({ output, leavesAs = output }) => [output, leavesAs]))],
    entering: enteringTensors(model, cut, stored),
    sizes: stored?.dims ?? [],
    pixels: stored?.preprocess ?? [],
    names: new Map(
      pairs.flatMap(({ tensors, output }) => (tensors.length === 1 ? [[output, tensors[0]] as const] : [])),
    ),
  };
  const verdict = await judged(compared, pairs, options);
  const hasChoice = [...whole.inputs.values()].some(
    ({ type }) => type?.kind === 'tensor' && type.elemType === DataType.bool,
  );
  if (inner.size === 0 || !hasChoice || (options.inputs ?? []).length > 0) return verdict;
  return bothWays(verdict, await judged({ ...compared, isOtherWay: true }, pairs, options));
}

/** What two runs come to that take the branches of conditions one way and the other. */
function bothWays(one: Verdict, other: Verdict): Verdict {
  const features = one.features.map((feature, at): VerifyFeatureRecord => {
    const twin = other.features[at];
    const isWorse = twin.equal === false || (twin.equal === null && feature.equal === true);
    const distance = Math.max(feature.max_difference ?? 0, twin.max_difference ?? 0);
    return isWorse ? twin : { ...feature, max_difference: feature.max_difference === null ? null : distance };
  });
  // What has no elements one way has some the other way.
  const isOfBoth = (warning: string): boolean => !warning.includes(NO_ELEMENTS) || other.warnings.includes(warning);
  return {
    ...one,
    equal: one.equal === false || other.equal === false ? false : one.equal === null ? null : other.equal,
    reason: one.equal === false || other.equal === false ? null : (one.reason ?? other.reason),
    features,
    warnings: [
      ...new Set([...one.warnings.filter(isOfBoth), ...other.warnings.filter((text) => !text.includes(NO_ELEMENTS))]),
    ],
  };
}

const NO_ELEMENTS = 'has no elements for these inputs';

async function judged(compared: Compared, pairs: readonly Pair[], options: VerifyOptions): Promise<Verdict> {
  const sides = await Sides.of(compared, options);
  const judge = new Judge(sides, options.tolerance);
  const features: VerifyFeatureRecord[] = [];
  const runs = { disabled: await sides.run('disabled'), all: await sides.run('all') };
  for (const pair of pairs) features.push(await judge.feature(pair, runs));
  const wrong = features.some(({ equal }) => equal === false);
  const unjudged = features.find(({ equal }) => equal === null);
  return {
    equal: wrong ? false : unjudged === undefined ? true : null,
    reason: wrong ? null : (unjudged?.reason ?? null),
    preprocessing: [...sides.preprocessing].map((one) => preprocessingRecord(...one)),
    features,
    warnings: [...new Set([...sides.random.seeded.map(seededNote), ...sides.warnings, ...judge.warnings])],
  };
}

interface RunsAtLevels {
  readonly disabled: Results;
  readonly all: Results;
}

/** Holds pairs of tensors against each other; runs the model again where nothing else tells chance from a fault. */
class Judge {
  readonly warnings: string[] = [];
  private readonly again = new Map<OptimizationLevel, Promise<ReadonlyMap<string, TensorValue>>>();

  constructor(
    private readonly sides: Sides,
    private readonly asked: number | undefined,
  ) {}

  async feature(pair: Pair, runs: RunsAtLevels): Promise<VerifyFeatureRecord> {
    const [reference, result] = comparison(pair, runs.disabled);
    const [fusedReference, fusedResult] = comparison(pair, runs.all);
    const bitEqual = isBitEqual(reference, result);
    const difference = differenceOf(fusedReference, fusedResult);
    const tolerance = this.asked ?? roundingTolerance(reference);
    const isNear = difference !== null && difference <= tolerance;
    // What the model draws at random differs from its own values too, and is no rounding.
    const isNoise =
      bitEqual &&
      !isNear &&
      this.turnsOnLastBits(pair, runs, tolerance) &&
      (await this.chance(pair, 'all', runs.all)) === null;
    if (isNoise) this.warnings.push(noiseNote(pair.leavesAs ?? pair.output, difference));
    const isEqual = bitEqual && (isNear || isNoise);
    const reason = isEqual
      ? null
      : await this.chance(pair, bitEqual ? 'all' : 'disabled', runs[bitEqual ? 'all' : 'disabled']);
    if (bitEqual && reference.data.length === 0)
      this.warnings.push(
        `${pair.output} ${NO_ELEMENTS}, as in a branch that is not taken: try other ${option('inputs')}`,
      );
    if (bitEqual && isConstant(reference))
      this.warnings.push(`${pair.output} has one value everywhere, which says little: try other ${option('inputs')}`);
    return {
      index: pair.index,
      ...(pair.group === undefined ? {} : { group: pair.group }),
      tensor: pair.tensors[0],
      ...(pair.leavesAs === undefined ? { output: pair.output } : { output: pair.leavesAs, before: pair.output }),
      equal: isEqual ? true : reason === null ? false : null,
      bit_equal: bitEqual,
      max_difference: difference,
      tolerance,
      ...(reason === null ? {} : { reason }),
    };
  }

  /**
   * Whether what optimisation makes of the last bits says nothing of a cut: fusion stops where parts meet, and the
   * model itself may give other values with it, as behind a threshold.
   */
  private turnsOnLastBits(pair: Pair, { disabled, all }: RunsAtLevels, tolerance: number): boolean {
    if (this.sides.isChain) return true;
    const [plain, fused] = [comparison(pair, disabled)[0], comparison(pair, all)[0]];
    const own = differenceOf(plain, fused);
    return own === null || own > tolerance;
  }

  /** Why a difference may be chance; null if it is not. */
  private async chance(pair: Pair, level: OptimizationLevel, { reference }: Results): Promise<string | null> {
    const { beyond } = this.sides.random;
    if (beyond.length > 0)
      return `${nodeText(beyond[0])} draws random numbers inside, where no seed reaches, and the two differ`;
    let again = this.again.get(level);
    if (again === undefined) this.again.set(level, (again = this.sides.reference(level)));
    const second = await again;
    const isSame = pair.tensors.every((name) => {
      const [one, other] = [reference.get(name), second.get(name)];
      return one === undefined || other === undefined || isBitEqual(one, other);
    });
    return isSame ? null : 'the model itself gives other values in every run';
  }
}

function differenceOf(reference: TensorValue, result: TensorValue): number | null {
  return reference.dtype === result.dtype && reference.data.length === result.data.length
    ? largestDifference(reference, result)
    : null;
}

function noiseNote(output: string, difference: number | null): string {
  const far = difference === null ? 'in its shape' : `by ${difference.toPrecision(2)} standard deviations`;
  return `${output} is equal bit for bit without optimisation, and differs ${far} with it: fusion rounds otherwise where a model is cut, and what turns on the last bits, as behind a threshold, differs`;
}

function isConstant({ data }: TensorValue): boolean {
  const [first] = data;
  return data.length > 1 && data.every((value: unknown) => Object.is(value, first));
}

function seededNote(node: Node): string {
  return `${nodeText(node)} gives other values in every run: both models were run with the same seed for it`;
}

function nodeText({ index, opType, name }: Node): string {
  return `node[${index}] ${opType}${name === '' ? '' : ` '${name}'`}`;
}
