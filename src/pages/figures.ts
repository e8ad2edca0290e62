import {
  cellNorms,
  channelNumbers,
  histogram,
  pooled,
  type ChannelNumbers,
  type FeatureMap,
  type Histogram,
} from '../measures/maps.js';
import { principalComponents } from '../measures/pca.js';
import { palette, quantiles, stretched } from './colours.js';
import type { Pixels } from './png.js';

/** How alike the cells of a map are: a few principal components of each, as bytes, from which a page tells any pair. */
export interface Likeness {
  readonly height: number;
  readonly width: number;
  readonly parts: number;
  readonly codes: Int8Array;
}

/** What is shown of a feature of one entry. Pictures have a pixel for each cell. */
export interface Figures {
  readonly map: FeatureMap;
  /** null for what has one cell. */
  readonly likeness: Likeness | null;
  readonly components: { readonly picture: Pixels; readonly explained: readonly number[] } | null;
  readonly norms: { readonly picture: Pixels; readonly least: number; readonly most: number } | null;
  readonly histogram: Histogram;
  readonly channels: readonly ChannelNumbers[];
  /** The channels that vary most. */
  readonly strongest: readonly {
    readonly channel: number;
    readonly picture: Pixels;
    readonly least: number;
    readonly most: number;
  }[];
}

/** Cells a side of the map that answers a click: enough for the eye, few enough for a page. */
const LARGEST_LIKENESS = 28;
const LIKENESS_PARTS = 32;
/** Cells a side of the map that components are found of, of the picture of them, and of a channel. */
const LARGEST_COMPUTED = 128;
const LARGEST_PICTURE = 56;
const LARGEST_CHANNEL = 28;
const STRONGEST = 12;
const BINS = 40;
/** A few cells with extreme values must not take all of the colours. */
const CUT_OFF = 0.02;

/** Everything that a page shows of a feature of one entry. */
export function figuresOf(map: FeatureMap): Figures {
  const channels = channelNumbers(map);
  const numbers = { map, channels, histogram: histogram(map.cells.values, BINS) };
  if (map.cells.rows < 2 || map.cells.columns < 1)
    return { ...numbers, likeness: null, components: null, norms: null, strongest: [] };
  const computed = pooled(map, LARGEST_COMPUTED);
  const { scores, explained } = principalComponents(computed.cells, LIKENESS_PARTS);
  const scored: FeatureMap = { ...computed, cells: scores };
  return {
    ...numbers,
    likeness: likenessOf(pooled(scored, LARGEST_LIKENESS)),
    components: { picture: componentsPicture(pooled(scored, LARGEST_PICTURE)), explained: explained.slice(0, 3) },
    norms: normsOf(pooled(map, LARGEST_PICTURE)),
    strongest: strongestOf(pooled(map, LARGEST_CHANNEL), channels),
  };
}

function likenessOf({ height, width, cells: { columns: parts, values } }: FeatureMap): Likeness {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return {
    height,
    width,
    parts,
    codes: Int8Array.from(values, (value) => (largest > 0 ? Math.round((value / largest) * 127) : 0)),
  };
}

/** How alike each cell is to the one at a place, by cosine: across and down from 0 to 1. */
export function likenessTo({ height, width, parts, codes }: Likeness, x: number, y: number): Float64Array {
  const chosen = Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width));
  const product = (cell: number, other: number): number => {
    let sum = 0;
    for (let part = 0; part < parts; part++) sum += codes[cell * parts + part] * codes[other * parts + part];
    return sum;
  };
  const own = product(chosen, chosen);
  return Float64Array.from({ length: height * width }, (_, cell) => {
    const length = Math.sqrt(own * product(cell, cell));
    return cell === chosen ? 1 : length === 0 ? 0 : product(cell, chosen) / length;
  });
}

/** The first three components as red, green and blue, each over the middle of its values. */
function componentsPicture({ height, width, cells: { rows, columns, values } }: FeatureMap): Pixels {
  const data = new Uint8Array(rows * 3).fill(127);
  for (let part = 0; part < Math.min(3, columns); part++) {
    const scores = Float64Array.from({ length: rows }, (_, cell) => values[cell * columns + part]);
    const bytes = stretched(scores, ...quantiles(scores, CUT_OFF));
    for (let cell = 0; cell < rows; cell++) data[cell * 3 + part] = bytes[cell];
  }
  return { width, height, data };
}

function normsOf(map: FeatureMap): NonNullable<Figures['norms']> {
  const norms = cellNorms(map);
  const [least, most] = quantiles(norms, 0);
  return { picture: indexed(map, norms, least, most), least, most };
}

function indexed({ height, width }: FeatureMap, values: ArrayLike<number>, least: number, most: number): Pixels {
  return { width, height, data: stretched(values, least, most), palette: palette() };
}

function strongestOf(map: FeatureMap, channels: readonly ChannelNumbers[]): Figures['strongest'] {
  const { rows, columns, values } = map.cells;
  return channels
    .map(({ std }, channel) => ({ std, channel }))
    .filter(({ std }) => std > 0)
    .sort((a, b) => b.std - a.std)
    .slice(0, STRONGEST)
    .map(({ channel }) => {
      const cells = Float64Array.from({ length: rows }, (_, cell) => values[cell * columns + channel]);
      const [least, most] = quantiles(cells, 0);
      return { channel, picture: indexed(map, cells, least, most), least, most };
    });
}
