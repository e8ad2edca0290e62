import type { PlannedItem } from './jobs.js';
import type { Journal } from './journal.js';
import { RACE_MS, type Made, type Verdict } from './made.js';

/**
 * Looks at fresh outputs again once they are old enough for the file system's word to count, and records that they are as they were: the next run then need
 * not hash them. Works while the parent would wait for its workers.
 */
export class Refresher {
  private readonly queue: { readonly item: PlannedItem; readonly made: Made }[] = [];
  private busy: Promise<void> | null = null;
  private failure: { readonly reason: unknown } | null = null;

  constructor(
    private readonly journal: Journal,
    private readonly judge: (made: Made, item: PlannedItem) => Promise<Verdict>,
  ) {}

  add(item: PlannedItem, made: Made): void {
    this.queue.push({ item, made });
    this.busy ??= this.work()
      .catch((reason: unknown) => void (this.failure = { reason }))
      .finally(() => (this.busy = null));
  }

  /** Resolves when nothing is under way; what is still too fresh is left to the next run. @throws IoError */
  async settle(): Promise<void> {
    await this.busy;
    if (this.failure !== null) throw this.failure.reason;
  }

  private async work(): Promise<void> {
    for (;;) {
      const [first] = this.queue;
      if (first === undefined || first.made.at_ms > Date.now() - RACE_MS) return;
      this.queue.shift();
      const verdict = await this.judge(first.made, first.item);
      if (verdict.is === 'same' && verdict.refreshed) this.journal.remember(first.item.id, verdict.made);
    }
  }
}
