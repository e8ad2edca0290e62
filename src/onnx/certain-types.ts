import { executionOrder, functionKey, type GraphView } from './graph.js';
import type { Attribute, Dim, Node } from './records.js';
import { declaredTypes, dtypeWord, type TensorType } from './types.js';

/**
 * Types that follow from an operator's definition alone, in every opset that has it; everything else is the runtime's
 * business.
 * @see https://github.com/onnx/onnx/blob/main/docs/Operators.md
 */

/** Output 0 has the dtype and the shape of input 0. */
const SAME_AS_INPUT = new Set([
  'Abs',
  'Acos',
  'Acosh',
  'Asin',
  'Asinh',
  'Atan',
  'Atanh',
  'BatchNormalization',
  'BitwiseNot',
  'Ceil',
  'Celu',
  'Clip',
  'Cos',
  'Cosh',
  'CumSum',
  'Dropout',
  'Elu',
  'Erf',
  'Exp',
  'Floor',
  'Gelu',
  'GroupNormalization',
  'HardSigmoid',
  'HardSwish',
  'Hardmax',
  'Identity',
  'InstanceNormalization',
  'LRN',
  'LayerNormalization',
  'LeakyRelu',
  'Log',
  'LogSoftmax',
  'LpNormalization',
  'MeanVarianceNormalization',
  'Mish',
  'Neg',
  'Not',
  'PRelu',
  'RMSNormalization',
  'Reciprocal',
  'Relu',
  'Round',
  'Selu',
  'Shrink',
  'Sigmoid',
  'Sign',
  'Sin',
  'Sinh',
  'Softmax',
  'Softplus',
  'Softsign',
  'Sqrt',
  'Tan',
  'Tanh',
  'ThresholdedRelu',
]);

/** Output 0 has the dtype of the input at this index. */
const DTYPE_OF_INPUT = new Map<string, number>([
  ...[
    'Add',
    'AveragePool',
    'Compress',
    'Concat',
    'Conv',
    'ConvTranspose',
    'DepthToSpace',
    'Div',
    'Einsum',
    'Expand',
    'Flatten',
    'GRU',
    'Gather',
    'GatherElements',
    'GatherND',
    'Gemm',
    'GlobalAveragePool',
    'GlobalLpPool',
    'GlobalMaxPool',
    'GridSample',
    'LSTM',
    'LpPool',
    'MatMul',
    'Max',
    'MaxPool',
    'Mean',
    'Min',
    'Mod',
    'Mul',
    'Pad',
    'Pow',
    'RNN',
    'Range',
    'ReduceL1',
    'ReduceL2',
    'ReduceLogSum',
    'ReduceLogSumExp',
    'ReduceMax',
    'ReduceMean',
    'ReduceMin',
    'ReduceProd',
    'ReduceSum',
    'ReduceSumSquare',
    'Reshape',
    'Resize',
    'ReverseSequence',
    'RoiAlign',
    'Scatter',
    'ScatterElements',
    'ScatterND',
    'Slice',
    'SpaceToDepth',
    'Split',
    'Squeeze',
    'Sub',
    'Sum',
    'Tile',
    'TopK',
    'Transpose',
    'Trilu',
    'Unsqueeze',
    'Upsample',
  ].map((opType) => [opType, 0] as const),
  ['CastLike', 1],
  ['Where', 1],
  ['OneHot', 2],
]);

/** Output 0 has this dtype whatever goes in. */
const FIXED_DTYPE = new Map<string, string>([
  ...['And', 'Equal', 'Greater', 'GreaterOrEqual', 'IsInf', 'IsNaN', 'Less', 'LessOrEqual', 'Or', 'Xor'].map(
    (opType) => [opType, 'bool'] as const,
  ),
  ...['ArgMax', 'ArgMin', 'NonMaxSuppression', 'NonZero', 'Shape', 'Size'].map((opType) => [opType, 'int64'] as const),
]);

/** Output 0 keeps the shape of input 0 while its dtype is another. */
const SAME_SHAPE = new Set(['Cast', 'CastLike', 'IsInf', 'IsNaN']);

/** What an output that is not a tensor is, by operator. */
const NON_TENSORS = new Map<string, string>([
  ...['SequenceConstruct', 'SequenceEmpty', 'SequenceErase', 'SequenceInsert', 'SequenceMap', 'SplitToSequence'].map(
    (opType) => [opType, 'sequence'] as const,
  ),
  ['Optional', 'optional'],
]);

/**
 * Types of the outputs of nodes, in their order, from the file's declarations and from certain rules; unknown parts are
 * null.
 */
