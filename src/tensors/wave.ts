import type { ByteSource } from '../wire/source.js';
import { malformed, unsupported } from './faults.js';

/** How the samples of a .wav file are written, and where. */
export interface WaveHeader {
  /** Samples a second, of each channel. */
  readonly rate: number;
  readonly channels: number;
  readonly coding: Coding;
  /** Samples of each channel. */
  readonly length: number;
  readonly start: number;
}

type Coding = 'uint8' | 'int16' | 'int24' | 'int32' | 'float32' | 'float64';

const BYTES: { readonly [C in Coding]: number } = { uint8: 1, int16: 2, int24: 3, int32: 4, float32: 4, float64: 8 };
const PCM = 1;
const FLOAT = 3;
/** The tag is the beginning of an identifier further on. */
const EXTENSIBLE = 0xfffe;
const CODINGS: { readonly [tag: number]: { readonly [bits: number]: Coding } } = {
  [PCM]: { 8: 'uint8', 16: 'int16', 24: 'int24', 32: 'int32' },
  [FLOAT]: { 32: 'float32', 64: 'float64' },
};
/** What stands for the size of a chunk that was written into a pipe. */
const OPEN_SIZES = [0, 0x7fffffff, 0xffffffff];
const MOST_CHUNKS = 10_000;

/** Whether bytes begin like a .wav file. */
export function isWave(head: Uint8Array): boolean {
  return ascii(head, 0) === 'RIFF' && ascii(head, 8) === 'WAVE';
}

function ascii(bytes: Uint8Array, start: number): string {
  return String.fromCharCode(...bytes.subarray(start, start + 4));
}

/**
 * The header of a .wav file (RIFF): PCM of 8 to 32 bits, float32 or float64.
 * @throws ModelFormatError, UnsupportedModelError for other codings, IoError
 * @see https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html
 */
export async function readWaveHeader(source: ByteSource, name: string): Promise<WaveHeader> {
  let format: Omit<WaveHeader, 'length' | 'start'> | null = null;
  let at = 12;
  for (let chunks = 0; at + 8 <= source.size && chunks < MOST_CHUNKS; chunks++) {
    const head = await source.read(at, at + 8);
    const size = new DataView(head.buffer, head.byteOffset).getUint32(4, true);
    const start = at + 8;
    if (ascii(head, 0) === 'data') {
      if (format === null) throw malformed(name, 'its samples come before their format', at);
      const isOpen = OPEN_SIZES.includes(size) && start + size !== source.size;
      const end = isOpen ? source.size : start + size;
      if (end > source.size) throw malformed(name, `its samples end at byte ${end}, the file at ${source.size}`, at);
      const length = Math.floor((end - start) / (BYTES[format.coding] * format.channels));
      if (length === 0) throw malformed(name, 'it has no samples', at);
      return { ...format, length, start };
    }
    if (ascii(head, 0) === 'fmt ') format = await formatOf(source, { start, size, name });
    // Chunks are filled up to even sizes.
    at = start + size + (size % 2);
  }
  throw malformed(name, 'it has no samples');
}

async function formatOf(
  source: ByteSource,
  { start, size, name }: { readonly start: number; readonly size: number; readonly name: string },
): Promise<Omit<WaveHeader, 'length' | 'start'>> {
  if (size < 16 || start + size > source.size) throw malformed(name, `its format has ${size} bytes`, start);
  const bytes = await source.read(start, start + Math.min(size, 40));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const said = view.getUint16(0, true);
  const tag = said === EXTENSIBLE && bytes.length >= 26 ? view.getUint16(24, true) : said;
  const [channels, rate, bits] = [view.getUint16(2, true), view.getUint32(4, true), view.getUint16(14, true)];
  const coding = CODINGS[tag]?.[bits];
  if (coding === undefined)
    throw unsupported(
      name,
      `its samples have the format ${tag} with ${bits} bits`,
      'PCM of 8, 16, 24 and 32 bits and floats are read: ffmpeg -i FILE -c:a pcm_s16le OUT.wav makes such a file',
    );
  if (channels === 0 || rate === 0) throw malformed(name, `it has ${channels} channels of ${rate} samples a second`);
  return { rate, channels, coding };
}

/** The mean of the channels, from -1 to 1 as soundfile has it. */
export async function readWave(source: ByteSource, header: WaveHeader): Promise<Float64Array> {
  const { coding, channels, length, start } = header;
  const width = BYTES[coding];
  const bytes = await source.read(start, start + length * channels * width);
  const sample = SAMPLES[coding](new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const samples = new Float64Array(length);
  for (let at = 0; at < length; at++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += sample((at * channels + channel) * width);
    samples[at] = sum / channels;
  }
  return samples;
}

const SAMPLES: { readonly [C in Coding]: (view: DataView) => (at: number) => number } = {
  uint8: (view) => (at) => (view.getUint8(at) - 128) / 128,
  int16: (view) => (at) => view.getInt16(at, true) / 2 ** 15,
  int24: (view) => (at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65_536) / 2 ** 23,
  int32: (view) => (at) => view.getInt32(at, true) / 2 ** 31,
  float32: (view) => (at) => view.getFloat32(at, true),
  float64: (view) => (at) => view.getFloat64(at, true),
};
