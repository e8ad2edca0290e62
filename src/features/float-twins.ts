/** How an operator over codes, or one that fusion made, reads as a plain operator over float tensors. */
export interface Twin {
  readonly op: string;
  /** Positions of its inputs that are data or weights, in the twin's order; `concat`: every third from the third on. */
  readonly inputs: readonly number[] | 'concat';
  /** Positions of the scale and the zero point that its output's codes have; absent where the output is float. */
  readonly codes?: readonly [number, number];
}

/**
 * Operators with one twin. Fused ones that stand for several operators are taken apart in `float-view.ts`.
 * @see https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
export const TWINS: ReadonlyMap<string, Twin> = new Map<string, Twin>([
  ['QLinearConv', { op: 'Conv', inputs: [0, 3, 8], codes: [6, 7] }],
  ['QLinearMatMul', { op: 'MatMul', inputs: [0, 3], codes: [6, 7] }],
  ['QGemm', { op: 'Gemm', inputs: [0, 3, 6], codes: [7, 8] }],
  ['QLinearAdd', { op: 'Add', inputs: [0, 3], codes: [6, 7] }],
  ['QLinearMul', { op: 'Mul', inputs: [0, 3], codes: [6, 7] }],
  ['QLinearSigmoid', { op: 'Sigmoid', inputs: [0], codes: [3, 4] }],
  ['QLinearLeakyRelu', { op: 'LeakyRelu', inputs: [0], codes: [3, 4] }],
  ['QLinearSoftmax', { op: 'Softmax', inputs: [0], codes: [3, 4] }],
  ['QLinearAveragePool', { op: 'AveragePool', inputs: [0], codes: [3, 4] }],
  ['QLinearGlobalAveragePool', { op: 'GlobalAveragePool', inputs: [0], codes: [3, 4] }],
  ['QLinearReduceMean', { op: 'ReduceMean', inputs: [0], codes: [3, 4] }],
  ['QLinearConcat', { op: 'Concat', inputs: 'concat', codes: [0, 1] }],
  ['MatMulIntegerToFloat', { op: 'MatMul', inputs: [0, 1] }],
  ['DynamicQuantizeMatMul', { op: 'MatMul', inputs: [0, 1] }],
  ['DynamicQuantizeLSTM', { op: 'LSTM', inputs: [0, 1, 2, 3] }],
  ['FusedMatMul', { op: 'MatMul', inputs: [0, 1] }],
  ['BiasGelu', { op: 'Gelu', inputs: [0] }],
  ['FastGelu', { op: 'Gelu', inputs: [0] }],
  ['QuickGelu', { op: 'Gelu', inputs: [0] }],
]);

/** Operators that keep codes as they are: their output has the scale and zero point of their first input. */
export const KEEPS_CODES: ReadonlySet<string> = new Set([
  'MaxPool',
  'Reshape',
  'Transpose',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Slice',
  'Split',
  'Gather',
  'Pad',
  'Identity',
  'Resize',
  'DepthToSpace',
  'SpaceToDepth',
]);

/** Operators that a quantiser folds the activation behind them into. */
export const FOLDS_ACTIVATION: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'Add',
  'BatchNormalization',
]);
