import { closeSync, openSync, readSync, statfsSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';

/** Smaller payloads pass through the pipe as quickly. */
export const LEAST_SHARED = 64 * 1024;
/** Beyond this, payloads pass through the pipe: the file may lie in memory. */
const LARGEST_FILE = 512 * 1024 * 1024;
/** Where Linux keeps files in memory; twice as quick to write as one that a disk stands behind. */
const MEMORY_FOLDER = '/dev/shm';

/** Where a payload lies, and the message it belongs to. */
interface Region {
  readonly start: number;
  readonly end: number;
  readonly message: number;
}

/**
 * A file without a name that a process and its child share: one of them puts large payloads there, the other reads
 * them. A pipe hands them over 64 KiB at a time, which costs more than the copy.
 */
export class SharedFile {
  private regions: Region[] = [];

  constructor(readonly descriptor: number) {}

  /** A new file, open for nobody else; null if neither memory nor the folder for temporary files takes one. */
  static create(): SharedFile | null {
    const path = join(folderWithRoom(), `featx-${process.pid}-${randomBytes(8).toString('hex')}`);
    try {
      const descriptor = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      return new SharedFile(descriptor);
    } catch {
      return null;
    }
  }

  /** Writes a payload of a message where no living one lies, and says where; null if there is no room for it. */
  place(bytes: Uint8Array, message: number): number | null {
    const start = this.gap(bytes.length);
    if (start + bytes.length > LARGEST_FILE) return null;
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.descriptor, bytes, done, bytes.length - done, start + done);
    } catch {
      return null;
    }
    this.regions.push({ start, end: start + bytes.length, message });
    this.regions.sort((a, b) => a.start - b.start);
    return start;
  }

  private gap(length: number): number {
    let start = 0;
    for (const region of this.regions) {
      if (region.start - start >= length) break;
      start = region.end;
    }
    return start;
  }

  /** Says that the other side has read all messages up to this one. */
  release(message: number): void {
    this.regions = this.regions.filter((region) => region.message > message);
  }

  /** Fills `target` from `position` on. @throws Error if the file ends before */
  read(position: number, target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      const count = readSync(this.descriptor, target, done, target.length - done, position + done);
      if (count === 0) throw new Error(`the shared file ends at byte ${position + done}`);
      done += count;
    }
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

function folderWithRoom(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    return bavail * bsize > 2 * LARGEST_FILE ? MEMORY_FOLDER : tmpdir();
  } catch {
    return tmpdir();
  }
}
