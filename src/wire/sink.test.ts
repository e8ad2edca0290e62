import { constants } from 'node:fs';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile as write,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pid } from 'node:process';
import { FeatxError } from '../errors.js';
import { faultyFileSystem, type Fault } from '../testing/faulty-fs.js';
import { FileSource } from './file-source.js';
import { nodeFileSystem, writeFully, type FileSystem } from './fs.js';
import type { Piece } from './pieces.js';
import { stage, writeFile, type WriteOptions } from './sink.js';
import { resolveTarget } from './target.js';
import { removeUnfinished } from './temporary-names.js';
import { BufferSource } from './source.js';
import { thisWriter } from './writers.js';

let folder: string;
const at = (name: string): string => join(folder, name);

beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-sink-'))));
afterEach(() => rm(folder, { recursive: true }));

const OLD = new TextEncoder().encode('the old content, which is longer than the new one');
const INPUT = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
const PIECES: readonly Piece[] = [{ start: 0, end: 400 }, new TextEncoder().encode('fresh'), { start: 500, end: 1000 }];
const NEW = Buffer.concat([INPUT.subarray(0, 400), Buffer.from('fresh'), INPUT.subarray(500)]);
const MEBIBYTE = 1024 * 1024;

/** A file that is cloned and patched rather than streamed. */
async function largeSource(
  name = 'large.bin',
): Promise<{ source: FileSource; pieces: readonly Piece[]; expected: Buffer }> {
  const bytes = Buffer.alloc(5 * MEBIBYTE, 7);
  await write(at(name), bytes);
  const tail = new TextEncoder().encode('a new tail');
  return {
    source: await FileSource.open(at(name)),
    pieces: [{ start: 0, end: bytes.length - 4 }, tail],
    expected: Buffer.concat([bytes.subarray(0, -4), tail]),
  };
}

async function temporaries(): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => name.startsWith('.featx-'));
}

type Writer = (fs: FileSystem, target: string) => Promise<unknown>;

interface Outcome {
  readonly fault: Fault;
  readonly call: string;
  readonly target: 'old' | 'new' | 'torn' | 'absent';
  readonly failed: unknown;
  readonly left: readonly string[];
}

/** Runs a writer with the n-th call of the file system going wrong, for every n until nothing goes wrong any more. */
async function outcomes(
  writer: Writer,
  faults: readonly Fault[],
  { before, after, persistent = false }: { before: Uint8Array | null; after: Uint8Array; persistent?: boolean },
): Promise<readonly Outcome[]> {
  const found: Outcome[] = [];
  for (const fault of faults) {
    for (let n = 1; ; n++) {
      if (before === null) await rm(at('target'), { force: true });
      else await write(at('target'), before);
      const { fileSystem, calls } = faultyFileSystem(n, fault, persistent);
      let failed: unknown = null;
      try {
        await writer(fileSystem, at('target'));
      } catch (error) {
        failed = error;
      }
      if (calls.length < n) {
        expect(failed).toBeNull();
        break;
      }
      const now = await readFile(at('target')).catch(() => null);
      const target =
        now === null ? 'absent' : now.equals(after) ? 'new' : before !== null && now.equals(before) ? 'old' : 'torn';
      const left = await temporaries();
      for (const name of left) await unlink(at(name));
      found.push({ fault, call: calls.find((call) => call.endsWith('!')) ?? '', target, failed, left });
    }
  }
  return found;
}

const FAULTS: readonly Fault[] = ['ENOSPC', 'EIO', 'EACCES', 'EINTR', 'EMFILE', 'EROFS', 'EDQUOT', 'short', 'zero'];

const atomic: Writer = (fileSystem, target) => writeFile(new BufferSource(INPUT), PIECES, target, { fileSystem });

/** What most tools do. */
const inPlace: Writer = async (fs, target) => {
  const file = await fs.open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o666);
  try {
    await writeFully(file, NEW.subarray(0, 500), 0, target);
    await writeFully(file, NEW.subarray(500), 500, target);
    await file.sync();
  } finally {
    await file.close();
  }
};

