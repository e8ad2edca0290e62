import { DATA_TYPES, type DataType } from '../model-spec.js';
import { viewGraph } from '../../onnx/graph.js';
import { indexModel } from '../../onnx/model.js';
import { dtypeWord } from '../../onnx/types.js';
import { Constants } from '../../shapes/constants.js';
import type { Evaluation } from '../../shapes/evaluate.js';
import { inferGraph } from '../../shapes/infer.js';
import { isTensor, type Info } from '../../shapes/info.js';

/** What featx infers held against what a run shows. */

/** What a run shows of a value. */
export type Seen = { readonly dtype: DataType; readonly dims: readonly number[] } | 'not a tensor';

/** What is inferred of every value of the main graph of a model. */
export async function inferredOf(bytes: Uint8Array): Promise<ReadonlyMap<string, Info>> {
  await using model = await indexModel(bytes);
  return inferGraph(viewGraph(model), await Constants.of(model)).infos;
}

/** What is wrong about an inference; null if nothing is. Numbers stand for formulas if an evaluation is given. */
export function faultOf(info: Info | null, seen: Seen, evaluation: Evaluation | null): string | null {
  if (info === null) return null;
  if (seen === 'not a tensor') return isTensor(info) ? 'a tensor, which it is not' : null;
  if (!isTensor(info)) return `${info.kind}, but it is a tensor`;
  if (info.elemType !== 0 && info.elemType !== DATA_TYPES[seen.dtype])
    return `${dtypeWord(info.elemType)} instead of ${seen.dtype}`;
  const dims = numbersOf(info, evaluation);
  if (dims === null) return null;
  const isWrong = dims.length !== seen.dims.length || dims.some((dim, axis) => dim !== null && dim !== seen.dims[axis]);
  return isWrong ? `[${dims.map((dim) => dim ?? '?').join(',')}] instead of [${seen.dims.join(',')}]` : null;
}

/** Whether everything is known, with numbers for formulas if an evaluation is given. */
export function isKnown(info: Info | null, evaluation: Evaluation | null): boolean {
  if (info === null) return false;
  if (!isTensor(info)) return true;
  return info.elemType !== 0 && (numbersOf(info, evaluation)?.every((dim) => dim !== null) ?? false);
}

/** The dims as numbers, as far as they are known; null if the rank is not. */
export function numbersOf(info: Info, evaluation: Evaluation | null): readonly (number | null)[] | null {
  if (!isTensor(info) || info.shape === null) return null;
  return info.shape.map((dim) => (typeof dim === 'number' ? dim : (evaluation?.numberOf(dim) ?? null)));
}
