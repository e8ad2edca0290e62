import { isBitEqual, largestDifference, roundingTolerance } from './tensors/compare.js';
import type { Node } from './onnx/records.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import type { VerifyFeatureRecord, VerifyReport } from './report/records.js';
import { comparison, ofModel, type Pair, type Results } from './verify-pairs.js';
import type { Sides } from './verify-runs.js';

/** What `verify` says of a model and a cut that are open. */
export type Verdict = Pick<VerifyReport, 'equal' | 'reason' | 'preprocessing' | 'features' | 'warnings'>;

const NO_ELEMENTS = 'has no elements for these inputs';

/** What several verdicts come to: one that is wrong makes all wrong, and one that cannot be judged leaves all open. */
export function together(
  verdicts: readonly { readonly equal: boolean | null; readonly reason?: string | null }[],
): Pick<Verdict, 'equal' | 'reason'> {
  if (verdicts.some(({ equal }) => equal === false)) return { equal: false, reason: null };
  const unjudged = verdicts.find(({ equal }) => equal === null);
  return { equal: unjudged === undefined ? true : null, reason: unjudged?.reason ?? null };
}

/** What a model and its cut gave at both levels of optimisation. */
export interface RunsAtLevels {
  readonly disabled: Results;
  readonly all: Results;
}

/** Holds pairs of tensors against each other; runs the model again where nothing else tells chance from a fault. */
export class Judge {
  readonly warnings: string[] = [];
  private readonly again = new Map<keyof RunsAtLevels, Promise<ReadonlyMap<string, TensorValue>>>();

  constructor(
    private readonly sides: Pick<Sides, 'isChain' | 'random' | 'reference'>,
    private readonly asked: number | undefined,
  ) {}

  /** @throws UsageError if a tensor of the pair was not given */
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
      (await this.chance(pair, 'all', runs)) === null;
    if (isNoise) this.warnings.push(noiseNote(pair.leavesAs ?? pair.output, difference));
    const isEqual = bitEqual && (isNear || isNoise);
    const reason = isEqual ? null : await this.chance(pair, bitEqual ? 'all' : 'disabled', runs);
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
  private async chance(pair: Pair, level: keyof RunsAtLevels, runs: RunsAtLevels): Promise<string | null> {
    const { beyond } = this.sides.random;
    if (beyond.length > 0)
      return `${nodeText(beyond[0])} draws random numbers inside, where no seed reaches, and the two differ`;
    let again = this.again.get(level);
    if (again === undefined) this.again.set(level, (again = this.sides.reference(level)));
    const second = await again;
    const first = runs[level].reference;
    const isSame = pair.tensors.every((name) => isBitEqual(ofModel(first, name), ofModel(second, name)));
    return isSame ? null : 'the model itself gives other values in every run';
  }
}

function differenceOf(reference: TensorValue, result: TensorValue): number | null {
  return reference.dtype === result.dtype && reference.data.length === result.data.length
    ? largestDifference(reference, result)
    : null;
}

function noiseNote(output: string, difference: number | null): string {
  const far =
    difference === null ? 'in its shape or in what is finite' : `by ${difference.toPrecision(2)} standard deviations`;
  return `${output} is equal bit for bit without optimisation, and differs ${far} with it: fusion rounds otherwise where a model is cut, and what turns on the last bits, as behind a threshold, differs`;
}

function isConstant({ data }: TensorValue): boolean {
  const [first] = data;
  return data.length > 1 && data.every((value: unknown) => Object.is(value, first));
}

/** What is said of a node that draws numbers. */
export function seededNote(node: Node): string {
  return `${nodeText(node)} gives other values in every run: both models were run with the same seed for it`;
}

function nodeText({ index, opType, name }: Node): string {
  return `node[${index}] ${opType}${name === '' ? '' : ` '${name}'`}`;
}

/** What two runs come to that take the branches of conditions one way and the other. */
export function bothWays(one: Verdict, other: Verdict): Verdict {
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
    ...together([one, other]),
    features,
    warnings: [
      ...new Set([...one.warnings.filter(isOfBoth), ...other.warnings.filter((text) => !text.includes(NO_ELEMENTS))]),
    ],
  };
}
