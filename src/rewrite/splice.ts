import {
  encodeAttribute,
  encodeEntry,
  encodeNode,
  encodeOpsetImport,
  encodeTensor,
  encodeValueInfo,
  type NewInput,
  type NewNode,
} from '../onnx/encode.js';
import { insidePatches } from '../onnx/inside.js';
import { nameFields } from '../onnx/node-fields.js';
import { patched, type Patch } from '../onnx/patch.js';
import { GraphField, ModelField, NodeField } from '../onnx/schema.js';
import type { OnnxModel, Tensor, ValueInfo } from '../onnx/records.js';
import { payloadRanges, type Field } from '../wire/fields.js';
import { wrap } from '../wire/encode.js';
import { encodeText } from '../wire/text.js';
import { coalesced, type Piece } from '../wire/pieces.js';
import { droppedStarts, isEmpty, validateEdit, type GraphEdit, type OutputEdit, type Starts } from './edit.js';

/** New contents of TensorProtos, keyed by the tensor. */
export type TensorContents = ReadonlyMap<Tensor, readonly Piece[]>;

const NO_CONTENTS: TensorContents = new Map();

/**
 * Applies an edit: the ranges of the file that stay, and a few fresh bytes. The empty edit is the file itself.
 * @throws UsageError where the edit does not fit the model
 */
export function splice(model: OnnxModel, edit: GraphEdit, contents: TensorContents = NO_CONTENTS): readonly Piece[] {
  validateEdit(model, edit);
  if (isEmpty(edit) && contents.size === 0) return [{ start: 0, end: model.source.size }];
  const nested = groupByTopField(model, edit, contents);
  const dropped = droppedStarts(model, edit);
  const setKeys = new Set(edit.setMetadata.map(({ key }) => key));
  const replacedEntries = new Set(model.metadata.filter(({ key }) => setKeys.has(key)).map(({ field }) => field.start));
  const pieces = new Pieces();
  let graphWritten = false;
  for (const field of model.modelFields) {
    if (field.number === ModelField.graph && model.graph.parts.some(({ start }) => start === field.start)) {
      if (!graphWritten) pieces.add(wrap(ModelField.graph, graphPieces(model, edit, dropped, nested)));
      graphWritten = true;
      continue;
    }
    if (dropped.has(field.start) || replacedEntries.has(field.start)) continue;
    pieces.add(withContents(field, nested));
  }
  for (const { domain, version } of edit.addOpsetImports)
    pieces.add(wrap(ModelField.opsetImport, [encodeOpsetImport(domain, version)]));
  for (const { key, value } of edit.setMetadata) pieces.add(wrap(ModelField.metadataProps, [encodeEntry(key, value)]));
  return pieces.coalesced();
}

/** The content of the main graph: what stays, in file order, then what is new. */
function graphPieces(model: OnnxModel, edit: GraphEdit, dropped: Starts, nested: NestedContents): Piece[] {
  const { graph, graphFields } = model;
  const { added, keepsOwn } = newOutputs(model, edit.outputs);
  const pieces = new Pieces();
  for (const node of edit.frontNodes) pieces.add(newNode(node));
  const among = nodesByPlace(model, edit);
  const newInput = ({ name, type }: NewInput): readonly Piece[] =>
    wrap(GraphField.input, [encodeValueInfo(name, type)]);
  const inPlace = new Map(
    edit.addInputs.flatMap((input) =>
      input.replaces === undefined ? [] : [[graph.inputs[input.replaces].field.start, input] as const],
    ),
  );
  const gone = new Set<number>(keepsOwn ? [] : graph.outputs.map(({ field }) => field.start));
  /** Where something else stands than the field of the file, or in front of it. */
  const changed = new Set([...among.keys(), ...inPlace.keys(), ...nested.keys(), ...gone]);
  /** The next field that is left out: fields stand in the order of their places. */
  let next = 0;
  for (let index = 0; index < graphFields.length; index++) {
    const start = graphFields.startOf(index);
    while (dropped.places[next] < start) next++;
    const isDropped = dropped.places[next] === start;
    if (!changed.has(start)) {
      if (!isDropped) pieces.addRange(start, graphFields.endOf(index));
      continue;
    }
    for (const node of among.get(start) ?? []) pieces.add(newNode(node));
    const instead = inPlace.get(start);
    if (instead !== undefined) pieces.add(newInput(instead));
    else if (!isDropped && !gone.has(start)) pieces.add(withContents(graphFields.at(index), nested));
  }
  for (const node of edit.addNodes) if (node.before === undefined) pieces.add(newNode(node));
  for (const tensor of edit.addInitializers) pieces.add(wrap(GraphField.initializer, [encodeTensor(tensor)]));
  for (const input of edit.addInputs) if (input.replaces === undefined) pieces.add(newInput(input));
  for (const output of added) pieces.add(wrap(GraphField.output, outputPieces(model, edit, output)));
  return pieces.coalesced();
}

/** Pieces one after another; ranges of the file that touch are one. */
class Pieces {
  private readonly pieces: Piece[] = [];
  private start = 0;
  private end = 0;

