import type { Dim } from '../onnx/records.js';
import { escapeText } from './escape.js';
import { shapeText } from './shapes.js';
import type { TextStyle } from './style.js';
import { wrapped } from './width.js';

/** Shapes as a table has room for them, and what their letters stand for. */
export interface ShortDims {
  readonly shapeText: (shape: readonly Dim[] | null | undefined) => string;
  /** `H = height, W = width; divisions are rounded up`; empty if every name stands as it is. */
  readonly legend: string;
}

/** Shapes as they are. */
export const FULL_DIMS: ShortDims = { shapeText, legend: '' };

const FUNCTIONS = new Set(['floor', 'ceil', 'trunc', 'max', 'min']);
const NAME = /[A-Za-z_](?:[\w.:#]|-(?=[A-Za-z_]))*/g;
/** Shorter names, if they stand alone, are no longer than what would explain them. */
const LONG_NAME = 8;
/** `ceil(H/32)`, alone or as a factor. */
const ROUNDED_UP = /(\*)?ceil\(([A-Za-z]\d*)\/(\d+)\)/g;

/** Letters for the names of symbols in some shapes: those within formulas, and long ones. */
export function shortDims(shapes: Iterable<readonly Dim[] | null | undefined>): ShortDims {
  const names = new Set<string>();
  const dims = [...shapes].flatMap((shape) => shape ?? []).filter((dim) => typeof dim === 'string');
  for (const dim of dims) {
    const found = (dim.match(NAME) ?? []).filter((name) => !FUNCTIONS.has(name));
    const isFormula = found.length !== 1 || found[0] !== dim;
    for (const name of found) if (isFormula || name.length > LONG_NAME) names.add(name);
  }
  const letters = lettersOf([...names]);
  const short = (dim: string): string =>
    dim
      .replace(NAME, (name) => (FUNCTIONS.has(name) ? name : (letters.get(name) ?? name)))
      .replace(ROUNDED_UP, (_whole, times: string | undefined, letter: string, divisor: string) =>
        times === undefined ? `${letter}/${divisor}` : `*(${letter}/${divisor})`,
      );
  const isRounded = dims.some((dim) => /ceil\(/.test(dim) && !short(dim).includes('ceil('));
  const others = new Set(dims.flatMap((dim) => dim.match(/(floor|trunc)(?=\()/g) ?? []));
  const but = others.size === 0 ? '' : `, but in ${[...others].join(' and ')}`;
  const said = [...letters].map(([name, letter]) => `${letter} = ${escapeText(name)}`).join(', ');
  return {
    shapeText: (shape) => shapeText(shape?.map((dim) => (typeof dim === 'string' ? short(dim) : dim)) ?? shape),
    legend: isRounded ? `${said}; divisions are rounded up${but}` : said,
  };
}

/** What the letters stand for, in lines of the terminal's width. */
export function legendText({ legend }: ShortDims, { width }: TextStyle): string {
  return wrapped(legend.split(', '), { width, between: ', ' });
}

/** A letter for each name: its first one, with a number where several begin alike. */
function lettersOf(names: readonly string[]): ReadonlyMap<string, string> {
  const initial = (name: string): string => (/[A-Za-z]/.exec(name)?.[0] ?? 'x').toUpperCase();
  return new Map(
    names.map((name) => {
      const alike = names.filter((other) => initial(other) === initial(name));
      return [name, alike.length === 1 ? initial(name) : `${initial(name)}${alike.indexOf(name) + 1}`];
    }),
  );
}
