/**
 * Messages between a process and its child: a header of 16 bytes (magic, length of the JSON, its checksum, number of payloads), the JSON, and
 * the payloads, whose lengths the JSON lists. Whatever else appears on the channel is detected.
 */

export interface Frame {
  readonly value: unknown;
  readonly payloads: readonly Uint8Array[];
}

interface Envelope {
  readonly value: unknown;
  readonly lengths: readonly number[];
}

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

/** The chunks of a message, to be written in order; payloads are not copied. */
export function encodeFrame({ value, payloads }: Frame): Uint8Array[] {
  const envelope: Envelope = { value, lengths: payloads.map(({ byteLength }) => byteLength) };
  const json = encoder.encode(JSON.stringify(envelope));
  const head = new Uint8Array(HEADER_BYTES + json.length);
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, json.length);
  view.setUint32(8, checksum(json));
  view.setUint32(12, payloads.length);
  head.set(json, HEADER_BYTES);
  return [head, ...payloads];
}

/** Takes chunks as they come and gives messages as they are complete. */
export class FrameReader {
  private readonly chunks: Uint8Array[] = [];
  private buffered = 0;
  private envelope: Envelope | null = null;
  private payloads: Uint8Array[] = [];

  /** @throws Error where the bytes are no messages */
  push(chunk: Uint8Array): Frame[] {
    this.chunks.push(chunk);
    this.buffered += chunk.length;
    const frames: Frame[] = [];
    for (let frame = this.next(); frame !== null; frame = this.next()) frames.push(frame);
    return frames;
  }

  /** Bytes that the current step needs before it can go on. */
  get wanted(): number {
    if (this.envelope !== null) return this.envelope.lengths[this.payloads.length] ?? 0;
    if (this.buffered < HEADER_BYTES) return HEADER_BYTES;
    return HEADER_BYTES + this.jsonLength();
  }

  private jsonLength(): number {
    const head = this.peek(HEADER_BYTES);
    const view = new DataView(head.buffer, head.byteOffset, HEADER_BYTES);
    const length = view.getUint32(4);
    if (view.getUint32(0) !== MAGIC || length > LONGEST_JSON) throw new Error('the bytes are no message');
    return length;
  }

  private next(): Frame | null {
    if (this.envelope === null) {
      if (this.buffered < HEADER_BYTES || this.buffered < this.wanted) return null;
      this.envelope = this.takeEnvelope();
    }
    const { lengths, value } = this.envelope;
    while (this.payloads.length < lengths.length) {
      const length = lengths[this.payloads.length];
      if (this.buffered < length) return null;
      this.payloads.push(this.take(length));
    }
    const frame: Frame = { value, payloads: this.payloads };
    this.envelope = null;
    this.payloads = [];
    return frame;
  }

  private takeEnvelope(): Envelope {
    const bytes = this.take(HEADER_BYTES + this.jsonLength());
    const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
    const json = bytes.subarray(HEADER_BYTES);
    if (view.getUint32(8) !== checksum(json)) throw new Error('the checksum of a message is wrong');
    const envelope = JSON.parse(decoder.decode(json)) as Envelope;
    if (envelope.lengths.length !== view.getUint32(12)) throw new Error('a message lists another number of payloads than it has');
    return envelope;
  }

  private peek(length: number): Uint8Array {
    if (this.chunks[0].length < length) this.chunks.splice(0, this.chunks.length, join(this.chunks, this.buffered));
    return this.chunks[0].subarray(0, length);
  }

  /** The next bytes, in memory of their own, so that typed arrays of any element size can be laid over them. */
  private take(length: number): Uint8Array {
    const taken = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const [chunk] = this.chunks;
      const part = chunk.subarray(0, length - done);
      taken.set(part, done);
      done += part.length;
      if (part.length === chunk.length) this.chunks.shift();
      else this.chunks[0] = chunk.subarray(part.length);
    }
    this.buffered -= length;
    return taken;
  }
}

function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
