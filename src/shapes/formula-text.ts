import type { Algebra } from './algebra.js';
import { Formula, isPlainSymbol, isWhole, type Atom, type Size } from './formula.js';

/** Formulas as people write them: `ceil(H/32)`, `floor(H/4)*floor(W/4) + 1`. What is printed can be parsed. */

/** Longer formulas are not shown. */
const LONGEST_FORMULA = 60;
/** Longer names are no formulas. */
const LONGEST_PARSED = 256;

/** A size for readers; null if it holds an unknown or would be longer than `longest`. */
export function formulaText(size: Size, longest = LONGEST_FORMULA): string | null {
  if (typeof size === 'number') return String(size);
  if (!size.isKnown || size.weight > longest * 2) return null;
  // Other names would be read back as numbers or as other formulas; alone they stand for themselves.
  if (!isPlainSymbol(size) && [...size.leaves].some(({ name }) => !NAME.test(name))) return null;
  const text = sumText(size);
  return text.length > longest ? null : text;
}

function sumText({ terms, denominator }: Formula): string {
  // What is added stands before what is taken away.
  const shown = [...terms.filter(({ factor }) => factor > 0), ...terms.filter(({ factor }) => factor < 0)];
  const texts = shown.map(({ factor, atoms }, index) => {
    const size = Math.abs(factor);
    const factors = powers(atoms);
    const text = factors === '' ? String(size) : size === 1 ? factors : `${size}*${factors}`;
    const sign = factor < 0 ? '-' : '+';
    return index === 0 ? (factor < 0 ? `-${text}` : text) : ` ${sign} ${text}`;
  });
  const sum = texts.join('');
  if (denominator === 1) return sum;
  return terms.length === 1 ? `${sum}/${denominator}` : `(${sum})/${denominator}`;
}

function powers(atoms: readonly Atom[]): string {
  return atoms.map(atomText).join('*');
}

function atomText({ kind, name, operands }: Atom): string {
  if (operands === null) return name;
  const [a, b] = operands;
  if (kind === 'max' || kind === 'min') return `${kind}(${sizeText(a)}, ${sizeText(b)})`;
  // floor((P + d - 1) / d) is ceil(P / d).
  if (kind === 'floor' && typeof b === 'number' && typeof a !== 'number') {
    const last = a.terms[a.terms.length - 1];
    if (last.atoms.length === 0 && last.factor === b - 1) {
      const rest = new Formula(a.terms.slice(0, -1), 1, a.weight);
      return `ceil(${operandText(rest)}/${b})`;
    }
  }
  return `${kind}(${operandText(a)}/${operandText(b, true)})`;
}

function sizeText(size: Size): string {
  return typeof size === 'number' ? String(size) : sumText(size);
}

function operandText(size: Size, isDivisor = false): string {
  const text = sizeText(size);
  if (typeof size === 'number') return text;
  const isSingle = size.terms.length === 1 && size.denominator === 1 && (!isDivisor || !text.includes('*'));
  return isSingle ? text : `(${text})`;
}

/** Numbers, or other names, for symbols. */
export type Substitution = ReadonlyMap<string, number | string>;

/**
 * The size that a `dim_param` stands for: numbers, symbols, `+ - * / // %`, parentheses, `floor`, `ceil`, `trunc`,
 * `max`, `min`. A sign within a name
 * belongs to the name unless spaces or numbers are around it. What is no formula is one symbol, whatever it says.
 */
export function parseDim(text: string, algebra: Algebra, numbers: Substitution = new Map()): Size {
  const name = text.trim();
  if (name.length <= LONGEST_PARSED && /[-+*/%()]/.test(name)) {
    const tokens = tokensOf(name);
    const size = tokens === null ? null : new Parser(tokens, algebra, numbers).whole();
    const whole = size === null || isWhole(size) ? size : algebra.floor(size);
    if (whole !== null && isPossible(whole, numbers.size > 0 ? 0 : 1)) return whole;
  }
  return symbolOf(name, algebra);
}

/** Whether a formula of a file can be a size: none that is always below `least`, without bounds, or not exact. */
function isPossible(size: Size, least: number): boolean {
  if (typeof size === 'number') return Number.isSafeInteger(size) && size >= least;
  return size.isKnown && size.bounds[1] >= least;
}

