/** `1.8 MB`, `12 KB`, `340 B`: decimal units, two digits where they tell something. */
export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  for (; value >= 999.5 && unit < BYTE_UNITS.length - 1; unit++) value /= 1000;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${BYTE_UNITS[unit]}`;
}

const BYTE_UNITS = ['KB', 'MB', 'GB', 'TB', 'PB'] as const;
