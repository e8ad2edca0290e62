import { FeatxError } from './errors.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { option } from './options/words.js';
import type { Mixing } from './rewrite/mixing.js';
import { isAsAlone } from './tensors/compare.js';
import { takeAlong, type Joining } from './tensors/joining.js';
import { takeRows } from './tensors/tensor.js';
import { printable } from './wire/text.js';

type Tensors = ReadonlyMap<string, TensorValue>;

/** A run in batches of any size of which is asked whether the values of an entry depend on the others of its batch. */
export interface MixingRun {
  /** What is known of each feature from its graph. */
  readonly mixing: ReadonlyMap<string, Mixing>;
  readonly joinings: ReadonlyMap<string, Joining | null>;
  /** Entries of a batch. */
  readonly batchSize: number;
  /** Whether the caller named that size, or gave all entries as one batch: as one array for each input. */
  readonly isGiven: boolean;
  /** Inputs with values of their own for each entry, along axis 0. */
  readonly batched: ReadonlySet<string>;
  /** The feeds of the first batch. */
  readonly first: () => Promise<{ readonly rows: number; readonly feeds: Tensors }>;
  readonly run: (feeds: Tensors) => Promise<Tensors>;
}

/** How large batches are after all, and what is to be said of it. */
export interface SettledBatch {
  readonly batchSize: number;
  /** Features whose entries depend on each other in a batch, and why. */
  readonly mixed: ReadonlyMap<string, string>;
  /** That values depend on the batch. */
  readonly warnings: readonly string[];
  /** That they do not, because entries are run one by one. */
  readonly notes: readonly string[];
}

/**
 * One entry a batch if a network computes across its batch, and the entries were not given as a batch: a value never
 * depends on the size of a batch in silence. Where no rule knows an operator, the first and the last entry of the first
 * batch are run alone.
 */
export async function settledBatch(run: MixingRun): Promise<SettledBatch> {
  const { batchSize, isGiven, joinings } = run;
  const { mixed, open } = await mixedFeatures(run);
  const warnings =
    open.length === 0
      ? []
      : [
          `whether entries change each other's values is not known of ${open.map(printable).join(', ')}: ${option('batchSize', 1)} keeps them apart`,
        ];
  if (mixed.size === 0) return { batchSize, mixed, warnings, notes: [] };
  const what = [...new Set(mixed.values())]
    .map((why) => {
      const names = [...mixed].flatMap(([name, its]) => (its === why ? [printable(name)] : []));
      return `${names.join(', ')} (${why})`;
    })
    .join('; ');
  // What has no part for each entry is asked of all of them together.
  const isWhole = [...joinings.values()].some((joining) => joining === null);
  if (isGiven || isWhole)
    return {
      batchSize,
      mixed,
      warnings: [...warnings, `the values of an entry depend on the others of its batch of ${batchSize}: ${what}`],
      notes: [],
    };
  const note = `the network computes across its batch, so entries are run one by one; ${option('batchSize')} says otherwise: ${what}`;
  return { batchSize: 1, mixed, warnings, notes: [note] };
}

/** Features whose entries change each other, and those of which that cannot be told. */
async function mixedFeatures(
  run: MixingRun,
): Promise<{ readonly mixed: ReadonlyMap<string, string>; readonly open: readonly string[] }> {
  const mixed = new Map<string, string>();
  const asked = new Map<string, number>();
  for (const [name, own] of run.batchSize === 1 ? [] : run.mixing) {
    const joining = run.joinings.get(name) ?? null;
    if (joining?.kind !== 'along') continue;
    if (own.kind === 'mixed') mixed.set(name, own.why);
    if (own.kind === 'unknown') asked.set(name, joining.axis);
  }
  if (asked.size === 0) return { mixed, open: [] };
  let verdicts: ReadonlyMap<string, Verdict>;
  try {
    verdicts = await besideNone(run, asked);
  } catch (error) {
    // What a network does not run is said where it is run.
    if (!(error instanceof FeatxError)) throw error;
    return { mixed, open: [...asked.keys()] };
  }
  const open: string[] = [];
  for (const [name, verdict] of verdicts) {
    if (verdict === 'open') open.push(name);
    if (verdict === 'mixed') mixed.set(name, 'an entry has other values beside others');
  }
  return { mixed, open };
}

type Verdict = 'apart' | 'mixed' | 'open';

/** Runs the first and the last entry of a batch alone. */
async function besideNone(run: MixingRun, asked: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, Verdict>> {
  const { rows, feeds } = await run.first();
  const one = (entry: number): Promise<Tensors> =>
    run.run(new Map([...feeds].map(([name, v]) => [name, run.batched.has(name) ? takeRows(v, entry, entry + 1) : v])));
  const whole = await run.run(feeds);
  const verdicts = new Map<string, Verdict>();
  for (const entry of new Set([0, rows - 1])) {
    const [alone, again] = [await one(entry), await one(entry)];
    for (const [name, axis] of asked) {
      const [a, b, all] = [alone.get(name), again.get(name), whole.get(name)];
      const parts = Number(a?.shape[axis]);
      const own =
        rows < 2 || all?.shape[axis] !== parts * rows ? null : takeAlong(all, axis, entry * parts, (entry + 1) * parts);
      note(verdicts, name, judged(a, own, isEqual(a, b)));
    }
  }
  return verdicts;
}

function judged(alone: TensorValue | undefined, beside: TensorValue | null, isRepeatable: boolean): Verdict {
  if (alone === undefined || beside === null || String(alone.shape) !== String(beside.shape)) return 'open';
  if (isAsAlone(alone, beside)) return 'apart';
  return isRepeatable ? 'mixed' : 'open';
}

function isEqual(a: TensorValue | undefined, b: TensorValue | undefined): boolean {
  return a !== undefined && b !== undefined && isAsAlone(a, b);
}

/** Of two verdicts the worse one stands. */
function note(verdicts: Map<string, Verdict>, name: string, verdict: Verdict): void {
  const before = verdicts.get(name);
  if (before === undefined || before === 'apart' || verdict === 'mixed') verdicts.set(name, verdict);
}
