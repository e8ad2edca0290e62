import type { TextStyle } from './style.js';

const LONGEST_BAR = 13;

/**
 * A bar per stride, the wider the larger the map: centred under each other they draw the pyramid. Empty where a stride
 * is unknown.
 */
export function pyramidBars(
  reductions: readonly (number | null)[],
  style: Pick<TextStyle, 'unicode'>,
): readonly string[] {
  const levels = reductions.map((reduction) => (reduction === null || reduction <= 0 ? null : Math.log2(reduction)));
  const known = levels.filter((level) => level !== null);
  const deepest = known.reduce((most, level) => Math.max(most, level), -Infinity);
  const span = deepest - known.reduce((least, level) => Math.min(least, level), Infinity);
  const step = span === 0 ? 0 : Math.min(2, (LONGEST_BAR - 1) / span);
  const block = style.unicode ? '█' : '#';
  return levels.map((level) =>
    level === null ? '' : block.repeat(1 + 2 * Math.round(((deepest - level) * step) / 2)),
  );
}