function assertAllOrNothing(found: readonly Outcome[], absent: 'old' | 'absent'): void {
  expect(found.length).toBeGreaterThan(50);
  for (const outcome of found) {
    const allowed = outcome.failed === null ? ['new'] : [absent, 'new'];
    expect({ ...outcome, target: allowed.includes(outcome.target) ? 'whole' : outcome.target }).toMatchObject({
      target: 'whole',
      left: [],
    });
    if (outcome.failed !== null) expect(outcome.failed).toBeInstanceOf(FeatxError);
  }
}

describe('whatever fails', () => {
  test.each([false, true])(
    'the target is old or new, and nothing is left (the fault persists: %s)',
    async (persistent) => {
      const faults = persistent
        ? FAULTS.filter((fault) => fault !== 'EINTR' && fault !== 'EACCES' && fault !== 'short')
        : FAULTS;
      assertAllOrNothing(await outcomes(atomic, faults, { before: OLD, after: NEW, persistent }), 'old');
      assertAllOrNothing(await outcomes(atomic, faults, { before: null, after: NEW, persistent }), 'absent');
    },
  );

  test('a clone that is patched is no exception', async () => {
    const { source, pieces, expected } = await largeSource();
    const found = await outcomes(
      (fileSystem, target) => writeFile(source, pieces, target, { fileSystem }),
      ['ENOSPC', 'EIO', 'EACCES', 'zero'],
      { before: OLD, after: expected },
    );
    assertAllOrNothing(found, 'old');
    expect(found.map(({ call }) => call)).toEqual(expect.arrayContaining(['clone!', 'truncate!', 'fsync!']));
    await source.close();
  });

  test('a writer that writes in place tears the file', async () => {
    const found = await outcomes(inPlace, FAULTS, { before: OLD, after: NEW });
    expect(found.filter(({ target }) => target === 'torn').length).toBeGreaterThan(5);
  });

  test('a finished file is on the device before its name is, and its name before the writer says so', async () => {
    const { fileSystem, calls } = faultyFileSystem(0, 'EIO');
    await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem });
    expect(calls.filter((call) => ['write', 'fsync', 'close', 'rename'].includes(call))).toEqual([
      'write',
      'fsync',
      'close',
      'rename',
      'fsync',
      'close',
    ]);
  });

  test('an error names what failed and where', async () => {
    const { fileSystem } = faultyFileSystem(3, 'ENOSPC');
    await expect(writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem })).rejects.toMatchObject({
      name: 'IoError',
      message: expect.stringContaining('no space left on the device (ENOSPC)'),
      path: expect.stringContaining(folder),
    });
  });

  test('a rename that is refused for a moment is tried again, and given up in the end', async () => {
    let refusals = 2;
    const busy: FileSystem = {
      ...nodeFileSystem,
      rename: (from, to) =>
        refusals-- > 0
          ? Promise.reject(Object.assign(new Error(), { code: 'EBUSY' }))
          : nodeFileSystem.rename(from, to),
    };
    await write(at('target'), OLD);
    await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: busy });
    expect(await readFile(at('target'))).toEqual(NEW);
    refusals = 100;
    await expect(writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: busy })).rejects.toMatchObject({
      message: expect.stringContaining('EBUSY'),
    });
    expect(await readdir(folder)).toEqual(['target']);
  });
});

