import { UnsupportedModelError } from '../errors.js';
import { functionsUsedBy, isInitializer, neededFor, type GraphView, type Needed } from '../onnx/graph.js';
import type { NewNode } from '../onnx/encode.js';
import type { Dim, OnnxModel } from '../onnx/records.js';
import { dataTypeOf, type TensorType } from '../onnx/types.js';
import { NO_DROPS, type GraphEdit } from '../rewrite/edit.js';
import { NamePool } from '../rewrite/names.js';
import { opsetsFor } from '../rewrite/taps.js';
import { carrierOf, isSafeName } from './carriers.js';

/** What a session computes: tensors of a model, and what an edit makes of them. */
export interface Computation {
  readonly add: Pick<GraphEdit, 'addNodes' | 'addInitializers' | 'addAttributes'>;
  readonly outputs: readonly ComputedOutput[];
}

/** An output of a computation. */
export interface ComputedOutput {
  readonly name: string;
  /** A tensor of the model: itself, or what the edit makes it of. */
  readonly tensor: string;
  /** Its shape and dtype; those of the tensor where they are left out. */
  readonly shape?: readonly Dim[] | null;
  readonly dtype?: string | null;
}

/** Tensors of the main graph as they are. */
export function tensorsAsTheyAre(names: readonly string[]): Computation {
  return {
    add: { addNodes: [], addInitializers: [], addAttributes: [] },
    outputs: names.map((name) => ({ name, tensor: name })),
  };
}

/** An input or an output as the caller knows it and as the session does. */
export interface Port {
  readonly name: string;
  /** Its name in the session. */
  readonly alias: string;
  /** numpy's word for its dtype in the graph; null where unknown. */
  readonly dtype: string | null;
  /** The dtype in which it travels. */
  readonly carrier: string | null;
  readonly type: TensorType | null;
}

/** The edit that leaves what a session computes, and the ports of the result. */
export interface SessionPlan {
  readonly edit: GraphEdit;
  /** Without initializers that are listed as inputs: the JavaScript API cannot override them. */
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * The part of a model that a computation needs, as an edit: outputs and inputs whose dtype or name the binding cannot
 * carry go through a Cast or an Identity; what declares types is left out, so that the runtime works them out.
 * @throws UnsupportedModelError where an input or an output cannot enter or leave the graph
 */
export function planSession(
  view: GraphView,
  { add, outputs }: Computation,
  types: ReadonlyMap<string, TensorType>,
): SessionPlan {
  const { model } = view;
  const { graph } = model;
  const made = new Set(add.addNodes.flatMap((node) => node.outputs));
  const read = [...outputs.map(({ name }) => name), ...add.addNodes.flatMap((node) => node.inputs)];
  const needed = neededFor(
    view,
    read.filter((name) => !made.has(name)),
  );
  const fresh = freshNames(view, needed, made);
  const inPorts = graph.inputs
    .filter(({ name }) => needed.tensors.has(name) && !isInitializer(view, name))
    .map(({ name, type }, index) => {
      if (type !== null && type.kind !== 'tensor')
        throw unsupported(
          model,
          `its input '${name}' is a ${type.kind}, which ONNX Runtime's JavaScript API cannot feed`,
        );
      return port(model, name, types.get(name) ?? null, () => fresh(`featx.input.${index}`), false);
    });
  const outPorts = outputs.map(({ name, tensor, shape, dtype }, index) => {
    const type = types.get(tensor);
    const known =
      type === undefined
        ? null
        : { ...type, ...(shape === undefined ? {} : { shape }), ...(dtype == null ? {} : { dtype }) };
    const isGiven = !made.has(name) && !view.producerOf.has(name);
    return port(model, name, known, () => fresh(`featx.output.${index}`), isGiven);
  });
  const aliased = new Map(inPorts.filter(({ name, alias }) => name !== alias).map((entry) => [entry.name, entry]));
  const carriers = [
    ...[...aliased.values()].map(({ name, alias, dtype, carrier }) => between(alias, name, carrier, dtype)),
    ...add.addNodes,
    ...outPorts
      .filter(({ name, alias }) => name !== alias)
      .map(({ name, alias, dtype, carrier }) => between(name, alias, dtype, carrier)),
  ];
  const used = functionsUsedBy(model, needed.nodes);
  const all = <T>(list: readonly T[]): readonly number[] => list.map((_item, index) => index);
  const without = <T>(list: readonly T[], isKept: (item: T) => boolean): readonly number[] =>
    list.flatMap((item, index) => (isKept(item) ? [] : [index]));
  return {
    edit: {
      ...add,
      addOpsetImports: opsetsFor(model, carriers),
      drop: {
        ...NO_DROPS,
        nodes: without(graph.nodes, (node) => needed.nodes.has(node)),
        initializers: without(graph.initializers, ({ name }) => needed.tensors.has(name)),
        sparseInitializers: without(
          graph.sparseInitializers,
          ({ values }) => values !== null && needed.tensors.has(values.name),
        ),
        inputs: without(graph.inputs, ({ name }) => needed.tensors.has(name) && !aliased.has(name)),
        valueInfo: all(graph.valueInfo),
        quantizationAnnotations: all(graph.quantizationAnnotations),
        functions: without(model.functions, (definition) => used.has(definition)),
        metadata: all(model.metadata),
        trainingInfo: true,
      },
      frontNodes: [],
      addNodes: carriers,
      inside: view.inside ?? [],
      addAttributes: add.addAttributes.filter(({ node }) => needed.nodes.has(graph.nodes[node])),
      rename: [],
      types: [],
      addInputs: graph.inputs.flatMap(({ name, type }) => {
        const entry = aliased.get(name);
        if (entry === undefined) return [];
        const elemType = entry.carrier === null ? null : dataTypeOf(entry.carrier);
        const isTensor = type?.kind === 'tensor';
        return [{ name: entry.alias, type: isTensor ? { ...type, elemType: elemType ?? type.elemType } : type }];
      }),
      outputs: outPorts.map(({ alias }) => ({ name: alias, borrow: null, type: null })),
      setMetadata: [],
    },
    inputs: inPorts,
    outputs: outPorts,
  };
}

/** Names that nothing of the result has; most sessions need none. */
function freshNames(view: GraphView, needed: Needed, taken: Iterable<string>): (wanted: string) => string {
  let pool: NamePool | null = null;
  return (wanted) => {
    if (pool === null) {
      pool = new NamePool(view, needed, false);
      for (const name of taken) pool.claim(name);
    }
    return pool.fresh(wanted);
  };
}

function port(model: OnnxModel, name: string, type: TensorType | null, alias: () => string, mustCopy: boolean): Port {
  const dtype = type?.dtype ?? null;
  const carrier = dtype === null ? null : carrierOf(dtype);
  if (dtype !== null && carrier === null)
    throw unsupported(model, `'${name}' is of ${dtype}, which ONNX Runtime cannot hand over`);
  return { name, alias: mustCopy || carrier !== dtype || !isSafeName(name) ? alias() : name, dtype, carrier, type };
}

function between(from: string, to: string, given: string | null, wanted: string | null): NewNode {
  const node = { name: '', inputs: [from], outputs: [to] };
  return wanted === null || given === wanted
    ? { ...node, opType: 'Identity' }
    : { ...node, opType: 'Cast', attributes: [{ name: 'to', int: dataTypeOf(wanted) }] };
}

function unsupported(model: OnnxModel, what: string): UnsupportedModelError {
  const path = model.source.path;
  return new UnsupportedModelError(`${path ?? 'the model'} cannot be run: ${what}`, { path });
}
