import { UnsupportedModelError } from '../errors.js';
import type { ByteSource } from '../wire/source.js';

const SIGNATURES: readonly { readonly kind: string; readonly hint: string; readonly matches: (head: Uint8Array, text: string) => boolean }[] = [
  { kind: 'a Git LFS pointer, not the file itself', hint: 'fetch the real file with `git lfs pull`', matches: (_head, text) => text.startsWith('version https://git-lfs') },
  { kind: 'an HTML page', hint: 'the download probably got an error or a login page', matches: (_head, text) => /^\s*<(!doctype html|html|head|\?xml)/i.test(text) },
  { kind: 'a gzip archive', hint: 'unpack it first', matches: (head) => head[0] === 0x1f && head[1] === 0x8b },
  { kind: 'a zip archive (a PyTorch checkpoint, an .npz, …)', hint: 'export the network to ONNX, or unpack the archive', matches: (_head, text) => text.startsWith('PK\x03\x04') },
  { kind: 'an ONNX Runtime flatbuffer (.ort)', hint: 'use the .onnx file it was made from', matches: (head, text) => isFlatbuffer(head) && text.slice(4, 8) === 'ORTM' },
  { kind: 'a TensorFlow Lite flatbuffer', hint: 'export the network to ONNX', matches: (head, text) => isFlatbuffer(head) && text.slice(4, 8) === 'TFL3' },
  { kind: 'an HDF5 file (Keras)', hint: 'export the network to ONNX', matches: (_head, text) => text.startsWith('\x89HDF') },
  { kind: 'a safetensors file', hint: 'it holds weights without a graph; export the network to ONNX', matches: (head, text) => head.length >= 9 && text[8] === '{' && head[5] === 0 && head[6] === 0 && head[7] === 0 },
  { kind: 'a GGUF file', hint: 'export the network to ONNX', matches: (_head, text) => text.startsWith('GGUF') },
  { kind: 'a NumPy array', hint: 'featx wants the model; give arrays with --input', matches: (_head, text) => text.startsWith('\x93NUMPY') },
  { kind: 'JSON', hint: 'featx wants the .onnx file', matches: (_head, text) => /^\s*[{[]\s*["{[\]}]/.test(text) },
];

/** The first word of a flatbuffer is a short way to its root; in a model the fourth byte may be the length of a producer called `ORTModule`. */
function isFlatbuffer(head: Uint8Array): boolean {
  return head[2] === 0 && head[3] === 0;
}

/** Refuses files that are plainly something else, naming what they look like. @throws UnsupportedModelError */
export async function assertOnnxFile(source: ByteSource): Promise<void> {
  const name = source.path ?? 'the model';
  if (source.size === 0) throw new UnsupportedModelError(`${name} is empty`, { code: 'FEATX_UNSUPPORTED_FILE', path: source.path, hint: 'was the download or the export cut short?' });
  const head = await source.read(0, Math.min(64, source.size));
  const latin1 = Array.from(head, (byte) => String.fromCharCode(byte)).join('');
  const match = SIGNATURES.find(({ matches }) => matches(head, latin1));
  if (match !== undefined) throw new UnsupportedModelError(`${name} is ${match.kind}, not an ONNX model`, { code: 'FEATX_UNSUPPORTED_FILE', path: source.path, hint: match.hint });
}
