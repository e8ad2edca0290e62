/** `1,234,567`. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 node`, `3 nodes`, `2 entries`, `2 indices`. */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${count === 1 ? noun : severalOf(noun)}`;
}

function severalOf(noun: string): string {
  if (noun.endsWith('index')) return `${noun.slice(0, -2)}ices`;
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}
