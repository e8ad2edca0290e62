import type { Layout } from '../options/choices.js';
import type { Matrix } from './matrix.js';

/** A feature of one entry on its grid: a row of `cells` for each place, row by row of the grid. */
export interface FeatureMap {
  readonly height: number;
  readonly width: number;
  readonly cells: Matrix;
}

/**
 * The map that a feature of one entry is: tokens without those of their own in front (`prefixTokens`) as a square where
 * they are one, else as a line; what has no layout as one cell.
 * @param shape of one entry, with the batch axis, which is 1
 */
export function featureMap(
  values: Float32Array,
  shape: readonly number[],
  { layout, prefixTokens = 0 }: { readonly layout: Layout | null; readonly prefixTokens?: number },
): FeatureMap {
  const at = (axis: string): number => shape[layout?.indexOf(axis) ?? -1] ?? 1;
  if (layout === null || shape.length !== layout.length) {
    const channels = shape.at(-1) ?? 1;
    return {
      height: 1,
      width: values.length / channels,
      cells: { rows: values.length / channels, columns: channels, values },
    };
  }
  const channels = at('C');
  const isTokens = layout.includes('L');
  const length = isTokens ? Math.max(0, at('L') - prefixTokens) : at('H') * at('W');
  const side = Math.round(Math.sqrt(length));
  const [height, width] = !isTokens ? [at('H'), at('W')] : side * side === length ? [side, side] : [1, length];
  const skip = isTokens ? prefixTokens : 0;
  const channelsLast = layout.endsWith('C');
  const cells = new Float32Array(length * channels);
  for (let cell = 0; cell < length; cell++)
    for (let channel = 0; channel < channels; channel++)
      cells[cell * channels + channel] = channelsLast
        ? values[(cell + skip) * channels + channel]
        : values[channel * (length + skip) + cell + skip];
  return { height, width, cells: { rows: length, columns: channels, values: cells } };
}

/** Tokens of their own in front of those of a map: a class token, registers. */
const MOST_PREFIX = 8;

/** Attention as a map, and whose it is. */
export interface AttentionMap {
  readonly map: FeatureMap;
  /** `paid`: what the first token looks at; `received`: how much all tokens look at each, on average. */
  readonly attention: 'paid' | 'received';
}

/**
 * Attention of one entry as a map with a channel for each head. Where tokens are a square behind one or a few of their
 * own, it is what the first of those pays; else what each token receives.
 * @param shape `[1, heads, tokens, tokens]`; null for any other
 */
export function attentionMap(values: Float32Array, shape: readonly number[]): AttentionMap | null {
  const [entries, heads, length, keys] = shape;
  if (shape.length !== 4 || entries !== 1 || length !== keys || length < 1) return null;
  const sideOf = (prefix: number): number => Math.round(Math.sqrt(length - prefix));
  const isSquare = (prefix: number): boolean => prefix < length && sideOf(prefix) ** 2 === length - prefix;
  const prefix = Array.from({ length: MOST_PREFIX + 1 }, (_, at) => at).find(isSquare) ?? 0;
  const rows = length - prefix;
  const queries = prefix > 0 ? 1 : length;
  const cells = new Float32Array(rows * heads);
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < queries; query++)
      for (let cell = 0; cell < rows; cell++)
        cells[cell * heads + head] += values[(head * length + query) * length + prefix + cell] / queries;
  const [height, width] = isSquare(prefix) ? [sideOf(prefix), sideOf(prefix)] : [1, rows];
  const map = { height, width, cells: { rows, columns: heads, values: cells } };
  return { map, attention: prefix > 0 ? 'paid' : 'received' };
}

/** A map of at most `most` cells a side: means of equal parts, which meet where the map does not divide evenly. */
export function pooled({ height, width, cells }: FeatureMap, most: number): FeatureMap {
  const [down, across] = [Math.min(height, most), Math.min(width, most)];
  if (down === height && across === width) return { height, width, cells };
  const { columns, values } = cells;
  const result = new Float64Array(down * across * columns);
  for (let y = 0; y < down; y++)
    for (let x = 0; x < across; x++) {
      const [top, bottom] = span(y, down, height);
      const [left, right] = span(x, across, width);
      const place = (y * across + x) * columns;
      const count = (bottom - top) * (right - left);
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++)
          for (let channel = 0; channel < columns; channel++)
            result[place + channel] += values[(row * width + column) * columns + channel];
      for (let channel = 0; channel < columns; channel++) result[place + channel] /= count;
    }
  return { height: down, width: across, cells: { rows: down * across, columns, values: result } };
}

function span(at: number, count: number, size: number): readonly [from: number, to: number] {
  return [Math.floor((at * size) / count), Math.ceil(((at + 1) * size) / count)];
}

/** The length of each cell over its channels. */
export function cellNorms({ cells: { rows, columns, values } }: FeatureMap): Float64Array {
  const norms = new Float64Array(rows);
  for (let cell = 0; cell < rows; cell++) {
    let sum = 0;
    for (let channel = 0; channel < columns; channel++) sum += values[cell * columns + channel] ** 2;
    norms[cell] = Math.sqrt(sum);
  }
  return norms;
}

/** What each channel does over a map. */
export interface ChannelNumbers {
  readonly mean: number;
  readonly std: number;
  /** Whether it has the same value in every cell. */
  readonly isSilent: boolean;
}

/** What each channel does over a map. */
export function channelNumbers({ cells: { rows, columns, values } }: FeatureMap): readonly ChannelNumbers[] {
  return Array.from({ length: columns }, (_, channel) => {
    let sum = 0;
    let isSilent = true;
    for (let cell = 0; cell < rows; cell++) {
      const value = values[cell * columns + channel];
      sum += value;
      if (value !== values[channel]) isSilent = false;
    }
    const mean = sum / Math.max(1, rows);
    let squares = 0;
    for (let cell = 0; cell < rows; cell++) {
      const difference = values[cell * columns + channel] - mean;
      squares += difference * difference;
    }
    return { mean, std: Math.sqrt(squares / Math.max(1, rows)), isSilent };
  });
}

/** Counts of finite values between the smallest and the largest. */
export interface Histogram {
  readonly least: number;
  readonly most: number;
  readonly counts: readonly number[];
  readonly zeros: number;
  readonly total: number;
}

/** How often values lie in each of `bins` equal parts of their range, the last of which holds its end. */
export function histogram(values: ArrayLike<number>, bins: number): Histogram {
  let [least, most, zeros, total] = [Infinity, -Infinity, 0, 0];
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (value === 0) zeros++;
    // Of what is not finite the difference is not a number.
    if (value - value !== 0) continue;
    total++;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const counts = new Uint32Array(bins);
  if (total === 0) return { least: 0, most: 0, counts: [...counts], zeros, total };
  const scale = most > least ? bins / (most - least) : 0;
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (value - value === 0) counts[value === most && scale > 0 ? bins - 1 : ((value - least) * scale) | 0]++;
  }
  return { least, most, counts: [...counts], zeros, total };
}
