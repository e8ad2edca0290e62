/** Values from producers to one consumer, in order; a producer waits while the consumer is far behind. */
export class Channel<T> {
  private readonly values: T[] = [];
  private wake: (() => void) | null = null;
  private readonly blocked: (() => void)[] = [];
  private state: 'open' | 'closed' | 'failed' = 'open';
  private reason: unknown;

  constructor(private readonly capacity: number) {}

  /** Resolves once there is room for the next one. */
  async push(value: T): Promise<void> {
    this.values.push(value);
    this.wakeUp();
    if (this.values.length >= this.capacity && this.state === 'open')
      await new Promise<void>((resolve) => this.blocked.push(resolve));
  }

  /** No more values come. */
  close(): void {
    if (this.state === 'open') this.state = 'closed';
    this.release();
    this.wakeUp();
  }

  /** No more values come, and this is why. */
  fail(reason: unknown): void {
    this.state = 'failed';
    this.reason = reason;
    this.release();
    this.wakeUp();
  }

  /** Takes no values any more: producers do not wait. */
  release(): void {
    for (const resolve of this.blocked.splice(0)) resolve();
  }

  async *drain(): AsyncGenerator<T> {
    for (;;) {
      for (const value of this.values.splice(0)) yield value;
      this.release();
      if (this.values.length > 0) continue;
      if (this.state === 'failed') throw this.reason;
      if (this.state === 'closed') return;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  private wakeUp(): void {
    this.wake?.();
    this.wake = null;
  }
}
