import type { ByName } from '../options/by-name.js';
import { ancestorsOf, type GraphView } from '../onnx/graph.js';
import type { Node, ValueType } from '../onnx/records.js';
import { DataType } from '../onnx/schema.js';
import { skeleton } from '../onnx/skeleton.js';
import { printable } from '../wire/text.js';
import type { SessionTypes } from './host.js';
import type { RuntimeChild } from './child.js';
import type { OptimizationLevel, OutputType } from './session.js';

/** Loads model `i` at level `i` and says what its outputs are; `watch` where a model may run long. */
export type Asker = (
  levels: readonly OptimizationLevel[],
  models: readonly Uint8Array[],
  watch: boolean,
) => Promise<readonly SessionTypes[]>;

/** How types are asked for. */
export interface InferOptions {
  /** Numbers for the dims of inputs, by input name; `''` names the only input. */
  readonly inputShapes?: ByName<readonly number[]>;
  /** Whether ONNX Runtime is asked in a child process that can be killed (default) or in this one. */
  readonly isolate?: boolean;
  /** A child that was started early; it stays open. */
  readonly child?: RuntimeChild;
  /** Time for ONNX Runtime, in milliseconds; a child is killed after it. */
  readonly timeoutMs?: number;
  /** Resident memory for the child, in bytes. */
  readonly memoryBytes?: number;
  /** Ends the child at once when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Types of tensors, in one of two worlds: for any input, or for inputs of nominal sizes. */
export interface World {
  /** What is known already; the skeleton begins there. */
  readonly given: ReadonlyMap<string, ValueType>;
  readonly inputShapes?: ReadonlyMap<string, readonly number[]>;
  /** Whether an initializer that a caller may override has its value all the same. */
  readonly fixDefaults: boolean;
}

/** Nodes whose operators featx does not know, and what is known around them. */
export interface Question {
  readonly nodes: readonly Node[];
  /** For any input, and for nominal inputs if those differ. */
  readonly worlds: readonly World[];
}

/** Nodes that ONNX Runtime refused and that were cut off before it was asked again. */
const MOST_CUTS = 24;

interface Attempt {
  /** Nodes that the runtime refuses. */
  readonly refused: ReadonlySet<Node>;
  /** Whether bfloat16, which has next to no kernels on the CPU, is asked about as float16. */
  readonly bfloatAsHalf: boolean;
}

interface Outcome {
  readonly names: readonly string[];
  /** One per world. */
  readonly sessions: readonly SessionTypes[];
}

/**
 * Asks ONNX Runtime about the outputs of nodes, in a session for each world. What it refuses is cut off, and the rest
 * asked again.
 * @returns types of the outputs in each world
 */
export async function askRuntime(
  view: GraphView,
  question: Question,
  ask: Asker,
  warnings: string[],
): Promise<readonly ReadonlyMap<string, ValueType>[]> {
  let attempt: Attempt = { refused: new Set(), bfloatAsHalf: false };
  let outcome = await tryOnce(view, question, attempt, ask);
  for (let cuts = 0; ; cuts++) {
    const reason = outcome.sessions.map(refusal).find((each) => each !== null);
    if (reason == null) break;
    if (!attempt.bfloatAsHalf && /Could not find an implementation|bfloat16|data type: 16/.test(reason)) {
      attempt = { ...attempt, bfloatAsHalf: true };
      outcome = await tryOnce(view, question, attempt, ask);
      continue;
    }
    const culprits = culpritsOf(view, reason).filter((node) => !attempt.refused.has(node));
    warnings.push(`ONNX Runtime refuses a part of the graph, whose types stay unknown: ${traced(view, reason)}`);
    if (culprits.length === 0 || cuts === MOST_CUTS) break;
    attempt = { ...attempt, refused: new Set([...attempt.refused, ...culprits]) };
    outcome = await tryOnce(view, question, attempt, ask);
  }
  const { names, sessions } = outcome;
  return sessions.map((session) => typesByName(view, session, names, attempt.bfloatAsHalf));
}

async function tryOnce(
  view: GraphView,
  { nodes, worlds }: Question,
  { refused, bfloatAsHalf }: Attempt,
  ask: Asker,
): Promise<Outcome> {
  const made = nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== '');
  const lost = tainted(view, refused, worlds[0].given);
  const names = made.filter((name) => !lost.has(name));
  if (names.length === 0) return { names, sessions: [] };
  const models: Uint8Array[] = [];
  for (const { given, inputShapes, fixDefaults } of worlds)
    models.push(await skeleton(view, names, { given, inputShapes, fixDefaults, bfloatAsHalf, rankProbes: names }));
  const watch = view.model.functions.length > 0 || [...ancestorsOf(view, names)].some(hasBodies);
  return {
    names,
    sessions: await ask(
      models.map(() => 'basic' as const),
      models,
      watch,
    ),
  };
}

