import type { Algebra } from './algebra.js';
import { RuleFault } from './call.js';
import { Evaluation } from './evaluate.js';
import { boundsOf, mayBeNothing, type Formula, type Size } from './formula.js';
import type { Shape } from './info.js';

/** What several rules say of dims. */

/**
 * The dim of two that must be equal: a number before a formula, a formula before an unknown, the shorter one. @throws
 * RuleFault for two numbers
 */
export function sameSize(a: Size, b: Size, algebra: Algebra): Size {
  if (a === b) return a;
  if (typeof a === 'number') {
    if (typeof b === 'number') throw new RuleFault(`${a} and ${b} are to be equal`);
    algebra.require(b, 'equal', a);
    return a;
  }
  if (typeof b === 'number') {
    algebra.require(a, 'equal', b);
    return b;
  }
  if (a.isKnown !== b.isKnown) return a.isKnown ? a : b;
  return b.weight < a.weight ? b : a;
}

/** One dim of a broadcast of two. @see https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md */
export function broadcastSize(a: Size, b: Size, algebra: Algebra): Size {
  if (a === b || b === 1) return a;
  if (a === 1) return b;
  if (typeof a === 'number' && typeof b === 'number') return sameSize(a, b, algebra);
  if (typeof a === 'number' || typeof b === 'number') {
    const [number, size] = typeof a === 'number' ? [a, b] : [Number(b), a];
    algebra.require(size, 'equal or 1', number);
    return number;
  }
  // Neither is 1: then they are equal, or the model is invalid.
  const [isLarge, isOtherLarge] = [boundsOf(a)[0] > 1, boundsOf(b)[0] > 1];
  if (isLarge && isOtherLarge) return sameSize(a, b, algebra);
  if (isLarge) return a;
  if (isOtherLarge) return b;
  // Two formulas of the same symbols are two ways to the same size; a maximum would grow from layer to layer.
  if (a.isKnown && b.isKnown && haveSameLeaves(a, b)) {
    const one = stretched(a, b, algebra);
    if (one !== null) return one;
  }
  return algebra.stretch(a, b);
}

/** Symbols get these numbers when two formulas are compared: small ones, where one of the two may be 1. */
const SAMPLES = [1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 127, 128, 129];

/** What it takes to compare, in steps for each atom. */
const SAMPLE_STEPS = 5;

/** The one of two formulas that is right wherever the two can be stretched to each other; null if neither is. */
function stretched(a: Formula, b: Formula, algebra: Algebra): Formula | null {
  algebra.budget.spend(SAMPLE_STEPS * (a.weight + b.weight));
  if (algebra.budget.isSpent) return null;
  const candidates = b.weight < a.weight ? [b, a] : [a, b];
  const least = mayBeNothing(a) || mayBeNothing(b) ? 0 : 1;
  const samples = SAMPLES.map((number) => {
    const evaluation = new Evaluation(new Map([...a.leaves].map(({ name }) => [name, number])));
    return candidates.map((size) => evaluation.numberOf(size) ?? -1);
  }).filter(([one, other]) => one >= least && other >= least && (one === other || one === 1 || other === 1));
  const at = candidates.findIndex((_size, index) =>
    samples.every((numbers) => numbers[index] === (numbers[0] === 1 ? numbers[1] : numbers[0])),
  );
  return candidates[at] ?? null;
}

function haveSameLeaves(a: Formula, b: Formula): boolean {
  if (a.leaves.size !== b.leaves.size) return false;
  for (const leaf of a.leaves) if (!b.leaves.has(leaf)) return false;
  return true;
}

/** The shape of a broadcast, axes aligned at the end; null if a rank is unknown. */
export function broadcast(shapes: readonly (Shape | null)[], algebra: Algebra): Shape | null {
  let result: Shape | null = null;
  let before: Shape | null = null;
  for (const shape of shapes) {
    if (shape === null) return null;
    if (shape === before) continue;
    before = shape;
    result = result === null ? shape : stretchedShape(result, shape, algebra);
  }
  return result ?? [];
}

function stretchedShape(one: Shape, other: Shape, algebra: Algebra): Shape {
  const [long, short] = other.length > one.length ? [other, one] : [one, other];
  const offset = long.length - short.length;
  if (covers(long, short, offset)) return long;
  if (offset === 0 && covers(short, long, offset)) return short;
  return long.map((dim, axis) => (axis < offset ? dim : broadcastSize(dim, short[axis - offset], algebra)));
}

/** Whether a shape stays as it is when another one, aligned at the end, is stretched to it. */
function covers(shape: Shape, other: Shape, offset: number): boolean {
  for (let axis = 0; axis < other.length; axis++)
    if (other[axis] !== 1 && other[axis] !== shape[axis + offset]) return false;
  return true;
}
