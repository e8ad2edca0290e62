import { deflateRawSync, gzipSync } from 'node:zlib';
import { UnsupportedModelError } from '../errors.js';
import { encodeModel } from '../testing/model-builder.js';
import { BufferSource } from '../wire/source.js';
import { assertOnnxFile } from './file-kind.js';
import { indexModel } from './model.js';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

function safetensors(): Uint8Array {
  const header = text('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  const file = new Uint8Array(8 + header.length + 4);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return file;
}

test.each<[string, Uint8Array, RegExp]>([
  ['nothing', new Uint8Array(0), /is empty/],
  ['a Git LFS pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'), /Git LFS pointer/],
  ['an HTML page', text('<!DOCTYPE html>\n<html><head><title>404</title>'), /HTML page/],
  ['an HTML page behind white space', text('\r\n  <html lang="en">'), /HTML page/],
  ['an XML error', text('<?xml version="1.0"?><Error>'), /HTML page/],
  ['gzip', gzipSync('model'), /gzip archive/],
  ['zip', Uint8Array.of(...text('PK\x03\x04'), ...deflateRawSync('model')), /zip archive/],
  ['.ort', Uint8Array.of(0x18, 0, 0, 0, ...text('ORTM'), 0, 0), /flatbuffer \(\.ort\)/],
  ['.tflite', Uint8Array.of(0x1c, 0, 0, 0, ...text('TFL3'), 0, 0), /TensorFlow Lite/],
  ['HDF5', Uint8Array.of(0x89, ...text('HDF\r\n'), 0x1a, 0x0a), /HDF5/],
  ['safetensors', safetensors(), /safetensors/],
  ['GGUF', text('GGUF\x03'), /GGUF/],
  ['.npy', Uint8Array.of(0x93, ...text('NUMPY'), 1, 0), /NumPy array/],
  ['JSON', text('{"graph": {}}'), /JSON/],
  ['a JSON list', text(' [ { "a": 1 } ]'), /JSON/],
])('%s is named, with a hint', async (_what, bytes, message) => {
  const source = new BufferSource(bytes, 'm.onnx');
  const error: unknown = await assertOnnxFile(source).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error).toMatchObject({
    code: 'FEATX_UNSUPPORTED_FILE',
    path: 'm.onnx',
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/./),
  });
  await expect(indexModel(source)).rejects.toThrow(message);
});

test.each(['ORTModule', 'ORTM', 'TFL3', 'NUMPY'])('a model made by %s is a model', async (producer) => {
  for (const irVersion of [3, 8, 300])
    expect((await indexModel(encodeModel({ irVersion, producer: [producer, ''], graph: {} }))).producerName).toBe(
      producer,
    );
});

test('bytes without a path are called the model', async () => {
  await expect(indexModel(new Uint8Array(0))).rejects.toThrow(/^the model is empty/);
});
