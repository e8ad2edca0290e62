import type { Algebra } from './algebra.js';
import type { Size } from './formula.js';
import { isTensor, tensorInfo, type ContainerInfo, type Info, type TensorInfo } from './info.js';

/** What is known of a value that is one thing or another. */

/** What holds for both: equal dims stay, others become unknowns made by `fresh`; null if nothing holds. */
export function joined(a: Info | null, b: Info | null, fresh: (a: Size, b: Size) => Size): Info | null {
  if (a === b) return a;
  if (a === null || b === null) return null;
  if (isTensor(a)) return isTensor(b) && a.kind === b.kind ? joinedTensors(a, b, fresh) : null;
  if (isTensor(b) || a.kind !== b.kind) return null;
  return 'element' in a && 'element' in b ? joinedContainers(a, b, fresh) : a;
}

function joinedTensors(a: TensorInfo, b: TensorInfo, fresh: (a: Size, b: Size) => Size): TensorInfo {
  const elem = a.elemType === b.elemType ? a.elemType : 0;
  const [one, other] = [a.shape, b.shape];
  if (one === null || other === null || one.length !== other.length) return { ...tensorInfo(elem, null), kind: a.kind };
  const dims = one.map((dim, axis) => (dim === other[axis] ? dim : fresh(dim, other[axis])));
  const value =
    a.value === undefined || b.value === undefined || a.value.length !== b.value.length
      ? null
      : a.value.map((scalar, at) => (scalar === b.value?.[at] ? scalar : null));
  return { ...tensorInfo(elem, dims, value), kind: a.kind };
}

function joinedContainers(a: ContainerInfo, b: ContainerInfo, fresh: (a: Size, b: Size) => Size): ContainerInfo {
  // An empty sequence says nothing of what will be in it.
  if (a.elements?.length === 0) return { kind: a.kind, element: b.element };
  if (b.elements?.length === 0) return { kind: a.kind, element: a.element };
  return { kind: a.kind, element: joined(a.element, b.element, fresh) };
}

/** `joined` with a new unknown for each dim that differs. */
export function joinedAnew(a: Info | null, b: Info | null, algebra: Algebra): Info | null {
  return joined(a, b, () => algebra.unknown());
}
