import { encodeNode, encodeValueInfo, type NewInput, type NewNode } from './encode.js';
import { changedNode } from './node-rows.js';
import type { Patch } from './patch.js';
import type { Attribute, Graph, Node, OnnxModel, ValueInfo } from './records.js';
import { AttributeField, FunctionField, GraphField, NodeField } from './schema.js';
import { int, message, wrap } from '../wire/encode.js';
import type { Field } from '../wire/fields.js';
import { encodeText } from '../wire/text.js';
import type { Piece } from '../wire/pieces.js';

/** What is added to scopes that are not the main graph: bodies and functions. */

/** Into which body the way goes: a node of the scope, its attribute, and which of its graphs. */
export interface ScopeStep {
  readonly node: number;
  readonly attribute: string;
  readonly graph: number;
}

/** A scope: the main graph, a function (its index), or a body in one of them. */
export interface ScopePath {
  readonly function: number | null;
  readonly steps: readonly ScopeStep[];
}

/** What is added to a scope, behind what it has. */
export interface InsideEdit {
  readonly scope: ScopePath;
  readonly addNodes: readonly NewNode[];
  /** Outputs of the body or the function; those of the main graph are no part of it. */
  readonly addOutputs: readonly NewInput[];
  /** More outputs of nodes of the scope. */
  readonly nodeOutputs: readonly { readonly node: number; readonly names: readonly string[] }[];
  /** More numbers in attributes of nodes of the scope. */
  readonly nodeInts: readonly { readonly node: number; readonly attribute: string; readonly value: number }[];
}

/** A scope as both bodies and functions are one. */
export interface Scope {
  readonly nodes: readonly Node[];
  readonly outputs: readonly ValueInfo[];
}

/** Where the patches of an edit stand. */
export interface InsidePatches {
  /** Where the field of the model or of its main graph starts that they are in. */
  readonly top: number;
  readonly patches: readonly Patch[];
}

/** The insertions that an edit makes. */
export function insidePatches(model: OnnxModel, edit: InsideEdit): readonly InsidePatches[] {
  const { scope, addNodes, addOutputs, nodeOutputs, nodeInts } = edit;
  const { enclosing, nodes } = placeOf(model, scope);
  const found: InsidePatches[] = [];
  const insert = (around: readonly Field[], pieces: readonly Piece[]): void => {
    const { end } = around[around.length - 1];
    found.push({ top: around[0].start, patches: [{ start: end, end, enclosing: around, pieces }] });
  };
  const isFunction = scope.function !== null && scope.steps.length === 0;
  for (const node of addNodes)
    insert(enclosing, wrap(isFunction ? FunctionField.node : GraphField.node, [encodeNode(node)]));
  for (const { name, type } of addOutputs)
    insert(
      enclosing,
      isFunction
        ? wrap(FunctionField.output, [encodeText(name)])
        : wrap(GraphField.output, [encodeValueInfo(name, type)]),
    );
  for (const { node, names } of nodeOutputs)
    for (const name of names) insert([...enclosing, nodes[node].field], wrap(NodeField.output, [encodeText(name)]));
  for (const { node, attribute, value } of nodeInts) {
    const { field } = attributeNamed(nodes[node], attribute);
    insert([...enclosing, nodes[node].field, field], [int(message(), AttributeField.ints, value).finish()]);
  }
  return found;
}

/** The length-delimited fields around what a scope holds, and its nodes in the file. */
function placeOf(
  model: OnnxModel,
  { function: which, steps }: ScopePath,
): { readonly enclosing: readonly Field[]; readonly nodes: readonly Node[] } {
  const enclosing: Field[] = which === null ? [] : [model.functions[which].field];
  let { nodes } = which === null ? model.graph : model.functions[which];
  for (const { node, attribute, graph } of steps) {
    const found = attributeNamed(nodes[node], attribute);
    const body = found.graphs[graph];
    enclosing.push(nodes[node].field, found.field, body.parts[body.parts.length - 1]);
    ({ nodes } = body);
  }
  return { enclosing, nodes };
}

/** @throws Error if an edit does not fit the model */
function attributeNamed({ attributes }: Node, name: string): Attribute {
  const found = attributes.find((attribute) => attribute.name === name);
  if (found === undefined) throw new Error(`a node has no attribute '${name}'`);
  return found;
}

