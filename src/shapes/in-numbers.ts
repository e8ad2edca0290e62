import { ByNames } from '../onnx/by-name.js';
import type { GraphView } from '../onnx/graph.js';
import { Evaluation } from './evaluate.js';
import type { Formula } from './formula.js';
import type { Inference } from './infer.js';
import { isTensor, rememberingLast, type Info, type Shape } from './info.js';
import type { NominalInputs } from './nominal.js';

/**
 * What was inferred for any input, for inputs of nominal sizes: each formula as its number. Null if that may not be all
 * that can be said of those sizes: something is unknown, contradicts itself or is no size.
 */
export function inNumbers(view: GraphView, proven: Inference, inputs: NominalInputs): Inference | null {
  if (proven.gaps.length > 0 || proven.contradictions.length > 0 || proven.spentAt !== null) return null;
  if (proven.infos.size < tensorCount(view)) return null;
  const evaluation = new Evaluation(inputs.symbols);
  const sizes = new Map<Formula, number | null>();
  const shapes = new Map<Shape, Shape | null>();
  const numberOf = (dim: Formula): number | null => {
    let number = sizes.get(dim);
    if (number === undefined) sizes.set(dim, (number = evaluation.numberOf(dim)));
    return number === null || number < 1 ? null : number;
  };
  const shapeOf = (shape: Shape): Shape | null => {
    let numbers = shapes.get(shape);
    if (numbers === undefined) shapes.set(shape, (numbers = evaluated(shape, numberOf)));
    return numbers;
  };
  let before: Info | null = null;
  for (const info of proven.infos.values()) {
    if (info === before) continue;
    before = info;
    if (!isTensor(info) || info.elemType === 0 || info.shape === null || shapeOf(info.shape) === null) return null;
  }
  const numbered = rememberingLast((info: Info): Info => {
    const shape = isTensor(info) && info.shape !== null ? shapeOf(info.shape) : null;
    if (!isTensor(info) || shape === null || shape === info.shape) return info;
    return { kind: info.kind, elemType: info.elemType, shape };
  });
  const infos = new ByNames(
    () => proven.infos.keys(),
    (name) => {
      const info = proven.infos.get(name);
      return info === undefined ? undefined : numbered(info);
    },
  );
  for (const [name, numbers] of inputs.shapes) {
    const info = infos.get(name);
    if (!isTensor(info) || info.shape?.some((dim, axis) => dim !== numbers[axis]) !== false) return null;
  }
  return { ...proven, infos };
}

function tensorCount({ columns, inputs, initializers, sparseInitializers }: GraphView): number {
  let count = initializers.size + sparseInitializers.size;
  for (const row of columns.maker) if (row >= 0) count++;
  for (const name of inputs.keys()) if (!initializers.has(name) && !sparseInitializers.has(name)) count++;
  return count;
}

/** The numbers of a shape; the shape itself if it has no others. */
function evaluated(shape: Shape, numberOf: (dim: Formula) => number | null): Shape | null {
  if (shape.every((dim) => typeof dim === 'number')) return shape;
  const numbers: number[] = [];
  for (const dim of shape) {
    const number = typeof dim === 'number' ? dim : numberOf(dim);
    if (number === null) return null;
    numbers.push(number);
  }
  return numbers;
}
