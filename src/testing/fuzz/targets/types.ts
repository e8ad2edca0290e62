import { certainTypes } from '../../../onnx/certain-types.js';
import type { GraphView } from '../../../onnx/graph.js';
import { nominalInputs, substituted } from '../../../onnx/nominal.js';
import type { InferredTypes, TensorType } from '../../../onnx/types.js';

/**
 * What the file and certain rules say of types, with numbers for symbols: what `inferTypes` knows before it asks ONNX
 * Runtime.
 */
export function staticTypes(view: GraphView): InferredTypes {
  const types = certainTypes(view, view.model.graph.nodes);
  const inputs = nominalInputs(view, 224);
  const nominal = new Map<string, TensorType>();
  for (const [name, type] of types) {
    const numbers = inputs.shapes.get(name) ?? (type.shape === null ? null : substituted(type.shape, inputs.symbols));
    nominal.set(name, numbers === null ? type : { ...type, shape: numbers });
  }
  return {
    types,
    nominal,
    nominalInputShape: new Map([...inputs.shapes].filter(([name]) => inputs.symbolic.has(name))),
    warnings: [],
  };
}