/** The scope at a path. */
export function scopeAt(model: OnnxModel, { function: which, steps }: ScopePath): Scope & Partial<Graph> {
  const outer = which === null ? model.graph : { nodes: model.functions[which].nodes, outputs: [] };
  return steps.reduce<Scope & Partial<Graph>>(
    ({ nodes }, { node, attribute, graph }) => attributeNamed(nodes[node], attribute).graphs[graph],
    outer,
  );
}

/** The model as it is once an edit is applied: the same records, but for what is added. */
export function withInside(model: OnnxModel, edit: InsideEdit): OnnxModel {
  return withScope(model, edit.scope, (scope) => grown(scope, edit));
}

/** The model with another scope in the place of one. */
export function withScope(
  model: OnnxModel,
  { function: which, steps }: ScopePath,
  change: (scope: Scope) => Scope,
): OnnxModel {
  if (which === null) {
    const { nodes, outputs } = changed(model.graph, steps, change);
    return { ...model, graph: { ...model.graph, nodes, outputs } };
  }
  const functions = model.functions.map((definition, index) => {
    if (index !== which) return definition;
    const outputs = definition.outputs.map((name) => ({ field: NOWHERE, name, type: null, rest: [], enclosing: [] }));
    const scope = changed({ nodes: definition.nodes, outputs }, steps, change);
    return { ...definition, nodes: scope.nodes, outputs: scope.outputs.map(({ name }) => name) };
  });
  return { ...model, functions };
}

function changed(scope: Scope, [step, ...rest]: readonly ScopeStep[], change: (scope: Scope) => Scope): Scope {
  if (step === undefined) return change(scope);
  const nodes = scope.nodes.map((node) =>
    node.index !== step.node
      ? node
      : withAttribute(node, step.attribute, (attribute) => ({
          ...attribute,
          graphs: attribute.graphs.map((body, at) =>
            at === step.graph ? { ...body, ...changed(body, rest, change) } : body,
          ),
        })),
  );
  return { ...scope, nodes };
}

function withAttribute(node: Node, name: string, change: (attribute: Attribute) => Attribute): Node {
  return changedNode(node, {
    attributes: node.attributes.map((attribute) => (attribute.name === name ? change(attribute) : attribute)),
  });
}

function grown(scope: Scope, { addNodes, addOutputs, nodeOutputs, nodeInts }: InsideEdit): Scope {
  const nodes = scope.nodes.map((node) => {
    const names = nodeOutputs.flatMap(({ node: at, names: more }) => (at === node.index ? more : []));
    const outputs = names.length === 0 ? node.outputs : [...node.outputs, ...names];
    return nodeInts
      .filter(({ node: at }) => at === node.index)
      .reduce<Node>(
        (made, { attribute, value }) =>
          withAttribute(made, attribute, (each) => ({ ...each, ints: [...each.ints, value] })),
        changedNode(node, { outputs }),
      );
  });
  return {
    nodes: [...nodes, ...addNodes.map((node, at) => newNode(node, nodes.length + at))],
    outputs: [
      ...scope.outputs,
      ...addOutputs.map(({ name, type }) => ({ field: NOWHERE, name, type, rest: [], enclosing: [] })),
    ],
  };
}

/** What is new has no place in the file. */
const NOWHERE: Field = { number: 0, wireType: 2, start: -1, payload: -1, end: -1 };

function newNode({ name, opType, domain = '', inputs, outputs, attributes = [] }: NewNode, index: number): Node {
  const plain = { type: 0, refAttrName: '', field: NOWHERE, i: null, f: null, s: null };
  const lists = { ints: [], floats: [], strings: [], tensors: [], sparseTensors: [], graphs: [] };
  return {
    index,
    field: NOWHERE,
    name,
    opType,
    domain,
    overload: '',
    inputs,
    outputs,
    attributes: attributes.map((attribute): Attribute => {
      // A tensor has no bytes in the file: its numbers stand in the attribute that means the same.
      const values = 'tensor' in attribute && 'int64' in attribute.tensor ? attribute.tensor.int64 : null;
      return {
        ...plain,
        ...lists,
        name: values === null ? attribute.name : 'value_ints',
        i: 'int' in attribute ? attribute.int : null,
        ints: values ?? ('ints' in attribute ? attribute.ints : []),
      };
    }),
    metadata: [],
  };
}
