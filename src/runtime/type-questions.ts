import type { ByName } from '../options/kinds.js';
import type { GraphView } from '../onnx/graph.js';
import { ancestorsOf } from '../onnx/graph.js';
import { DataType } from '../onnx/schema.js';
import { substituted, type NominalInputs } from '../onnx/nominal.js';
import type { Dim, Node, ValueType } from '../onnx/records.js';
import { skeleton } from '../onnx/skeleton.js';
import { dataTypeOf, dtypeWord, type TensorType } from '../onnx/types.js';
import type { SessionTypes } from './host.js';
import type { RuntimeChild } from './child.js';
import { printable } from '../wire/text.js';
import { maybeScalars } from './scalars.js';
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

/** What ONNX Runtime is asked. */
export interface Question {
  readonly known: ReadonlyMap<string, TensorType>;
  /** Tensors without a type. */
  readonly unknown: readonly string[];
  /** Tensors whose shape has no nominal numbers yet. */
  readonly unnumbered: readonly string[];
  /** Whether inputs are symbolic or initializers can be overridden: then shapes for nominal numbers prove nothing. */
  readonly isOpen: boolean;
  readonly nominal: NominalInputs;
}

/** What ONNX Runtime answered. */
export interface Answers {
  /** What holds for any input. */
  readonly proven: ReadonlyMap<string, TensorType>;
  /** What holds for the nominal inputs. */
  readonly nominal: ReadonlyMap<string, TensorType>;
  readonly inputs: NominalInputs;
}

/** Nodes that ONNX Runtime refused and that were cut off before it was asked again. */
const MOST_CUTS = 24;

interface Attempt {
  readonly inputs: NominalInputs;
  /** Nodes that the runtime refuses. */
  readonly refused: ReadonlySet<Node>;
  /** Whether bfloat16, which has next to no kernels on the CPU, is asked about as float16. */
  readonly bfloatAsHalf: boolean;
}

interface Outcome {
  readonly proven: SessionTypes | null;
  readonly nominal: SessionTypes | null;
  readonly provenFor: readonly string[];
  readonly nominalFor: readonly string[];
  readonly probes: readonly string[];
}

/**
 * Asks ONNX Runtime about the types of tensors, in one session (all inputs static) or two (symbols as they are; numbers
 * in their place). What it refuses is cut off and the rest asked again; `otherInputs` are tried where it rejects the
 * nominal sizes.
 */
