import type { ByName } from '../options/kinds.js';
import type { GraphView } from '../onnx/graph.js';
import type { ValueType } from '../onnx/records.js';
import { declaredTypes, type InferredTypes, type TensorType, type TypeOrigin } from '../onnx/types.js';
import type { Info } from './info.js';
import { tensorTypeOf } from './tensor-type.js';
import { inferenceNotes, inferWhole, type WholeInference } from './whole.js';

/**
 * Types of tensors of the main graph from the file alone: what it declares, and what follows from that by the rules of
 * the operators.
 * @param inputShapes numbers for the dims of inputs, by name
 * @throws UsageError if `inputShapes` do not fit the model
 */
export async function typesOfFile(
  view: GraphView,
  tensors: Iterable<string>,
  inputShapes?: ByName<readonly number[]>,
): Promise<InferredTypes> {
  return typesOf(await inferWhole(view, inputShapes), tensors);
}

/**
 * What was inferred of tensors, as the features see it.
 * @param asked what ONNX Runtime said
 * @param warnings what was noticed beside the inference
 */
export function typesOf(
  whole: WholeInference,
  wanted: Iterable<string>,
  asked: ReadonlyMap<string, ValueType> = new Map(),
  warnings: readonly string[] = [],
): InferredTypes {
  const { view, proven, nominal, inputs } = whole;
  const declared = declaredTypes(view.model);
  const types = new Map<string, TensorType>();
  const numbers = new Map<string, TensorType>();
  const origins = new Map<string, TypeOrigin>();
  for (const name of wanted) {
    const info = proven.infos.get(name);
    if (info !== undefined) {
      types.set(name, withAliases(tensorTypeOf(info), declared.get(name)));
      const isGiven = !view.producerOf.has(name) || proven.filled.has(name);
      origins.set(name, asked.has(name) ? 'runtime' : isGiven ? 'declared' : 'inferred');
    }
    const numbered: Info | undefined = nominal.infos.get(name) ?? info;
    if (numbered !== undefined) numbers.set(name, tensorTypeOf(numbered));
  }
  const nominalInputShape = new Map([...inputs.shapes].filter(([name]) => inputs.symbolic.has(name)));
  return {
    types,
    nominal: numbers,
    origins,
    nominalInputShape,
    givenInputs: new Set(inputs.named.keys()),
    warnings: [...inferenceNotes(whole), ...warnings],
  };
}

/** A symbol of the file's own for a dim whose formula is too long to be read. */
function withAliases(type: TensorType, declared: TensorType | undefined): TensorType {
  const { shape } = type;
  const names = declared?.shape;
  if (shape === null || names == null || names.length !== shape.length || !shape.includes(null)) return type;
  return { ...type, shape: shape.map((dim, axis) => dim ?? (typeof names[axis] === 'string' ? names[axis] : null)) };
}