/** Sizes are 1 or more, except what a decoder has in its cache. */
function symbolOf(name: string, algebra: Algebra): Formula {
  return algebra.symbol(name, /past|cache|kv/i.test(name) ? 0 : 1);
}

/** A symbol that can be read within a formula. */
const NAME = /^[A-Za-z_](?:[\w.:#]|-(?=[A-Za-z_]))*$/;

const TOKEN = /\s*(\/\/|[-+*/%(),]|\d+(?:\.\d+)?(?![A-Za-z_])|[A-Za-z_](?:[\w.:#]|-(?=[A-Za-z_]))*)/y;

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match === null) return null;
    tokens.push(match[1]);
  }
  return tokens;
}

/** Depth of parentheses. */
const DEEPEST = 32;

class Parser {
  private at = 0;
  private depth = 0;
  /** How the quotients of the call around are rounded. */
  private rounding = 'floor';

  constructor(
    private readonly tokens: readonly string[],
    private readonly algebra: Algebra,
    private readonly numbers: Substitution,
  ) {}

  whole(): Size | null {
    const size = this.sum();
    return this.at === this.tokens.length ? size : null;
  }

  private take(...wanted: readonly string[]): string | null {
    const token = this.tokens[this.at];
    if (token === undefined || !wanted.includes(token)) return null;
    this.at++;
    return token;
  }

  private sum(): Size | null {
    let left = this.term();
    for (let sign = this.take('+', '-'); sign !== null; sign = this.take('+', '-')) {
      const right = this.term();
      if (left === null || right === null) return null;
      left = sign === '+' ? this.algebra.add(left, right) : this.algebra.subtract(left, right);
    }
    return left;
  }

  private term(): Size | null {
    let left = this.factor();
    for (let sign = this.take('*', '/', '//', '%'); sign !== null; sign = this.take('*', '/', '//', '%')) {
      const right = this.factor();
      if (left === null || right === null) return null;
      if (sign === '*') left = this.algebra.multiply(left, right);
      else if (sign === '/') left = this.algebra.quotient(left, right) ?? this.rounded(left, right);
      else {
        const quotient = this.algebra.floorDivide(left, right);
        left = sign === '//' ? quotient : this.algebra.subtract(left, this.algebra.multiply(quotient, right));
      }
    }
    return left;
  }

  private factor(): Size | null {
    if (this.take('-') !== null) {
      const size = this.factor();
      return size === null ? null : this.algebra.multiply(size, -1);
    }
    const token = this.tokens[this.at++];
    if (token === undefined) return null;
    if (token === '(') return this.closed((inner) => inner[0], 1);
    if (/^\d/.test(token)) return Number(token);
    if (!/^[A-Za-z_]/.test(token)) return null;
    if (this.take('(') === null) {
      const given = this.numbers.get(token);
      return typeof given === 'number' ? given : symbolOf(given ?? token, this.algebra);
    }
    return this.called(token.toLowerCase());
  }

  private called(name: string): Size | null {
    const { algebra, rounding } = this;
    if (name.startsWith('ceil') || name === 'trunc') this.rounding = name === 'trunc' ? 'trunc' : 'ceil';
    const size = this.argued(name, algebra);
    this.rounding = rounding;
    return size;
  }

  private argued(name: string, algebra: Algebra): Size | null {
    switch (name) {
      case 'floor':
        return this.closed(([size]) => algebra.floor(size), 1);
      case 'ceil':
      case 'ceiling':
        return this.closed(([size]) => algebra.ceil(size), 1);
      case 'trunc':
        return this.closed(([size]) => algebra.truncDivide(size, 1), 1);
      case 'max':
        return this.closed(([a, b]) => algebra.max(a, b), 2);
      case 'min':
        return this.closed(([a, b]) => algebra.min(a, b), 2);
      default:
        return null;
    }
  }

  private rounded(a: Size, b: Size): Size {
    if (this.rounding === 'ceil') return this.algebra.ceilDivide(a, b);
    return this.rounding === 'trunc' ? this.algebra.truncDivide(a, b) : this.algebra.floorDivide(a, b);
  }

  private closed(made: (inner: readonly Size[]) => Size, count: number): Size | null {
    if (++this.depth > DEEPEST) return null;
    const inner: Size[] = [];
    do {
      const size = this.sum();
      if (size === null) return null;
      inner.push(size);
    } while (this.take(',') !== null);
    this.depth--;
    return this.take(')') === null || inner.length !== count ? null : made(inner);
  }
}
