import type { Requirement } from './algebra.js';
import type { Atom, Size } from './formula.js';

/** Numbers for symbols, and what formulas become with them. */
export class Evaluation {
  private readonly known = new Map<Atom, number | null>();

  constructor(private readonly symbols: ReadonlyMap<string, number>) {}

  /** The number of a size; null if a symbol of it has none, or if it is not an integer. */
  numberOf(size: Size): number | null {
    const value = this.valueOf(size);
    return value === null || !Number.isSafeInteger(value) ? null : value + 0;
  }

  /** Whether a requirement holds; null if a symbol of it has no number. */
  holds({ size, is, number }: Requirement): boolean | null {
    const value = this.valueOf(size);
    if (value === null) return null;
    if (is === 'whole') return value >= 1 && Number.isInteger(value);
    return value === number || (is === 'equal or 1' && value === 1);
  }

  private valueOf(size: Size): number | null {
    if (typeof size === 'number') return size;
    let sum = 0;
    for (const { factor, atoms } of size.terms) {
      let product = factor;
      for (const atom of atoms) {
        const value = this.atomOf(atom);
        if (value === null) return null;
        product *= value;
      }
      sum += product;
    }
    return sum / size.denominator;
  }

  private atomOf(atom: Atom): number | null {
    let value = this.known.get(atom);
    if (value === undefined) this.known.set(atom, (value = this.computed(atom)));
    return value;
  }

  private computed({ kind, name, operands }: Atom): number | null {
    if (operands === null) return this.symbols.get(name) ?? null;
    const [a, b] = [this.valueOf(operands[0]), this.valueOf(operands[1])];
    if (a === null || b === null) return null;
    if (kind === 'max') return Math.max(a, b);
    if (kind === 'min') return Math.min(a, b);
    return b === 0 ? null : kind === 'floor' ? Math.floor(a / b) : Math.trunc(a / b);
  }
}
