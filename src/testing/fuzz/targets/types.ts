import type { GraphView } from '../../../onnx/graph.js';
import type { InferredTypes } from '../../../onnx/types.js';
import { tensorTypeOf } from '../../../shapes/tensor-type.js';
import { inferWhole } from '../../../shapes/whole.js';

/** What `inferTypes` knows before it asks ONNX Runtime. */
export async function staticTypes(view: GraphView): Promise<InferredTypes> {
  const { proven, nominal, inputs } = await inferWhole(view);
  return {
    types: new Map([...proven.infos].map(([name, info]) => [name, tensorTypeOf(info)])),
    nominal: new Map([...nominal.infos].map(([name, info]) => [name, tensorTypeOf(info)])),
    nominalInputShape: new Map([...inputs.shapes].filter(([name]) => inputs.symbolic.has(name))),
    warnings: [],
  };
}
