import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cache } from '../cache.js';
import { runCli } from '../testing/cli.js';
import { NoisySource } from '../testing/far-model.js';
import { RemoteServer } from '../testing/remote-server.js';
import { nodeFileSystem as fs, type FileHandle, type FileSystem } from '../wire/fs.js';
import { parseAddress } from './address.js';
import { MirrorStore, readRecord, recordsIn } from './mirror.js';
import { openRemote } from './open-remote.js';
import type { RemoteOptions } from './settings.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'featx-cache-'));
});
afterEach(() => rm(folder, { recursive: true }));

const source = new NoisySource(2_000_000, []);
const remote = (): RemoteOptions => ({ cacheFolder: folder, environment: {} });

async function fetched(server: RemoteServer, start: number, end: number): Promise<Uint8Array> {
  const opened = await openRemote(server.url('f'), remote());
  try {
    return await opened.read(start, end);
  } finally {
    await opened.close();
  }
}

test('ls, verify and rm', async () => {
  await using server = await RemoteServer.start({ f: { source, etag: '"1"' }, g: { source, etag: '"1"' } });
  const options = { remote: remote() };
  expect((await cache('ls', [], options)).entries).toEqual([]);
  await fetched(server, 500_000, 600_000);
  const [entry] = (await cache('ls', [], options)).entries;
  expect(entry).toMatchObject({ url: server.url('f'), size_bytes: 2_000_000, etag: '"1"' });
  expect(entry.fetched_bytes).toBe(262_144 + 100_000);
  expect((await cache('verify', [], options)).entries).toMatchObject([{ state: 'good' }]);
  expect((await cache('ls', [server.url('g')], options)).entries).toEqual([]);

  const name = (await readdir(folder)).find((each) => each.endsWith('.data')) ?? '';
  const data = await readFile(join(folder, name));
  await writeFile(join(folder, name), data.fill(0, 500_000, 600_000));
  const damaged = await runCli(['cache', 'verify', '--cache-dir', folder, '--json'], { env: {} });
  expect([damaged.exit, JSON.parse(damaged.stdout).entries[0].state]).toEqual([1, 'damaged']);

  server.files.set('f', { source, etag: '"2"' });
  expect((await cache('verify', [], options)).entries.map(({ state }) => state)).toContain('outdated');
  await expect(cache('rm', [], options)).rejects.toMatchObject({ name: 'UsageError' });
  expect((await cache('rm', [server.url('f')], options)).entries.length).toBe(2);
  expect(await readdir(folder)).toEqual([]);
});

test('rm --all removes what no record names, too', async () => {
  await writeFile(join(folder, `${'a'.repeat(48)}-${'b'.repeat(16)}.data`), 'x');
  await writeFile(join(folder, 'mine.txt'), 'x');
  await cache('rm', [], { remote: remote(), all: true });
  expect(await readdir(folder)).toEqual(['mine.txt']);
});

describe('what a mirror says is there, is there', () => {
  const address = parseAddress('https://example.com/m.onnx');
  const version = { size: 100_000, etag: '"1"', lastModified: null, linkedEtag: null };

  /** Every range that the records of the folder say is real holds the bytes of the source. */
  async function assertTrue(): Promise<number> {
    let claimed = 0;
    for (const path of await recordsIn(folder, fs)) {
      const record = await readRecord(path, fs);
      if (record === null) continue;
      const data = await readFile(join(folder, record.data)).catch(() => null);
      if (data === null) continue;
      for (const [start, end] of record.ranges) {
        claimed += end - start;
        expect(Buffer.compare(data.subarray(start, end), await source.read(start, end))).toBe(0);
      }
    }
    return claimed;
  }

  /**
   * A machine that dies at the n-th call: what was written and not synced may be lost in any part, here all of it.
   */
  function dying(at: number): FileSystem {
    let calls = 0;
    const call = <T>(work: () => Promise<T>): Promise<T> =>
      ++calls >= at ? Promise.reject(new Error('dead')) : work();
    const open = async (path: string, flags: string | number, mode?: number): Promise<FileHandle> => {
      const handle = await call(() => fs.open(path, flags, mode));
      let unsynced: (() => Promise<unknown>)[] = [];
      return {
        read: (buffer, position) => handle.read(buffer, position),
        stat: () => handle.stat(),
        chmod: (mode_) => call(() => handle.chmod(mode_)),
        truncate: (size) => call(() => handle.truncate(size)),
        // Pages reach the device when they are synced.
        write: (buffer, position) =>
          call(async () => {
            const copy = Uint8Array.from(buffer);
            unsynced.push(() => handle.write(copy, position));
            return buffer.length;
          }),
        sync: () =>
          call(async () => {
            for (const write of unsynced) await write();
            unsynced = [];
            await handle.sync();
          }),
        close: () => handle.close(),
      };
    };
    return {
      ...fs,
      open,
      rename: (from, to) => call(() => fs.rename(from, to)),
      unlink: (path) => call(() => fs.unlink(path)),
    };
  }

  test('at whichever call the machine dies', async () => {
    let lived = 0;
    for (let at = 1; at < 60; at++) {
      const write = async (): Promise<void> => {
        const store = await MirrorStore.open(folder, address, version, { fs: dying(at), isKept: true });
        for (let part = 0; part < 4; part++) {
          const start = ((at * 7 + part * 31) % 97) * 1_000;
          await store.write(await source.read(start, start + 1_500), start);
          if (part % 2 === 1) await store.save();
        }
        await store.close();
      };
      await write().then(
        () => lived++,
        () => undefined,
      );
      await assertTrue();
    }
    expect(lived).toBeGreaterThan(10);
    expect(await assertTrue()).toBeGreaterThan(10_000);
  });

  test('with several that write at the same time, and one that removes it', async () => {
    for (let round = 0; round < 10; round++) {
      const writers = Array.from({ length: 3 }, async (_, writer) => {
        const store = await MirrorStore.open(folder, address, version, { fs, isKept: true });
        const start = ((round * 5 + writer * 11) % 49) * 2_000;
        await store.write(await source.read(start, start + 2_000), start);
        await store.save();
        await store.close();
      });
      const removal = round % 3 === 0 ? cache('rm', [], { remote: remote(), all: true }) : Promise.resolve();
      await Promise.all([...writers, removal]);
      await assertTrue();
    }
  });

  test.each([
    ['not JSON', '{'],
    ['a range beyond the end', JSON.stringify([[0, 100_001]])],
    ['a range that is not one', JSON.stringify([[5, 5]])],
  ])('a record with %s is not believed', async (_, ranges) => {
    const store = await MirrorStore.open(folder, address, version, { fs, isKept: true });
    await store.close();
    const [path] = await recordsIn(folder, fs);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"ranges":[]', `"ranges":${ranges}`));
    expect(await readRecord(path, fs)).toBeNull();
  });
});
