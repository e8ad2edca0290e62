/** What parent and child of a campaign say to each other. */

/** Iterations `[start, end)` of a target; `careful`: look at memory after each. */
export interface RunOrder {
  readonly order: 'run';
  readonly target: string;
  readonly seed: number;
  readonly start: number;
  readonly end: number;
  readonly careful: boolean;
}

/** One input, given as base64. */
export interface ProbeOrder {
  readonly order: 'probe';
  readonly target: string;
  readonly bytes: string;
}

/** Cut an input down as long as it gives the finding of that name. */
export interface MinimiseOrder {
  readonly order: 'minimise';
  readonly target: string;
  readonly bytes: string;
  readonly name: string;
}

export type Order = RunOrder | ProbeOrder | MinimiseOrder;

/** A law that broke or a foreign error, where it was found. */
export interface Found {
  readonly iteration: number;
  readonly kind: 'law' | 'foreign';
  readonly name: string;
  readonly message: string;
}

export interface RunAnswer {
  readonly answer: 'run';
  readonly executions: number;
  readonly deep: number;
  readonly seconds: number;
  readonly found: readonly Found[];
  /** Iterations that took longer than they may. */
  readonly slow: readonly number[];
  readonly peakRssMiB: number;
  /** Iterations among which memory grew beyond the limit; the run ends there. */
  readonly overMemory: { readonly start: number; readonly end: number } | null;
}

export interface ProbeAnswer {
  readonly answer: 'probe';
  /** `ok`, or the code of an error; null where there is a finding. */
  readonly code: string | null;
  readonly found: Omit<Found, 'iteration'> | null;
  readonly cpuSeconds: number;
  readonly peakRssMiB: number;
}

export interface MinimiseAnswer {
  readonly answer: 'minimise';
  readonly bytes: string;
}

export type Answer = RunAnswer | ProbeAnswer | MinimiseAnswer;

/** Longest time that one input may take, and most memory, in seconds and MiB. */
export const LONGEST_SECONDS = 1;
export const LARGEST_RSS_MIB = 256;

export const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
export const fromText = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