describe('a file server', () => {
  const refusing = (code: string | undefined): Promise<never> =>
    Promise.reject(Object.assign(new Error('it says no'), code === undefined ? {} : { code }));

  test('that renames, loses its answer, and is asked again has done its work', async () => {
    await write(at('target'), OLD);
    const forgetful: FileSystem = {
      ...nodeFileSystem,
      rename: async (from, to) => {
        await nodeFileSystem.rename(from, to);
        return refusing('ENOENT');
      },
    };
    expect(await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: forgetful })).toBe(NEW.length);
    expect(await readFile(at('target'))).toEqual(NEW);
    expect(await readdir(folder)).toEqual(['target']);
  });

  test.each(['another file', 'none'])(
    'that has lost the temporary file, where the target is %s, has failed',
    async (what) => {
      if (what === 'another file') await write(at('target'), OLD);
      const losing: FileSystem = {
        ...nodeFileSystem,
        rename: async (from) => {
          await nodeFileSystem.unlink(from);
          return refusing('ENOENT');
        },
      };
      await expect(
        writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: losing }),
      ).rejects.toMatchObject({ name: 'IoError', code: 'FEATX_IO_NOT_FOUND', path: at('target') });
      expect(await readFile(at('target')).catch(() => null)).toEqual(what === 'another file' ? Buffer.from(OLD) : null);
    },
  );

  test('whose errors have no code is believed all the same', async () => {
    await write(at('target'), OLD);
    await expect(
      writeFile(new BufferSource(INPUT), PIECES, at('target'), {
        fileSystem: { ...nodeFileSystem, rename: () => refusing(undefined) },
      }),
    ).rejects.toMatchObject({ name: 'IoError', message: `cannot replace ${at('target')}: it says no` });
    expect(await readdir(folder)).toEqual(['target']);
    expect(await readFile(at('target'))).toEqual(Buffer.from(OLD));
    const noSync: FileSystem = {
      ...nodeFileSystem,
      open: (path, flags, mode) => (path === folder ? refusing(undefined) : nodeFileSystem.open(path, flags, mode)),
    };
    await expect(
      writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: noSync }),
    ).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_NOT_DURABLE',
      message: expect.stringMatching(/is written, but might not outlive a loss of power: .*it says no$/),
    });
    expect(await readFile(at('target'))).toEqual(NEW);
    const stale = at(`.featx-${thisWriter().host}-${2 ** 31 - 2}-abc.tmp`);
    await write(stale, OLD);
    await expect(
      writeFile(new BufferSource(INPUT), PIECES, at('target'), {
        fileSystem: { ...nodeFileSystem, unlink: () => refusing(undefined) },
      }),
    ).rejects.toMatchObject({ name: 'IoError', message: `cannot remove ${stale}: it says no` });
  });
});

describe('while it writes', () => {
  test('a signal stops it and nothing is left', async () => {
    await write(at('target'), OLD);
    const controller = new AbortController();
    const reason = new Error('stopped');
    const options: WriteOptions = {
      signal: controller.signal,
      onProgress: (done) => done >= 400 && controller.abort(reason),
    };
    await expect(writeFile(new BufferSource(INPUT), PIECES, at('target'), options)).rejects.toBe(reason);
    expect(await readFile(at('target'))).toEqual(Buffer.from(OLD));
    expect(await readdir(folder)).toEqual(['target']);
  });

  test('a signal during the last check stops it too', async () => {
    const controller = new AbortController();
    const options: WriteOptions = {
      signal: controller.signal,
      beforeCommit: async () => controller.abort(new Error('stopped')),
    };
    await expect(writeFile(new BufferSource(INPUT), PIECES, at('target'), options)).rejects.toThrow('stopped');
    expect(await readdir(folder)).toEqual([]);
  });

  test('progress ends at the size of the result', async () => {
    const seen: (readonly [number, number])[] = [];
    expect(
      await writeFile(new BufferSource(INPUT), PIECES, at('target'), {
        onProgress: (done, total) => seen.push([done, total]),
      }),
    ).toBe(NEW.length);
    expect(seen).toEqual([[905, 905]]);
  });

  test('a check that fails leaves the target as it was', async () => {
    await write(at('target'), OLD);
    let seen: Buffer | null = null;
    const beforeCommit = async (path: string): Promise<void> => {
      seen = await readFile(path);
      throw new Error('it differs');
    };
    await expect(writeFile(new BufferSource(INPUT), PIECES, at('target'), { beforeCommit })).rejects.toThrow(
      'it differs',
    );
    expect(seen).toEqual(NEW);
    expect(await readFile(at('target'))).toEqual(Buffer.from(OLD));
    expect(await temporaries()).toEqual([]);
  });

  test.each(['the model', 'a sidecar'])('%s that changes is noticed', async (which) => {
    await write(at('model.bin'), INPUT);
    await write(at('side.bin'), INPUT);
    const source = await FileSource.open(at('model.bin'));
    const from = await FileSource.open(at('side.bin'));
    const change = (): Promise<void> =>
      write(at(which === 'the model' ? 'model.bin' : 'side.bin'), new Uint8Array(INPUT.length).fill(9));
    const pieces: readonly Piece[] = [
      { start: 0, end: 400 },
      { start: 0, end: 1000, from },
    ];
    await expect(writeFile(source, pieces, at('target'), { beforeCommit: change })).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_CHANGED',
    });
    await expect(stage(source, pieces, folder, { onProgress: () => void change() })).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_CHANGED',
    });
    expect((await readdir(folder)).sort()).toEqual(['model.bin', 'side.bin']);
    await source.close();
    await from.close();
  });

  test('a model that shrinks is noticed', async () => {
    await write(at('model.bin'), INPUT);
    const source = await FileSource.open(at('model.bin'));
    await truncate(at('model.bin'), 450);
    await expect(writeFile(source, PIECES, at('target'))).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_CHANGED',
      message: expect.stringContaining('shorter'),
    });
    expect(await readdir(folder)).toEqual(['model.bin']);
    await source.close();
  });
});

