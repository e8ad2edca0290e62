import { Budget } from './budget.js';
import {
  addTerm,
  boundsOf,
  byDegree,
  Formula,
  fractionOf,
  gcd,
  isWhole,
  keyOfAtoms,
  mayBeNothing,
  mergedAtoms,
  partsOf,
  quotientBounds,
  withoutAtoms,
  type Atom,
  type AtomKind,
  type Bounds,
  type Size,
  type Term,
  type Terms,
} from './formula.js';

/** Heavier formulas become unknowns: nobody reads them, and they would grow without end. */
const MOST_WEIGHT = 4_000;
const MOST_TERMS = 200;

/** What must hold of a formula for the graph to be possible. */
export interface Requirement {
  readonly size: Formula;
  /** `whole`: a number from 1 on and no fraction. */
  readonly is: 'equal' | 'equal or 1' | 'whole';
  readonly number: number;
  /** Index of the node of the main graph that requires it. */
  readonly node: number;
  /** Whether it is only what the file declares of a tensor that the node makes. */
  readonly isDeclared: boolean;
}

/** Where formulas are interned: those of one algebra can be compared. */
export class Algebra {
  private readonly formulas = new Map<string, Formula>();
  private readonly atoms = new Map<string, Atom>();
  private readonly keys = new WeakMap<Formula, string>();
  private count = 0;
  private readonly required = new Map<string, Requirement>();
  /** What formulas take of the work that a graph may take. */
  readonly budget = new Budget();
  /** The node that is looked at; null while what it requires is of no consequence. */
  node: number | null = null;

  /** What the graph requires of formulas, each once, in the order of its nodes. */
  /** Grows with every new size and every new requirement. */
  get version(): number {
    return this.count + this.required.size;
  }

  get requirements(): readonly Requirement[] {
    return [...this.required.values()];
  }

  /** Notes what must hold of a size. */
  require(size: Size, is: Requirement['is'], number = 1, isDeclared = false): void {
    if (this.node === null || typeof size === 'number') return;
    const key = `${is} ${number} ${this.keyOf(size)}`;
    if (!this.required.has(key)) this.required.set(key, { size, is, number, node: this.node, isDeclared });
  }

  /** A size that a name stands for, from `low` on. */
  symbol(name: string, low = 1): Formula {
    return this.single(this.atom('symbol', name, null, [low, Infinity]));
  }

  /** A size that equals nothing but itself. */
  unknown(bounds: Bounds = [0, Infinity]): Formula {
    const name = `\0${this.count}`;
    return this.budget.isSpent ? this.bare(name, bounds) : this.single(this.atom('unknown', name, null, bounds));
  }

  /** An unknown that is not interned: nothing but itself leads to it. */
  private bare(name: string, bounds: Bounds): Formula {
    const leaves = new Set<Atom>();
    const atom: Atom = { id: this.count++, kind: 'unknown', name, operands: null, bounds, weight: 1, leaves };
    leaves.add(atom);
    return new Formula([{ factor: 1, atoms: [atom], key: String(atom.id) }], 1, 3);
  }

  /** A dim of an input that the file does not name: an unknown that a number can be put in for. */
  unnamed(name: string): Formula {
    return this.single(this.atom('unknown', name, null, [1, Infinity]));
  }

  add(a: Size, b: Size): Size {
    if (typeof a === 'number' && typeof b === 'number') return a + b;
    if (b === 0) return a;
    if (a === 0) return b;
    return this.combined(a, b, 1);
  }

  /** The sum of many, made at once. */
  sum(sizes: Iterable<Size>): Size {
    let number = 0;
    let formulas: Formula[] = [];
    for (const size of sizes) {
      if (typeof size === 'number') number += size;
      else formulas.push(size);
    }
    if (formulas.length < 3) return formulas.reduce<Size>((sum, size) => this.add(sum, size), number);
    const fractions = formulas.filter(({ denominator }) => denominator !== 1);
    formulas = formulas.filter(({ denominator }) => denominator === 1);
    const terms: Terms = new Map();
    for (const { terms: own } of formulas) for (const { factor, atoms } of own) addTerm(terms, atoms, factor);
    return fractions.reduce<Size>((sum, size) => this.add(sum, size), this.add(this.made(terms, 1), number));
  }