  addRange(start: number, end: number): void {
    if (start !== this.end) {
      this.flush();
      this.start = start;
    }
    this.end = end;
  }

  add(pieces: readonly Piece[]): void {
    this.flush();
    for (const piece of pieces) this.pieces.push(piece);
  }

  coalesced(): Piece[] {
    this.flush();
    return coalesced(this.pieces);
  }

  private flush(): void {
    if (this.end > this.start) this.pieces.push({ start: this.start, end: this.end });
    this.start = this.end = 0;
  }
}

function newNode(node: NewNode): readonly Piece[] {
  return wrap(GraphField.node, [encodeNode(node)]);
}

/** New nodes by the start of the node's field that they stand in front of. */
function nodesByPlace({ graph }: OnnxModel, { addNodes }: GraphEdit): ReadonlyMap<number, readonly NewNode[]> {
  const places = new Map<number, NewNode[]>();
  for (const node of addNodes) {
    if (node.before === undefined) continue;
    const { start } = graph.nodes[node.before].field;
    const there = places.get(start);
    if (there === undefined) places.set(start, [node]);
    else there.push(node);
  }
  return places;
}

/** The outputs to write, and whether those of the file stay before them. */
function newOutputs(
  { graph }: OnnxModel,
  outputs: GraphEdit['outputs'],
): { readonly added: readonly OutputEdit[]; readonly keepsOwn: boolean } {
  if (outputs === null) return { added: [], keepsOwn: true };
  const keepsOwn = graph.outputs.every(
    ({ name }, index) =>
      outputs[index]?.name === name &&
      outputs[index].borrow?.list === 'output' &&
      outputs[index].borrow.index === index,
  );
  return { added: keepsOwn ? outputs.slice(graph.outputs.length) : outputs, keepsOwn };
}

function outputPieces(model: OnnxModel, edit: GraphEdit, { name, borrow, type }: OutputEdit): readonly Piece[] {
  if (borrow === null) return [encodeValueInfo(name, type)];
  const { graph } = model;
  const lists: { readonly [list in 'output' | 'valueInfo' | 'input']: readonly ValueInfo[] } = {
    output: graph.outputs,
    valueInfo: graph.valueInfo,
    input: graph.inputs,
  };
  const info = lists[borrow.list][borrow.index];
  const other = edit.types.find(({ of }) => of.field.start === info.field.start);
  if (other !== undefined) return [encodeValueInfo(name, other.type)];
  if (info.name === name) return payloadRanges([info.field]);
  return [encodeValueInfo(name, null), ...info.rest];
}

// --- new contents, however deep they stand
// -------------------------------------------------------------------------------

/** Replacements by the start of the model's or main graph's field they stand in. */
type NestedContents = ReadonlyMap<number, readonly Patch[]>;

/** The occurrences of a tensor give way to one, of its new content; a name gives way to another. */
function groupByTopField(
  model: OnnxModel,
  { rename, types, addAttributes, inside }: GraphEdit,
  contents: TensorContents,
): NestedContents {
  const groups = new Map<number, Patch[]>();
  const add = (top: number, patches: readonly Patch[]): void => {
    const group = groups.get(top);
    if (group === undefined) groups.set(top, [...patches]);
    else for (const patch of patches) group.push(patch);
  };
  for (const { node, list, at, name } of rename) {
    const { field } = model.graph.nodes[node];
    const { start, end } = nameFields(model, field)[list][at];
    const pieces = wrap(NodeField[list], [encodeText(name)]);
    add(field.start, [{ start, end, enclosing: [field], pieces }]);
  }
  for (const { of, type } of types) {
    const { field, name, enclosing } = of;
    const pieces = wrap(field.number, [encodeValueInfo(name, type)]);
    add(topStart(model, { enclosing, parts: [field] }), [{ ...field, enclosing, pieces }]);
  }
  for (const { node, attribute } of addAttributes) {
    const { field } = model.graph.nodes[node];
    const pieces = wrap(NodeField.attribute, [encodeAttribute(attribute)]);
    add(field.start, [{ start: field.end, end: field.end, enclosing: [field], pieces }]);
  }
  for (const edit of inside) for (const { top, patches } of insidePatches(model, edit)) add(top, patches);
  for (const [tensor, content] of contents) {
    const { parts, enclosing } = tensor;
    const patches = parts.map(({ number, start, end }, index) => ({
      start,
      end,
      enclosing,
      pieces: index === 0 ? wrap(number, content) : [],
    }));
    add(topStart(model, tensor), patches);
  }
  return groups;
}

/** Where the field of the model or of its main graph starts in which a tensor stands. */
export function topStart({ graph }: OnnxModel, { enclosing, parts }: Pick<Tensor, 'enclosing' | 'parts'>): number {
  const isInGraph = graph.parts.some(({ start }) => start === enclosing[0].start);
  return (enclosing[isInGraph ? 1 : 0] ?? parts[0]).start;
}

function withContents(field: Field, nested: NestedContents): readonly Piece[] {
  const patches = nested.get(field.start);
  if (patches === undefined) return [{ start: field.start, end: field.end }];
  return patches[0].start === field.start ? patches[0].pieces : wrap(field.number, patched(field, patches));
}
