import { RuntimeError } from './errors.js';
import { isInitializer, viewGraph, type GraphView } from './onnx/graph.js';
import type { TensorValue } from './onnx/tensor-value.js';
import { declaredTypes, type TensorTypes } from './onnx/types.js';
import { openChecked } from './prepare.js';
import { planRewrite, type Plan } from './rewrite/plan.js';
import type { FreedRecord } from './rewrite/freed.js';
import type { PlanOptions, Tap } from './rewrite/tap.js';
import { computationOf } from './runner.js';
import { openComputation, openSession, type RuntimeSession } from './runtime/open-session.js';
import type { SessionOptions } from './runtime/session-options.js';
import { tensorsAsTheyAre } from './runtime/session-plan.js';
import type { OptimizationLevel } from './runtime/session.js';
import { largestDifference, roundingTolerance } from './tensors/compare.js';
import { joinAlong, takeAlong } from './tensors/joining.js';
import { randomTensor } from './tensors/random.js';
import type { FileSystem } from './wire/fs.js';

/** A cut whose batch was freed, and the model that it is of. */
export interface FreedCut {
  readonly view: GraphView;
  readonly types: TensorTypes;
  readonly taps: readonly Tap[];
  readonly options: PlanOptions;
  readonly plan: Plan;
  readonly freed: FreedRecord;
  readonly session: SessionOptions & { readonly fileSystem?: FileSystem };
}

type Values = ReadonlyMap<string, TensorValue>;

/** Two at full optimisation, three without any: a stale size is an error at one, a wrong one a wrong value at both. */
const TRIALS: readonly (readonly [entries: number, level: OptimizationLevel])[] = [
  [2, 'all'],
  [3, 'disabled'],
];

/**
 * Runs a cut with two and with three entries, and the model with each of them alone.
 * @throws RuntimeError `FEATX_FREE_BATCH` naming the outputs that differ; what `openSession` throws
 */
export async function assertFreed(cut: FreedCut, path: string): Promise<void> {
  for (const [count, level] of TRIALS) {
    const alone = await aloneRuns(cut, count, level);
    const whole = await wholeRun(cut, path, alone, level);
    const wrong = Object.entries(cut.freed.outputs).flatMap(([name, axis]) => {
      const value = whole.get(name);
      const far = alone.map((one, entry) => difference(one.outputs.get(name), value, axis, entry, count));
      return far.some((each) => each !== null) ? [`'${name}' ${far.find((each) => each !== null)}`] : [];
    });
    if (wrong.length > 0)
      throw new RuntimeError(
        `with ${count} entries the cut gives other values than with each alone: ${wrong.join('; ')}`,
        {
          code: 'FEATX_FREE_BATCH',
          hint: 'nothing was written; cut in front of what mixes entries, or export the model with a free batch',
        },
      );
  }
}

/** What is wrong with an entry of an output; null if nothing is. */
function difference(
  alone: TensorValue | undefined,
  whole: TensorValue | undefined,
  axis: number | null,
  entry: number,
  count: number,
): string | null {
  if (alone === undefined || whole === undefined) return 'is missing';
  const size = axis === null ? 0 : (alone.shape[axis] ?? 0);
  if (axis !== null && whole.shape[axis] !== size * count)
    return `has the shape [${whole.shape.join(', ')}], and one entry [${alone.shape.join(', ')}]`;
  const own = axis === null ? whole : takeAlong(whole, axis, entry * size, (entry + 1) * size);
  if (own.data.length !== alone.data.length)
    return `has the shape [${whole.shape.join(', ')}], and one entry [${alone.shape.join(', ')}]`;
  const far = largestDifference(alone, own);
  return far !== null && far <= roundingTolerance(alone)
    ? null
    : `differs by ${far?.toPrecision(2) ?? 'more than can be said'} in entry ${entry + 1}`;
}

/** What the model makes of one entry. */
interface Alone {
  readonly feeds: Values;
  readonly outputs: Values;
}

async function aloneRuns(cut: FreedCut, count: number, optimization: OptimizationLevel): Promise<readonly Alone[]> {
  const { view, types, taps, options, freed, session } = cut;
  const beginnings = options.from.map(({ tensor }) => tensor);
  const keepsOwn = taps.length === 0 || options.keepOutputs || options.mode === 'hook';
  const plan =
    taps.length === 0
      ? null
      : planRewrite(view, types, taps, {
          ...options,
          from: [],
          inMap: new Map(),
          freeBatch: null,
          keepOutputs: keepsOwn,
        });
  const planned = plan === null ? tensorsAsTheyAre([...view.outputs.keys()]) : computationOf(view.model.graph, plan);
  const known = new Set(planned.outputs.map(({ name }) => name));
  const inner = beginnings.filter((name) => view.producerOf.has(name) && !known.has(name));
  const computation = { ...planned, outputs: [...planned.outputs, ...tensorsAsTheyAre(inner).outputs] };
  await using open: RuntimeSession = await openComputation(view, { computation, types }, { ...session, optimization });
  const declared = declaredTypes(view.model);
  const runs: Alone[] = [];
  for (let entry = 0; entry < count; entry++) {
    const feeds = new Map<string, TensorValue>();
    for (const { name } of open.inputs) {
      const { dtype = 'float32', shape } = declared.get(name) ?? {};
      const sizes = (shape ?? []).map((dim) => (typeof dim === 'number' ? dim : NOMINAL));
      const isEntry = sizes.length >= 2 && sizes[0] === freed.batch;
      feeds.set(name, randomTensor(dtype ?? 'float32', sizes, isEntry ? entry : 0, name));
    }
    const made = await open.run(feeds);
    runs.push({ feeds: new Map([...feeds, ...made]), outputs: made });
  }
  return runs;
}

/** Sizes that the model leaves open beside the batch. */
const NOMINAL = 16;

async function wholeRun(
  cut: FreedCut,
  path: string,
  alone: readonly Alone[],
  optimization: OptimizationLevel,
): Promise<Values> {
  const { plan, freed, session } = cut;
  await using opened = await openChecked(path, { fileSystem: session.fileSystem });
  const view = viewGraph(opened.model);
  await using open = await openSession(view, { ...session, optimization });
  const tensorOf = new Map<string, string>([
    ...plan.renamed.map(({ input, tensor }) => [input, tensor] as const),
    ...(plan.begun?.from ?? []).map(({ input, tensor }) => [input, tensor] as const),
  ]);
  const feeds = new Map<string, TensorValue>();
  for (const { name } of open.inputs) {
    if (isInitializer(view, name)) continue;
    const tensor = tensorOf.get(name) ?? name;
    const values = alone.flatMap((one) => one.feeds.get(tensor) ?? []);
    const axis = freed.inputs[name] ?? null;
    if (values.length > 0) feeds.set(name, axis === null ? values[0] : joinAlong(values, axis));
  }
  return await open.run(feeds, Object.keys(freed.outputs));
}
