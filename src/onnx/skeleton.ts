import type { Field } from '../wire/fields.js';
import { wrap } from '../wire/encode.js';
import { materialize, type Piece } from '../wire/pieces.js';
import { encodeText } from '../wire/text.js';
import { attributeTensors, bodiesOf, functionsUsedBy, neededFor, readsOf, type GraphView } from './graph.js';
import { patched, type Patch } from './patch.js';
import type { Attribute, Dim, FunctionDef, Graph, Node, SparseTensor, Tensor, ValueType } from './records.js';
import { encodeAttribute, encodeNode, encodeValueInfo } from './encode.js';
import { DataType, FunctionField, GraphField, INLINE_BYTES, ModelField, NodeField } from './schema.js';
import { tensorBytes } from './types.js';

/** Attributes that name a TensorProto.DataType. */
const DTYPE_ATTRIBUTES = new Set(['to', 'dtype', 'output_dtype']);

/** What is different in a skeleton from the model it stands for. */
export interface SkeletonOptions {
  /** Other dims for graph inputs, by name. */
  readonly inputShapes?: ReadonlyMap<string, readonly Dim[]>;
  /** Tensors that are inputs of the skeleton, of this type, instead of being computed. */
  readonly given?: ReadonlyMap<string, ValueType>;
  /** Whether an initializer that a caller may override is a constant all the same. */
  readonly fixDefaults?: boolean;
  /** Tensors whose rank is asked for: an output `Shape(tensor)` each, behind the others, in this order. */
  readonly rankProbes?: readonly string[];
  /**
   * bfloat16 becomes float16 throughout the main graph: operators have the same shapes for both, and kernels for only
   * one.
   */
  readonly bfloatAsHalf?: boolean;
}

/**
 * A model without weights whose outputs, without types, are `tensors`, for ONNX Runtime to say what they are: only
 * their ancestors, every initializer of more than 1 KiB (or outside the file) a graph input of its type and shape, the
 * bytes of nodes and functions borrowed. Node `i` of the graph is named `n<i>`, so that messages can be traced; names
 * of tensors are untouched.
 */
export async function skeleton(
  view: GraphView,
  tensors: Iterable<string>,
  options: SkeletonOptions = {},
): Promise<Uint8Array> {
  const { model } = view;
  const { graph } = model;
  const outputs = [...tensors];
  const probes = options.rankProbes ?? [];
  const given = options.given ?? new Map<string, ValueType>();
  const asHalf = options.bfloatAsHalf === true;
  const nodes = [...neededFor(view, [...outputs, ...probes], { given: given.keys() }).nodes].sort(
    (a, b) => a.index - b.index,
  );
  const read = new Set<string>(outputs);
  for (const node of nodes) for (const name of readsOf(node)) read.add(name);
  const weights = new Map<string, ValueType>([...given].filter(([name]) => read.has(name)));
  const body: Piece[] = wrap(GraphField.name, [encodeText('skeleton')]);
  const add = (field: number, bytes: Uint8Array): void => void body.push(...wrap(field, [bytes]));
  for (const node of nodes) {
    const weight = constantWeight(node, asHalf);
    if (weight === null) body.push(...wrap(GraphField.node, nodePieces(node, asHalf)));
    else weights.set(node.outputs[0], weight);
  }
  const ranks = probes.map((_name, index) => `featx.rank.${index}`);
  probes.forEach((name, index) =>
    add(GraphField.node, encodeNode({ opType: 'Shape', name: '', inputs: [name], outputs: [ranks[index]] })),
  );
  for (const tensor of graph.initializers) {
    if (!read.has(tensor.name)) continue;
    if (staysInline(tensor) && !(asHalf && tensor.dataType === DataType.bfloat16))
      for (const part of tensor.parts) body.push(part);
    else weights.set(tensor.name, typeOf(tensor));
  }
  for (const sparse of graph.sparseInitializers) {
    if (sparse.values === null || !read.has(sparse.values.name)) continue;
    if (isSmallSparse(sparse)) body.push(sparse.field);
    else weights.set(sparse.values.name, sparseType(sparse));
  }
  for (const input of graph.inputs) {
    if (!read.has(input.name) || weights.has(input.name)) continue;
    if (options.fixDefaults === true && model.irVersion >= 4 && view.initializers.has(input.name)) continue;
    const shape =
      options.inputShapes?.get(input.name) ?? (asHalf && input.type?.kind === 'tensor' ? input.type.shape : undefined);
    if (shape === undefined || input.type?.kind !== 'tensor') body.push(input.field);
    else add(GraphField.input, encodeValueInfo(input.name, halved({ ...input.type, shape }, asHalf)));
  }
  for (const [name, type] of weights) add(GraphField.input, encodeValueInfo(name, halved(type, asHalf)));
  for (const name of [...outputs, ...ranks]) add(GraphField.output, encodeValueInfo(name, null));
  return materialize(model.source, [
    ...model.modelFields.filter(({ number }) => number === ModelField.irVersion || number === ModelField.opsetImport),
    ...[...functionsUsedBy(model, nodes)].flatMap((used) => wrap(ModelField.functions, functionPieces(used))),
    ...wrap(ModelField.graph, body),
  ]);
}

/**
 * NodeProto: its own bytes, big tensors in its bodies replaced, and its new name at the end, where the last one wins.
 */
function nodePieces(node: Node, asHalf: boolean): readonly Piece[] {
  const patches: Patch[] = [];
  patchAttributes(node, patches);
  for (const { name, i, field } of asHalf ? node.attributes : [])
    if (DTYPE_ATTRIBUTES.has(name) && i === DataType.bfloat16)
      patches.push({
        ...field,
        enclosing: [node.field],
        pieces: wrap(NodeField.attribute, [encodeAttribute({ name, int: DataType.float16 })]),
      });
  return [...patched(node.field, patches), ...wrap(NodeField.name, [encodeText(`n${node.index}`)])];
}

