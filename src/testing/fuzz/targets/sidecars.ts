import { IoError } from '../../../errors.js';
import type { SidecarFiles } from '../../../onnx/external-data.js';
import type { ByteSource } from '../../../wire/source.js';
import { Violation } from '../target.js';

const SIZE = 1 << 16;

/**
 * Files of zeros beside a model that exists in memory alone; some are missing. Whatever is asked for outside is a
 * finding.
 */
export class ZeroSidecars implements SidecarFiles {
  private readonly sources = new Map<string, ByteSource>();

  async open(location: string, field: string): Promise<ByteSource> {
    assertInside(location);
    if (location.length % 7 === 3) throw new IoError(`no ${location}`, { field });
    let source = this.sources.get(location);
    if (source === undefined)
      this.sources.set(location, (source = { size: SIZE, read: async (start, end) => new Uint8Array(end - start) }));
    return source;
  }

  async close(): Promise<void> {
    this.sources.clear();
  }
}

/**
 * Said a second time, in other words than the gate says it: no part leads up beyond the start, on any operating system.
 */
function assertInside(location: string): void {
  const parts = location.replaceAll('\\', '/').split('/');
  let depth = 0;
  for (const part of parts) {
    if (part === '..') depth--;
    else if (part !== '.' && part !== '') depth++;
    if (depth < 0) throw new Violation('opened-outside', JSON.stringify(location));
  }
  if (
    location === '' ||
    location.includes('\0') ||
    parts[0] === '' ||
    location.startsWith('~') ||
    location.includes(':') ||
    depth === 0
  )
    throw new Violation('opened-outside', JSON.stringify(location));
}
