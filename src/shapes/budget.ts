/** How much work the sizes of one graph may take. */

/**
 * Steps of one inference: a step is an atom of a formula that is made, or an element of a tensor that is kept. Real
 * networks were seen to take 35,000.
 */
export const MOST_STEPS = 1_000_000;

/** What is left to calculate with; shared by all that is inferred of a graph. */
export class Budget {
  private spent = 0;

  constructor(private readonly most = MOST_STEPS) {}

  /** Whether nothing is left: values are dropped then, and new formulas are unknown. */
  get isSpent(): boolean {
    return this.spent > this.most;
  }

  spend(steps: number): void {
    this.spent += steps;
  }

  get steps(): number {
    return this.spent;
  }
}
