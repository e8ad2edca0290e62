import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IoError } from '../errors.js';
import { FileSource } from './file-source.js';
import { nodeFileSystem, type FileHandle, type FileSystem } from './fs.js';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'featx-source-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const content = Uint8Array.from({ length: 2_500_000 }, (_, index) => index & 255);

function written(bytes = content): string {
  const path = join(folder, 'm.onnx');
  writeFileSync(path, bytes);
  return path;
}

/** The real file system with another `read` and `stat` of open files. */
function withHandle(change: (handle: FileHandle) => Partial<FileHandle>): { fs: FileSystem; closed: () => number } {
  let closed = 0;
  const fs: FileSystem = {
    ...nodeFileSystem,
    open: async (path, flags, mode) => {
      const handle = await nodeFileSystem.open(path, flags, mode);
      const all: FileHandle = {
        read: (buffer, position) => handle.read(buffer, position),
        write: (buffer, position) => handle.write(buffer, position),
        stat: () => handle.stat(),
        chmod: (bits) => handle.chmod(bits),
        truncate: (size) => handle.truncate(size),
        sync: () => handle.sync(),
        close: async () => {
          closed++;
          await handle.close();
        },
      };
      return { ...all, ...change(handle) };
    },
  };
  return { fs, closed: () => closed };
}

async function failure(work: Promise<unknown>): Promise<IoError> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(IoError);
    return error as IoError;
  }
  throw new Error('it should have failed');
}

test('reads any range, small and large', async () => {
  const source = await FileSource.open(written());
  expect(source.size).toBe(content.length);
  expect(await source.read(10, 20)).toEqual(content.subarray(10, 20));
  expect(await source.read(7, 7)).toHaveLength(0);
  expect(Buffer.compare(await source.read(1, 2_400_000), content.subarray(1, 2_400_000))).toBe(0);
  await source.close();
});

test('goes on after short reads and interrupted ones', async () => {
  let calls = 0;
  const { fs } = withHandle((handle) => ({
    read: async (buffer, position) => {
      if (calls++ % 3 === 1) throw Object.assign(new Error('interrupted'), { code: 'EINTR' });
      return handle.read(buffer.subarray(0, 1000), position);
    },
  }));
  const source = await FileSource.open(written(), fs);
  expect(await source.read(100, 5100)).toEqual(content.subarray(100, 5100));
  expect(calls).toBeGreaterThan(5);
  await source.close();
});

test('an error of the device names the file and the reason, and keeps the cause', async () => {
  const cause = Object.assign(new Error('i/o error'), { code: 'EIO' });
  const { fs } = withHandle(() => ({
    read: async () => {
      throw cause;
    },
  }));
  const path = written();
  const source = await FileSource.open(path, fs);
  const error = await failure(source.read(0, 10));
  expect(error.message).toBe(`cannot read ${path}: the device reports an input/output error (EIO)`);
  expect(error.cause).toBe(cause);
  await source.close();
});

test('a file that became shorter is an error with the offset, not an endless loop', async () => {
  const path = written();
  const source = await FileSource.open(path);
  truncateSync(path, 1000);
  const error = await failure(source.read(900, 1100));
  expect([error.code, error.offset]).toEqual(['FEATX_IO_CHANGED', 1000]);
  await source.close();
});

test('assertUnchanged sees writes and truncation', async () => {
  const path = written();
  const source = await FileSource.open(path);
  await source.assertUnchanged();
  writeFileSync(path, content.subarray(1));
  expect((await failure(source.assertUnchanged())).code).toBe('FEATX_IO_CHANGED');
  await source.close();
});

test('missing files, directories and pipes are refused at once', async () => {
  expect((await failure(FileSource.open(join(folder, 'none.onnx')))).code).toBe('FEATX_IO_NOT_FOUND');
  expect((await failure(FileSource.open(folder))).message).toMatch(/is a directory/);
  if (process.platform === 'win32') return;
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect((await failure(FileSource.open(pipe))).code).toBe('FEATX_IO_KIND');
});

test('a failed open leaves no file open', async () => {
  const { fs, closed } = withHandle(() => ({
    stat: async () => {
      throw Object.assign(new Error('stale'), { code: 'ESTALE' });
    },
  }));
  const error = await failure(FileSource.open(written(), fs));
  expect(error.message).toMatch(/stale.*ESTALE/);
  expect(closed()).toBe(1);
});

test('a file that cannot be looked at any more has no known state', async () => {
  let calls = 0;
  const { fs } = withHandle((handle) => ({
    stat: async () =>
      calls++ === 0 ? handle.stat() : Promise.reject(Object.assign(new Error('gone'), { code: 'EIO' })),
  }));
  const path = written();
  const source = await FileSource.open(path, fs);
  expect((await failure(source.assertUnchanged())).message).toBe(
    `cannot look at ${path}: the device reports an input/output error (EIO)`,
  );
  await source.close();
});

test('a file that was only read may fail to close, but not be closed twice', async () => {
  const { fs } = withHandle((handle) => ({
    close: async () => {
      await handle.close();
      throw Object.assign(new Error('late'), { code: 'EIO' });
    },
  }));
  await (await FileSource.open(written(), fs)).close();
  const source = await FileSource.open(written());
  await source.close();
  await expect(source.close()).rejects.toMatchObject({ code: 'EBADF' });
});

test('a handle is opened for reading only, and without waiting for what it names', async () => {
  const flags: (string | number)[] = [];
  const fs: FileSystem = {
    ...nodeFileSystem,
    open: (path, given, mode) => (flags.push(given), nodeFileSystem.open(path, given, mode)),
  };
  await (await FileSource.open(written(), fs)).close();
  expect(flags).toEqual([
    process.platform === 'win32' ? constants.O_RDONLY : constants.O_RDONLY | constants.O_NONBLOCK,
  ]);
});