  subtract(a: Size, b: Size): Size {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (a === b) return 0;
    return b === 0 ? a : this.combined(a, b, -1);
  }

  multiply(a: Size, b: Size): Size {
    if (typeof a === 'number' && typeof b === 'number') return a * b;
    if (a === 1) return b;
    if (b === 1) return a;
    if (a === 0 || b === 0) return 0;
    const [left, right] = [partsOf(a), partsOf(b)];
    if (left === null || right === null || left.terms.length * right.terms.length > MOST_TERMS) return this.unknown();
    const terms: Terms = new Map();
    for (const one of left.terms)
      for (const other of right.terms) addTerm(terms, mergedAtoms(one.atoms, other.atoms), one.factor * other.factor);
    return this.made(terms, left.denominator * right.denominator);
  }

  product(sizes: Iterable<Size>): Size {
    let product: Size = 1;
    for (const size of sizes) product = this.multiply(product, size);
    return product;
  }

  /** The exact quotient, a fraction if it must be; null if it has no such form. */
  quotient(a: Size, b: Size): Size | null {
    if (b === 0) return null;
    if (b === 1) return a;
    if (a === b) return 1;
    if (typeof b === 'number') {
      if (typeof a === 'number') return a / b;
      const fraction = fractionOf(b);
      if (fraction === null || !Number.isSafeInteger(a.denominator * fraction[0])) return null;
      const terms: Terms = new Map();
      for (const { factor, atoms } of a.terms) addTerm(terms, atoms, factor * fraction[1]);
      return this.made(terms, a.denominator * fraction[0]);
    }
    return this.divided(a, b);
  }

  /** The quotient rounded down. */
  floorDivide(a: Size, b: Size): Size {
    if (b === 0) return this.unknown([-Infinity, Infinity]);
    if (typeof b === 'number') {
      if (typeof a === 'number') return Math.floor(a / b);
      return b < 0 ? this.floorDivide(this.multiply(a, -1), -b) : this.floored(a, b);
    }
    if (a === 0) return 0;
    const exact = this.divided(a, b);
    if (exact !== null) return this.floor(exact);
    return this.single(this.atom('floor', '', [a, b], quotientBounds(a, b, Math.floor)));
  }

  /** The quotient rounded up. */
  ceilDivide(a: Size, b: Size): Size {
    if (typeof a === 'number' && typeof b === 'number') return Math.ceil(a / b);
    const last = isWhole(a) && isWhole(b) ? this.subtract(b, 1) : null;
    if (last === null) return this.multiply(this.floorDivide(this.multiply(a, -1), b), -1);
    return this.floorDivide(this.add(a, last), b);
  }

  /** The quotient rounded towards zero, as integers are divided. */
  truncDivide(a: Size, b: Size): Size {
    if (typeof a === 'number' && typeof b === 'number' && b !== 0) return Math.trunc(a / b);
    const [low, high] = boundsOf(b);
    if (low > 0 || high < 0) {
      const [least, most] = boundsOf(a);
      if (low > 0 ? least >= 0 : most <= 0) return this.floorDivide(a, b);
      if (low > 0 ? most <= 0 : least >= 0) return this.ceilDivide(a, b);
    }
    const exact = this.quotient(a, b);
    if (exact !== null && isWhole(exact)) return exact;
    if (b === 0) return this.unknown([-Infinity, Infinity]);
    return this.single(this.atom('trunc', '', [a, b], quotientBounds(a, b, Math.trunc)));
  }

  floor(a: Size): Size {
    return typeof a === 'number' ? Math.floor(a) : isWhole(a) ? a : this.floored(a, 1);
  }

  ceil(a: Size): Size {
    if (typeof a === 'number') return Math.ceil(a);
    return isWhole(a) ? a : this.ceilDivide(this.multiply(a, a.denominator), a.denominator);
  }

  max(a: Size, b: Size): Size {
    return this.chosen('max', a, b);
  }

  min(a: Size, b: Size): Size {
    return this.chosen('min', a, b);
  }

