import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchLibraries, planLibraries, type LibraryOptions } from './provider-libraries.js';
import { canFetchCuda } from './runtime/cuda.js';
import { zip } from './testing/bombs.js';
import { RemoteServer } from './testing/remote-server.js';
import { BufferSource } from './wire/source.js';

/** The libraries of CUDA from an index of Python packages, with wheels of a few bytes. */

const linux = canFetchCuda() ? describe : describe.skip;
const LIBRARY = Buffer.from('\x7fELF and so on '.repeat(20_000));
const NAME = 'nvidia_tiny-1.2.3-py3-none-manylinux_2_27_x86_64.whl';
const wheel = zip('nvidia/cu13/lib/libtiny.so.13', LIBRARY);
const sha256 = createHash('sha256').update(wheel).digest('hex');
const WHEELS = [{ package: 'nvidia-tiny', version: '1.2.3', holds: ['libtiny.so.13'] }];
let home: string;
let folder: string;
let server: RemoteServer;
let listed: object;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'featx-libraries-'));
  folder = join(home, 'beside');
  listed = { filename: NAME, url: `../../files/${NAME}`, hashes: { sha256 }, size: wheel.length };
  const others = [
    { filename: NAME.replace('x86_64', 'aarch64'), url: '../../files/arm', hashes: { sha256 }, size: 1 },
    { filename: NAME.replace('1.2.3', '1.2.4'), url: '../../files/newer', hashes: { sha256 }, size: 1 },
    { ...listed, url: '../../files/withdrawn', size: 1, yanked: 'it was broken' },
    { filename: NAME, url: '../../files/unknown', hashes: {}, size: 1 },
  ];
  server = await RemoteServer.start({ [`files/${NAME}`]: { source: new BufferSource(wheel) } });
  server.misbehave = ({ path }, response) => {
    if (path !== 'simple/nvidia-tiny/') return false;
    response.end(JSON.stringify({ meta: { 'api-version': '1.1' }, files: [...others, listed] }));
    return true;
  };
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

const options = (more: Partial<LibraryOptions> = {}): LibraryOptions => ({
  folder,
  wheels: WHEELS,
  index: server.url('simple/'),
  remote: { cacheFolder: join(home, 'cache'), environment: {}, patience: { tries: 2, pause: async () => undefined } },
  ...more,
});
const cached = (): readonly string[] => readdirSync(join(home, 'cache'));
const rangesAsked = (): readonly number[] =>
  server.asked.filter(({ path, end }) => path.startsWith('files/') && end > 1).map(({ start }) => start);

linux('libraries of a provider', () => {
  test('are found in an index, downloaded, checked and unpacked, and then are there', async () => {
    const plan = await planLibraries(options());
    expect(plan.wheels.map(({ file }) => file?.url)).toEqual([server.url(`files/${NAME}`)]);
    expect(plan.downloadBytes).toBe(wheel.length);
    const seen: number[] = [];
    await fetchLibraries(plan, options({ onProgress: (done) => seen.push(done) }));
    expect(readFileSync(join(folder, 'libtiny.so.13'))).toEqual(LIBRARY);
    expect([seen.at(-1), cached()]).toEqual([wheel.length, []]);
    const again = await planLibraries(options({ index: 'https://nowhere.invalid' }));
    expect([again.downloadBytes, again.wheels[0].file]).toEqual([0, null]);
    // One that somebody cut off is none of ours.
    truncateSync(join(folder, 'libtiny.so.13'), 5);
    expect((await planLibraries(options())).wheels[0].file).not.toBeNull();
    writeFileSync(join(folder, 'featx-libraries.json'), '{');
    expect((await planLibraries(options())).downloadBytes).toBe(wheel.length);
  });

  test('a download that was broken off goes on where it stopped', async () => {
    const plan = await planLibraries(options());
    const honest = server.misbehave;
    server.misbehave = (asked, response, file) => {
      if (!asked.path.startsWith('files/') || asked.end === 1) return honest(asked, response, file);
      response.writeHead(206, {
        'content-range': `bytes ${asked.start}-${asked.end - 1}/${wheel.length}`,
        'content-length': asked.end - asked.start,
      });
      if (asked.start > 0) response.destroy();
      else response.write(wheel.subarray(0, 300), () => setTimeout(() => response.destroy(), 20));
      return true;
    };
    await expect(fetchLibraries(plan, options())).rejects.toMatchObject({ code: 'FEATX_REMOTE' });
    server.misbehave = honest;
    server.asked.length = 0;
    const rest = await planLibraries(options());
    expect(rest.downloadBytes).toBe(wheel.length - 300);
    await fetchLibraries(rest, options());
    expect(rangesAsked()).toEqual([300]);
    expect(readFileSync(join(folder, 'libtiny.so.13'))).toEqual(LIBRARY);
  });

  test.each([
    ['of another digest', { sha256: '0'.repeat(64) }, wheel.length, /has the sha256 [0-9a-f]{64}, and not 0{64}/],
    ['of another size', { sha256 }, wheel.length + 1, /has \d+ bytes, where \d+ are expected/],
  ])('a wheel %s is not unpacked', async (_how, hashes, size, message) => {
    listed = { ...listed, hashes, size };
    await expect(fetchLibraries(await planLibraries(options()), options())).rejects.toThrow(message);
    expect(() => readdirSync(folder)).toThrow('ENOENT');
    if (size === wheel.length) expect(cached()).toEqual([]);
  });

  test('an index that lacks a package, answers something else, or is not to be asked is named', async () => {
    const fails = (more: Partial<LibraryOptions>) => expect(planLibraries(options(more))).rejects;
    await fails({ wheels: [{ ...WHEELS[0], version: '9.9.9' }] }).toThrow(/has no wheel of nvidia-tiny 9\.9\.9/);
    await fails({ wheels: [{ ...WHEELS[0], package: 'nvidia-none' }] }).toMatchObject({ code: 'FEATX_IO_NOT_FOUND' });
    await fails({ index: 'http://example.com/simple' }).toMatchObject({ code: 'FEATX_USAGE_SCHEME' });
    await fails({ remote: { offline: true } }).toMatchObject({ code: 'FEATX_REMOTE_OFFLINE' });
    server.misbehave = (_asked, response) => {
      response.end('<html><a href="nvidia_tiny.whl">');
      return true;
    };
    await fails({}).toThrow(/does not answer with the JSON of an index/);
    server.misbehave = (_asked, response) => {
      response.end(JSON.stringify({ files: [{ ...listed, url: 'ftp://example.com/a.whl' }] }));
      return true;
    };
    await fails({}).toThrow(/names a file at a place that is not read/);
  });
});
