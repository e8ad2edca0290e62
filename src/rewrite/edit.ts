import { UsageError } from '../errors.js';
import type { NewAttribute, NewInput, NewNode, NewTensor } from '../onnx/encode.js';
import type { InsideEdit } from '../onnx/inside.js';
import { columnsOf } from '../onnx/columns.js';
import { infoRowsOf } from '../onnx/info-rows.js';
import { rowsOf } from '../onnx/node-rows.js';
import type { Node, OnnxModel, ValueInfo, ValueType } from '../onnx/records.js';
import type { Field } from '../wire/fields.js';

/**
 * What to change in a model, as data: it can be printed, tested, stored as JSON, and applied by `splice`. Everything is
 * named by its index in the file, because names may repeat.
 */
export interface GraphEdit {
  readonly drop: Drops;
  /** Nodes in front of the model's own: an ONNX graph is sorted. */
  readonly frontNodes: readonly NewNode[];
  /** Nodes behind the model's own, or among them. */
  readonly addNodes: readonly AddedNode[];
  /** What kept nodes read or make under another name than in the file. */
  readonly rename: readonly Renaming[];
  /** Declarations that say another type than in the file, wherever they stand. */
  readonly types: readonly TypeEdit[];
  /** Attributes that kept nodes get behind their own. */
  readonly addAttributes: readonly AddedAttribute[];
  /** What bodies, functions and nodes get behind what they have, so that values of theirs can leave. */
  readonly inside: readonly InsideEdit[];
  readonly addInitializers: readonly NewTensor[];
  readonly addInputs: readonly NewInput[];
  /** The outputs of the result, in order; null leaves them as they are. */
  readonly outputs: readonly OutputEdit[] | null;
  readonly addOpsetImports: readonly { readonly domain: string; readonly version: number }[];
  /** `metadata_props` to set; an entry of the same key is replaced. */
  readonly setMetadata: readonly { readonly key: string; readonly value: string }[];
}

/** A node to add. */
export interface AddedNode extends NewNode {
  /** The index in the file of the node that it stands in front of, kept or not; behind all nodes if left out. */
  readonly before?: number;
}

/** An attribute of a kept node, which has none of that name. */
export interface AddedAttribute {
  /** Index of the node in the file. */
  readonly node: number;
  readonly attribute: NewAttribute;
}

/** One name in the inputs or outputs of a kept node that is replaced; an empty one omits an optional value. */
export interface Renaming {
  /** Index of the node in the file. */
  readonly node: number;
  readonly list: 'input' | 'output';
  /** Its place in that list. */
  readonly at: number;
  readonly name: string;
}

/** A declaration of the file, and the type that it says instead. */
export interface TypeEdit {
  readonly of: ValueInfo;
  readonly type: ValueType;
}

/** Indices of what is left out, per list of the main graph (`functions`, `metadata`: of the model). */
export interface Drops {
  readonly nodes: readonly number[];
  readonly initializers: readonly number[];
  readonly sparseInitializers: readonly number[];
  readonly inputs: readonly number[];
  readonly valueInfo: readonly number[];
  readonly quantizationAnnotations: readonly number[];
  readonly functions: readonly number[];
  readonly metadata: readonly number[];
  readonly trainingInfo: boolean;
}

/** A graph output. Its type is borrowed from the ValueInfo that the file has, or stated, or left to the runtime. */
export interface OutputEdit {
  readonly name: string;
  readonly borrow: { readonly list: 'output' | 'valueInfo' | 'input'; readonly index: number } | null;
  readonly type: ValueType | null;
}

/** Nothing left out. */
export const NO_DROPS: Drops = {
  nodes: [],
  initializers: [],
  sparseInitializers: [],
  inputs: [],
  valueInfo: [],
  quantizationAnnotations: [],
  functions: [],
  metadata: [],
  trainingInfo: false,
};