describe('clones', () => {
  test('a result that is nearly its source is cloned, not streamed', async () => {
    const { source, pieces, expected } = await largeSource();
    const { fileSystem, calls } = faultyFileSystem(0, 'EIO');
    await writeFile(source, pieces, at('target'), { fileSystem });
    expect(expected.equals(await readFile(at('target')))).toBe(true);
    expect(calls.filter((call) => call === 'clone' || call === 'write')).toEqual(['clone', 'write']);
    await source.close();
  });

  test('a result that is shorter than its source is cut off', async () => {
    const { source, expected } = await largeSource();
    await writeFile(source, [{ start: 0, end: source.size - 100 }], at('target'));
    expect(expected.subarray(0, source.size - 100).equals(await readFile(at('target')))).toBe(true);
    await source.close();
  });

  test('a path that names another file by now is not cloned', async () => {
    const { source, pieces, expected } = await largeSource();
    const swapped: FileSystem = {
      ...nodeFileSystem,
      stat: (path) => nodeFileSystem.stat(path === source.path ? at('other.bin') : path),
    };
    await write(at('other.bin'), INPUT);
    await writeFile(source, pieces, at('target'), { fileSystem: swapped });
    expect(expected.equals(await readFile(at('target')))).toBe(true);
    await source.close();
  });

  test('a clone that is not wanted and cannot be removed is an error', async () => {
    const { source, pieces } = await largeSource();
    const swapped: FileSystem = {
      ...nodeFileSystem,
      stat: (path) => nodeFileSystem.stat(path === source.path ? at('other.bin') : path),
      unlink: () => Promise.reject(Object.assign(new Error(), { code: 'EIO' })),
    };
    await write(at('other.bin'), INPUT);
    await expect(writeFile(source, pieces, at('target'), { fileSystem: swapped })).rejects.toMatchObject({
      name: 'IoError',
      message: expect.stringMatching(/^cannot remove .*EIO/),
    });
    expect((await readdir(folder)).filter((name) => name === 'target')).toEqual([]);
    await source.close();
  });

  test('a source that is read-only is streamed', async () => {
    const { source, pieces, expected } = await largeSource();
    const readOnly: FileSystem = {
      ...nodeFileSystem,
      open: (path, flags, mode) =>
        path.includes('.featx-') && !(Number(flags) & constants.O_CREAT) && Number(flags) & constants.O_RDWR
          ? Promise.reject(Object.assign(new Error(), { code: 'EACCES' }))
          : nodeFileSystem.open(path, flags, mode),
    };
    await writeFile(source, pieces, at('target'), { fileSystem: readOnly });
    expect(expected.equals(await readFile(at('target')))).toBe(true);
    expect(await temporaries()).toEqual([]);
    await source.close();
  });

  test('a result with a digest is streamed, so that the digest is that of its bytes', async () => {
    const { source, pieces, expected } = await largeSource();
    const staged = await stage(source, pieces, folder, { hash: true });
    const { createHash } = await import('node:crypto');
    expect(staged.sha256).toBe(createHash('sha256').update(expected).digest('hex'));
    expect(staged.size).toBe(expected.length);
    await staged.file.discard();
    await staged.file.discard();
    expect(await temporaries()).toEqual([]);
    await source.close();
  });
});

