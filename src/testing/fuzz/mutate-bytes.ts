import { BYTES } from './hostile.js';
import type { Random } from './random.js';
import { joined } from './tree.js';

const LARGEST = 1 << 20;

/** Changes bytes without knowing what they mean; lengths stay as they were and so become wrong. */
export function mutateBytes(bytes: Uint8Array, random: Random, donor: Uint8Array): Uint8Array {
  const { length } = bytes;
  if (length === 0) return donor.slice(0, 1 + random.below(16));
  const at = random.below(length);
  const count = 1 + random.below(random.once(4) ? Math.min(256, length) : 8);
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
      return changed(bytes, at, bytes[at] ^ (1 << random.below(8)));
    case 3:
      return changed(bytes, at, random.pick(BYTES));
    case 4:
      return changed(bytes, at, random.next() & 255);
    case 5:
      return changed(bytes, at, bytes[at] + (random.once(2) ? 1 : 255));
    case 6:
      return spliced(
        bytes,
        at,
        at,
        Uint8Array.from({ length: count }, () => random.pick(BYTES)),
      );
    case 7:
      return spliced(bytes, at, at + count);
    case 8:
      return bytes.slice(0, at);
    case 9:
      return length > LARGEST ? bytes.slice(0, at) : spliced(bytes, at, at, bytes.subarray(at, at + count));
    case 10: {
      const from = donor.length === 0 ? 0 : random.below(donor.length);
      return spliced(bytes, at, at + count, donor.subarray(from, from + count));
    }
    default: {
      const to = random.below(length);
      const copy = bytes.slice();
      copy.copyWithin(to, at, at + count);
      return copy;
    }
  }
}

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

function spliced(bytes: Uint8Array, start: number, end: number, between: Uint8Array = new Uint8Array(0)): Uint8Array {
  return joined([bytes.subarray(0, start), between, bytes.subarray(end)]);
}