/** Nothing changed. */
export const EMPTY_EDIT: GraphEdit = {
  drop: NO_DROPS,
  frontNodes: [],
  addNodes: [],
  rename: [],
  types: [],
  addAttributes: [],
  inside: [],
  addInitializers: [],
  addInputs: [],
  outputs: null,
  addOpsetImports: [],
  setMetadata: [],
};

/** Whether an edit changes nothing. */
export function isEmpty(edit: GraphEdit): boolean {
  const { drop } = edit;
  return (
    edit.outputs === null &&
    [
      edit.frontNodes,
      edit.addNodes,
      edit.rename,
      edit.types,
      edit.addAttributes,
      edit.inside,
      edit.addInitializers,
      edit.addInputs,
      edit.addOpsetImports,
      edit.setMetadata,
    ].every(({ length }) => length === 0) &&
    !drop.trainingInfo &&
    Object.values(drop).every((value) => typeof value === 'boolean' || value.length === 0)
  );
}

type DropList = Exclude<keyof Drops, 'trainingInfo'>;
type Droppable = { readonly field: Field } | { readonly parts: readonly Field[] };

/** The lists that an edit may drop from, by its name for them. */
function droppable({ graph, functions, metadata }: OnnxModel): readonly [DropList, readonly Droppable[]][] {
  return [
    ['nodes', graph.nodes],
    ['initializers', graph.initializers],
    ['sparseInitializers', graph.sparseInitializers],
    ['inputs', graph.inputs],
    ['valueInfo', graph.valueInfo],
    ['quantizationAnnotations', graph.quantizationAnnotations],
    ['functions', functions],
    ['metadata', metadata],
  ];
}

/** Places in a file, each once. */
export interface Starts {
  /** In their order. */
  readonly places: Float64Array;
  has(start: number): boolean;
}

const dropped = new WeakMap<Drops, { readonly model: OnnxModel; readonly starts: Starts }>();

/** Where the fields start that an edit leaves out: of the model and of its main graph. */
export function droppedStarts(model: OnnxModel, { drop }: Pick<GraphEdit, 'drop'>): Starts {
  const known = dropped.get(drop);
  if (known?.model === model) return known.starts;
  const found: number[] = [];
  for (const [name, list] of droppable(model)) {
    const startOf = startsOf(list);
    for (const index of drop[name]) found.push(startOf(index));
  }
  if (drop.trainingInfo) for (const { field } of model.trainingInfo) found.push(field.start);
  const places = Float64Array.from(found).sort();
  const starts: Starts = { places, has: (start) => places[placeOf(places, start)] === start };
  dropped.set(drop, { model, starts });
  return starts;
}

function startsOf(list: readonly Droppable[]): (index: number) => number {
  const rows = rowsOf(list as readonly Node[]) ?? infoRowsOf(list as readonly ValueInfo[]);
  if (rows !== null) return (index) => rows.startOf(index);
  return (index) => {
    const item = list[index];
    return ('parts' in item ? item.parts[0] : item.field).start;
  };
}

