import type { Entries, Sizes, Visit } from './batch-visit.js';

/** What the rules of a free batch share. */

/** What a rule says of the outputs: one for all of them, or one for each. */
export type BatchRule = (visit: Visit) => Entries | readonly Entries[];

/** The entries of an input that must have some. @throws Refusal */
export function required(visit: Visit, input: number): NonNullable<Entries> {
  return visit.entries(input) ?? visit.refuse('only a further input is another for each entry');
}

/** How many values sizes have; null if one is not known. */
export function product(dims: Sizes): number | null {
  let all = 1;
  for (const dim of dims) {
    if (dim === null) return null;
    all *= dim;
  }
  return all;
}

/** Axes that an attribute says, or an input. */
export function axesOf(visit: Visit, input: number, rank: number): readonly number[] | null {
  const axes = visit.ints('axes') ?? (visit.has(input) ? visit.numbers(input) : null);
  return axes?.map((axis) => visit.axis(axis, rank)) ?? null;
}

/** Softmax, which took all axes from its own on before opset 13; `oldAxis` is its own there if nothing is said. */
export function softmax(visit: Visit, opset: number, oldAxis: number): NonNullable<Entries> {
  const own = required(visit, 0);
  const isOld = opset < 13;
  const axis = visit.axis(visit.int('axis', isOld ? oldAxis : -1), visit.rank(0));
  if (isOld ? own.axis >= axis : own.axis === axis) visit.mixes('it works along the axis that counts entries');
  return own;
}
