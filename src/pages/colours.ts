/**
 * Viridis, at equal distances: dark is little, bright is much, for any eye and in grey.
 * @see https://bids.github.io/colormap
 */
export const VIRIDIS: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 73, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [110, 206, 88],
  [181, 222, 43],
  [253, 231, 37],
];

/** The 256 colours between the anchors, as a palette of a PNG. */
export function palette(): Uint8Array {
  const colours = new Uint8Array(256 * 3);
  for (let at = 0; at < 256; at++) {
    const place = (at / 255) * (VIRIDIS.length - 1);
    const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
    for (let part = 0; part < 3; part++) {
      const [from, to] = [VIRIDIS[low][part], VIRIDIS[low + 1][part]];
      colours[at * 3 + part] = Math.round(from + (to - from) * (place - low));
    }
  }
  return colours;
}

/** Values as bytes from the least to the most; what lies outside is cut off, and no spread is in the middle. */
export function stretched(values: ArrayLike<number>, least: number, most: number): Uint8Array {
  const scale = most > least ? 255 / (most - least) : 0;
  return Uint8Array.from({ length: values.length }, (_, at) => {
    const value = values[at];
    return Number.isFinite(value)
      ? Math.round(Math.max(0, Math.min(255, scale === 0 ? 127 : (value - least) * scale)))
      : 0;
  });
}

/** The values that a share of them lies below, and above. */
export function quantiles(values: ArrayLike<number>, share: number): readonly [low: number, high: number] {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  if (sorted.length === 0) return [0, 0];
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  return [at(share), at(1 - share)];
}
