import type { OnnxModel } from '../../../onnx/records.js';
import { tensorsOf } from '../../../onnx/graph.js';
import type { GraphEdit } from '../../../rewrite/edit.js';
import type { Field } from '../../../wire/fields.js';
import { Violation } from '../target.js';

/** A field as the file has it. */
interface Kept {
  readonly number: number;
  readonly bytes: Uint8Array;
  /** Whether a tensor stands in it, whose contents a cut may replace. */
  readonly holdsTensor: boolean;
}

/** Fields of a model, and those of its main graph. */
export interface Fields {
  readonly model: readonly Kept[];
  readonly graph: readonly Kept[];
}

/** Every field in file order, outputs and the graph itself left out; with an edit, those that it keeps. */
export function fieldsOf(model: OnnxModel, bytes: Uint8Array, edit?: GraphEdit): Fields {
  const dropped = edit === undefined ? new Set<number>() : droppedBy(model, edit);
  const parts = new Set(model.graph.parts.map(({ start }) => start));
  const tops = tensorTops(model);
  const kept = (field: Field): Kept => ({
    number: field.number,
    bytes: bytes.subarray(field.start, field.end),
    holdsTensor: tops.has(field.start),
  });
  const outputs = new Set(model.graph.outputs.map(({ field }) => field.start));
  return {
    model: model.modelFields.filter(({ start }) => !parts.has(start) && !dropped.has(start)).map(kept),
    graph: model.graphFields.filter(({ start }) => !outputs.has(start) && !dropped.has(start)).map(kept),
  };
}

function tensorTops(model: OnnxModel): ReadonlySet<number> {
  const tops = new Set<number>();
  for (const { enclosing, parts } of tensorsOf(model))
    for (const { start } of [...enclosing, ...parts]) tops.add(start);
  return tops;
}

/** Said without the help of `splice`: where the fields start that an edit names. */
function droppedBy({ graph, functions, metadata, trainingInfo }: OnnxModel, { drop }: GraphEdit): ReadonlySet<number> {
  const starts = new Set<number>();
  const add = (fields: readonly Field[], indices: readonly number[]): void => {
    for (const index of indices) starts.add(fields[index].start);
  };
  add(
    graph.nodes.map(({ field }) => field),
    drop.nodes,
  );
  add(
    graph.initializers.map(({ parts }) => parts[0]),
    drop.initializers,
  );
  add(
    graph.sparseInitializers.map(({ field }) => field),
    drop.sparseInitializers,
  );
  add(
    graph.inputs.map(({ field }) => field),
    drop.inputs,
  );
  add(
    graph.valueInfo.map(({ field }) => field),
    drop.valueInfo,
  );
  add(
    graph.quantizationAnnotations.map(({ field }) => field),
    drop.quantizationAnnotations,
  );
  add(
    functions.map(({ field }) => field),
    drop.functions,
  );
  add(
    metadata.map(({ field }) => field),
    drop.metadata,
  );
  if (drop.trainingInfo) for (const { field } of trainingInfo) starts.add(field.start);
  return starts;
}

/**
 * What stays is there in its order, byte for byte, unless a tensor in it was given new contents; what is new stands
 * behind it.
 * @throws Violation
 */
export function assertKept(before: Fields, after: Fields, moved: boolean): void {
  for (const list of ['model', 'graph'] as const) {
    before[list].forEach((field, index) => {
      const now = after[list][index] as Kept | undefined;
      const mayDiffer = moved && field.holdsTensor && now?.number === field.number;
      if (now === undefined || (!mayDiffer && Buffer.compare(now.bytes, field.bytes) !== 0))
        throw new Violation('untouched-bytes-changed', `field ${index} of the ${list}, number ${field.number}`);
    });
  }
}
