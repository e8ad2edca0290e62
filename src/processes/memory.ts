import { execFile } from 'node:child_process';
import { UsageError } from '../errors.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';

const PAGE_BYTES = 4096;
const PROC_INTERVAL_MS = 20;
const PS_INTERVAL_MS = 250;

/** @throws UsageError if this system does not show the memory of a process: Windows */
export function assertMemoryLimits(platform: NodeJS.Platform = process.platform): void {
  if (platform === 'win32')
    throw new UsageError('a memory limit for the runtime works on Linux and macOS only', {
      code: 'FEATX_USAGE',
      hint: 'leave the limit out',
    });
}

/**
 * Calls `exceeded` once when a process has more resident memory than allowed. Linux (read from /proc) and macOS (`ps`);
 * returns how to stop it.
 */
export function watchMemory(
  pid: number | undefined,
  limitBytes: number,
  exceeded: (seenBytes: number) => void,
): () => void {
  if (pid === undefined) return () => undefined;
  const isLinux = process.platform === 'linux';
  let reading = false;
  const look = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    const seen = await (isLinux ? residentFromProc(pid) : residentFromPs(pid));
    reading = false;
    if (seen !== null && seen > limitBytes) {
      clearInterval(timer);
      exceeded(seen);
    }
  };
  const timer = setInterval(() => void look(), isLinux ? PROC_INTERVAL_MS : PS_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Resident bytes of a process, null if it is gone. @see man 5 proc, /proc/[pid]/statm */
async function residentFromProc(pid: number, fs: FileSystem = nodeFileSystem): Promise<number | null> {
  let handle;
  try {
    handle = await fs.open(`/proc/${pid}/statm`, 'r');
    const buffer = new Uint8Array(256);
    const count = await handle.read(buffer, 0);
    const pages = Number(new TextDecoder().decode(buffer.subarray(0, count)).split(' ')[1]);
    return Number.isFinite(pages) ? pages * PAGE_BYTES : null;
  } catch {
    return null;
  } finally {
    await handle?.close();
  }
}

function residentFromPs(pid: number): Promise<number | null> {
  return new Promise((resolve) => {
    execFile('ps', ['-o', 'rss=', '-p', String(pid)], (error, stdout) => {
      const kibibytes = Number(stdout);
      resolve(error === null && kibibytes > 0 ? kibibytes * 1024 : null);
    });
  });
}
