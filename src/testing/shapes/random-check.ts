import * as ort from 'onnxruntime-node';
import { viewGraph } from '../../onnx/graph.js';
import { indexModel } from '../../onnx/model.js';
import { dataTypeOf } from '../../onnx/types.js';
import { Constants } from '../../shapes/constants.js';
import { Evaluation } from '../../shapes/evaluate.js';
import { inferGraph } from '../../shapes/infer.js';
import { isTensor, type Info } from '../../shapes/info.js';
import { encodeModel } from '../model-builder.js';
import { seededRandom } from '../random.js';
import { feedsFor } from '../ort.js';
import { randomNode } from './random-node.js';

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
    const own = await inferred(encodeModel(spec));
    const open = await inferred(encodeModel(symbolic));
    const numbers = new Map<string, number>();
    for (const { type } of symbolic.graph.inputs ?? [])
      if (type !== undefined && 'shape' in type)
        for (const dim of type.shape ?? []) if (typeof dim === 'string') numbers.set(dim, Number(dim.split('_')[1]));
    const evaluation = new Evaluation(numbers);
    for (const [name, { type, dims }] of truth) {
      outputs++;
      const label = `seed ${at} ${opType}(${String(spec.opset)}) ${name}`;
      const said = `${type} [${dims.join(',')}]`;
      const info = own.get(name) ?? null;
      const fault = disagreement(info, type, dims);
      if (fault !== null) differences.push(`${label}: ${fault}, run: ${said}`);
      if (isTensor(info) && info.shape?.every((dim) => typeof dim === 'number')) numeric++;
      else unknown.push(`${label}: run ${said}`);
      const formula = open.get(name) ?? null;
      if (!isTensor(formula) || formula.shape === null) continue;
      const dimsOf = formula.shape.map((dim) => evaluation.numberOf(dim));
      if (dimsOf.every((dim) => dim !== null)) formulas++;
      if (dimsOf.length !== dims.length || dimsOf.some((dim, axis) => dim !== null && dim !== dims[axis]))
        differences.push(`${label}: formulas give [${dimsOf.join(',')}], run: ${said}`);
    }
  }
  return { refused, outputs, numeric, formulas, differences, unknown };
}

function disagreement(info: Info | null, type: string, dims: readonly number[]): string | null {
  if (info === null) return null;
  if (!isTensor(info)) return info.kind;
  if (info.elemType !== 0 && info.elemType !== dataTypeOf(type)) return `dtype ${info.elemType}`;
  if (info.shape === null) return null;
  const isWrong =
    info.shape.length !== dims.length || info.shape.some((dim, axis) => typeof dim === 'number' && dim !== dims[axis]);
  return isWrong ? `[${info.shape.map((dim) => (typeof dim === 'number' ? dim : '?')).join(',')}]` : null;
}

async function inferred(bytes: Uint8Array): Promise<ReadonlyMap<string, Info>> {
  await using model = await indexModel(bytes);
  return inferGraph(viewGraph(model), await Constants.of(model)).infos;
}

type Truth = ReadonlyMap<string, { readonly type: string; readonly dims: readonly number[] }>;

/** Shapes of a run; null if ONNX Runtime refuses the model. */
async function run(bytes: Uint8Array): Promise<Truth | null> {
  await using model = await indexModel(bytes);
  try {
    const session = await ort.InferenceSession.create(bytes, {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 4,
    });
    try {
      const results = await session.run(feedsFor(model));
      return new Map(Object.entries(results).map(([name, { type, dims }]) => [name, { type, dims }]));
    } finally {
      await session.release();
    }
  } catch {
    return null;
  }
}
