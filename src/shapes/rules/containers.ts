import { DataType } from '../../onnx/schema.js';
import type { Algebra } from '../algebra.js';
import { RuleFault, type Call, type Rule } from '../call.js';
import type { Size } from '../formula.js';
import { filled, isTensor, tensorInfo, type ContainerInfo, type Info, type Shape } from '../info.js';
import { joinedAnew } from '../join.js';
import { sameSize } from '../sizes.js';

/** Sequences and optionals. */

/** Sequences of more elements are known by what their elements share. */
const MOST_ELEMENTS = 64;

function sequenceOf(call: Call, elements: readonly Info[]): ContainerInfo {
  let element: Info | null = elements[0] ?? null;
  for (const other of elements.slice(1)) element = joinedAnew(element, other, call.algebra);
  return elements.length > MOST_ELEMENTS ? { kind: 'sequence', element } : { kind: 'sequence', element, elements };
}

function sequence(call: Call, index = 0): ContainerInfo | null {
  const info = call.info(index);
  return info?.kind === 'sequence' ? info : null;
}

const construct: Rule = (call) => {
  const elements = call.inputs.filter((info) => info !== null);
  if (elements.length !== call.node.inputs.length) return [{ kind: 'sequence', element: null }];
  return [sequenceOf(call, elements)];
};

const empty: Rule = (call) => [
  { kind: 'sequence', element: tensorInfo(call.int('dtype', DataType.float), null), elements: [] },
];

const insert: Rule = (call) => {
  const before = sequence(call);
  const added = call.info(1);
  if (before === null || added === null) return [{ kind: 'sequence', element: null }];
  if (before.elements !== undefined && !call.has(2)) return [sequenceOf(call, [...before.elements, added])];
  if (before.elements?.length === 0) return [sequenceOf(call, [added])];
  return [{ kind: 'sequence', element: joinedAnew(before.element, added, call.algebra) }];
};

const erase: Rule = (call) => [{ kind: 'sequence', element: sequence(call)?.element ?? null }];

const at: Rule = (call) => {
  const from = sequence(call);
  const position = call.value(1)?.[0];
  if (from?.elements !== undefined && typeof position === 'number') return [from.elements.at(position) ?? from.element];
  return [from?.element ?? null];
};

const length: Rule = (call) => {
  const count = sequence(call)?.elements?.length;
  return [tensorInfo(DataType.int64, [], count === undefined ? null : [count])];
};

const splitToSequence: Rule = (call) => {
  const shape = call.shape(0);
  const elem = call.elem(0);
  if (shape === null) return [{ kind: 'sequence', element: tensorInfo(elem, null) }];
  const axis = call.axis(call.int('axis', 0), shape.length);
  // ONNX Runtime looks at keepdims with a scalar too, though the specification says that it does not count then.
  const isList = call.has(1) && call.rank(1) !== 0;
  const keeps = isList || call.int('keepdims', 1) !== 0;
  if (isList && call.rank(1) === null && call.int('keepdims', 1) === 0)
    return [{ kind: 'sequence', element: tensorInfo(elem, null) }];
  const sizes = call.has(1) ? partSizes(call, shape[axis]) : typeof shape[axis] === 'number' ? ones(shape[axis]) : null;
  const element = (size: Size): Info =>
    tensorInfo(
      elem,
      keeps ? shape.map((dim, on) => (on === axis ? size : dim)) : shape.filter((_dim, on) => on !== axis),
    );
  if (sizes === null || sizes.length > MOST_ELEMENTS)
    return [{ kind: 'sequence', element: element(call.has(1) ? call.unknown() : 1) }];
  return [sequenceOf(call, sizes.map(element))];
};

function ones(count: number): readonly Size[] {
  return filled<Size>(Math.min(count, MOST_ELEMENTS + 1), 1);
}

/** A scalar is the size of each part, the last one possibly smaller; a list is the sizes. */
function partSizes(call: Call, dim: Size): readonly Size[] | null {
  const split = call.value(1);
  if (split === null || split.some((size) => size === null)) return null;
  if (call.rank(1) !== 0) return split.map((size) => size ?? 0);
  const [size] = split;
  if (typeof size !== 'number' || typeof dim !== 'number') return null;
  if (size < 1) throw new RuleFault('parts of no size');
  const count = Math.ceil(dim / size);
  if (count > MOST_ELEMENTS) return null;
  return Array.from({ length: count }, (_empty, index) => Math.min(size, dim - index * size));
}

const concatFromSequence: Rule = (call) => {
  const from = sequence(call);
  const first = from?.element;
  if (from === null || !isTensor(first) || first.shape === null)
    return [tensorInfo(isTensor(first) ? first.elemType : 0, null)];
  const isNew = call.int('new_axis', 0) === 1;
  const rank = first.shape.length + (isNew ? 1 : 0);
  const axis = call.axis(call.int('axis', 0), rank);
  const parts = from.elements?.map((element) => (isTensor(element) ? element.shape : null));
  const isKnown = parts !== undefined && parts.every((part): part is Shape => part?.length === first.shape?.length);
  if (isNew) {
    const dims = isKnown ? unified(parts, call.algebra) : first.shape;
    return [tensorInfo(first.elemType, [...dims.slice(0, axis), parts?.length ?? call.unknown(), ...dims.slice(axis)])];
  }
  const along = isKnown ? call.algebra.sum(parts.map((part) => part[axis])) : call.unknown();
  const dims = isKnown
    ? unified(
        parts.map((part) => part.map((dim, on) => (on === axis ? 0 : dim))),
        call.algebra,
      )
    : first.shape;
  return [
    tensorInfo(
      first.elemType,
      dims.map((dim, on) => (on === axis ? along : dim)),
    ),
  ];
};

function unified(parts: readonly Shape[], algebra: Algebra): Shape {
  return parts.reduce((dims, part) => dims.map((dim, axis) => sameSize(dim, part[axis], algebra)));
}

const optional: Rule = (call) => [{ kind: 'optional', element: call.has(0) ? call.info(0) : null }];

const optionalGet: Rule = (call) => {
  const info = call.info(0);
  return [info?.kind === 'optional' ? info.element : info];
};

const optionalHas: Rule = () => [tensorInfo(DataType.bool, [])];

/** A body for each element; elements of the results share what the body says. */
const sequenceMap: Rule = (call) => {
  const body = call.attribute('body')?.graphs[0];
  if (body === undefined) throw new RuleFault('no body');
  const inputs = call.inputs.map((info) => (info?.kind === 'sequence' ? info.element : info));
  return call.runBody(body, inputs).outputs.map((element) => ({ kind: 'sequence', element }));
};

/** Rules of sequences and optionals. */
export const CONTAINERS: { readonly [opType: string]: Rule } = {
  SequenceConstruct: construct,
  SequenceEmpty: empty,
  SequenceInsert: insert,
  SequenceErase: erase,
  SequenceAt: at,
  SequenceLength: length,
  SequenceMap: sequenceMap,
  SplitToSequence: splitToSequence,
  ConcatFromSequence: concatFromSequence,
  Optional: optional,
  OptionalGetElement: optionalGet,
  OptionalHasElement: optionalHas,
};
