import type { GraphView } from '../onnx/graph.js';
import { nominalInputs, NOMINAL_SIDES } from '../onnx/nominal.js';
import type { Dim } from '../onnx/records.js';
import { declaredTypes, type InferredTypes, type TensorType } from '../onnx/types.js';
import { Constants } from './constants.js';
import { inferGraph } from './infer.js';
import type { Info } from './info.js';
import { tensorTypeOf } from './tensor-type.js';

/**
 * Types of tensors of the main graph from the file alone: what it declares, and what follows from that by the rules of
 * the operators.
 * @param inputShapes numbers for the dims of inputs, by name
 * @throws UsageError where `inputShapes` does not fit the model
 */
export async function typesOfFile(
  view: GraphView,
  tensors: Iterable<string>,
  inputShapes?: ReadonlyMap<string, readonly number[]>,
): Promise<InferredTypes> {
  const constants = await Constants.of(view.model);
  const { shapes, symbols, symbolic } = nominalInputs(view, NOMINAL_SIDES[0], inputShapes);
  const declared = declaredTypes(view.model);
  const isDeclared = symbolsIn(declared.values());
  const proven = inferGraph(view, constants).infos;
  const numbered = inferGraph(view, constants, { inputShapes: shapes, symbols, fixDefaults: true }).infos;
  const types = new Map<string, TensorType>();
  const nominal = new Map<string, TensorType>();
  for (const name of tensors) {
    const type = filled(declared.get(name), proven.get(name), isDeclared);
    if (type !== undefined) types.set(name, type);
    const numbers = shapes.get(name);
    const inNumbers =
      numbers === undefined
        ? filled(undefined, numbered.get(name), isDeclared)
        : { dtype: null, ...type, shape: numbers };
    if (inNumbers !== undefined) nominal.set(name, inNumbers);
  }
  return {
    types,
    nominal,
    nominalInputShape: new Map([...shapes].filter(([name]) => symbolic.has(name))),
    warnings: [],
  };
}

function symbolsIn(types: Iterable<TensorType>): ReadonlySet<string> {
  const symbols = new Set<string>();
  for (const { shape } of types) for (const dim of shape ?? []) if (typeof dim === 'string') symbols.add(dim);
  return symbols;
}

/** What is declared, its gaps filled; formulas that are not symbols of the file are left out. */
function filled(
  declared: TensorType | undefined,
  info: Info | undefined,
  isDeclared: ReadonlySet<string>,
): TensorType | undefined {
  if (info === undefined || declared?.type !== undefined) return declared;
  const inferred = tensorTypeOf(info);
  const shape = inferred.shape?.map((dim): Dim => (typeof dim === 'string' && !isDeclared.has(dim) ? null : dim));
  return {
    ...inferred,
    dtype: declared?.dtype ?? inferred.dtype,
    shape: declared?.shape ?? shape ?? null,
  };
}
