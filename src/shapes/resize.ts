import type { Dim, ValueType } from '../onnx/records.js';
import { Algebra } from './algebra.js';
import { formulaText, parseDim, type Substitution } from './formula-text.js';
import { Formula } from './formula.js';

/** Declared types with numbers or other names for some symbols, wherever the symbols stand: in formulas too. */
export class Resizing {
  private readonly known = new Map<string, Dim>();

  constructor(private readonly sizes: Substitution) {}

  /** The type itself if nothing in it changes. */
  type(type: ValueType): ValueType {
    switch (type.kind) {
      case 'tensor':
      case 'sparse_tensor': {
        const shape = type.shape?.map((dim) => this.dim(dim)) ?? null;
        return shape === null || shape.every((dim, axis) => dim === type.shape?.[axis]) ? type : { ...type, shape };
      }
      case 'sequence':
      case 'optional': {
        const element = type.element === null ? null : this.type(type.element);
        return element === type.element ? type : { ...type, element };
      }
      case 'map':
      case 'opaque':
        return type;
    }
  }

  /** The dim itself if nothing in it changes; null if it cannot be written any more. */
  dim(dim: Dim): Dim {
    if (typeof dim !== 'string') return dim;
    let made = this.known.get(dim);
    if (made === undefined) this.known.set(dim, (made = this.made(dim)));
    return made;
  }

  private made(dim: string): Dim {
    const whole = this.sizes.get(dim.trim());
    if (whole !== undefined) return whole;
    if (!symbolsIn(dim).some((name) => this.sizes.has(name))) return dim;
    const size = parseDim(dim, new Algebra(), this.sizes);
    return typeof size === 'number' ? size : formulaText(size);
  }
}

/** The symbols of a `dim_param`: itself, or those of its formula. */
export function symbolsIn(dim: string): readonly string[] {
  const size = parseDim(dim, new Algebra());
  return size instanceof Formula ? [...new Set([...size.leaves].map(({ name }) => name))] : [];
}
