import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placementOf } from './placement.js';
import { isWebInstalled } from './web.js';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';
import { nodeFileSystem } from '../wire/fs.js';
import { canFetchCuda, CUDA_LIBRARIES, tf32Of } from './cuda.js';
import { openSession, type RuntimeSession } from './open-session.js';
import { runtimeFiles } from './session.js';
import { absence, cudaFault, isProviderFailure, missingLibrary, plainReason, providerOrder } from './providers.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-providers-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The smallest ELF library that needs another one. @see https://refspecs.linuxfoundation.org/elf/elf.pdf */
function libraryThatNeeds(name: string): Buffer {
  const strings = Buffer.from(`\0${name}\0`);
  const dynamicAt = 64 + 2 * 56;
  const stringsAt = dynamicAt + 5 * 16;
  const symbolsAt = stringsAt + Math.ceil(strings.length / 8) * 8;
  const file = Buffer.alloc(symbolsAt + 24);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(file);
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(process.arch === 'arm64' ? 183 : 62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  const segment = (at: number, type: number, start: number, size: number): void => {
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(6, at + 4);
    for (const [offset, field] of [
      [8, start],
      [16, start],
      [24, start],
      [32, size],
      [40, size],
      [48, type === 1 ? 4096 : 8],
    ])
      file.writeBigUInt64LE(BigInt(field), at + offset);
  };
  segment(64, 1, 0, file.length);
  segment(120, 2, dynamicAt, 5 * 16);
  [
    [1, 1],
    [5, stringsAt],
    [6, symbolsAt],
    [10, strings.length],
    [0, 0],
  ].forEach(([key, field], index) => {
    file.writeBigUInt64LE(BigInt(key), dynamicAt + index * 16);
    file.writeBigUInt64LE(BigInt(field), dynamicAt + index * 16 + 8);
  });
  strings.copy(file, stringsAt);
  return file;
}

(process.platform === 'linux' ? test : test.skip)(
  'a library that needs a missing one is diagnosed by the name of the missing one',
  async () => {
    const path = join(folder, 'libonnxruntime_providers_cuda.so');
    writeFileSync(path, libraryThatNeeds('libcublasLt.so.13'));
    expect(await missingLibrary(path)).toMatch(/^libcublasLt\.so\.13: cannot open shared object file/);
    writeFileSync(path, libraryThatNeeds('libc.so.6'));
    expect(await missingLibrary(path)).toBeNull();
    expect(await missingLibrary(join(folder, 'libnone.so'))).toMatch(/libnone\.so/);
    // The loader waits for whoever writes into a pipe.
    const pipe = join(folder, 'libpipe.so');
    execFileSync('mkfifo', [pipe]);
    expect(await missingLibrary(pipe, 1000)).toMatch(/did not finish loading it within 1 s and was stopped/);
  },
);

(canFetchCuda() ? test : test.skip)(
  'a provider whose library is not there says where, and what fetches it',
  async () => {
    const { libraries } = runtimeFiles();
    const gone = { ...nodeFileSystem, stat: () => Promise.reject(new Error('gone')) };
    expect(await absence('cuda', gone)).toEqual({
      missing: 'provider library',
      reason: `${join(libraries, 'libonnxruntime_providers_shared.so')} is not installed`,
      hint: 'featx doctor `fetch: true` `providers: ["cuda"]` downloads it',
    });
    expect(await absence('tensorrt', gone)).toMatchObject({
      missing: 'provider library',
      hint: expect.stringMatching(/ONNXRUNTIME_NODE_INSTALL=true node .*install\.js downloads them; or copy them from/),
    });
  },
);

test('TF32 is what the caller and the environment allow, where CUDA ran', () => {
  expect(['cpu', 'webgpu', 'wasm'].map((provider) => tf32Of(provider, true, {}))).toEqual([null, null, null]);
  expect([undefined, true, false].map((asked) => tf32Of('cuda', asked, {}))).toEqual([true, true, false]);
  expect(tf32Of('tensorrt', true, { NVIDIA_TF32_OVERRIDE: '0' })).toBe(false);
  expect(tf32Of('cuda', undefined, { NVIDIA_TF32_OVERRIDE: '1' })).toBe(true);
});

describe('TF32 that is forbidden', () => {
  const before = process.env.NVIDIA_TF32_OVERRIDE;
  afterEach(() => {
    if (before === undefined) delete process.env.NVIDIA_TF32_OVERRIDE;
    else process.env.NVIDIA_TF32_OVERRIDE = before;
  });
  // As if the libraries were there: the session is opened, and ONNX Runtime looks for them itself.
  const there = { ...nodeFileSystem, stat: () => nodeFileSystem.stat(process.execPath) };
  const bytes = encodeModel({
    graph: { inputs: [value('x', [1])], outputs: [value('y', [1])], nodes: [node('Relu', ['x'], ['y'])] },
  });

  test.each([
    ['cuda', false, '0'],
    ['tensorrt', false, '0'],
    ['cuda', true, undefined],
    ['cuda', undefined, undefined],
    ['cpu', false, undefined],
  ] as const)('on %s: %p is %p where the libraries of CUDA read it', async (provider, tf32, said) => {
    delete process.env.NVIDIA_TF32_OVERRIDE;
    const options = { providers: [provider], tf32, isolate: false, fileSystem: there } as const;
    await using model = await openModel(bytes);
    // Where there is a device it opens.
    const session = await openSession(model, options).catch((error: unknown) => error);
    if (session instanceof Error) expect(session).toMatchObject({ code: 'FEATX_DEVICE' });
    else await (session as RuntimeSession).close();
    expect(process.env.NVIDIA_TF32_OVERRIDE).toBe(said);
  });
});

(process.platform === 'linux' ? test : test.skip)('what CUDA lacks first is named, with what mends it', async () => {
  const refused = 'Failed to load shared library';
  for (const { part, library } of CUDA_LIBRARIES) {
    const fault = await cudaFault(refused, folder);
    // A system that has it lacks something else, or nothing.
    if (fault?.missing !== part) expect(await missingLibrary(library)).toBeNull();
    else
      expect(fault).toEqual({
        missing: part,
        reason: expect.stringMatching(
          `^${part === 'driver' ? "NVIDIA's driver" : part} is missing: ${library}: cannot open shared object file`,
        ),
        hint: expect.stringMatching(
          part === 'driver' ? '580 or newer' : canFetchCuda() ? '^featx doctor .*fetch.*cuda' : `^install ${part}`,
        ),
      });
    writeFileSync(join(folder, library), libraryThatNeeds('libc.so.6'));
  }
  expect(await cudaFault(refused, folder)).toBeNull();
});

test.each([
  [100, 'no CUDA-capable device is detected', 'device', /^no device: no CUDA-capable device is detected/],
  [
    35,
    'CUDA driver version is insufficient for CUDA runtime version',
    'driver',
    /^NVIDIA's driver is too old: CUDA driver/,
  ],
])('CUDA failure %i says what is missing', async (number, words, missing, reason) => {
  const said = `/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 onnxruntime::CudaCall(int) CUDA failure ${number}: ${words} ; GPU=-1 ; hostname=vm ; expr=cudaSetDevice(info_.device_id);`;
  expect(isProviderFailure(said)).toBe(true);
  expect(await cudaFault(said, folder)).toMatchObject({ missing, reason: expect.stringMatching(reason) });
});

test('auto is what the platform has; names are taken as they are', () => {
  expect(providerOrder('auto', 'linux')).toEqual(['cuda', 'cpu']);
  expect(providerOrder('auto', 'win32')).toEqual(['cuda', 'dml', 'cpu']);
  expect(providerOrder('auto', 'darwin')).toEqual(['coreml', 'cpu']);
  expect(providerOrder(['webgpu', 'cuda', 'webgpu'])).toEqual(['webgpu', 'cuda']);
  expect(() => providerOrder(['gpu', 'tpu'])).toThrow("'gpu', 'tpu' are not execution providers");
});

test('what is absent is known without loading anything', async () => {
  expect(await absence('cpu')).toBeNull();
  expect(await absence('webgpu')).toBeNull();
  expect(isWebInstalled()).toBe(false);
  expect(await absence('wasm')).toEqual({
    missing: null,
    reason: 'onnxruntime-web is not installed',
    hint: expect.stringContaining('npm i -E onnxruntime-web@'),
  });
  if (process.platform !== 'win32')
    expect(await absence('dml')).toMatchObject({ reason: 'DirectML exists on Windows only' });
});

test('messages of the runtime lose its own source lines and keep what they say', () => {
  const message =
    '/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::Initialize()::<lambda()> adapter_result.status == wgpu::Success was false. Failed to get a WebGPU adapter: No supported adapters\n';
  expect(plainReason(message)).toBe('Failed to get a WebGPU adapter: No supported adapters');
  expect(isProviderFailure(message)).toBe(true);
  const thrown =
    'N:\\_work\\1\\s\\onnxruntime\\core\\providers\\dml\\dml_provider_factory.cc(512)\\onnxruntime.dll!0000000007BBCBD0: (caller: 0000000007BBCF0A) Exception(1) tid(208) 887A0004 The interface is not supported.';
  expect(plainReason(thrown)).toBe('887A0004 The interface is not supported.');
  expect(isProviderFailure(thrown)).toBe(true);
  const place =
    '/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const std::function<void(int)>&) Unsupported model IR version: 20, max supported IR version: 13 (really)';
  expect(plainReason(place)).toBe('Unsupported model IR version: 20, max supported IR version: 13 (really)');
  expect(plainReason('/a/onnxruntime/b.h:1 void onnxruntime::(anonymous namespace)::check(int) const no (good)')).toBe(
    'no (good)',
  );
  expect(isProviderFailure('Node (n1) Op (Conv) [ShapeInferenceError] Incompatible dimensions')).toBe(false);
});

test('a profile says where each node ran', () => {
  const event = (name: string, provider: string, dur: number): object => ({
    cat: 'Node',
    name,
    dur,
    args: { provider },
  });
  expect(
    placementOf([
      event('a_kernel_time', 'CUDAExecutionProvider', 30),
      event('b_kernel_time', 'CUDAExecutionProvider', 20),
      event('c_kernel_time', 'CPUExecutionProvider', 10),
      event('c_fence_before', 'CPUExecutionProvider', 99),
      { cat: 'Session', name: 'model_run', dur: 70 },
    ]),
  ).toEqual({
    providers: [
      { provider: 'cuda', nodes: 2, us: 50 },
      { provider: 'cpu', nodes: 1, us: 10 },
    ],
  });
});
