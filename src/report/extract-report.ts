import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import { tensorBytes } from '../onnx/types.js';
import type { GraphEdit } from '../rewrite/edit.js';
import type { Plan } from '../rewrite/plan.js';
import { droppedStarts, topStart } from '../rewrite/splice.js';
import type { CountRecord, ExtractReport } from './records.js';

/** The features of a cut, as its report has them. */
export function extractedFeatures({ outputs }: Plan): Pick<ExtractReport, 'features'> {
  return {
    features: outputs.map(({ tap, output: name, shape, dtype }) => ({
      index: tap.index,
      ...(tap.group == null ? {} : { group: tap.group }),
      module: tap.module,
      tensor: tap.tensors[0],
      output: name,
      num_chs: tap.numChs,
      reduction: tap.reduction,
      dtype,
      shape,
    })),
  };
}

/** How much of a model an edit keeps and drops. */
export function counts(model: OnnxModel, edit: GraphEdit): { kept: CountRecord; dropped: CountRecord } {
  const gone = droppedStarts(model, edit);
  const kept = {
    nodes: model.graph.nodes.length - edit.drop.nodes.length,
    initializers: model.graph.initializers.length - edit.drop.initializers.length,
    weights_bytes: 0,
  };
  const dropped = { nodes: edit.drop.nodes.length, initializers: edit.drop.initializers.length, weights_bytes: 0 };
  for (const tensor of tensorsOf(model))
    (gone.has(topStart(model, tensor)) ? dropped : kept).weights_bytes += tensorBytes(tensor) ?? 0;
  return { kept, dropped };
}
