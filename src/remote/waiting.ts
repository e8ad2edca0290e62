/** How long to wait for whom; tests have shorter ones. */
export interface Patience {
  /** Longest silence of a server, in milliseconds. */
  readonly silenceMs: number;
  /** Times that a request is made that brings nothing new. */
  readonly tries: number;
  /** Waits; ends with the reason of the signal. */
  readonly pause: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** What a slow line needs, and no build minds. */
export const PATIENCE: Patience = { silenceMs: 30_000, tries: 5, pause };

const FIRST_PAUSE_MS = 500;

/** The wait before try `tries + 1`: doubled each time, and not the same for all that were refused together. */
export function backoff(tries: number): number {
  return FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.75 + Math.random() / 2);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Ends a request in which nothing happens for a while. */
export class SilenceWatch {
  private readonly controller = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly stop = (): void => this.controller.abort(this.outer?.reason);

  constructor(
    private readonly ms: number,
    private readonly outer: AbortSignal | undefined,
  ) {
    if (outer?.aborted) this.stop();
    else outer?.addEventListener('abort', this.stop, { once: true });
    this.heard();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Whether it was the silence that ended the request. */
  get isSilent(): boolean {
    return this.controller.signal.aborted && this.outer?.aborted !== true;
  }

  heard(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.controller.abort(), this.ms);
  }

  end(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.stop);
  }
}

/** Lets so many work at the same time. */
export class Slots {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free++;
      else next();
    }
  }
}
