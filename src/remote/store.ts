import type { ByteRange } from '../wire/fields.js';
import { RangeSet } from './ranges.js';

/** Where bytes that were fetched are kept, each at its own place. */
export interface RangeStore {
  /** What is there. */
  readonly have: RangeSet;
  /** The file that holds them at their own offsets; null if there is none. */
  readonly path: string | null;
  /** Bytes that are there. */
  read(start: number, end: number): Promise<Uint8Array>;
  readInto(bytes: Uint8Array, start: number): Promise<void>;
  write(bytes: Uint8Array, start: number): Promise<void>;
  /** Makes what was written so far last: later runs believe that it is there. */
  save(): Promise<void>;
  close(): Promise<void>;
}

const BLOCK = 64 * 1024;

/** Keeps bytes in memory, in blocks: what is far apart takes no memory for what lies between. */
export class MemoryStore implements RangeStore {
  readonly have = new RangeSet();
  readonly path = null;
  private readonly blocks = new Map<number, Uint8Array>();

  async read(start: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    await this.readInto(bytes, start);
    return bytes;
  }

  async readInto(bytes: Uint8Array, start: number): Promise<void> {
    for (const { block, from, at, length } of blocksOf({ start, end: start + bytes.length }))
      bytes.set(this.block(block).subarray(from, from + length), at);
  }

  async write(bytes: Uint8Array, start: number): Promise<void> {
    for (const { block, from, at, length } of blocksOf({ start, end: start + bytes.length }))
      this.block(block).set(bytes.subarray(at, at + length), from);
    this.have.add(start, start + bytes.length);
  }

  private block(number: number): Uint8Array {
    let block = this.blocks.get(number);
    if (block === undefined) this.blocks.set(number, (block = new Uint8Array(BLOCK)));
    return block;
  }

  async save(): Promise<void> {
    // Nothing outlives the program.
  }

  async close(): Promise<void> {
    this.blocks.clear();
  }
}

/** The parts of a range in each block: where they begin in it, and in the range. */
function* blocksOf({ start, end }: ByteRange): Generator<{
  readonly block: number;
  readonly from: number;
  readonly at: number;
  readonly length: number;
}> {
  for (let position = start; position < end; ) {
    const block = Math.floor(position / BLOCK);
    const from = position - block * BLOCK;
    const length = Math.min(BLOCK - from, end - position);
    yield { block, from, at: position - start, length };
    position += length;
  }
}
