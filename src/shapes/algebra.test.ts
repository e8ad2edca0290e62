import { seededRandom } from '../testing/random.js';
import { Algebra } from './algebra.js';
import { Evaluation } from './evaluate.js';
import { formulaText, parseDim } from './formula-text.js';
import { boundsOf, type Size } from './formula.js';

describe('one form for one size', () => {
  const algebra = new Algebra();
  const [h, w] = [algebra.symbol('H'), algebra.symbol('W')];
  const halved = (size: Size): Size => algebra.add(algebra.floorDivide(algebra.subtract(size, 1), 2), 1);

  test('equal formulas are the same object', () => {
    expect(algebra.add(h, w)).toBe(algebra.add(w, h));
    expect(algebra.multiply(algebra.add(h, 1), algebra.subtract(h, 1))).toBe(
      algebra.subtract(algebra.multiply(h, h), 1),
    );
    expect(algebra.subtract(algebra.add(h, w), w)).toBe(h);
    expect(algebra.symbol('H')).toBe(h);
    expect(algebra.unknown()).not.toBe(algebra.unknown());
  });

  test('quotients within quotients are one', () => {
    expect(algebra.floorDivide(algebra.floorDivide(h, 2), 3)).toBe(algebra.floorDivide(h, 6));
    expect([1, 2, 3, 4, 5].reduce<Size>(halved, h)).toBe(algebra.ceilDivide(h, 32));
    expect(algebra.floorDivide(algebra.add(algebra.multiply(h, 4), 6), 4)).toBe(algebra.add(h, 1));
    expect(algebra.floorDivide(algebra.multiply(h, 4), 6)).toBe(algebra.floorDivide(algebra.multiply(h, 2), 3));
  });

  test('exact quotients', () => {
    const tokens = algebra.multiply(algebra.multiply(h, w), 192);
    expect(algebra.quotient(tokens, h)).toBe(algebra.multiply(w, 192));
    expect(algebra.quotient(algebra.subtract(algebra.multiply(h, h), 1), algebra.add(h, 1))).toBe(
      algebra.subtract(h, 1),
    );
    expect(algebra.quotient(algebra.multiply(algebra.quotient(tokens, 7) ?? 0, 7), 192)).toBe(algebra.multiply(h, w));
    expect(algebra.quotient(h, w)).toBeNull();
  });

  test.each<[string, (size: Size) => Size]>([
    ['ceil(H/2)', halved],
    ['ceil(H/32)', (size) => [1, 2, 3, 4, 5].reduce<Size>(halved, size)],
    [
      'floor(H/4)*floor(W/4) + 1',
      (size) => algebra.add(algebra.product([size, w].map((each) => algebra.floorDivide(each, 4))), 1),
    ],
    ['7*ceil(H/7) - H', (size) => algebra.subtract(algebra.multiply(algebra.ceilDivide(size, 7), 7), size)],
    ['max(H, 2)', (size) => algebra.max(size, 2)],
    ['floor((H + 1)/3)', (size) => algebra.floorDivide(algebra.add(size, 1), 3)],
    ['3*H/4', (size) => algebra.quotient(algebra.multiply(size, 3), 4) ?? 0],
    ['floor(H/(W + 1))', (size) => algebra.floorDivide(size, algebra.add(w, 1))],
  ])('prints %s, and reads it back', (text, made) => {
    const size = made(h);
    expect(formulaText(size)).toBe(text);
    expect(parseDim(text, algebra)).toBe(text.includes('3*H/4') ? algebra.floor(size) : size);
  });

  test('bounds know what cancels', () => {
    const padding = algebra.subtract(algebra.multiply(algebra.ceilDivide(h, 7), 7), h);
    expect(boundsOf(padding)).toEqual([0, 6]);
    expect(algebra.max(padding, 0)).toBe(padding);
    expect(algebra.truncDivide(algebra.subtract(0, h), 2)).toBe(algebra.ceilDivide(algebra.multiply(h, -1), 2));
  });

  test('an unknown is not printed, and what is long neither', () => {
    expect(formulaText(algebra.add(algebra.unknown(), 1))).toBeNull();
    expect(formulaText(algebra.symbol('x'.repeat(61)))).toBeNull();
  });

  test('a formula that grows without end becomes an unknown', () => {
    let size: Size = h;
    for (let round = 0; round < 100; round++)
      size = algebra.max(algebra.multiply(size, algebra.symbol(`s${round}`)), algebra.floorDivide(size, w));
    expect(size).toHaveProperty('isKnown', false);
  });
});

