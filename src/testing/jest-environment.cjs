// onnxruntime-node compares typed arrays with the host's constructors, and jest gives every test file a realm of its
// own.
const { TestEnvironment } = require('jest-environment-node');

const HOST_CONSTRUCTORS = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
];

module.exports = class HostTypedArraysEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    for (const name of HOST_CONSTRUCTORS) if (name in globalThis) this.global[name] = globalThis[name];
  }
};
