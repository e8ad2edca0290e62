import { ByNames } from '../onnx/by-name.js';
import type { GraphView } from '../onnx/graph.js';
import { Evaluation } from './evaluate.js';
import type { Formula } from './formula.js';
import type { Inference } from './infer.js';
import { isTensor, type Info, type Infos, type Shape, type TensorInfo } from './info.js';
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
  /** What was made last, and of which shape: neighbours in a graph often share theirs. */
  let last: { readonly of: Shape; readonly made: TensorInfo } | null = null;
  const numbered = (info: Info): Info => {
    if (!isTensor(info) || info.shape === null) return info;
    const { kind, elemType, shape: of } = info;
    if (last?.of === of && last.made.elemType === elemType && last.made.kind === kind) return last.made;
    const shape = shapeOf(of);
    if (shape === null || shape === of) return info;
    last = { of, made: { kind, elemType, shape } };
    return last.made;
  };
  const infos = new ChangedInfos(proven.infos, numbered);
  for (const [name, numbers] of inputs.shapes) {
    const info = infos.get(name);
    if (!isTensor(info) || info.shape?.some((dim, axis) => dim !== numbers[axis]) !== false) return null;
  }
  return { ...proven, infos };
}

/** The same, each changed when it is asked for. */
class ChangedInfos extends ByNames<Info> implements Infos {
  constructor(
    private readonly infos: Infos,
    private readonly changed: (info: Info) => Info,
  ) {
    super(
      () => infos.keys(),
      (name) => {
        const info = infos.get(name);
        return info === undefined ? undefined : changed(info);
      },
    );
  }

  infoAt(tensor: number): Info | null {
    const info = this.infos.infoAt(tensor);
    return info === null ? null : this.changed(info);
  }
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
