import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { kill, pid } from 'node:process';
import { errnoOf } from './fs.js';

/** Who writes: this machine and this process, as they stand in the names of temporary files. */
export interface Writer {
  readonly host: string;
  readonly process: number;
}

/** This process, as it signs its temporary files. */
export function thisWriter(): Writer {
  return { host: createHash('sha256').update(hostname()).digest('hex').slice(0, 8), process: pid };
}

/** Whether a writer is known to be gone; one on another machine never is. */
export function isGone({ host, process }: Writer): boolean {
  if (host !== thisWriter().host) return false;
  try {
    kill(process, 0);
    return false;
  } catch (error) {
    return errnoOf(error) === 'ESRCH';
  }
}
