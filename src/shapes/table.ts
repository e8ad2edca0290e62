import type { Rule } from './call.js';
import { ATTENTION } from './rules/attention.js';
import { CLASSICAL } from './rules/classical.js';
import { CONTAINERS } from './rules/containers.js';
import { CONTRIB, NCHWC } from './rules/contrib.js';
import { CONTROL } from './rules/control.js';
import { ELEMENTWISE } from './rules/elementwise.js';
import { GATHERING } from './rules/gather.js';
import { MATRICES } from './rules/matmul.js';
import { MOVEMENT } from './rules/movement.js';
import { NORMALISATIONS } from './rules/normal.js';
import { OTHERS } from './rules/others.js';
import { QUANTIZATION } from './rules/quantized.js';
import { RECURRENT } from './rules/recurrent.js';
import { REDUCTIONS } from './rules/reduce.js';
import { SIGNAL } from './rules/signal.js';
import { SIZED } from './rules/sized.js';
import { SLICES } from './rules/slices.js';
import { WINDOWS } from './rules/windows.js';

const STANDARD: { readonly [opType: string]: Rule } = {
  ...ELEMENTWISE,
  ...WINDOWS,
  ...MATRICES,
  ...MOVEMENT,
  ...SLICES,
  ...GATHERING,
  ...REDUCTIONS,
  ...SIZED,
  ...NORMALISATIONS,
  ...QUANTIZATION,
  ...RECURRENT,
  ...ATTENTION,
  ...SIGNAL,
  ...CONTAINERS,
  ...CONTROL,
  ...OTHERS,
};

/** The rules of each domain by operator. An operator that left a domain keeps its rule. */
const RULES: ReadonlyMap<string, ReadonlyMap<string, Rule>> = new Map(
  Object.entries({
    '': STANDARD,
    'ai.onnx.ml': CLASSICAL,
    'ai.onnx.preview': { FlexAttention: STANDARD.FlexAttention },
    'com.microsoft': CONTRIB,
    'com.microsoft.nchwc': NCHWC,
  }).map(([domain, rules]) => [domain, new Map(Object.entries(rules))]),
);

/** The rule of an operator, if featx knows it. */
export function ruleOf(domain: string, opType: string): Rule | undefined {
  return RULES.get(domain)?.get(opType);
}
