import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import { tensorBytes } from '../onnx/types.js';
import { droppedStarts, type GraphEdit } from '../rewrite/edit.js';
import { inWords } from '../preprocessing/stored.js';
import { recipesOfCut } from '../rewrite/described.js';
import type { Plan } from '../rewrite/plan.js';
import type { Resized } from '../rewrite/sizes.js';
import { topStart } from '../rewrite/splice.js';
import type { Tap } from '../rewrite/tap.js';
import type { CountRecord, ExtractReport, FeaturePartRecord, ExtractedFeatureRecord } from './records.js';

/** The features of a cut, as its report has them. */
export function extractedFeatures({ outputs }: Plan): Pick<ExtractReport, 'features'> {
  return {
    features: outputs.map(({ tap, output: name, shape, dtype, channels, steps, parts }) => ({
      ...which(tap),
      output: name,
      num_chs: channels,
      reduction: tap.reduction,
      dtype,
      shape,
      ...storedAs(tap),
      ...(steps.length === 0 ? {} : { steps }),
      ...(parts === undefined
        ? {}
        : {
            parts: parts.map((part) => ({
              ...which(part.tap),
              ...(part.steps.length === 0 ? {} : { steps: part.steps }),
            })),
          }),
    })),
  };
}

/** What pixels go through in front of the network, and how pictures are prepared for a cut, as its report has it. */
export function pixelRecords(described: Described): Pick<ExtractReport, 'preprocess' | 'preprocessing'> {
  const { pixels } = described.plan;
  const recipes = recipesOfCut(described).map(({ input, source, path, preset, recipe }) => ({
    input,
    source,
    path,
    preset,
    ...inWords(recipe),
  }));
  return {
    ...(pixels === null ? {} : { preprocess: pixels }),
    ...(recipes.length === 0 ? {} : { preprocessing: recipes }),
  };
}

type Described = Parameters<typeof recipesOfCut>[0];

/** Where a cut begins, as its report has it; if it begins at the inputs of the model, what leaves a whole one. */
export function beginningRecords({
  begun,
  edit,
  outputs,
}: Plan): Pick<ExtractReport, 'from' | 'outputs' | 'inputs_kept' | 'inputs_dropped' | 'shapes_folded'> {
  const names = (edit.outputs ?? []).map(({ name }) => name);
  if (begun === null) return outputs.length > 0 ? {} : { outputs: names };
  const { from, inputsKept, inputsDropped, folded } = begun;
  return {
    from: from.map(({ name, tensor, input, dtype, shape, source }) => ({ name, tensor, input, dtype, shape, source })),
    outputs: names,
    inputs_kept: inputsKept,
    inputs_dropped: inputsDropped,
    shapes_folded: folded.map(({ node, of, sizes }) => ({
      tensor: node.outputs[0],
      of,
      sizes: sizes.map((size) => (typeof size === 'number' ? size : `${size.tensor}:${size.axis}`)),
    })),
  };
}

/** How the model keeps the values of a feature, where its output has them in another type. */
function storedAs({ asValue, asFloat, dtype, codes }: Tap): Pick<ExtractedFeatureRecord, 'stored'> {
  if (asFloat !== true && (asValue !== true || codes == null)) return {};
  return { stored: { dtype, scale: codes?.scale ?? null, zero_point: codes?.zeroPoint ?? null } };
}

function which({ index, group, module, tensors }: Tap): FeaturePartRecord {
  return { index, ...(group == null ? {} : { group }), module, tensor: tensors[0] };
}

/** The sizes that were asked for, as the report has them. */
export function dimRecords(resized: Resized | null): Pick<ExtractReport, 'dims'> {
  return resized === null ? {} : { dims: resized.dims };
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
