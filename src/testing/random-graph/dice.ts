/** Random choices. */
export class Dice {
  constructor(private readonly random: () => number) {}

  /** An integer from `low` to `high`, both possible. */
  int(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)];
  }

  chance(odds: number): boolean {
    return this.random() < odds;
  }

  dims(rank: number, high = 7): number[] {
    return Array.from({ length: rank }, () => this.int(1, high));
  }

  ints(count: number, low: number, high: number): number[] {
    return Array.from({ length: count }, () => this.int(low, high));
  }

  subset(count: number): number[] {
    return Array.from({ length: count }, (_empty, at) => at).filter(() => this.chance(0.5));
  }

  shuffled(count: number): number[] {
    return Array.from({ length: count }, (_empty, at) => ({ at, key: this.random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ at }) => at);
  }
}