function halved(type: ValueType, asHalf: boolean): ValueType {
  return asHalf && type.kind === 'tensor' && type.elemType === DataType.bfloat16
    ? { ...type, elemType: DataType.float16 }
    : type;
}

function staysInline(tensor: Tensor): boolean {
  if (tensor.external !== null) return false;
  return (
    (tensorBytes(tensor) ?? 0) <= INLINE_BYTES &&
    tensor.payloads.reduce((sum, { start, end }) => sum + end - start, 0) <= 2 * INLINE_BYTES
  );
}

function isSmallSparse({ values, indices }: SparseTensor): boolean {
  return (values === null || staysInline(values)) && (indices === null || staysInline(indices));
}

function typeOf({ dataType, dims }: Tensor): ValueType {
  return { kind: 'tensor', elemType: dataType, shape: dims };
}

function sparseType({ values, dims }: SparseTensor): ValueType {
  return { kind: 'tensor', elemType: values?.dataType ?? 0, shape: dims };
}

/** The type of a Constant that is left out, or null for every other node. */
function constantWeight(node: Node, asHalf = false): ValueType | null {
  if (node.opType !== 'Constant' || node.domain !== '' || node.outputs.length !== 1) return null;
  for (const attribute of node.attributes) {
    for (const tensor of attribute.tensors)
      if (!staysInline(tensor) || (asHalf && tensor.dataType === DataType.bfloat16)) return typeOf(tensor);
    for (const sparse of attribute.sparseTensors)
      if (sparse.values !== null && !staysInline(sparse.values)) return sparseType(sparse);
  }
  return null;
}

function functionPieces(definition: FunctionDef): Piece[] {
  const patches: Patch[] = [];
  patchNodes(definition.nodes, FunctionField.node, patches);
  patchAttributes({ attributes: definition.defaults }, patches);
  return patched(definition.field, patches);
}

function patchBody(body: Graph, patches: Patch[]): void {
  const fresh: Piece[] = [];
  let enclosing: readonly Field[] = [];
  const replace = (parts: readonly Field[], around: readonly Field[], name: string, type: ValueType): void => {
    enclosing = around;
    fresh.push(...placeholder(name, type, GraphField.node));
    for (const part of parts) patches.push({ start: part.start, end: part.end, enclosing: around, pieces: [] });
  };
  for (const tensor of body.initializers)
    if (!staysInline(tensor)) replace(tensor.parts, tensor.enclosing, tensor.name, typeOf(tensor));
  for (const sparse of body.sparseInitializers) {
    if (sparse.values !== null && !isSmallSparse(sparse))
      replace([sparse.field], sparse.values.enclosing.slice(0, -1), sparse.values.name, sparseType(sparse));
  }
  const first = enclosing.at(-1);
  if (first !== undefined) patches.push({ start: first.payload, end: first.payload, enclosing, pieces: fresh });
  patchNodes(body.nodes, GraphField.node, patches);
}

function patchNodes(nodes: readonly Node[], fieldNumber: number, patches: Patch[]): void {
  for (const node of nodes) {
    const weight = constantWeight(node);
    if (weight !== null)
      patches.push({
        start: node.field.start,
        end: node.field.end,
        enclosing: aroundConstant(node),
        pieces: placeholder(node.outputs[0], weight, fieldNumber),
      });
    else patchAttributes(node, patches);
  }
}

/** Bodies without their weights; and tensors whose values are in files, which the runtime would open, without them. */
function patchAttributes(holder: { readonly attributes: readonly Attribute[] }, patches: Patch[]): void {
  for (const body of bodiesOf(holder)) patchBody(body, patches);
  for (const { external, parts, enclosing, header } of attributeTensors(holder)) {
    if (external !== null)
      parts.forEach(({ number, start, end }, index) =>
        patches.push({ start, end, enclosing, pieces: index === 0 ? wrap(number, header) : [] }),
      );
  }
}

/**
 * The fields around a Constant: those around its value, less the node and the attribute (and the sparse tensor)
 * themselves.
 */
function aroundConstant(node: Node): readonly Field[] {
  const value = node.attributes
    .map((attribute: Attribute) => attribute.tensors[0] ?? attribute.sparseTensors[0]?.values)
    .find((tensor) => tensor !== undefined && tensor !== null);
  const around = value?.enclosing ?? [];
  return around.slice(
    0,
    around.findIndex(({ start }) => start === node.field.start),
  );
}

/**
 * Nodes for a tensor of that type inside a body or a function. ONNX Runtime folds constants, but nothing random, so
 * that nothing is allocated.
 */
function placeholder(name: string, type: ValueType, fieldNumber: number): Piece[] {
  if (type.kind !== 'tensor') return [];
  const dims = (type.shape ?? []).map(Number);
  const isFloat = type.elemType === DataType.float;
  const random = isFloat ? name : `${name}.featx.float`;
  const nodes = [
    encodeNode({
      opType: 'RandomUniform',
      name: '',
      inputs: [],
      outputs: [random],
      attributes: [{ name: 'shape', ints: dims }],
    }),
  ];
  if (!isFloat)
    nodes.push(
      encodeNode({
        opType: 'Cast',
        name: '',
        inputs: [random],
        outputs: [name],
        attributes: [{ name: 'to', int: type.elemType }],
      }),
    );
  return nodes.flatMap((node) => wrap(fieldNumber, [node]));
}
