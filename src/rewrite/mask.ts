import { UsageError } from '../errors.js';
import { call, option } from '../options/words.js';
import { isInitializer, type GraphView } from '../onnx/graph.js';
import type { TensorTypes } from '../onnx/types.js';
import { keptFor } from './kept.js';
import type { Steps } from './steps.js';
import type { Tap } from './tap.js';

/** A mask is named so by every exporter of text encoders. */
const MASK_NAME = /mask/i;

/**
 * The steps with the input that says which tokens count: the one that was named, else the only mask that the features
 * depend on; none if they depend on none.
 * @throws UsageError if the input does not exist, is no mask, or several may be meant
 */
export function withMask(
  view: GraphView,
  types: TensorTypes,
  steps: Steps,
  taps: readonly Tap[],
  warn: (message: string) => void,
): Steps {
  const { pool } = steps;
  if (pool === null) return steps;
  const inputs = [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
  if (pool.mask !== null) {
    assertMask(types, pool.mask, inputs);
    return steps;
  }
  // The largest value of a map is asked for without a mask.
  if (pool.kind !== 'mean' && pool.kind !== 'last') return steps;
  const reached = keptFor(
    view,
    taps.flatMap(({ tensors }) => tensors),
  ).tensors;
  const masks = inputs.filter((name) => reached.has(name) && MASK_NAME.test(name) && isMask(types, name));
  if (masks.length > 1)
    throw new UsageError(`several inputs may say which tokens count: ${masks.join(', ')}`, {
      code: 'FEATX_USAGE_MASK',
      hint: `name one of them: ${option('pool', `${pool.kind}:${masks[0]}`)}`,
    });
  const words = inputs.filter((name) => reached.has(name) && areTokens(types, name));
  if (masks.length === 0 && words.length > 0)
    warn(
      `${option('pool', pool.kind)}: no input says which tokens count, so that all do, those that pad '${words[0]}' to the length of others too`,
    );
  return { ...steps, pool: { ...pool, mask: masks[0] ?? null } };
}

/** Whether an input holds numbers of tokens: texts of a batch have one length only if some are padded. */
function areTokens(types: TensorTypes, name: string): boolean {
  const { dtype, shape } = types.get(name) ?? {};
  return (dtype === 'int64' || dtype === 'int32') && shape?.length === 2;
}

function isMask(types: TensorTypes, name: string): boolean {
  const { shape = null } = types.get(name) ?? {};
  return shape === null || shape.length === 2;
}

function assertMask(types: TensorTypes, mask: string, inputs: readonly string[]): void {
  if (!inputs.includes(mask))
    throw new UsageError(`the model has no input '${mask}' that could say which tokens count`, {
      code: 'FEATX_USAGE_MASK',
      hint: inputs.length === 0 ? `see ${call('inspect')}` : `its inputs are ${inputs.join(', ')}`,
    });
  if (!isMask(types, mask))
    throw new UsageError(
      `the input '${mask}' is [${(types.get(mask)?.shape ?? []).map((dim) => dim ?? '?').join(', ')}]; a mask is [entries, tokens]`,
      { code: 'FEATX_USAGE_MASK' },
    );
}
