import { option } from '../options/words.js';
import { ModelFormatError, UnsupportedModelError } from '../errors.js';
import type { ByteSource } from '../wire/source.js';

const SIGNATURES: readonly {
  readonly kind: string;
  readonly hint: string;
  readonly matches: (head: Uint8Array, text: string) => boolean;
}[] = [
  {
    kind: 'a Git LFS pointer, not the file itself',
    hint: 'fetch the real file with `git lfs pull`',
    matches: (_head, text) => text.startsWith('version https://git-lfs'),
  },
  {
    kind: 'an HTML page',
    hint: 'the download probably got an error or a login page',
    matches: (_head, text) => /^\s*<(!doctype html|html|head|\?xml)/i.test(text),
  },
  { kind: 'a gzip archive', hint: 'unpack it first', matches: (head) => head[0] === 0x1f && head[1] === 0x8b },
  {
    kind: 'a zip archive (a PyTorch checkpoint, an .npz, …)',
    hint: 'export the network to ONNX, or unpack the archive',
    matches: (_head, text) => text.startsWith('PK\x03\x04'),
  },
  {
    kind: 'an ONNX Runtime flatbuffer (.ort)',
    hint: 'use the .onnx file it was made from',
    matches: (head, text) => isFlatbuffer(head) && text.slice(4, 8) === 'ORTM',
  },
  {
    kind: 'a TensorFlow Lite flatbuffer',
    hint: 'export the network to ONNX',
    matches: (head, text) => isFlatbuffer(head) && text.slice(4, 8) === 'TFL3',
  },
  {
    kind: 'an HDF5 file (Keras)',
    hint: 'export the network to ONNX',
    matches: (_head, text) => text.startsWith('\x89HDF'),
  },
  {
    kind: 'a safetensors file',
    hint: 'it holds weights without a graph; export the network to ONNX',
    matches: (head, text) => head.length >= 9 && text[8] === '{' && head[5] === 0 && head[6] === 0 && head[7] === 0,
  },
  { kind: 'a GGUF file', hint: 'export the network to ONNX', matches: (_head, text) => text.startsWith('GGUF') },
  {
    kind: 'a NumPy array',
    hint: `featx wants the model; give arrays with ${option('inputs')}`,
    matches: (_head, text) => text.startsWith('\x93NUMPY'),
  },
  { kind: 'JSON', hint: 'featx wants the .onnx file', matches: (_head, text) => /^\s*[{[]\s*["{[\]}]/.test(text) },
];

/**
 * The first word of a flatbuffer is a short way to its root; in a model the fourth byte may be the length of a producer
 * called `ORTModule`.
 */
function isFlatbuffer(head: Uint8Array): boolean {
  return head[2] === 0 && head[3] === 0;
}

/** As much of a file as says what it is. */
const HEAD_BYTES = 512;
const EXPORT = 'export the network to ONNX, or give the .onnx file';

/**
 * What a file may be that is not a model; some models begin alike, so that these count only once reading has failed.
 */
const LIKELY: typeof SIGNATURES = [
  {
    kind: 'a PNG picture',
    hint: `featx wants the model; give pictures with ${option('inputs')}`,
    matches: (_head, text) => text.startsWith('\x89PNG\r\n'),
  },
  {
    kind: 'a JPEG picture',
    hint: `featx wants the model; give pictures with ${option('inputs')}`,
    matches: (_head, text) => text.startsWith('\xff\xd8\xff'),
  },
  { kind: 'a PDF', hint: EXPORT, matches: (_head, text) => text.startsWith('%PDF-') },
  {
    kind: 'a Python pickle (an old PyTorch checkpoint)',
    hint: 'export the network to ONNX with torch.onnx.export',
    matches: (head) => head[0] === 0x80 && head[1] >= 2 && head[1] <= 5,
  },
  { kind: 'a zstd archive', hint: 'unpack it first', matches: (_head, text) => text.startsWith('\x28\xb5\x2f\xfd') },
  { kind: 'an xz archive', hint: 'unpack it first', matches: (_head, text) => text.startsWith('\xfd7zXZ\0') },
  { kind: 'a 7-Zip archive', hint: 'unpack it first', matches: (_head, text) => text.startsWith('7z\xbc\xaf\x27\x1c') },
  { kind: 'a bzip2 archive', hint: 'unpack it first', matches: (_head, text) => /^BZh[1-9]1AY&SY/.test(text) },
  { kind: 'a tar archive', hint: 'unpack it first', matches: (_head, text) => text.slice(257, 262) === 'ustar' },
  { kind: 'a text file', hint: EXPORT, matches: isText },
];

const SHORTEST_TEXT = 8;
const WHITE_SPACE = new Set([0x09, 0x0a, 0x0c, 0x0d]);

/** Text in UTF-8 or, where it says so, UTF-16: what a person wrote, without control characters. */
function isText(head: Uint8Array, latin1: string): boolean {
  if (latin1.startsWith('\xff\xfe') || latin1.startsWith('\xfe\xff')) return true;
  if (head.length < SHORTEST_TEXT || head.some((byte) => (byte < 0x20 && !WHITE_SPACE.has(byte)) || byte === 0x7f))
    return false;
  try {
    // A character may end behind the head.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/**
 * The error to tell where reading has failed with `error`: that the file is something else, where it looks like it,
 * else `error` itself.
 */
export async function readingError(source: ByteSource, error: unknown): Promise<unknown> {
  if (
    !(error instanceof ModelFormatError) ||
    !(error.code.startsWith('FEATX_WIRE_') || error.code === 'FEATX_GRAPH_MISSING')
  )
    return error;
  const { head, latin1 } = await firstBytes(source);
  const match = LIKELY.find(({ matches }) => matches(head, latin1));
  return match === undefined
    ? error
    : new UnsupportedModelError(`${source.path ?? 'the model'} is ${match.kind}, not an ONNX model`, {
        code: 'FEATX_UNSUPPORTED_FILE',
        path: source.path,
        hint: match.hint,
        cause: error,
      });
}

async function firstBytes(source: ByteSource): Promise<{ readonly head: Uint8Array; readonly latin1: string }> {
  const head = await source.read(0, Math.min(HEAD_BYTES, source.size));
  return { head, latin1: Array.from(head, (byte) => String.fromCharCode(byte)).join('') };
}

/** Refuses files that are plainly something else, naming what they look like. @throws UnsupportedModelError */
export async function assertOnnxFile(source: ByteSource): Promise<void> {
  const name = source.path ?? 'the model';
  if (source.size === 0)
    throw new UnsupportedModelError(`${name} is empty`, {
      code: 'FEATX_UNSUPPORTED_FILE',
      path: source.path,
      hint: 'was the download or the export cut short?',
    });
  const head = await source.read(0, Math.min(64, source.size));
  const latin1 = String.fromCharCode(...head);
  const match = SIGNATURES.find(({ matches }) => matches(head, latin1));
  if (match !== undefined)
    throw new UnsupportedModelError(`${name} is ${match.kind}, not an ONNX model`, {
      code: 'FEATX_UNSUPPORTED_FILE',
      path: source.path,
      hint: match.hint,
    });
}
