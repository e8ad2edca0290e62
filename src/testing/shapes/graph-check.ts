import { Evaluation } from '../../shapes/evaluate.js';
import { encodeModel } from '../model-builder.js';
import { value, type ModelSpec } from '../model-spec.js';
import { Refused, runModel, type Feeds, type RunTensor, type RunValue } from '../random-graph/oracle.js';
import { randomGraph, type RandomGraph } from '../random-graph/random-graph.js';
import { feedOf } from '../random-graph/values.js';
import { faultOf, inferredOf, isKnown } from './truth.js';

/** What featx infers of random graphs against the shapes of ONNX Runtime's run. */

/** Counts over random graphs. */
export interface GraphTally {
  graphs: number;
  nodes: number;
  /** Values of main graphs that a run showed. */
  values: number;
  /** Those of which everything was known with numbers, and with symbols, for the dims of the inputs. */
  numeric: number;
  formulas: number;
  /** Runs at other sizes that ONNX Runtime took, and the values that they showed. */
  sizes: number;
  evaluated: number;
  readonly differences: string[];
  /** Values of which ONNX Runtime's inference knew all dims, rightly, and featx did not. */
  readonly weaker: string[];
  /** Operators whose outputs were not known with numbers for the inputs. */
  readonly unknown: Record<string, number>;
}

/** A tally of nothing. */
export function newGraphTally(): GraphTally {
  return {
    graphs: 0,
    nodes: 0,
    values: 0,
    numeric: 0,
    formulas: 0,
    sizes: 0,
    evaluated: 0,
    differences: [],
    weaker: [],
    unknown: {},
  };
}

/** Other sizes for the inputs: the number in the place of a dim that is `dim` now. */
const SIZES: readonly ((dim: number, axis: number) => number)[] = [
  (dim) => dim + 2,
  (dim, axis) => (axis === 0 ? dim : 2 * dim + 1),
  (dim, axis) => (axis === 0 ? dim + 2 : dim),
];

/** Holds what is inferred of one random graph against runs; the same for the same seed. */
export async function checkGraph(seed: number, tally: GraphTally): Promise<void> {
  const graph = randomGraph(seed);
  if ((graph.spec.graph.nodes ?? []).length === 0) return;
  tally.graphs++;
  tally.nodes += graph.spec.graph.nodes?.length ?? 0;
  const bare = withAllOutputs(graph);
  const seen = ran(encodeModel(bare, graph.style), graph.feeds);
  // With float16 ONNX Runtime trips over some outputs of a graph that it runs with others.
  if (seen === null) return;
  const own = await inferredOf(encodeModel(bare, graph.style));
  const makers = makersOf(bare);
  for (const [name, found] of seen) {
    tally.values++;
    const info = own.get(name) ?? null;
    const fault = faultOf(info, found, null);
    if (fault !== null) tally.differences.push(`seed ${seed} ${makers.get(name)} '${name}': ${fault}`);
    if (isKnown(info, null)) tally.numeric++;
    else if (isInferred(found))
      tally.weaker.push(`seed ${seed} ${makers.get(name)} '${name}': [${found.inferred.join(',')}]`);
    else count(tally.unknown, makers.get(name) ?? '?');
  }
  await checkFormulas(graph, bare, seen, makers, tally);
}

async function checkFormulas(
  { seed, feeds, style }: RandomGraph,
  bare: ModelSpec,
  seen: ReadonlyMap<string, RunValue>,
  makers: ReadonlyMap<string, string>,
  tally: GraphTally,
): Promise<void> {
  // Sizes that are equal are one symbol in every second graph, and symbols of their own in the others.
  const isShared = seed % 2 === 0;
  const { spec, symbols } = symbolic(bare, feeds, isShared);
  const bytes = encodeModel(spec, style);
  const open = await inferredOf(bytes);
  const judge = (evaluation: Evaluation, found: ReadonlyMap<string, RunValue>, at: string): number => {
    let known = 0;
    for (const [name, value_] of found) {
      const info = open.get(name) ?? null;
      const fault = faultOf(info, value_, evaluation);
      if (fault !== null) tally.differences.push(`seed ${seed} ${makers.get(name)} '${name}', ${at}: ${fault}`);
      if (isKnown(info, evaluation)) known++;
    }
    return known;
  };
  tally.formulas += judge(
    new Evaluation(new Map([...symbols].map(([name, { dim }]) => [name, dim]))),
    seen,
    'formulas',
  );
  for (const [round, change] of SIZES.entries()) {
    const numbers = new Map([...symbols].map(([name, { dim, axis }]) => [name, change(dim, isShared ? 1 : axis)]));
    const found = runAt(bytes, spec, feeds, numbers);
    if (found === null || [...found].some(([name, each]) => isOfNoRounds(makers.get(name), each))) continue;
    tally.sizes++;
    tally.evaluated += judge(new Evaluation(numbers), found, `formulas at sizes ${round}`);
  }
}

