import { axesOf, product, required, type BatchRule } from './batch-rule.js';
import type { Entries, Sizes, Visit } from './batch-visit.js';

/** What operators that move values do with the axis that counts entries. */

/** The axis of a new shape where what lay at an axis of the old one begins. */
function placeOf(visit: Visit, own: NonNullable<Entries>, before: Sizes, after: Sizes): number {
  const front = product(before.slice(0, own.axis));
  const isPlace = (axis: number): boolean => {
    const size = after[axis];
    return front !== null && product(after.slice(0, axis)) === front && size !== null && size % visit.batch === 0;
  };
  const places = after.flatMap((_size, axis) => (isPlace(axis) ? [axis] : []));
  // An axis of size 1 in front may stand for the same: what stays where it was is the likelier one.
  return places.includes(own.axis)
    ? own.axis
    : (places[0] ?? visit.refuse('it mixes entries with what lies in front of them'));
}

const reshape: BatchRule = (visit: Visit) => {
  if (visit.opset < 5) visit.refuse('its shape is an attribute');
  const own = required(visit, 0);
  visit.fixed(1);
  const before = visit.dims(0) ?? visit.refuse(`the rank of '${visit.node.inputs[0]}' is not known`);
  const after = visit.out();
  const axis = placeOf(visit, own, before, after);
  const target = visit.value(1);
  const asked = target?.[axis];
  const factor = Number(after[axis]) / visit.batch;
  const copies = asked === 0 && axis === own.axis && visit.int('allowzero', 0) === 0;
  if (asked !== -1 && !copies) {
    if (after.every((size, at) => at === axis || size !== null))
      visit.changes.push({
        kind: 'constant',
        input: 1,
        ints: after.map((size, at) => (at === axis ? -1 : Number(size))),
      });
    else if (target !== null && !target.includes(-1))
      visit.changes.push({ kind: 'element', input: 1, at: axis, number: -1 });
    else if (axis === own.axis && factor === own.factor && visit.int('allowzero', 0) === 0)
      visit.changes.push({ kind: 'element', input: 1, at: axis, number: 0 });
    else visit.refuse('its shape is calculated, and two of its sizes are open');
  }
  return { axis, factor };
};

const flatten: BatchRule = (visit: Visit) => {
  const own = required(visit, 0);
  const dims = visit.dims(0) ?? [];
  const at = visit.axis(visit.int('axis', 1), dims.length);
  const isFirst = own.axis < at;
  const front = product(isFirst ? dims.slice(0, own.axis) : dims.slice(at, own.axis));
  if (front !== 1) visit.refuse('it mixes entries with what lies in front of them');
  const size = visit.out()[isFirst ? 0 : 1];
  if (size === null) visit.refuse('the size of its output is not known');
  return { axis: isFirst ? 0 : 1, factor: size / visit.batch };
};

const transpose: BatchRule = (visit: Visit) => {
  const own = required(visit, 0);
  const perm = visit.ints('perm') ?? Array.from({ length: visit.rank(0) }, (_empty, axis) => visit.rank(0) - 1 - axis);
  return { ...own, axis: perm.indexOf(own.axis) };
};

const squeeze: BatchRule = (visit: Visit) => {
  const own = required(visit, 0);
  const dims = visit.dims(0) ?? [];
  const axes = axesOf(visit, 1, dims.length) ?? dims.flatMap((size, axis) => (size === 1 ? [axis] : []));
  if (axes.includes(own.axis)) visit.refuse('it takes away the axis that counts entries');
  return { ...own, axis: own.axis - axes.filter((axis) => axis < own.axis).length };
};

const unsqueeze: BatchRule = (visit: Visit) => {
  const own = required(visit, 0);
  const axes = [...(axesOf(visit, 1, visit.out().length) ?? [])].sort((a, b) => a - b);
  let { axis } = own;
  for (const added of axes) if (added <= axis) axis++;
  return { ...own, axis };
};

