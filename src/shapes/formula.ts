/**
 * Sizes as numbers, or as formulas: polynomials with rational coefficients over interned atoms. Equal formulas are the
 * same object, so that equality
 * is `===`. An atom is an integer: a symbol, an unknown, or a rounded quotient, maximum or minimum of other formulas.
 */

/** A number, or a formula over symbols. */
export type Size = number | Formula;

/** What an atom is. */
export type AtomKind = 'symbol' | 'unknown' | 'floor' | 'trunc' | 'max' | 'min';

/** An integer that a formula is made of. */
export interface Atom {
  readonly id: number;
  readonly kind: AtomKind;
  /** Of a symbol. */
  readonly name: string;
  /** What is divided or compared; nothing for symbols and unknowns. */
  readonly operands: readonly [Size, Size] | null;
  readonly bounds: Bounds;
  readonly weight: number;
  /** The symbols and unknowns that it is made of. */
  readonly leaves: ReadonlySet<Atom>;
}

/** A closed interval, its ends possibly infinite. */
export type Bounds = readonly [low: number, high: number];

/** A product with a factor. */
export interface Term {
  readonly factor: number;
  /** Sorted by id; a power is a repetition. Empty in the constant term. */
  readonly atoms: readonly Atom[];
  readonly key: string;
}

/** Floats with a longer binary fraction are no rationals of this algebra. */
const FINEST_FRACTION = 2 ** 12;

/** The sum of `terms`, divided by `denominator`. Made by `Algebra` alone. */
export class Formula {
  private knownLeaves: ReadonlySet<Atom> | null = null;
  private knownBounds: Bounds | null = null;

  constructor(
    /** Of the highest degree first, the constant last. */
    readonly terms: readonly Term[],
    readonly denominator: number,
    readonly weight: number,
  ) {}

  get leaves(): ReadonlySet<Atom> {
    if (this.knownLeaves !== null) return this.knownLeaves;
    const leaves = new Set<Atom>();
    for (const { atoms } of this.terms) for (const atom of atoms) for (const leaf of atom.leaves) leaves.add(leaf);
    return (this.knownLeaves = leaves);
  }

  get isKnown(): boolean {
    for (const leaf of this.leaves) if (leaf.kind === 'unknown') return false;
    return true;
  }

  /** What the formula lies between, whatever its symbols are. */
  get bounds(): Bounds {
    return (this.knownBounds ??= computedBounds(this));
  }
}

/** Whether a formula is one symbol, or one dim without a name. */
export function isPlainSymbol({ terms, leaves, denominator }: Formula): boolean {
  const [{ factor, atoms }] = terms;
  return terms.length === 1 && leaves.size === 1 && factor === 1 && denominator === 1 && isOne(atoms, leaves);
}

function isOne(atoms: readonly Atom[], leaves: ReadonlySet<Atom>): boolean {
  return atoms.length === 1 && leaves.has(atoms[0]);
}

/** Whether a size is an integer whatever its symbols are. */
export function isWhole(size: Size): boolean {
  return typeof size === 'number' ? Number.isInteger(size) : size.denominator === 1;
}

/** Whether calculating with a number is exact here: an integer, or a short binary fraction. */
export function isExact(size: Size): boolean {
  return typeof size !== 'number' || fractionOf(size) !== null;
}

/** What a size lies between. */
export function boundsOf(size: Size): Bounds {
  return typeof size === 'number' ? [size, size] : size.bounds;
}

/**
 * Whether a dim may be 0 as far as is known: what is cut out of another one. A rounded quotient is 0 only if a window
 * does not fit, and then a run gives 1 or fails.
 */
export function mayBeNothing(size: Size): boolean {
  if (typeof size === 'number') return size === 0;
  return (
    size.bounds[0] < 1 && size.terms.some(({ atoms }) => atoms.some(({ kind }) => kind === 'max' || kind === 'min'))
  );
}

function computedBounds(size: Formula): Bounds {
  const plain = sumBounds(size.terms, size.denominator);
  let [low, high] = plain;
  // floor(P / d) is (P - r) / d with a rest r in [0, d - 1]: what P cancels elsewhere in the sum is then certain.
  for (const { factor, atoms } of size.terms) {
    const [atom] = atoms;
    if (atoms.length !== 1 || atom.kind !== 'floor' || atom.operands === null) continue;
    const [numerator, divisor] = atom.operands;
    if (typeof divisor !== 'number' || typeof numerator === 'number') continue;
    const terms: Terms = new Map();
    for (const term of size.terms) if (term.atoms !== atoms) addTerm(terms, term.atoms, term.factor * divisor);
    for (const term of numerator.terms) addTerm(terms, term.atoms, term.factor * factor);
    const rest = [-factor * (divisor - 1), 0].sort((a, b) => a - b);
    const [least, most] = sumBounds(terms.values(), 1);
    const whole = divisor * size.denominator;
    low = Math.max(low, (least + rest[0]) / whole);
    high = Math.min(high, (most + rest[1]) / whole);
  }
  return size.denominator === 1 ? [Math.ceil(low), Math.floor(high)] : [low, high];
}