/** Every value that a node makes leaves the graph; nothing is declared of any. */
function withAllOutputs({ spec, values }: RandomGraph): ModelSpec {
  const made = new Set((spec.graph.nodes ?? []).flatMap(({ outputs = [] }) => outputs));
  const outputs = values.filter(({ name }) => made.has(name)).map(({ name }) => value(name, null, null));
  return { ...spec, graph: { ...spec.graph, valueInfo: [], outputs } };
}

function makersOf({ graph, opset }: ModelSpec): ReadonlyMap<string, string> {
  const version = typeof opset === 'object' ? opset[0][1] : opset;
  return new Map(
    (graph.nodes ?? []).flatMap(({ op, domain = '', outputs = [] }) =>
      outputs.map((name, index): [string, string] => [String(name), `${domain}:${String(op)}(${version})#${index}`]),
    ),
  );
}

interface Symbolic {
  readonly spec: ModelSpec;
  readonly symbols: ReadonlyMap<string, { readonly dim: number; readonly axis: number }>;
}

/** The same graph with symbols for the dims of its inputs; a default keeps its shape. */
function symbolic(spec: ModelSpec, feeds: Feeds, isShared: boolean): Symbolic {
  const symbols = new Map<string, { dim: number; axis: number }>();
  const inputs = (spec.graph.inputs ?? []).map((input, index) => {
    const { name, type } = input;
    const fed = feeds[String(name)];
    if (fed === undefined || type === undefined || !('tensor' in type)) return input;
    const shape = fed.dims.map((dim, axis) => {
      const symbol = isShared ? `s${dim}` : `d${index}_${axis}`;
      symbols.set(symbol, { dim, axis });
      return symbol;
    });
    return value(name, shape, type.tensor);
  });
  return { spec: { ...spec, graph: { ...spec.graph, inputs } }, symbols };
}

function runAt(
  bytes: Uint8Array,
  { graph }: ModelSpec,
  feeds: Feeds,
  numbers: ReadonlyMap<string, number>,
): ReadonlyMap<string, RunValue> | null {
  const changed: [string, Feeds[string]][] = (graph.inputs ?? []).flatMap(({ name, type }, index) => {
    if (feeds[String(name)] === undefined || type === undefined || !('tensor' in type)) return [];
    const dims = (type.shape ?? []).map((dim) => numbers.get(String(dim)) ?? 1);
    return [[String(name), feedOf(type.tensor, dims, index + 1)]];
  });
  const fed = Object.assign(Object.create(null) as Record<string, Feeds[string]>, Object.fromEntries(changed));
  return ran(bytes, fed);
}

function ran(bytes: Uint8Array, feeds: Feeds): ReadonlyMap<string, RunValue> | null {
  try {
    return runModel(bytes, feeds);
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/** Whether ONNX Runtime knew the dims before the run, and was right. */
function isInferred(found: RunValue): found is RunTensor {
  return found !== 'not a tensor' && found.inferred.length > 0 && found.inferred.join() === found.dims.join();
}

/** A Loop that never ran has no shape of its rounds: ONNX Runtime gives 0 for each dim that it does not know before. */
function isOfNoRounds(maker: string | undefined, found: RunValue): boolean {
  return (
    maker?.startsWith(':Loop(') === true &&
    found !== 'not a tensor' &&
    found.dims.length > 1 &&
    found.dims.every((dim) => dim === 0)
  );
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
