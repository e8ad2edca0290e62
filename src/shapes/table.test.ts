import { readFileSync } from 'node:fs';
import { ruleOf } from './table.js';

const { operators } = JSON.parse(readFileSync('fixtures/operators.json', 'utf8')) as {
  readonly operators: Readonly<Record<string, readonly string[]>>;
};

/** Contributed operators that are met in networks: fused by ONNX Runtime's optimiser, quantized, of language models. */
const CONTRIBUTED =
  'Attention BiasGelu DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization FastGelu ' +
  'FusedConv FusedGemm FusedMatMul GatherBlockQuantized Gelu GroupQueryAttention MatMulIntegerToFloat MatMulNBits ' +
  'MultiHeadAttention QAttention QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearGlobalAveragePool ' +
  'QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QuantizeLinear QuickGelu RotaryEmbedding ' +
  'SkipLayerNormalization SkipSimplifiedLayerNormalization';

test.each(Object.entries(operators))("every operator of the domain '%s' has a rule", (domain, names) => {
  expect(names.filter((name) => ruleOf(domain, name) === undefined)).toEqual([]);
  expect(names.length).toBeGreaterThan(0);
});

test('common contributed operators have rules', () => {
  expect(CONTRIBUTED.split(' ').filter((name) => ruleOf('com.microsoft', name) === undefined)).toEqual([]);
});

test('an operator that nobody defines has none', () => {
  expect(ruleOf('', 'Strange')).toBeUndefined();
  expect(ruleOf('somewhere.else', 'Relu')).toBeUndefined();
  expect(ruleOf('', 'constructor')).toBeUndefined();
});
