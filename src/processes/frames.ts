/**
 * Messages between a process and its child: a header of 16 bytes (magic, length of the JSON, its checksum, number of
 * payloads), the JSON, and the payloads, whose lengths the JSON lists. A payload may lie elsewhere, and the JSON says
 * where. Whatever else appears on the channel is detected.
 */

export interface Frame {
  readonly value: unknown;
  readonly payloads: readonly Uint8Array[];
}

interface Envelope {
  readonly value: unknown;
  readonly lengths: readonly number[];
  /** Per payload its position in the shared file, null if it follows in the channel. */
  readonly places: readonly (number | null)[];
}

/** What a reader needs to put payloads into memory. */
export interface PayloadMemory {
  take(length: number): Uint8Array;
  /** Fills memory with what lies at a position of the shared file. */
  fetch(position: number, target: Uint8Array): void;
}

const FRESH: PayloadMemory = {
  take: (length) => new Uint8Array(length),
  fetch: () => {
    throw new Error('there is no shared file');
  },
};

/** The file descriptors of a child that requests come on and answers go to. */
export const CHANNELS = { requests: 0, answers: 3 } as const;

const MAGIC = 0x66_78_72_31;
const HEADER_BYTES = 16;
/** No message of ours is longer; a longer one is garbage. */
const LONGEST_JSON = 256 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** FNV-1a, 32 bits. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < bytes.length; index++) hash = Math.imul(hash ^ bytes[index], 0x01000193);
  return hash >>> 0;
}

/**
 * The chunks of a message, to be written in order; payloads are not copied.
 * @param place puts a payload into the shared file and says where, or null where it has to follow in the channel
 */
export function encodeFrame(
  { value, payloads }: Frame,
  place: (payload: Uint8Array) => number | null = () => null,
): Uint8Array[] {
  const places = payloads.map(place);
  const envelope: Envelope = { value, lengths: payloads.map(({ byteLength }) => byteLength), places };
  const json = encoder.encode(JSON.stringify(envelope));
  const head = new Uint8Array(HEADER_BYTES + json.length);
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, json.length);
  view.setUint32(8, checksum(json));
  view.setUint32(12, payloads.length);
  head.set(json, HEADER_BYTES);
  return [head, ...payloads.filter((_payload, index) => places[index] === null)];
}

type Part = 'header' | 'json' | 'payload';

/**
 * Puts messages together. Bytes go straight to where they stay: every payload has memory of its own, so that typed
 * arrays can be laid over it.
 */
export class FrameReader {
  private part: Part = 'header';
  private target: Uint8Array = new Uint8Array(HEADER_BYTES);
  private filled = 0;
  private header: DataView = new DataView(new ArrayBuffer(HEADER_BYTES));
  private envelope: Envelope = { value: null, lengths: [], places: [] };
  private payloads: Uint8Array[] = [];

  constructor(private readonly memory: PayloadMemory = FRESH) {}

  /** Where the next bytes belong. */
  get space(): Uint8Array {
    return this.target.subarray(this.filled);
  }

  /** Takes a chunk of any size. @throws Error if the bytes are not messages */
  push(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.target.length - this.filled);
      this.target.set(part, this.filled);
      at += part.length;
      const frame = this.advance(part.length);
      if (frame !== null) frames.push(frame);
    }
    return frames;
  }

  /**
   * Says that the first `count` bytes of `space` were filled; returns the message that they complete.
   * @throws Error if the bytes are not a message
   */
  advance(count: number): Frame | null {
    this.filled += count;
    while (this.filled === this.target.length) {
      const frame = this.finishPart();
      if (frame !== null) return frame;
    }
    return null;
  }

  private finishPart(): Frame | null {
    const { target } = this;
    if (this.part === 'header') {
      this.header = new DataView(target.buffer);
      const length = this.header.getUint32(4);
      if (this.header.getUint32(0) !== MAGIC || length > LONGEST_JSON) throw new Error('the bytes are not a message');
      this.expect('json', new Uint8Array(length));
      return null;
    }
    if (this.part === 'json') {
      if (this.header.getUint32(8) !== checksum(target)) throw new Error('the checksum of a message is wrong');
      this.envelope = JSON.parse(decoder.decode(target)) as Envelope;
      if (this.envelope.lengths.length !== this.header.getUint32(12))
        throw new Error('a message lists another number of payloads than it has');
    } else this.payloads.push(target);
    const { lengths, places } = this.envelope;
    while (this.payloads.length < lengths.length) {
      const payload = this.memory.take(lengths[this.payloads.length]);
      const place = places[this.payloads.length];
      if (place === null) {
        this.expect('payload', payload);
        return null;
      }
      this.memory.fetch(place, payload);
      this.payloads.push(payload);
    }
    const frame: Frame = { value: this.envelope.value, payloads: this.payloads };
    this.payloads = [];
    this.expect('header', new Uint8Array(HEADER_BYTES));
    return frame;
  }

  private expect(part: Part, target: Uint8Array): void {
    this.part = part;
    this.target = target;
    this.filled = 0;
  }
}