/** The first place in a sorted list that holds `value` or more. */
function placeOf(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @throws UsageError naming every index that the model does not have, and every output that has no name, the name of
 * another, or that nothing makes
 */
export function validateEdit(model: OnnxModel, edit: GraphEdit): void {
  const problems = [...badIndices(model, edit), ...badPlaces(model, edit), ...badOutputs(model, edit)];
  if (problems.length > 0)
    throw new UsageError(`this edit does not fit the model: ${problems.join('; ')}`, { code: 'FEATX_USAGE_EDIT' });
}

function badIndices(model: OnnxModel, { drop, addInputs }: GraphEdit): readonly string[] {
  const misplaced = addInputs.flatMap(({ name, replaces }) =>
    replaces === undefined || drop.inputs.includes(replaces)
      ? []
      : [`the input '${name}' takes the place of input ${replaces}, which stays`],
  );
  const bad = droppable(model).flatMap(([name, { length }]) => {
    const wrong = drop[name].filter((index) => !Number.isInteger(index) || index < 0 || index >= length);
    return wrong.length > 0 ? [`drop.${name}: ${wrong.join(', ')} (the model has ${length})`] : [];
  });
  return [...bad, ...misplaced];
}

function badPlaces({ graph: { nodes } }: OnnxModel, { rename, addNodes, addAttributes }: GraphEdit): readonly string[] {
  return [
    ...addAttributes.flatMap(({ node, attribute: { name } }) =>
      nodes[node] === undefined || nodes[node].attributes.some((own) => own.name === name)
        ? [`node ${node} cannot get an attribute ${name}`]
        : [],
    ),
    ...rename.flatMap(({ node, list, at, name }) =>
      nodes[node]?.[list === 'input' ? 'inputs' : 'outputs'][at] === undefined
        ? [`node ${node} has no ${list} ${at} to call '${name}'`]
        : [],
    ),
    ...addNodes.flatMap(({ opType, before = 0 }) =>
      nodes[before] === undefined && before !== 0
        ? [`a new ${opType} before node ${before} (the model has ${nodes.length})`]
        : [],
    ),
  ];
}

function badOutputs(model: OnnxModel, edit: GraphEdit): readonly string[] {
  if (edit.outputs === null) return [];
  const problems: string[] = [];
  const made = namesMade(model, edit);
  const names = new Set<string>();
  for (const { name } of edit.outputs) {
    if (name === '') problems.push('an output without a name');
    else if (names.has(name)) problems.push(`two outputs named '${name}'`);
    else if (!made.has(name)) problems.push(`nothing makes the output '${name}'`);
    names.add(name);
  }
  for (const { inputs, opType } of [...edit.frontNodes, ...edit.addNodes])
    for (const name of inputs)
      if (name !== '' && !made.has(name)) problems.push(`nothing makes '${name}', which a new ${opType} reads`);
  return problems;
}

/** What the nodes, inputs and initializers of the result make. */
function namesMade(
  { graph }: OnnxModel,
  { drop, frontNodes, addNodes, rename, addInitializers, addInputs }: GraphEdit,
): { has(name: string): boolean } {
  const made = new Set<string>();
  const { tensorOf, maker } = columnsOf(graph.nodes);
  const gone = new Set(drop.nodes);
  const renamed = new Set<string>();
  for (const { node, list, at, name } of rename)
    if (list === 'output') {
      made.add(name);
      renamed.add(graph.nodes[node]?.outputs[at] ?? '');
    }
  const kept = <T>(list: readonly T[], dropped: readonly number[]): readonly T[] => {
    const without = new Set(dropped);
    return without.size === 0 ? list : list.filter((_item, index) => !without.has(index));
  };
  for (const { outputs } of [...frontNodes, ...addNodes]) for (const name of outputs) made.add(name);
  for (const { name } of [
    ...kept(graph.initializers, drop.initializers),
    ...kept(graph.inputs, drop.inputs),
    ...addInitializers,
    ...addInputs,
  ])
    made.add(name);
  for (const { values } of kept(graph.sparseInitializers, drop.sparseInitializers))
    if (values !== null) made.add(values.name);
  const isMade = (name: string): boolean => {
    const row = maker[tensorOf.get(name) ?? -1] ?? -1;
    return row >= 0 && !gone.has(row) && !renamed.has(name);
  };
  return { has: (name) => made.has(name) || isMade(name) };
}

/** An edit as it is printed: what holds many bytes says how many, a declaration is its name. */
export function printableEdit(edit: GraphEdit): object {
  const addInitializers = edit.addInitializers.map((tensor) =>
    'bytes' in tensor ? { ...tensor, bytes: tensor.bytes.length } : tensor,
  );
  const types = edit.types.map(({ of: { name }, type }) => ({ name, type }));
  return { ...edit, addInitializers, types };
}
