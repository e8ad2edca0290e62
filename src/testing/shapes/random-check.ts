import { indexModel } from '../../onnx/model.js';
import { Evaluation } from '../../shapes/evaluate.js';
import { encodeModel } from '../model-builder.js';
import { feedsFor } from '../ort.js';
import { seededRandom } from '../random.js';
import { Refused, runModel, type RunValue } from '../random-graph/oracle.js';
import { randomNode } from './random-node.js';
import { faultOf, inferredOf, isKnown } from './truth.js';

/** What featx infers of random nodes against the shapes of ONNX Runtime's run. */

/** How many outputs were compared, and which differ. */
export interface RandomTally {
  readonly refused: number;
  readonly outputs: number;
  /** Outputs of which every dim was known, with numbers and with symbols for the dims of the inputs. */
  readonly numeric: number;
  readonly formulas: number;
  readonly differences: readonly string[];
  readonly unknown: readonly string[];
}

/** Compares `count` random nodes; the same for the same seed. */
export async function checkRandomNodes(count: number, seed: number): Promise<RandomTally> {
  const differences: string[] = [];
  const unknown: string[] = [];
  let [refused, outputs, numeric, formulas] = [0, 0, 0, 0];
  for (let index = 0; index < count; index++) {
    const at = seed * 1_000_003 + index;
    const { opType, spec } = randomNode(seededRandom(at), false);
    const symbolic = randomNode(seededRandom(at), true).spec;
    const truth = await run(encodeModel(spec));
    if (truth === null) {
      refused++;
      continue;
    }
    const own = await inferredOf(encodeModel(spec));
    const open = await inferredOf(encodeModel(symbolic));
    const numbers = new Map<string, number>();
    for (const { type } of symbolic.graph.inputs ?? [])
      if (type !== undefined && 'shape' in type)
        for (const dim of type.shape ?? []) if (typeof dim === 'string') numbers.set(dim, Number(dim.split('_')[1]));
    const evaluation = new Evaluation(numbers);
    for (const [name, seen] of truth) {
      outputs++;
      const label = `seed ${at} ${opType}(${String(spec.opset)}) ${name}`;
      const info = own.get(name) ?? null;
      const fault = faultOf(info, seen, null);
      if (fault !== null) differences.push(`${label}: ${fault}`);
      if (isKnown(info, null)) numeric++;
      else unknown.push(label);
      const formula = open.get(name) ?? null;
      if (isKnown(formula, evaluation)) formulas++;
      const misled = faultOf(formula, seen, evaluation);
      if (misled !== null) differences.push(`${label}, formulas: ${misled}`);
    }
  }
  return { refused, outputs, numeric, formulas, differences, unknown };
}

/** What a run shows; null if ONNX Runtime refuses the model. */
async function run(bytes: Uint8Array): Promise<ReadonlyMap<string, RunValue> | null> {
  await using model = await indexModel(bytes);
  try {
    return runModel(bytes, feedsFor(model));
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}
