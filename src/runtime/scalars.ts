import type { GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import type { TensorType } from '../onnx/types.js';

/** Operators that make no scalar of tensors that are none. */
const KEEPS_AXES = new Set([
  'AveragePool',
  'Concat',
  'Constant',
  'Conv',
  'ConvInteger',
  'ConvTranspose',
  'DepthToSpace',
  'DeformConv',
  'Expand',
  'Flatten',
  'GRU',
  'Gemm',
  'GlobalAveragePool',
  'GlobalLpPool',
  'GlobalMaxPool',
  'GridSample',
  'LSTM',
  'LpPool',
  'MaxPool',
  'MaxRoiPool',
  'NonMaxSuppression',
  'NonZero',
  'OneHot',
  'Pad',
  'QLinearConv',
  'RNN',
  'Range',
  'Resize',
  'RoiAlign',
  'Shape',
  'Slice',
  'SpaceToDepth',
  'Split',
  'Tile',
  'TopK',
  'Transpose',
  'Unsqueeze',
  'Upsample',
]);

/** Operators whose output has the axes of their inputs, broadcast. */
const ELEMENTWISE = new Set([
  'Abs',
  'Add',
  'And',
  'BitShift',
  'BitwiseAnd',
  'BitwiseNot',
  'BitwiseOr',
  'BitwiseXor',
  'Cast',
  'CastLike',
  'Ceil',
  'Clip',
  'Cos',
  'DequantizeLinear',
  'Div',
  'Equal',
  'Erf',
  'Exp',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'Identity',
  'IsInf',
  'IsNaN',
  'Less',
  'LessOrEqual',
  'Log',
  'Max',
  'Mean',
  'Min',
  'Mod',
  'Mul',
  'Neg',
  'Not',
  'Or',
  'Pow',
  'QuantizeLinear',
  'Reciprocal',
  'Relu',
  'Round',
  'Sigmoid',
  'Sign',
  'Sin',
  'Softmax',
  'Sqrt',
  'Sub',
  'Sum',
  'Tanh',
  'Where',
  'Xor',
]);

/**
 * Tensors whose rank may be 0. ONNX Runtime describes a scalar and a tensor of unknown rank alike, so that these need a
 * second question, and asking it about every tensor would double the graph.
 */
export function maybeScalars(
  view: GraphView,
  nodes: Iterable<Node>,
  known: ReadonlyMap<string, TensorType>,
): ReadonlySet<string> {
  const scalars = new Set<string>();
  const hasAxes = (name: string): boolean => {
    const shape = known.get(name)?.shape;
    if (shape != null) return shape.length > 0;
    return name !== '' && view.producerOf.has(name) && !scalars.has(name);
  };
  for (const node of [...nodes].sort((a, b) => a.index - b.index)) {
    const keeps =
      node.domain === '' &&
      (KEEPS_AXES.has(node.opType) || (ELEMENTWISE.has(node.opType) && node.inputs.some(hasAxes)));
    if (keeps) continue;
    for (const name of node.outputs) if (name !== '' && known.get(name)?.shape == null) scalars.add(name);
  }
  return scalars;
}
