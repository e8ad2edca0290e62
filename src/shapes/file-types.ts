import type { ByName } from '../options/by-name.js';
import { ByNames, namesOf, type Names } from '../onnx/by-name.js';
import type { GraphView } from '../onnx/graph.js';
import type { ValueType } from '../onnx/records.js';
import { declaredTypes, type InferredTypes, type TensorType, type TypeOrigin } from '../onnx/types.js';
import { rememberingLast, type Info, type Shape } from './info.js';
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
  tensors: Names | Iterable<string>,
  inputShapes?: ByName<readonly number[]>,
): Promise<InferredTypes> {
  return typesOf(await inferWhole(view, inputShapes), namesOf(tensors));
}

/**
 * What was inferred of tensors, as the features see it.
 * @param asked what ONNX Runtime said
 * @param warnings what was noticed beside the inference
 */
export function typesOf(
  whole: WholeInference,
  wanted: Names,
  asked: ReadonlyMap<string, ValueType> = new Map(),
  warnings: readonly string[] = [],
): InferredTypes {
  const { view, proven, nominal, inputs } = whole;
  const typeOf = sharedTypes();
  const withAliases = aliasing(view);
  const wantedNames = (): Iterable<string> => wanted.keys();
  const types = new ByNames(wantedNames, (name) => {
    const info = wanted.has(name) ? proven.infos.get(name) : undefined;
    return info === undefined ? undefined : withAliases(name, typeOf(info));
  });
  const numbers = new ByNames(wantedNames, (name) => {
    const info = wanted.has(name) ? (nominal.infos.get(name) ?? proven.infos.get(name)) : undefined;
    return info === undefined ? undefined : typeOf(info);
  });
  const nominalAt = (tensor: number): TensorType | null => {
    const info = nominal.infos.infoAt(tensor) ?? proven.infos.infoAt(tensor);
    return info === null ? null : typeOf(info);
  };
  const originOf = (name: string): TypeOrigin =>
    asked.has(name) ? 'asked' : !view.producerOf.has(name) || proven.filled.has(name) ? 'declared' : 'inferred';
  const nominalInputShape = new Map([...inputs.shapes].filter(([name]) => inputs.symbolic.has(name)));
  return {
    types,
    nominal: numbers,
    nominalAt,
    origins: { get: (name) => (types.has(name) ? originOf(name) : undefined) },
    nominalInputShape,
    givenInputs: new Set(inputs.named.keys()),
    warnings: [...inferenceNotes(whole), ...warnings],
  };
}

/** Types of tensors that are one shape are one type: most tensors of a network share theirs. */
function sharedTypes(): (info: Info) => TensorType {
  const known = new Map<Shape, { readonly elemType: number; readonly type: TensorType }>();
  return rememberingLast((info) => {
    if (info.kind !== 'tensor' || info.shape === null) return tensorTypeOf(info);
    const { elemType, shape } = info;
    const shared = known.get(shape);
    if (shared?.elemType === elemType) return shared.type;
    const type = tensorTypeOf(info);
    known.set(shape, { elemType, type });
    return type;
  });
}

/** Symbols of the file's own for dims whose formulas are too long to be read. */
function aliasing({ model }: GraphView): (name: string, type: TensorType) => TensorType {
  let declared: ReadonlyMap<string, TensorType> | null = null;
  return (name, type) => {
    const { shape } = type;
    if (shape === null || !shape.includes(null)) return type;
    declared ??= declaredTypes(model);
    const names = declared.get(name)?.shape;
    if (names == null || names.length !== shape.length) return type;
    return { ...type, shape: shape.map((dim, axis) => dim ?? (typeof names[axis] === 'string' ? names[axis] : null)) };
  };
}
