import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Processes as Linux lists them: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */

/** Whether processes and their parents can be listed here. */
export const CAN_LIST = existsSync('/proc/self/stat');

interface Process {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  /** CPU time that it has taken, in ticks of a hundredth of a second. */
  readonly ticks: number;
}

/** What /proc says of a process in one of its files; nothing once it is gone. */
function told(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/** The process, unless it is gone or only its exit code is left. */
function processOf(pid: number): Process | null {
  // Its name stands before these, in parentheses, and may be anything.
  const fields = /\) (.*)$/s.exec(told(pid, 'stat'))?.[1].split(' ') ?? [];
  const [state, parent] = fields;
  return fields.length === 0 || state === 'Z'
    ? null
    : { pid, state, parent: Number(parent), ticks: Number(fields[11]) + Number(fields[12]) };
}

function allProcesses(): readonly Process[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (processOf(Number(name)) ?? []) : []));
}

/** Whether a process is still there. */
export function isAlive(pid: number): boolean {
  return processOf(pid) !== null;
}

/** CPU time of a process in hundredths of a second. */
export function ticksOf(pid: number): number {
  return processOf(pid)?.ticks ?? 0;
}

/** Processes that `pid` started. */
export function childrenOf(pid: number): readonly number[] {
  return allProcesses().flatMap((one) => (one.parent === pid ? [one.pid] : []));
}

/** Processes that inherited an environment variable; none where they cannot be listed. */
export function processesWith(variable: string): readonly number[] {
  return CAN_LIST ? allProcesses().flatMap(({ pid }) => (told(pid, 'environ').includes(variable) ? [pid] : [])) : [];
}

/** Processes that work in a folder; none where they cannot be listed. */
export function processesIn(folder: string): readonly number[] {
  const directoryOf = (pid: number): string | null => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`);
    } catch {
      return null;
    }
  };
  return CAN_LIST ? allProcesses().flatMap(({ pid }) => (directoryOf(pid) === folder ? [pid] : [])) : [];
}