describe('targets', () => {
  test('the mode of a file that is replaced stays', async () => {
    await write(at('target'), OLD);
    await chmod(at('target'), 0o640);
    await writeFile(new BufferSource(INPUT), PIECES, at('target'));
    expect((await stat(at('target'))).mode & 0o777).toBe(0o640);
  });

  test('other names of a file that is replaced keep its old content', async () => {
    await write(at('target'), OLD);
    await link(at('target'), at('other-name'));
    await writeFile(new BufferSource(INPUT), PIECES, await resolveTarget(at('target'), []));
    expect(await readFile(at('other-name'))).toEqual(Buffer.from(OLD));
    expect(await readFile(at('target'))).toEqual(NEW);
  });

  test('an input under any of its names is refused, and replaced where asked', async () => {
    await write(at('model.onnx'), OLD);
    await mkdir(at('sub'));
    await link(at('model.onnx'), at('hard.onnx'));
    await symlink('model.onnx', at('soft.onnx'));
    for (const [target, input] of [
      ['model.onnx', 'model.onnx'],
      ['sub/../model.onnx', 'model.onnx'],
      ['hard.onnx', 'model.onnx'],
      ['model.onnx', 'soft.onnx'],
      ['hard.onnx', 'soft.onnx'],
    ] as const) {
      const target_ = `${folder}/${target}`;
      await expect(resolveTarget(target_, [at(input)])).rejects.toMatchObject({
        name: 'UsageError',
        code: 'FEATX_USAGE_SAME_FILE',
        hint: expect.stringContaining('`inPlace: true`'),
      });
      expect(await resolveTarget(target_, [at(input)], { inPlace: true })).toBe(target_);
    }
    await expect(resolveTarget(at('soft.onnx'), [at('model.onnx')], { follow: true })).rejects.toMatchObject({
      code: 'FEATX_USAGE_SAME_FILE',
    });
    expect(await resolveTarget(at('free.onnx'), [at('model.onnx'), at('missing.onnx')])).toBe(at('free.onnx'));
    await expect(resolveTarget(at('hard.onnx'), [at('model.onnx')], { inPlace: false })).rejects.toMatchObject({
      code: 'FEATX_USAGE_SAME_FILE',
      hint: 'choose another output: the result still needs that file',
    });
  });

  test('a link is refused, and followed where asked', async () => {
    await mkdir(at('elsewhere'));
    await write(at('elsewhere/real.onnx'), OLD);
    await symlink('elsewhere/real.onnx', at('link.onnx'));
    await symlink('nowhere.onnx', at('dangling.onnx'));
    await symlink('loop.onnx', at('loop.onnx'));
    await expect(resolveTarget(at('link.onnx'), [])).rejects.toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_LINK',
      hint: expect.stringContaining('`follow: true`'),
    });
    const real = await resolveTarget(at('link.onnx'), [], { follow: true });
    expect(basename(real)).toBe('real.onnx');
    await writeFile(new BufferSource(INPUT), PIECES, real);
    expect(await readFile(at('elsewhere/real.onnx'))).toEqual(NEW);
    expect(await readdir(at('elsewhere'))).toEqual(['real.onnx']);
    await expect(resolveTarget(at('dangling.onnx'), [], { follow: true })).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_NOT_FOUND',
    });
    await expect(resolveTarget(at('loop.onnx'), [], { follow: true })).rejects.toMatchObject({
      name: 'IoError',
      message: expect.stringContaining('ELOOP'),
    });
  });

  test('what is no file, exists, or can have no folder is refused before any work', async () => {
    await write(at('exists'), OLD);
    await expect(resolveTarget(folder, [])).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining('is a directory'),
    });
    await expect(resolveTarget('/dev/null', [])).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining('not a regular file'),
    });
    await expect(resolveTarget(at('exists'), [], { noClobber: true })).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_EXISTS',
    });
    expect(await resolveTarget(at('new'), [], { noClobber: true })).toBe(at('new'));
    expect(await resolveTarget(at('missing/folder/target'), [])).toBe(at('missing/folder/target'));
    await expect(resolveTarget(at('exists/folder/target'), [])).rejects.toMatchObject({ name: 'IoError' });
    await expect(resolveTarget(at('exists/target'), [])).rejects.toMatchObject({ name: 'IoError' });
    await expect(resolveTarget(at('n'.repeat(300)), [])).rejects.toMatchObject({
      name: 'IoError',
      message: expect.stringContaining('the name is too long'),
    });
    await expect(
      resolveTarget(at('new'), [], {
        fileSystem: { ...nodeFileSystem, stat: () => nodeFileSystem.stat(at('exists')) },
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining('is not a directory') });
  });

  test('a directory that cannot be synced is no failure, one that cannot be listed neither', async () => {
    const refuse = (code: string) => (): Promise<never> => Promise.reject(Object.assign(new Error(), { code }));
    const noDirectorySync: FileSystem = {
      ...nodeFileSystem,
      readdir: refuse('EACCES'),
      open: (path, flags, mode) => (path === folder ? refuse('EISDIR')() : nodeFileSystem.open(path, flags, mode)),
    };
    await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: noDirectorySync });
    expect(await readFile(at('target'))).toEqual(NEW);
  });
});