function hasBodies({ attributes }: Node): boolean {
  return attributes.some(({ graphs }) => graphs.length > 0);
}

function refusal(session: SessionTypes): string | null {
  return 'refused' in session ? session.refused : null;
}

/** What stands behind refused nodes and inputs without a type, except tensors whose type is given. */
function tainted(view: GraphView, refused: ReadonlySet<Node>, given: ReadonlyMap<string, ValueType>): Set<string> {
  const lost = new Set<string>();
  const untyped = view.model.graph.inputs.filter(
    ({ name, type }) =>
      !view.initializers.has(name) && (type === null || (type.kind === 'tensor' && type.elemType === 0)),
  );
  const stack = [...[...refused].flatMap((node) => node.outputs), ...untyped.map(({ name }) => name)];
  for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
    if (name === '' || lost.has(name) || given.has(name)) continue;
    lost.add(name);
    for (const consumer of view.consumersOf.get(name) ?? []) for (const output of consumer.outputs) stack.push(output);
  }
  return lost;
}

/** The nodes that a refusal is about: the skeleton names node `i` of the graph `n<i>`. */
function culpritsOf(view: GraphView, reason: string): Node[] {
  const { nodes } = view.model.graph;
  const named = [...reason.matchAll(/[("']n(\d+)[)"']/g)].flatMap(([, index]) => nodes[Number(index)] ?? []);
  if (named.length > 0) return named;
  const unregistered = /Fatal error: (.*):([^:]+)\(-?\d+\) is not a registered function\/op/.exec(reason);
  return unregistered === null
    ? []
    : nodes.filter(
        ({ domain, opType }) =>
          (domain === '' ? ['', 'ai.onnx'] : [domain]).includes(unregistered[1]) && opType === unregistered[2],
      );
}

/** A refusal with the graph's own names in the place of ours. */
function traced(view: GraphView, reason: string): string {
  const { nodes } = view.model.graph;
  return printable(reason.trim()).replace(
    /([("'])n(\d+)([)"'])/g,
    (whole, open: string, index: string, close: string) => {
      const node = nodes[Number(index)];
      return node === undefined
        ? whole
        : `${open}node[${index}]${node.name === '' ? '' : ` ${printable(node.name)}`}${close}`;
    },
  );
}

/** The outputs, behind which a probe stands for each that says its rank. */
function typesByName(
  view: GraphView,
  session: SessionTypes,
  names: readonly string[],
  asHalf: boolean,
): Map<string, ValueType> {
  const types = new Map<string, ValueType>();
  if ('refused' in session) return types;
  names.forEach((name, index) => {
    const output = session.outputs[index];
    const isScalar = session.outputs[names.length + index]?.shape[0] === 0;
    if (output !== undefined) types.set(name, valueTypeOf(view, name, output, isScalar, asHalf));
  });
  return types;
}

function valueTypeOf(
  view: GraphView,
  name: string,
  { elemType, shape }: OutputType,
  isScalar: boolean,
  asHalf: boolean,
): ValueType {
  // The runtime says only that a value is not a tensor.
  if (elemType === null)
    return view.producerOf.get(name)?.node.opType === 'ZipMap'
      ? { kind: 'sequence', element: null }
      : { kind: 'opaque' };
  const known = shape.length > 0 || isScalar ? shape : null;
  return {
    kind: 'tensor',
    elemType: asHalf && elemType === DataType.float16 ? DataType.bfloat16 : elemType,
    shape: known,
  };
}
