import { varintBytes } from './tree.js';

/** Values that break programs. */

const encoder = new TextEncoder();

export const INTEGERS: readonly bigint[] = [
  0n, 1n, 2n, 3n, 4n, 7n, 8n, 16n, 127n, 128n, 224n, 255n, 256n, 1023n, 1024n, 65535n, 65536n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 40n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n,
  2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, -1n, -2n, -(2n ** 31n), -(2n ** 53n), -(2n ** 63n),
];

export const VARINTS: readonly Uint8Array[] = [
  ...INTEGERS.map((value) => varintBytes(value)),
  // Needless bytes, an eleventh byte, bits beyond the 64th.
  varintBytes(1, 5), varintBytes(1, 10), varintBytes(0, 10), varintBytes(1, 11), Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 2), Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 127),
];

export const BYTES: readonly number[] = [0, 1, 2, 7, 8, 10, 0x0a, 0x12, 0x1a, 0x2a, 0x3a, 0x42, 0x5b, 0x5c, 0x7f, 0x80, 0x81, 0xc0, 0xed, 0xf4, 0xfe, 0xff];

export const NAMES: readonly Uint8Array[] = [
  '', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '\0', 'a\0b', '/', '../x', 'x', 'y', '0', '1', '-1', 'length', '\u001b[31m', '\r\n', '\u202e', '\ufeff', '*', 'a*', '[a', '**/**', '\\', 'é', 'e\u0301',
  'ai.onnx', 'ai.onnx.ml', 'featx', 'featx.feature_info', 'featx/Identity', 'featx/Concat', 'Identity', 'If', 'Loop', 'Conv', 'Constant', 'pkg.torch.onnx.name_scopes', 'pkg.torch.onnx.class_hierarchy', "['', 'layer1', 'conv1']", "['", '/layer1/layer1.0/conv1/Conv_output_0',
  '{"schema":1,"feature_info":[],"out_indices":[],"outputs":[]}', '{"schema":1,"feature_info":[{"index":0,"tensor":"y","module":null,"num_chs":null,"reduction":null,"because":""}],"out_indices":[0],"outputs":[{"index":0,"output":"y","converted":false,"prefix_tokens":0}]}',
  'a.'.repeat(200), 'stages.0.blocks.0', 'x'.repeat(300),
].map((text) => encoder.encode(text)).concat([Uint8Array.of(0xff), Uint8Array.of(0xc3, 0x28), Uint8Array.of(0xed, 0xb2, 0x80), Uint8Array.of(0xf0, 0x9f, 0x98), Uint8Array.of(0xf0, 0x9f, 0x98, 0x80)]);

/** Locations of external data. */
export const LOCATIONS: readonly Uint8Array[] = [
  'w.bin', 'sub/../w.bin', '../w.bin', 'a/../../w.bin', 'a\\..\\..\\w.bin', '/etc/passwd', '//server/share', '\\\\server\\share', '\\\\?\\C:\\x', 'C:\\x', 'C:x', 'c:/x', '~', '~/x', 'file:///etc/passwd', 'http://x/y', 'CON', 'nul.txt', 'COM1 ', 'a/aux', 'x:stream',
  'w.bin ', 'w.bin.', '', '.', '..', './', 'w.bin\0x', '*/_ORT_MEM_ADDR_/*', 'x'.repeat(4097), '__proto__',
].map((text) => encoder.encode(text));

export const EXTERNAL_KEYS: readonly Uint8Array[] = ['location', 'offset', 'length', 'checksum', 'basepath', '__proto__', 'Location'].map((text) => encoder.encode(text));

/** Offsets and lengths. */
export const COUNTS: readonly Uint8Array[] = ['0', '1', '24', '4096', '-1', '0x10', ' 16', '16zz', '1e3', '9223372036854775807', '9007199254740993', '99999999999999999999', '1.5', ''].map((text) => encoder.encode(text));