describe('temporary files of others', () => {
  const { host } = thisWriter();
  const elsewhere = host === '00000000' ? '11111111' : '00000000';
  /** Above the largest process id of any system. */
  const gone = 2 ** 31 - 2;
  const names = {
    'of a process that is gone': `.featx-${host}-${gone}-abc.tmp`,
    'of this process': `.featx-${host}-${pid}-abc.tmp`,
    'of another machine, fresh': `.featx-${elsewhere}-${gone}-abc.tmp`,
    'of another machine, old': `.featx-${elsewhere}-${gone}-def.tmp`,
    'of another program': `.featx-notes.tmp`,
  };

  test('those of dead processes are removed, those of live ones stay', async () => {
    for (const name of Object.values(names)) await write(at(name), OLD);
    const old = new Date(Date.now() - 2 * 3_600_000);
    await utimes(at(names['of another machine, old']), old, old);
    await utimes(at(names['of this process']), old, old);
    await writeFile(new BufferSource(INPUT), PIECES, at('target'));
    expect((await readdir(folder)).sort()).toEqual(
      [names['of another machine, fresh'], names['of this process'], names['of another program'], 'target'].sort(),
    );
  });

  test("one that is somebody else's to remove stays, one that cannot be removed is said", async () => {
    const stale = at(names['of a process that is gone']);
    await write(stale, OLD);
    const refusing = (code: string): FileSystem => ({
      ...nodeFileSystem,
      unlink: (path) =>
        path === stale ? Promise.reject(Object.assign(new Error(), { code })) : nodeFileSystem.unlink(path),
    });
    await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: refusing('EPERM') });
    await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: refusing('ENOENT') });
    await expect(
      writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: refusing('EIO') }),
    ).rejects.toMatchObject({ name: 'IoError', path: stale });
  });

  test('one that vanishes meanwhile is no matter', async () => {
    await write(at(names['of a process that is gone']), OLD);
    const racing: FileSystem = {
      ...nodeFileSystem,
      readdir: async (path) => {
        const found = await nodeFileSystem.readdir(path);
        for (const name of await temporaries()) await rename(at(name), at('taken'));
        return found;
      },
    };
    await writeFile(new BufferSource(INPUT), PIECES, at('target'), { fileSystem: racing });
    expect((await readdir(folder)).sort()).toEqual(['taken', 'target']);
  });
});

test('what is being written can be removed by a process that ends at once; what is in its place stays', async () => {
  const staged = await stage(new BufferSource(INPUT), PIECES, folder);
  await writeFile(new BufferSource(INPUT), PIECES, at('target'));
  expect(await temporaries()).toHaveLength(1);
  removeUnfinished();
  expect(await readdir(folder)).toEqual(['target']);
  removeUnfinished();
  await staged.file.discard();
  expect(await readFile(at('target'))).toEqual(NEW);
});

test('two writers of one target leave the whole of one', async () => {
  const results = [1, 2, 3, 4].map((fill) => Buffer.alloc(100_000, fill));
  await Promise.all(
    results.map((bytes) => writeFile(new BufferSource(bytes), [{ start: 0, end: bytes.length }], at('target'))),
  );
  const found = await readFile(at('target'));
  expect(results.some((bytes) => bytes.equals(found))).toBe(true);
  expect(await readdir(folder)).toEqual(['target']);
});