const concat: BatchRule = (visit: Visit) => {
  const rank = visit.out().length;
  const along = visit.axis(visit.int('axis', 0), rank);
  let found: Entries = null;
  for (const input of visit.given()) {
    const own = visit.entries(input);
    if (own === null) continue;
    if (found !== null && (found.axis !== own.axis || found.factor !== own.factor))
      visit.refuse('its inputs count entries on different axes');
    found = own;
  }
  if (found === null) return null;
  if (found.axis === along) visit.refuse('it joins entries');
  for (const input of visit.given()) {
    if (visit.entries(input) !== null) continue;
    const { axis } = found;
    const from = found.factor === 1 ? visit.oneEntry(input, axis) : null;
    if (from === null)
      visit.refuse(`the constant '${visit.node.inputs[input]}' has one value for each of the entries that there were`);
    visit.changes.push({ kind: 'expand', input, axis, from });
  }
  return found;
};

const split: BatchRule = (visit: Visit) => {
  visit.fixed(1);
  const own = required(visit, 0);
  if (visit.axis(visit.int('axis', 0), visit.rank(0)) === own.axis) visit.refuse('it divides the entries');
  return own;
};

const slice: BatchRule = (visit: Visit) => {
  visit.fixed(1, 2, 3, 4);
  const own = required(visit, 0);
  const rank = visit.rank(0);
  const isOld = visit.opset < 10;
  const starts = (isOld ? visit.ints('starts') : visit.value(1)) ?? [];
  const ends = (isOld ? visit.ints('ends') : visit.value(2)) ?? [];
  const axes = (isOld ? visit.ints('axes') : visit.has(3) ? visit.numbers(3) : undefined) ?? starts.map((_s, at) => at);
  const steps = isOld || !visit.has(4) ? null : visit.value(4);
  const at = axes.findIndex((axis) => visit.axis(axis, rank) === own.axis);
  if (at < 0) return own;
  const isWhole = starts[at] === 0 && Number(ends[at]) >= 2 ** 31 - 1 && (steps === null || steps[at] === 1);
  if (!isWhole) visit.refuse('it takes some of the entries');
  return own;
};

const pad: BatchRule = (visit: Visit) => {
  visit.fixed(1, 2, 3);
  const own = required(visit, 0);
  const rank = visit.rank(0);
  const pads = visit.opset < 11 ? (visit.ints('pads') ?? []) : visit.numbers(1);
  const axes = visit.has(3)
    ? visit.numbers(3).map((axis) => visit.axis(axis, rank))
    : pads.slice(0, rank).map((_p, at) => at);
  const at = axes.indexOf(own.axis);
  if (at >= 0 && (pads[at] !== 0 || pads[at + axes.length] !== 0)) visit.refuse('it adds entries');
  return own;
};

const gather: BatchRule = (visit: Visit) => {
  const [data, indices] = [visit.entries(0), visit.entries(1)];
  const axis = visit.axis(visit.int('axis', 0), visit.rank(0));
  if (data !== null && indices !== null) visit.refuse('it looks up what is another for each entry in each entry');
  if (indices !== null) return { ...indices, axis: indices.axis + axis };
  if (data === null) return null;
  if (data.axis === axis) visit.refuse('it picks entries');
  return data.axis < axis ? data : { ...data, axis: data.axis + visit.rank(1) - 1 };
};

const gatherElements: BatchRule = (visit: Visit) => {
  const [data, indices] = [visit.entries(0), visit.entries(1)];
  const axis = visit.axis(visit.int('axis', 0), visit.rank(0));
  if (data === null || indices === null || data.axis !== indices.axis || data.factor !== indices.factor)
    visit.refuse('its inputs count entries on different axes');
  if (data.axis === axis) visit.refuse('it picks entries');
  return data;
};

const gatherND: BatchRule = (visit: Visit) => {
  const [data, indices] = [visit.entries(0), visit.entries(1)];
  if (visit.int('batch_dims', 0) < 1 || data?.axis !== 0 || indices?.axis !== 0 || data.factor !== indices.factor)
    visit.refuse('it picks entries');
  return data;
};

/** Rules of operators that move values, by type. */
export const MOVEMENT_RULES: { readonly [opType: string]: BatchRule } = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
};
