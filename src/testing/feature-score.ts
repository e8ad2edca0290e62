import type { FeatureRecord } from '../report/records.js';

/**
 * What is known of one feature: which tensors carry it, from running the graph beside PyTorch.
 * @see fixtures/README.md
 */
export interface TrueFeature {
  readonly index: number;
  readonly module: string;
  /** Every module name that is right for it, where there is more than `module`. */
  readonly modules?: readonly string[];
  readonly num_chs: number;
  readonly reduction: number;
  readonly shape: readonly number[] | null;
  /** Tensors that equal what a hook on the module sees. Empty, with the next, where the graph holds no such tensor. */
  readonly tensors: readonly string[];
  readonly tensors_intermediates: readonly string[];
}

/** What is known of one graph. */
export interface Truth {
  readonly model: string;
  readonly exporter: 'torchscript' | 'dynamo' | 'anonymous' | 'none';
  /** What was done to the graph after its export. */
  readonly variant?: string;
  readonly file: string;
  readonly input_shape: readonly number[];
  readonly features: readonly TrueFeature[];
  /** Tensors that are features too, and that nobody asked for: levels of a neck, a pool. */
  readonly also?: readonly { readonly tensors: readonly string[] }[];
}

/** The part of a feature that is judged. */
export type JudgedFeature = Pick<FeatureRecord, 'module' | 'tensor' | 'num_chs' | 'reduction' | 'confidence'>;

/** Counts of one graph, or their sums over many. */
export interface Score {
  readonly graphs: number;
  /** Graphs with every feature at its index and none too many. */
  readonly exact: number;
  /** Features that the graph holds. */
  readonly findable: number;
  readonly tensor: number;
  readonly aligned: number;
  readonly module: number;
  readonly channels: number;
  readonly reduction: number;
  /** Tensors reported with confidence high, and the right ones among them. */
  readonly sure: number;
  readonly sureRight: number;
  /** Features of the truth, those that the graph no longer holds included. */
  readonly asked: number;
  /** Of these the ones found at their index, or reported as gone where they are gone. */
  readonly settled: number;
  readonly extra: number;
  readonly twice: number;
}

const NOTHING: Score = {
  graphs: 0,
  exact: 0,
  findable: 0,
  tensor: 0,
  aligned: 0,
  module: 0,
  channels: 0,
  reduction: 0,
  sure: 0,
  sureRight: 0,
  asked: 0,
  settled: 0,
  extra: 0,
  twice: 0,
};

/** What one graph's features are worth, and what is wrong with them in words. */
export interface Judgement {
  readonly score: Score;
  readonly misses: readonly string[];
}

/** Holds the features that were found in a graph against those that are known. */
export function judge(truth: Truth, found: readonly JudgedFeature[]): Judgement {
  const right = new Set(truth.features.flatMap((feature) => tensorsOf(feature)));
  const beside = new Set((truth.also ?? []).flatMap(({ tensors }) => tensors));
  const tapped = found.filter(({ tensor }) => tensor !== null);
  const sure = tapped.filter(({ confidence }) => confidence === 'high');
  const counted = found.filter(({ tensor }) => tensor === null || !beside.has(tensor) || right.has(tensor));
  const score: Mutable = {
    ...NOTHING,
    graphs: 1,
    asked: truth.features.length,
    sure: sure.length,
    sureRight: sure.filter(({ tensor }) => tensor !== null && right.has(tensor)).length,
    twice: tapped.length - new Set(tapped.map(({ tensor }) => tensor)).size,
    extra: Math.max(0, counted.length - truth.features.length),
  };
  const misses: string[] = [];
  for (const want of truth.features) count(score, truth, want, found, misses);
  for (const { tensor, reduction, num_chs } of sure)
    if (tensor !== null && !right.has(tensor)) misses.push(`high and wrong: ${tensor} (${num_chs}@${reduction})`);
  if (score.extra > 0) misses.push(`${score.extra} too many`);
  const placed = beside.size > 0 ? score.tensor : score.aligned;
  score.exact = placed === score.findable && counted.length === truth.features.length ? 1 : 0;
  return { score, misses };
}

type Mutable = { -readonly [Key in keyof Score]: Score[Key] };

function tensorsOf({ tensors, tensors_intermediates }: TrueFeature): readonly string[] {
  return [...tensors, ...tensors_intermediates];
}

function count(
  score: Mutable,
  { exporter, input_shape }: Truth,
  want: TrueFeature,
  found: readonly JudgedFeature[],
  misses: string[],
): void {
  const tensors = tensorsOf(want);
  const here = found.at(want.index);
  if (tensors.length === 0) {
    if (here === undefined || here.tensor === null) score.settled++;
    return;
  }
  score.findable++;
  const hit = found.find(({ tensor }) => tensor !== null && tensors.includes(tensor));
  if (hit === undefined) {
    misses.push(`${want.module}: want ${tensors.slice(0, 2).join(' | ')}, got ${here?.tensor ?? 'nothing'}`);
    return;
  }
  score.tensor++;
  if (here?.tensor != null && tensors.includes(here.tensor)) {
    score.aligned++;
    score.settled++;
  }
  const isNamed =
    exporter === 'anonymous' ? hit.module === null : (want.modules ?? [want.module]).includes(hit.module ?? '');
  if (isNamed) score.module++;
  else misses.push(`${want.module}: named ${hit.module}`);
  if (hit.num_chs === want.num_chs || (hit.num_chs !== null && want.shape?.slice(1).includes(hit.num_chs)))
    score.channels++;
  if (hit.reduction === want.reduction || hit.reduction === measuredStride(input_shape, want)) score.reduction++;
}

/** The stride of the map itself: what a library declares is wrong in places. */
function measuredStride([, , height]: readonly number[], { shape, num_chs }: TrueFeature): number | null {
  if (shape === null || height === undefined) return null;
  const channels = shape.indexOf(num_chs);
  const [side] = shape.filter((_, axis) => axis > 0 && axis !== channels);
  return side === undefined ? null : Math.round(height / (shape.length === 4 ? side : Math.floor(Math.sqrt(side))));
}

/** The sums over several graphs. */
export function summed(scores: readonly Score[]): Score {
  const total: Mutable = { ...NOTHING };
  for (const score of scores) for (const key of Object.keys(total) as (keyof Score)[]) total[key] += score[key];
  return total;
}

/**
 * What a demanding user expects of a network: channels@stride in order, others accepted at an index, indices that may
 * be left out, what may come first.
 */
export interface Expectation {
  readonly features: readonly string[];
  readonly alt?: { readonly [index: string]: readonly string[] };
  readonly optional?: readonly number[];
  readonly before?: readonly string[];
}

/** Channels and stride in one word: `256@16`. */
export function placeOf({ num_chs, reduction }: Pick<JudgedFeature, 'num_chs' | 'reduction'>): string {
  return `${num_chs}@${reduction}`;
}

/** Whether places are what was expected. */
export function agrees(
  got: readonly string[],
  { features, alt = {}, optional = [], before = [] }: Expectation,
): boolean {
  const rest = before.length > 0 && before.every((one, index) => got[index] === one) ? got.slice(before.length) : got;
  let at = 0;
  for (const [index, want] of features.entries()) {
    if ([want, ...(alt[index] ?? [])].includes(rest[at])) at++;
    else if (!optional.includes(index)) return false;
  }
  return at === rest.length;
}
