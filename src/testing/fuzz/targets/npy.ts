import { openArrayFile } from '../../../tensors/array-file.js';
import { byteLength } from '../../../tensors/tensor.js';
import { BufferSource } from '../../../wire/source.js';
import { mutateBytes } from '../mutate-bytes.js';
import type { Random } from '../random.js';
import { pickSeed, type Corpus } from '../seeds.js';
import { codeOf, Violation, type Target } from '../target.js';

const encoder = new TextEncoder();

/** What stands in headers, and what it may become. */
const WORDS: readonly Uint8Array[] = [
  '(',
  ')',
  '(3,)',
  '(9007199254740993,)',
  '(4294967296, 4294967296)',
  '(0, 99999999999)',
  '(-1,)',
  '()',
  '(1,)*9',
  "'<f4'",
  "'|O'",
  "'>i8'",
  "'|b1'",
  "'<U5'",
  "'<f16'",
  'True',
  'False',
  "'shape'",
  "'descr'",
  '__proto__',
  '0, 0, ',
  ', ',
  '{',
  '}',
  '"F32"',
  '"I64"',
  '"BOOL"',
  '"F8_E4M3"',
  '"data_offsets":[0,24]',
  '"data_offsets":[0,9007199254740993]',
  '"data_offsets":[24,0]',
  '"shape":[1099511627776,1099511627776]',
  '"shape":[-1]',
  '"shape":[1e400]',
  '"__metadata__":{}',
  '"__proto__":',
  '{}',
  '[]',
  'null',
].map((text) => encoder.encode(text));

const LARGEST_HONEST = 4 * 2 ** 20;
/** Deflate turns one byte into at most 1,032. */
const STEEPEST = 1032;

/** Array files, read whole and in rows: what they claim is never allocated before it is there. */
export function npyTarget(corpus: Corpus): Target {
  return {
    name: 'npy',
    shape: { prefix: 0, type: null },
    deepOnceIn: 16,
    input: (random) => mutatedArray(corpus, random),
    run: async (bytes, deep) => {
      const before = process.memoryUsage().arrayBuffers;
      const code = await readAll(bytes, deep);
      const allocated = process.memoryUsage().arrayBuffers - before;
      if (allocated > LARGEST_HONEST + 2 * STEEPEST * bytes.length)
        throw new Violation('allocation-follows-a-claim', `${allocated} bytes for a file of ${bytes.length}`);
      return code;
    },
  };
}

async function readAll(bytes: Uint8Array, deep: boolean): Promise<string> {
  try {
    // What has no signature is read as a TensorProto.
    const { arrays } = await openArrayFile(new BufferSource(bytes, 'input.pb'));
    for (const array of arrays) {
      const whole = await array.read();
      const { dtype, shape, data } = whole;
      const size = byteLength(dtype, shape);
      if (
        Array.isArray(data)
          ? data.length !== shape.reduce((product, dim) => product * dim, 1)
          : ArrayBuffer.isView(data) && data.byteLength !== size
      )
        throw new Violation('values-do-not-fit-the-shape', `${dtype} [${shape.join(', ')}]`);
      if (array.dtype !== dtype || array.shape.join() !== shape.join())
        throw new Violation(
          'header-and-values-differ',
          `${array.dtype} [${array.shape.join(', ')}] against ${dtype} [${shape.join(', ')}]`,
        );
      if (deep && shape.length > 0 && shape[0] > 0) await array.read({ start: shape[0] - 1, end: shape[0] });
    }
    return 'ok';
  } catch (error) {
    const code = codeOf(error);
    // Bytes in memory are always there: whoever asked for others believed a claim.
    if (code.startsWith('FEATX_IO')) throw new Violation('reads-outside', String(error));
    return code;
  }
}

/** Array files hold little structure: words of headers, lengths, and bytes. */
function mutatedArray(corpus: Corpus, random: Random): Uint8Array {
  let { bytes } = pickSeed(corpus, random);
  const donor = pickSeed(corpus, random).bytes;
  for (let count = 1 + random.below(4); count > 0; count--) {
    switch (random.below(6)) {
      case 0:
        bytes = withWord(bytes, random);
        break;
      case 1:
        bytes = withInteger(bytes, random);
        break;
      case 2:
        bytes = withDigit(bytes, random);
        break;
      default:
        bytes = mutateBytes(bytes, random, donor);
    }
  }
  return bytes;
}

/** A word over what stands there, so that lengths stay right. */
function withWord(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const word = random.pick(WORDS);
  const at = random.below(Math.min(copy.length, 512) + 1);
  copy.set(word.subarray(0, Math.max(0, copy.length - at)), at);
  return copy;
}

const INTEGERS: readonly number[] = [
  0, 1, 2, 7, 127, 128, 255, 65535, 65536, 100_000_000, 100_000_001, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** A little-endian length somewhere: in front of a header, in a zip directory. */
function withInteger(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const width = random.pick([2, 4, 8]);
  if (copy.length < width) return copy;
  const view = new DataView(copy.buffer);
  const at = random.once(2)
    ? random.below(Math.min(copy.length - width, 32) + 1)
    : random.below(copy.length - width + 1);
  const value = random.pick(INTEGERS);
  if (width === 2) view.setUint16(at, value & 0xffff, true);
  else view.setUint32(at, value, true);
  if (width === 8) view.setUint32(at + 4, random.once(2) ? 0 : random.pick(INTEGERS), true);
  return copy;
}

/** Another digit where one stands. */
function withDigit(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const start = random.below(Math.max(1, copy.length));
  const at = copy.findIndex((byte, index) => index >= start && byte >= 0x30 && byte <= 0x39);
  if (at >= 0) copy[at] = 0x30 + random.below(10);
  return copy;
}