export function certainTypes(view: GraphView, nodes: Iterable<Node>): Map<string, TensorType> {
  const types = declaredTypes(view.model);
  const overridden = new Set(
    view.model.functions.map((definition) => functionKey(definition.domain, definition.name, definition.overload)),
  );
  const asked = new Set(nodes);
  for (const node of executionOrder(view)) {
    if (!asked.has(node)) continue;
    node.outputs.forEach((name, output) => {
      if (name === '') return;
      const declared = types.get(name);
      if (declared !== undefined && isComplete(declared)) return;
      const certain =
        node.domain === '' && !overridden.has(functionKey('', node.opType, node.overload))
          ? outputType(node, output, types)
          : null;
      if (certain === null) return;
      types.set(
        name,
        declared === undefined
          ? certain
          : { ...declared, dtype: declared.dtype ?? certain.dtype, shape: declared.shape ?? certain.shape },
      );
    });
  }
  return types;
}

/** Whether nothing is left to ask: a dtype and a rank, or a value that is not a tensor. */
export function isComplete(type: TensorType): boolean {
  return type.type !== undefined || (type.dtype !== null && type.shape !== null);
}

function outputType(node: Node, output: number, types: ReadonlyMap<string, TensorType>): TensorType | null {
  const { opType, inputs } = node;
  const input = (index: number): TensorType | undefined => types.get(inputs[index] ?? '');
  if (output > 0) return laterOutput(node, output, input(0));
  if (SAME_AS_INPUT.has(opType)) return input(0) ?? null;
  const type = NON_TENSORS.get(opType);
  if (type !== undefined) return { dtype: null, shape: null, type };
  if (opType === 'Constant') return constantType(node);
  const fixed = FIXED_DTYPE.get(opType);
  const shape = SAME_SHAPE.has(opType) ? (input(0)?.shape ?? null) : null;
  if (opType === 'Shape') return { dtype: 'int64', shape: shapeOfShape(node, input(0)?.shape ?? null) };
  if (opType === 'Size') return { dtype: 'int64', shape: [] };
  if (fixed !== undefined) return { dtype: fixed, shape };
  if (opType === 'Cast') {
    const to = attribute(node, 'to')?.i;
    return typeof to === 'number' ? { dtype: dtypeWord(to), shape } : null;
  }
  if (opType === 'ConstantOfShape') {
    const value = attribute(node, 'value');
    return { dtype: value === undefined ? 'float32' : dtypeWord(value.tensors[0]?.dataType ?? 0), shape: null };
  }
  const index = DTYPE_OF_INPUT.get(opType);
  const source = index === undefined ? undefined : input(index);
  return source === undefined || source.type !== undefined || source.dtype === null
    ? null
    : { dtype: source.dtype, shape };
}

function laterOutput({ opType }: Node, output: number, first: TensorType | undefined): TensorType | null {
  if ((opType === 'MaxPool' || opType === 'TopK') && output === 1) return { dtype: 'int64', shape: null };
  if (['Split', 'LSTM', 'GRU', 'RNN'].includes(opType) && first !== undefined && first.dtype !== null)
    return { dtype: first.dtype, shape: null };
  return null;
}

function attribute(node: Node, name: string): Attribute | undefined {
  return node.attributes.find((candidate) => candidate.name === name);
}

function constantType(node: Node): TensorType | null {
  const [value] = node.attributes;
  if (value === undefined || node.attributes.length > 1) return null;
  switch (value.name) {
    case 'value':
      return value.tensors.length === 0
        ? null
        : { dtype: dtypeWord(value.tensors[0].dataType), shape: value.tensors[0].dims };
    case 'sparse_value':
      return value.sparseTensors[0]?.values
        ? { dtype: dtypeWord(value.sparseTensors[0].values.dataType), shape: value.sparseTensors[0].dims }
        : null;
    case 'value_float':
      return { dtype: 'float32', shape: [] };
    case 'value_int':
      return { dtype: 'int64', shape: [] };
    case 'value_string':
      return { dtype: 'string', shape: [] };
    case 'value_floats':
      return { dtype: 'float32', shape: null };
    case 'value_ints':
      return { dtype: 'int64', shape: null };
    case 'value_strings':
      return { dtype: 'string', shape: null };
    default:
      return null;
  }
}

function shapeOfShape(node: Node, shape: readonly Dim[] | null): readonly Dim[] | null {
  if (shape === null) return null;
  const rank = shape.length;
  const clamp = (axis: number): number => Math.min(rank, Math.max(0, axis < 0 ? axis + rank : axis));
  const start = clamp(Number(attribute(node, 'start')?.i ?? 0));
  const end = clamp(Number(attribute(node, 'end')?.i ?? rank));
  return [Math.max(0, end - start)];
}