function sumBounds(terms: Iterable<Pick<Term, 'factor' | 'atoms'>>, denominator: number): Bounds {
  let low = 0;
  let high = 0;
  for (const { factor, atoms } of terms) {
    let bounds: Bounds = [factor, factor];
    for (const atom of atoms) bounds = productBounds(bounds, atom.bounds);
    low += bounds[0];
    high += bounds[1];
  }
  return [low / denominator, high / denominator];
}

function productBounds(a: Bounds, b: Bounds): Bounds {
  const corners = a.flatMap((one) => b.map((other) => (one === 0 || other === 0 ? 0 : one * other)));
  return [Math.min(...corners), Math.max(...corners)];
}

/** What a rounded quotient lies between. */
export function quotientBounds(a: Size, b: Size, round: (value: number) => number): Bounds {
  const [[low, high], [least, most]] = [boundsOf(a), boundsOf(b)];
  if (least <= 0 && most >= 0) return [-Infinity, Infinity];
  const corners = [low, high].flatMap((one) =>
    [least, most].map((other) => (Number.isFinite(other) ? one / other : Number.isFinite(one) ? 0 : NaN)),
  );
  if (corners.some(Number.isNaN)) return low >= 0 && least > 0 ? [0, Infinity] : [-Infinity, Infinity];
  return [round(Math.min(...corners)), round(Math.max(...corners))];
}

/** A term that is being added to. */
export interface Draft {
  factor: number;
  readonly atoms: readonly Atom[];
}

/** A sum that is being made, by the keys of its products. */
export type Terms = Map<string, Draft>;

const ONE: Draft = { factor: 1, atoms: [] };

/** A size as a sum over a denominator; null for a number that is no short fraction. */
export function partsOf(size: Size): { readonly terms: readonly Draft[]; readonly denominator: number } | null {
  if (typeof size !== 'number') return size;
  const fraction = fractionOf(size);
  return fraction === null ? null : { terms: [{ ...ONE, factor: fraction[0] }], denominator: fraction[1] };
}

/** Adds a term to a sum. */
export function addTerm(terms: Terms, atoms: readonly Atom[], factor: number): void {
  const key = keyOfAtoms(atoms);
  const before = terms.get(key);
  if (before === undefined) terms.set(key, { factor, atoms });
  else before.factor += factor;
}

/** What a product of atoms is found by. */
export function keyOfAtoms(atoms: readonly Atom[]): string {
  return atoms.length === 1 ? String(atoms[0].id) : atoms.map(({ id }) => id).join('.');
}

/** The atoms of a product. */
export function mergedAtoms(a: readonly Atom[], b: readonly Atom[]): readonly Atom[] {
  if (a.length === 0) return b;
  return b.length === 0 ? a : [...a, ...b].sort((one, other) => one.id - other.id);
}

/** The atoms of a quotient; null if it leaves a rest. */
export function withoutAtoms(atoms: readonly Atom[], divisor: readonly Atom[]): readonly Atom[] | null {
  const rest = [...atoms];
  for (const atom of divisor) {
    const at = rest.indexOf(atom);
    if (at < 0) return null;
    rest.splice(at, 1);
  }
  return rest;
}

/** The order of terms in a formula: higher degrees first, then by what came up first. */
export function byDegree({ atoms: a }: Term, { atoms: b }: Term): number {
  if (a.length !== b.length) return b.length - a.length;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return a[at].id - b[at].id;
  return 0;
}

/** The greatest common divisor, not negative. */
export function gcd(a: number, b: number): number {
  let [one, other] = [Math.abs(a), Math.abs(b)];
  while (other !== 0) [one, other] = [other, one % other];
  return one;
}

/** Whether a float that is calculated holds a size exactly: an integer, or over a power of two. */
export function isBinary(size: Size): boolean {
  return typeof size === 'number' || Number.isInteger(Math.log2(size.denominator));
}

/** Numerator and denominator of a number; null if it is neither an integer nor a short binary fraction. */
export function fractionOf(value: number): readonly [number, number] | null {
  for (let denominator = 1; denominator <= FINEST_FRACTION; denominator *= 2)
    if (Number.isSafeInteger(value * denominator)) return [value * denominator, denominator];
  return null;
}
