import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';
import { build } from 'esbuild';
import { FeatureDictNet, inspect, readArrays, readPictures } from './index.js';

/** The examples for programs, run: a service, and a page of a browser. */

const ROOT = process.cwd();
const RESNET = join(ROOT, 'fixtures', 'timm', 'test_resnet.ts.onnx');
const PICTURE = join(ROOT, 'fixtures', 'pictures', 'chelsea.png');

test('a service gives the features of an uploaded picture', async () => {
  const server = spawn(process.execPath, [join(ROOT, 'examples', 'service', 'server.mjs'), RESNET, '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => server.once('exit', resolve));
  try {
    const url = await new Promise<string>((resolve, reject) => {
      server.stdout.once('data', (text: Buffer) => resolve(text.toString().trim()));
      void ended.then((code) => reject(new Error(`the service ended with ${code}`)));
    });
    // A busy machine may take longer than the server keeps a connection open.
    const headers = { connection: 'close' };
    const post = (body: Uint8Array): Promise<Response> =>
      fetch(url, { method: 'POST', body: Buffer.from(body), headers });
    const response = await post(readFileSync(PICTURE));
    expect(response.status).toBe(200);
    const features = await readArrays(new Uint8Array(await response.arrayBuffer()));
    await using net = await FeatureDictNet.create(RESNET);
    const expected = await net.forward(await readPictures([PICTURE], net.inputs[0]));
    expect([...features.keys()]).toEqual([...expected.keys()]);
    for (const [name, { shape, data }] of expected) expect(features.get(name)).toMatchObject({ shape, data });
    const refused = await post(Uint8Array.of(1, 2, 3));
    expect([refused.status, await refused.text()]).toEqual([
      400,
      expect.stringContaining('picture 1 cannot be decoded'),
    ]);
    expect((await fetch(url, { headers })).status).toBe(404);
  } finally {
    server.kill('SIGTERM');
  }
  if (process.platform !== 'win32') expect(await ended).toBe(0);
});

test('a page finds the features of a dropped file, without Node.js and without its weights', async () => {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'examples', 'browser', 'features.js')],
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'page',
    platform: 'browser',
    // The package itself, as a page has it from node_modules.
    alias: { 'featx/core': join(ROOT, 'src', 'core.ts') },
    logLevel: 'error',
  });
  const browser = vm.createContext({ performance, TextDecoder, TextEncoder });
  vm.runInContext(outputFiles[0].text, browser);
  const { featuresOf } = vm.runInContext('page', browser) as {
    readonly featuresOf: (
      file: unknown,
    ) => Promise<readonly { readonly module: string | null; readonly num_chs: number }[]>;
  };
  const bytes = readFileSync(RESNET);
  let read = 0;
  const file = {
    size: bytes.length,
    name: 'm.onnx',
    slice: (start: number, end: number) => ({
      arrayBuffer: async () => {
        read += end - start;
        return vm.runInContext('(bytes) => Uint8Array.from(bytes).buffer', browser)(bytes.subarray(start, end));
      },
    }),
  };
  const features = await featuresOf(file);
  const { feature_info: expected } = await inspect(RESNET);
  expect(features.map(({ module, num_chs }) => [module, num_chs])).toEqual(
    expected.map(({ module, num_chs }) => [module, num_chs]),
  );
  expect(read).toBeLessThan(bytes.length);
  const { outputFiles: whole } = await build({
    entryPoints: [join(ROOT, 'examples', 'browser', 'page.js')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    alias: { 'featx/core': join(ROOT, 'src', 'core.ts') },
    logLevel: 'error',
  });
  expect(whole[0].text).toContain('addEventListener');
});