  /** What two dims that are equal, or of which one is 1, are stretched to: the larger, or 0 if one is 0. */
  stretch(a: Size, b: Size): Size {
    const most = this.max(a, b);
    if (!mayBeNothing(a) && !mayBeNothing(b)) return most;
    return this.multiply(most, this.min(this.min(a, b), 1));
  }

  clamp(a: Size, low: Size, high: Size): Size {
    return this.min(this.max(a, low), high);
  }

  private chosen(kind: 'max' | 'min', a: Size, b: Size): Size {
    if (typeof a === 'number' && typeof b === 'number') return Math[kind](a, b);
    if (a === b) return a;
    const [low, high] = boundsOf(this.subtract(a, b));
    if (low >= 0) return kind === 'max' ? a : b;
    if (high <= 0) return kind === 'max' ? b : a;
    const [one, other] = [boundsOf(a), boundsOf(b)];
    const bounds: Bounds = [Math[kind](one[0], other[0]), Math[kind](one[1], other[1])];
    const ordered: readonly [Size, Size] = this.keyOf(a) < this.keyOf(b) ? [a, b] : [b, a];
    return this.single(this.atom(kind, '', ordered, bounds));
  }

  /**
   * floor(a / b) in its one form: multiples of the divisor outside, common factors cancelled, a quotient within a
   * quotient made one, and the first
   * factor positive: floor(-x / b) is -floor((x + b - 1) / b).
   */
  private floored(a: Formula, b: number): Size {
    const fraction = fractionOf(b);
    if (fraction === null) return this.unknown(quotientBounds(a, b, Math.floor));
    const divisor = a.denominator * fraction[0];
    const { outside, inside, constant } = splitBy(a, fraction[1], divisor);
    const whole = this.made(outside, 1);
    const [first] = inside.values();
    if (first === undefined) return whole;
    if (first.factor < 0) {
      for (const term of inside.values()) term.factor = -term.factor;
      const opposite = this.add(this.made(inside, 1), divisor - 1 - constant);
      return this.subtract(whole, this.floorDivide(opposite, divisor));
    }
    let common = divisor;
    for (const { factor } of inside.values()) common = gcd(common, factor);
    for (const term of inside.values()) term.factor /= common;
    const least = Math.floor(constant / common);
    return this.add(whole, this.flooredRest(inside, least, divisor / common));
  }

  private flooredRest(inside: Terms, least: number, divisor: number): Size {
    const rest = this.add(this.made(inside, 1), least);
    if (divisor === 1 || typeof rest === 'number') return this.floor(rest);
    const nested = [...inside.values()].filter(
      ({ factor, atoms: [atom, second] }) =>
        factor === 1 && second === undefined && atom.kind === 'floor' && typeof atom.operands?.[1] === 'number',
    );
    if (nested.length === 1) {
      const [numerator, denominator] = nested[0].atoms[0].operands ?? [0, 1];
      inside.delete(keyOfAtoms(nested[0].atoms));
      const others = this.add(this.made(inside, 1), least);
      const joined = this.add(numerator, this.multiply(others, denominator));
      return this.floorDivide(joined, this.multiply(denominator, divisor));
    }
    const bounds = quotientBounds(rest, divisor, Math.floor);
    if (bounds[0] === bounds[1]) return bounds[0];
    return this.single(this.atom('floor', '', [rest, divisor], bounds));
  }

  /** Division of polynomials without a rest; null if there is one. */
  private divided(a: Size, b: Formula): Size | null {
    if (typeof a === 'number') return a === 0 ? 0 : null;
    const [leading] = b.terms;
    let rest: Size = a;
    let quotient: Size = 0;
    for (let step = 0; step < 64; step++) {
      if (rest === 0) return quotient;
      if (typeof rest === 'number') return null;
      const [first] = rest.terms;
      const atoms = withoutAtoms(first.atoms, leading.atoms);
      if (atoms === null) return null;
      const factor = first.factor * b.denominator;
      const part = this.made(new Map([[keyOfAtoms(atoms), { factor, atoms }]]), rest.denominator * leading.factor);
      quotient = this.add(quotient, part);
      rest = this.subtract(rest, this.multiply(part, b));
    }
    return null;
  }

