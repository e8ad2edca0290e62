/** Singular fields that stand several times in one message: how many, and where the first is. */
export interface Repeats {
  count: number;
  readonly first: string;
}

/** What is said of them. */
export function repeatsText({ count, first }: Repeats): string {
  return count === 1
    ? `${first} may stand once and stands again; the last one counts`
    : `${count} fields may stand once and stand again, the first of them ${first}; the last one counts`;
}
