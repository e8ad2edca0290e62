import type { GraphView } from '../onnx/graph.js';
import type { ValueInfo } from '../onnx/records.js';
import type { TensorTypes } from '../onnx/types.js';
import { freeBatch, typeEdits, typesOfAnyBatch, type FreedBatch, type Freeing } from './batch.js';
import type { FreeBatch } from './batch-visit.js';
import type { OutputEdit, TypeEdit } from './edit.js';
import type { PlannedInputs } from './inputs.js';
import { withTypes } from './sizes.js';
import type { BuiltTap } from './tap.js';

/** A graph whose batch is free, and what it declares then. */
export interface FreedGraph extends Omit<FreedBatch, 'edits'> {
  readonly changes: number;
  /** Types of its tensors. */
  readonly types: TensorTypes;
  readonly edits: readonly TypeEdit[];
  /** The view with inputs and outputs that declare any batch. */
  readonly view: GraphView;
}

/** How a batch was freed. */
export interface FreedRecord {
  readonly name: string;
  /** Entries that the model was exported with. */
  readonly batch: number;
  /** The axis of each input and output of the cut that counts entries; null if it is the same for all. */
  readonly inputs: { readonly [input: string]: number | null };
  readonly outputs: { readonly [output: string]: number | null };
  /** Constants and inputs of nodes that were changed. */
  readonly edits: number;
}

/** Frees the batch of a graph. @throws UnsupportedModelError naming what does not take other entries */
export function freedIn(freeing: Freeing, types: TensorTypes, asked: FreeBatch): FreedGraph {
  const { edits: changes, ...freed } = freeBatch(freeing, asked);
  const any = typesOfAnyBatch(types, { ...freed, edits: changes });
  const { view } = freeing;
  const edits = typeEdits(view, any, { ...freed, edits: changes });
  const model = withTypes(view.model, edits);
  const inputs = new Map(model.graph.inputs.map((input) => [input.name, input]));
  return { ...freed, changes, types: any, edits, view: { ...view, model, inputs } };
}

/** Whether the free batch says the type of a declaration. */
export function isRetyped(freed: FreedGraph | null, info: ValueInfo): boolean {
  return freed?.edits.some(({ of }) => of.field.start === info.field.start) === true;
}

/** How the batch of a cut was freed, by the names of its inputs and outputs. */
export function freedRecord(
  { name, batch, changes, entries, kept, view }: FreedGraph,
  { from, renamed }: PlannedInputs,
  built: readonly BuiltTap[],
  outputNames: readonly string[],
  outputs: readonly OutputEdit[],
): FreedRecord {
  const axisOf = (tensor: string): number | null => entries.get(tensor)?.axis ?? null;
  const newName = new Map([...renamed, ...from].map(({ input, tensor }) => [tensor, input]));
  const tensors = [...new Set([...view.inputs.keys(), ...from.map(({ tensor }) => tensor)])].filter(
    (tensor) => kept.tensors.has(tensor) && !view.initializers.has(tensor),
  );
  const tapOf = new Map(built.map((tap, at) => [outputNames[at], tap.tap.tensors[0]]));
  return {
    name,
    batch,
    inputs: Object.fromEntries(tensors.map((tensor) => [newName.get(tensor) ?? tensor, axisOf(tensor)])),
    outputs: Object.fromEntries(outputs.map((output) => [output.name, axisOf(tapOf.get(output.name) ?? output.name)])),
    edits: changes,
  };
}
