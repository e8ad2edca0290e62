/** What a model may cost unless a caller sets other limits. */
export const READ_LIMITS = {
  depth: 100,
  indexBytes: 512 * 2 ** 20,
  nameBytes: 64 * 2 ** 10,
  functions: 10_000,
  calls: 100,
  expansion: 1_000_000,
} as const;