describe('dim_param', () => {
  const algebra = new Algebra();
  const value = (text: string): number | null =>
    new Evaluation(
      new Map([
        ['a', 17],
        ['past_len', 5],
        ['seq', 3],
      ]),
    ).numberOf(parseDim(text, algebra));

  test.each([
    ['past_len + seq', 8],
    ['a / 2', 8],
    ['a//2', 8],
    ['ceil(a/2)', 9],
    ['ceil(a/seq)', 6],
    ['floor(a/seq) + 1', 6],
    ['(a - 1)//2 + 1', 9],
    ['2*a - seq', 31],
    ['a % 5', 2],
    ['Max(a, seq)*Min(a, 2)', 34],
    ['-seq + a', 14],
    ['a', 17],
  ])('%s', (text, expected) => {
    expect(value(text)).toBe(expected);
  });

  test.each(['batch-size', 'H*', '(a', 'a b', 'f(a)', 'floor(a, 2)', '*', 'a + '.repeat(200)])(
    'what is no formula is one symbol: %s',
    (text) => {
      expect(parseDim(text, algebra)).toBe(algebra.symbol(text.trim()));
    },
  );

  test.each(['-5', '0*a', '1/2', 'a - a - 3', '-a', 'ceil(a/0)', '9007199254740993*3'])(
    'what is no size is one symbol: %s',
    (text) => {
      expect(parseDim(text, algebra)).toBe(algebra.symbol(text));
    },
  );

  test.each(['7', '2.5', 'a)+(b', 'floor(h'])('the symbol %s stands alone and in no formula', (text) => {
    const size = parseDim(text, algebra);
    expect(formulaText(size)).toBe(text);
    expect(formulaText(algebra.ceilDivide(size, 2))).toBeNull();
  });

  test('parentheses may be deep', () => {
    const deep = `${'('.repeat(100)}a${')'.repeat(100)}`;
    expect(parseDim(deep, algebra)).toBe(algebra.symbol(deep));
  });
});

/** A random calculation, as a size and as plain arithmetic. */
interface Calculation {
  readonly size: Size;
  readonly at: (symbols: readonly number[]) => number | null;
}

function calculation(algebra: Algebra, random: () => number, depth: number): Calculation {
  const below = (count: number): number => Math.floor(random() * count);
  if (depth === 0 || random() < 0.15) {
    const index = below(3);
    if (random() < 0.3) {
      const number = below(9) - 2;
      return { size: number, at: () => number };
    }
    return { size: algebra.symbol('abc'[index]), at: (symbols) => symbols[index] };
  }
  const [left, right] = [calculation(algebra, random, depth - 1), calculation(algebra, random, depth - 1)];
  const divisor = 1 + below(9);
  const both = (size: Size, calculate: (a: number, b: number) => number): Calculation => ({
    size,
    at: (symbols) => {
      const [a, b] = [left.at(symbols), right.at(symbols)];
      return a === null || b === null ? null : calculate(a, b);
    },
  });
  switch (below(9)) {
    case 0:
    case 1:
      return both(algebra.add(left.size, right.size), (a, b) => a + b);
    case 2:
      return both(algebra.subtract(left.size, right.size), (a, b) => a - b);
    case 3:
      return both(algebra.multiply(left.size, right.size), (a, b) => a * b);
    case 4:
      return both(algebra.floorDivide(left.size, divisor), (a) => Math.floor(a / divisor));
    case 5:
      return both(algebra.ceilDivide(left.size, divisor), (a) => Math.ceil(a / divisor));
    case 6:
      return both(algebra.truncDivide(left.size, divisor), (a) => Math.trunc(a / divisor));
    case 7:
      return both(algebra.max(left.size, right.size), (a, b) => Math.max(a, b));
    default:
      return both(algebra.clamp(left.size, 0, right.size), (a, b) => Math.min(Math.max(a, 0), b));
  }
}

test('random calculations: a formula is worth what the plain arithmetic is, within its bounds', () => {
  const random = seededRandom(11);
  let compared = 0;
  for (let round = 0; round < 1_500; round++) {
    const algebra = new Algebra();
    const { size, at } = calculation(algebra, random, 4);
    for (let sample = 0; sample < 4; sample++) {
      const symbols = [0, 1, 2].map(() => 1 + Math.floor(random() * 40));
      const expected = at(symbols);
      const found = new Evaluation(new Map(['a', 'b', 'c'].map((name, index) => [name, symbols[index]]))).numberOf(
        size,
      );
      if (found === null || expected === null) continue;
      const [low, high] = boundsOf(size);
      expect({ round, found, isInside: low <= found && found <= high }).toEqual({
        round,
        found: expected + 0,
        isInside: true,
      });
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(5_000);
});