  private combined(a: Size, b: Size, sign: 1 | -1): Size {
    const [left, right] = [partsOf(a), partsOf(b)];
    if (left === null || right === null) return this.unknown([-Infinity, Infinity]);
    const common = gcd(left.denominator, right.denominator);
    const terms: Terms = new Map();
    for (const { factor, atoms } of left.terms) addTerm(terms, atoms, factor * (right.denominator / common));
    for (const { factor, atoms } of right.terms) addTerm(terms, atoms, sign * factor * (left.denominator / common));
    return this.made(terms, (left.denominator / common) * right.denominator);
  }

  private single(atom: Atom): Formula {
    return this.made(new Map([[String(atom.id), { factor: 1, atoms: [atom] }]]), 1) as Formula;
  }

  /** The formula of these terms, in lowest terms and interned. */
  private made(drafts: Terms, denominator: number): Size {
    let common = Math.abs(denominator);
    let isSafe = Number.isSafeInteger(denominator);
    let weight = 0;
    const terms: Term[] = [];
    for (const [key, { factor, atoms }] of drafts) {
      if (factor === 0) continue;
      isSafe &&= Number.isSafeInteger(factor);
      common = gcd(common, factor);
      for (const atom of atoms) weight += atom.weight;
      weight += 2;
      terms.push({ factor, atoms, key });
    }
    this.budget.spend(1 + drafts.size + Math.min(weight, MOST_WEIGHT));
    if (!isSafe || weight > MOST_WEIGHT || terms.length > MOST_TERMS) return this.unknown([-Infinity, Infinity]);
    const divisor = denominator < 0 ? -common : common;
    const lowest = denominator / divisor;
    if (terms.length === 0) return 0;
    if (terms.length === 1 && terms[0].atoms.length === 0) return terms[0].factor / divisor / lowest;
    terms.sort(byDegree);
    const reduced = divisor === 1 ? terms : terms.map((term) => ({ ...term, factor: term.factor / divisor }));
    const key = `${lowest}|${reduced.map((term) => `${term.factor}*${term.key}`).join('+')}`;
    const before = this.formulas.get(key);
    if (before !== undefined) return before;
    if (this.budget.isSpent) return this.unknown([-Infinity, Infinity]);
    const formula = new Formula(reduced, lowest, weight);
    this.formulas.set(key, formula);
    this.keys.set(formula, key);
    return formula;
  }

  private keyOf(size: Size): string {
    return typeof size === 'number' ? String(size) : (this.keys.get(size) ?? '');
  }

  private atom(kind: AtomKind, name: string, operands: readonly [Size, Size] | null, bounds: Bounds): Atom {
    const key = operands === null ? `${kind} ${name}` : `${kind} ${this.keyOf(operands[0])} ${this.keyOf(operands[1])}`;
    const before = this.atoms.get(key);
    if (before !== undefined) return before;
    let weight = 1;
    const leaves = new Set<Atom>();
    for (const operand of operands ?? []) {
      if (typeof operand === 'number') continue;
      weight += operand.weight;
      for (const leaf of operand.leaves) leaves.add(leaf);
    }
    const atom: Atom = { id: this.count++, kind, name, operands, bounds, weight, leaves };
    if (operands === null) leaves.add(atom);
    this.atoms.set(key, atom);
    return atom;
  }
}

/**
 * The terms of `formula * scale` over a divisor: whole multiples outside, what is left over inside, each as small as
 * can be; the constant from 0 on.
 */
function splitBy(
  { terms }: Formula,
  scale: number,
  divisor: number,
): { readonly outside: Terms; readonly inside: Terms; readonly constant: number } {
  const outside: Terms = new Map();
  const inside: Terms = new Map();
  let constant = 0;
  for (const { factor, atoms } of terms) {
    const scaled = factor * scale;
    const isConstant = atoms.length === 0;
    const whole = isConstant ? Math.floor(scaled / divisor) : Math.ceil(scaled / divisor - 0.5);
    if (whole !== 0) addTerm(outside, atoms, whole);
    const rest = scaled - whole * divisor;
    if (isConstant) constant = rest;
    else if (rest !== 0) addTerm(inside, atoms, rest);
  }
  return { outside, inside, constant };
}