export async function askRuntime(
  view: GraphView,
  question: Question,
  otherInputs: () => NominalInputs,
  ask: Asker,
  warnings: string[],
): Promise<Answers> {
  let attempt: Attempt = { inputs: question.nominal, refused: new Set(), bfloatAsHalf: false };
  let outcome = await tryOnce(view, question, attempt, ask);
  for (let cuts = 0; ; cuts++) {
    const { proven, nominal } = outcome;
    const reason = refusal(proven) ?? refusal(nominal);
    if (reason === null) break;
    if (refusal(proven) === null && attempt.inputs === question.nominal && question.nominal.symbolic.size > 0) {
      const other = await tryOnce(view, question, { ...attempt, inputs: otherInputs() }, ask);
      if (refusal(other.proven) === null && refusal(other.nominal) === null) {
        attempt = { ...attempt, inputs: otherInputs() };
        outcome = other;
        break;
      }
    }
    if (
      !attempt.bfloatAsHalf &&
      /Could not find an implementation|bfloat16/.test(reason) &&
      holdsType(view, DataType.bfloat16)
    ) {
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
  const named = (session: SessionTypes | null, names: readonly string[]): Map<string, TensorType> => {
    const types = typesByName(view, session, names, outcome.probes);
    if (!attempt.bfloatAsHalf) return types;
    const dtype = holdsType(view, DataType.float16) ? null : 'bfloat16';
    return new Map([...types].map(([name, type]) => [name, type.dtype === 'float16' ? { ...type, dtype } : type]));
  };
  const proven = named(outcome.proven, outcome.provenFor);
  const nominal = question.isOpen ? named(outcome.nominal, outcome.nominalFor) : proven;
  return { proven, nominal, inputs: attempt.inputs };
}

async function tryOnce(
  view: GraphView,
  { known, unknown, unnumbered, isOpen }: Question,
  { inputs, refused, bfloatAsHalf }: Attempt,
  ask: Asker,
): Promise<Outcome> {
  const given = new Map<string, ValueType>();
  for (const node of refused) {
    for (const name of node.outputs) {
      const type = known.get(name);
      if (type?.dtype != null && type.shape !== null)
        given.set(name, { kind: 'tensor', elemType: dataTypeOf(type.dtype), shape: type.shape });
    }
  }
  const lost = tainted(view, refused, given);
  const reachable = (names: readonly string[]): string[] => names.filter((name) => !lost.has(name));
  const all = reachable([...new Set([...unknown, ...unnumbered])]);
  const provenFor = isOpen ? reachable(unknown) : all;
  const nominalFor = isOpen ? all : [];
  if (all.length === 0) return { proven: null, nominal: null, provenFor, nominalFor, probes: [] };
  const nodes = ancestorsOf(view, all);
  const scalars = maybeScalars(view, nodes, known);
  const probes = all.filter((name) => scalars.has(name));
  const models: Uint8Array[] = [];
  const provenProbes = probes.filter((name) => provenFor.includes(name));
  if (provenFor.length > 0)
    models.push(
      await skeleton(view, provenFor, {
        given,
        bfloatAsHalf,
        rankProbes: provenProbes,
        inputShapes: isOpen ? undefined : inputs.shapes,
      }),
    );
  if (nominalFor.length > 0) {
    const numbered = new Map([...given].map(([name, type]) => [name, numberedType(type, inputs)] as const));
    models.push(
      await skeleton(view, nominalFor, {
        given: numbered,
        bfloatAsHalf,
        rankProbes: probes,
        inputShapes: inputs.shapes,
        fixDefaults: true,
      }),
    );
  }
  const watch =
    [...nodes].some((node) => node.attributes.some(({ graphs }) => graphs.length > 0)) ||
    view.model.functions.length > 0;
  const answers = [
    ...(await ask(
      models.map(() => 'basic' as const),
      models,
      watch,
    )),
  ];
  const proven = provenFor.length > 0 ? (answers.shift() ?? null) : null;
  return { proven, nominal: answers.shift() ?? null, provenFor, nominalFor, probes };
}

/** Whether an input, an initializer or an attribute of the main graph is of a type. */
function holdsType({ model: { graph } }: GraphView, elemType: number): boolean {
  return (
    graph.initializers.some(({ dataType }) => dataType === elemType) ||
    graph.inputs.some(({ type }) => type?.kind === 'tensor' && type.elemType === elemType) ||
    graph.nodes.some(({ attributes }) =>
      attributes.some(({ i, tensors }) => i === elemType || tensors.some(({ dataType }) => dataType === elemType)),
    )
  );
}

function numberedType(type: ValueType, inputs: NominalInputs): ValueType {
  if (type.kind !== 'tensor' || type.shape === null) return type;
  return { ...type, shape: substituted(type.shape, inputs.symbols) ?? type.shape };
}

function refusal(session: SessionTypes | null): string | null {
  return session !== null && 'refused' in session ? session.refused : null;
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
    for (const consumer of view.consumersOf.get(name) ?? []) stack.push(...consumer.outputs);
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

function typesByName(
  view: GraphView,
  session: SessionTypes | null,
  names: readonly string[],
  probes: readonly string[],
): Map<string, TensorType> {
  const types = new Map<string, TensorType>();
  if (session === null || 'refused' in session) return types;
  const asked = probes.filter((name) => names.includes(name));
  const scalar = new Set(asked.filter((_name, index) => session.outputs[names.length + index]?.shape[0] === 0));
  names.forEach((name, index) => {
    const output = session.outputs[index];
    if (output !== undefined) types.set(name, tensorTypeOf(view, name, output, scalar.has(name)));
  });
  return types;
}

function tensorTypeOf(view: GraphView, name: string, { elemType, shape }: OutputType, isScalar: boolean): TensorType {
  if (elemType === null) return { dtype: null, shape: null, type: nonTensorKind(view.producerOf.get(name)?.node) };
  const known: readonly Dim[] | null = shape.length > 0 || isScalar ? shape : null;
  return { dtype: dtypeWord(elemType), shape: known };
}

/** The runtime says only that a value is no tensor. */
function nonTensorKind(node: Node | undefined): string {
  return node?.opType === 'ZipMap' ? 'sequence' : 'non_tensor';
}
