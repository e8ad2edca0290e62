import type { Dim, ValueType } from '../onnx/records.js';
import type { Algebra } from './algebra.js';
import { parseDim } from './formula-text.js';
import { Formula, type Size } from './formula.js';
import { isTensor, tensorInfo, type ContainerInfo, type Info, type Shape, type TensorInfo } from './info.js';

/** What files declare, and how it goes together with what is inferred. */

/** What exporters write for a dim that they do not know. */
const NOT_SYMBOLS = new Set(['', '?', 'None', '-1']);

/** Declared types with the symbols of one algebra; numbers for symbols, if some are given, stand in their place. */
export class Declarations {
  private readonly sizes = new Map<string, Size>();
  private readonly infos = new Map<ValueType, Info>();

  constructor(
    private readonly algebra: Algebra,
    private readonly numbers: ReadonlyMap<string, number> = new Map(),
  ) {}

  infoOf(type: ValueType): Info {
    const known = this.infos.get(type);
    if (known !== undefined) return known;
    const info = this.made(type);
    // Unknown dims are another unknown in each tensor.
    if (!hasUnknowns(info)) this.infos.set(type, info);
    return info;
  }

  private made(type: ValueType): Info {
    switch (type.kind) {
      case 'tensor':
      case 'sparse_tensor':
        return {
          ...tensorInfo(type.elemType, type.shape?.map((dim) => this.sizeOf(dim)) ?? null),
          kind: type.kind,
        };
      case 'sequence':
      case 'optional':
        return { kind: type.kind, element: type.element === null ? null : this.infoOf(type.element) };
      case 'map':
      case 'opaque':
        return { kind: type.kind, type };
    }
  }

  sizeOf(dim: Dim): Size {
    if (typeof dim === 'number') return dim < 0 ? this.algebra.unknown() : dim;
    if (dim === null || NOT_SYMBOLS.has(dim.trim())) return this.algebra.unknown();
    let size = this.sizes.get(dim);
    if (size === undefined)
      this.sizes.set(dim, (size = this.numbers.get(dim) ?? parseDim(dim, this.algebra, this.numbers)));
    return size;
  }
}

function hasUnknowns(info: Info | null): boolean {
  if (info === null) return false;
  if (!isTensor(info)) return 'element' in info && hasUnknowns(info.element);
  return info.shape?.some((dim) => dim instanceof Formula && !dim.isKnown) ?? false;
}

/** What a declaration and an inference say together. */
export interface Merged {
  readonly info: Info | null;
  /** Whether the declaration said more than was inferred. */
  readonly isFilled: boolean;
  /** Whether the two cannot both be true. */
  readonly contradicts: boolean;
}

/**
 * A number before a formula, a formula before a symbol of the file, a symbol before an unknown. Of a contradiction, and
 * of a number for a formula of the inputs, `preferInferred` says which is believed.
 */
export function merged(
  inferred: Info | null,
  declared: Info | null,
  preferInferred: boolean,
  algebra: Algebra,
): Merged {
  if (declared === null) return { info: inferred, isFilled: false, contradicts: false };
  if (inferred === null) return { info: declared, isFilled: true, contradicts: false };
  if (isTensor(inferred) && isTensor(declared)) return mergedTensors(inferred, declared, preferInferred, algebra);
  if (inferred.kind !== declared.kind)
    return { info: preferInferred ? inferred : declared, isFilled: !preferInferred, contradicts: true };
  if ('element' in inferred && 'element' in declared) {
    const element = merged(inferred.element, declared.element, preferInferred, algebra);
    const info: ContainerInfo = { ...inferred, element: element.info };
    return { ...element, info };
  }
  return { info: inferred, isFilled: false, contradicts: false };
}

function mergedTensors(inferred: TensorInfo, declared: TensorInfo, preferInferred: boolean, algebra: Algebra): Merged {
  if (inferred.elemType === declared.elemType && isSame(inferred.shape, declared.shape))
    return { info: inferred, isFilled: false, contradicts: false };
  const elemDiffers = inferred.elemType !== 0 && declared.elemType !== 0 && inferred.elemType !== declared.elemType;
  const elem = preferInferred ? inferred.elemType || declared.elemType : declared.elemType || inferred.elemType;
  const [own, other] = [inferred.shape, declared.shape];
  if (own === null || other === null) {
    const shape = own ?? other;
    const isFilled = (own === null && other !== null) || (inferred.elemType === 0 && declared.elemType !== 0);
    return { info: { ...inferred, elemType: elem, shape }, isFilled, contradicts: elemDiffers };
  }
  const shapeDiffers =
    own.length !== other.length ||
    own.some((dim, axis) => typeof dim === 'number' && typeof other[axis] === 'number' && dim !== other[axis]);
  if (shapeDiffers) {
    const info: TensorInfo = preferInferred ? { ...inferred, elemType: elem } : tensorInfo(elem, other);
    return { info, isFilled: !preferInferred, contradicts: true };
  }
  let isFilled = inferred.elemType === 0 && declared.elemType !== 0;
  let isFrozen = false;
  const shape: Shape = own.map((dim, axis) => {
    const said = other[axis];
    if (dim === said || !isBetter(said, dim)) return dim;
    if (typeof said === 'number') algebra.require(dim, 'equal', said, true);
    // A formula of the inputs is not one number for all of them.
    if (preferInferred && typeof said === 'number' && typeof dim !== 'number' && dim.isKnown) {
      isFrozen = true;
      return dim;
    }
    isFilled = true;
    return said;
  });
  return { info: { ...inferred, elemType: elem, shape }, isFilled, contradicts: elemDiffers || isFrozen };
}

function isBetter(said: Size, dim: Size): boolean {
  if (typeof dim === 'number') return false;
  if (typeof said === 'number') return true;
  return said.isKnown && !dim.isKnown;
}

/** Whether both are known and have the same dims: most declarations say what is inferred. */
function isSame(one: Shape | null, other: Shape | null): boolean {
  if (one === null || other === null || one.length !== other.length) return false;
  for (let axis = 0; axis < one.length; axis++) if (one[axis] !== other[axis]) return false;
  return true;
}
