import { execFile } from 'node:child_process';
import { link, mkdir, mkdtemp, realpath, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { faultyFileSystem } from '../testing/faulty-fs.js';
import { watchingFileSystem } from '../testing/watching-fs.js';
import { nodeFileSystem, type FileSystem } from './fs.js';
import { DirectorySidecars, sidecarPlaces } from './sidecar-files.js';
import { NO_SIDECARS } from './source.js';

const SIZE = 64;
/** Pipes and sockets with a path, and names with a backslash. */
const posixTest = process.platform === 'win32' ? test.skip : test;

let root: string;
let directory: string;
const at = (name: string): string => join(directory, name);

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'featx-beside-')));
  directory = join(root, 'model');
  await mkdir(at('sub'), { recursive: true });
  await mkdir(join(root, 'model-secret'));
  for (const path of ['secret.bin', 'model-secret/w.bin', 'model/w.bin', 'model/sub/inner.bin', 'model/model.onnx'])
    await writeFile(join(root, path), new Uint8Array(SIZE).fill(path.length));
});
afterEach(() => rm(root, { recursive: true }));

async function withFiles<T>(
  use: (files: DirectorySidecars) => Promise<T>,
  options: ConstructorParameters<typeof DirectorySidecars>[1] = {},
  model = at('model.onnx'),
): Promise<T> {
  const files = new DirectorySidecars(model, options);
  try {
    return await use(files);
  } finally {
    await files.close();
  }
}

/** Refused, and nothing but places in the directory of the model looked at on the way. */
async function expectRefused(location: string, expected: object, model = at('model.onnx')): Promise<void> {
  const watched = watchingFileSystem();
  await withFiles(
    (files) =>
      expect(files.open(location, 'graph.initializer[3]')).rejects.toMatchObject({
        name: 'PolicyError',
        field: 'graph.initializer[3]',
        ...expected,
      }),
    { fileSystem: watched.fileSystem },
    model,
  );
  expect({ location, opened: watched.opened() }).toEqual({ location, opened: [] });
  const looked = watched.seen.filter(({ path }) => path !== directory && relative(directory, path).startsWith('..'));
  expect({ location, looked }).toEqual({ location, looked: [] });
}

describe('links', () => {
  test.each([
    ['a file outside', '../secret.bin', 'link'],
    ['a file outside, by an absolute path', 'ROOT/secret.bin', 'link'],
    ['a directory outside', '..', 'link/secret.bin'],
    ["a directory whose name begins with that of the model's", '../model-secret', 'link/w.bin'],
    ['a link that leads out', 'outward', 'link'],
    ['the directory above', '..', 'link'],
    ['the directory of the model', '.', 'link'],
    ...(process.platform === 'win32' ? [] : [['/dev/zero', '/dev/zero', 'link']]),
  ])('%s is refused', async (_what, target, location) => {
    await symlink('../secret.bin', at('outward'));
    await symlink(target.replace('ROOT', root), at('link'));
    const real = await realpath(at(location));
    await expectRefused(location, {
      code: 'FEATX_EXTERNAL_LINK',
      path: at(location),
      hint: 'copy the file beside the model if you trust it',
      message: `external data of graph.initializer[3] is refused: '${location}' is a link to ${real}, outside the directory of the model`,
    });
  });

  test.each([
    ['a file beside it', 'w.bin', 'link', 'w.bin'],
    ['a file below it', 'sub/inner.bin', 'link', 'sub/inner.bin'],
    ['a directory inside', 'sub', 'link/inner.bin', 'sub/inner.bin'],
    ['out and back in', '../model/w.bin', 'link', 'w.bin'],
  ])('%s is read', async (_what, target, location, real) => {
    await symlink(target, at('link'));
    await withFiles(async (files) => expect((await files.open(location, 'w')).path).toBe(at(real)));
  });

  test('a name that begins with two dots is a name', async () => {
    await writeFile(at('..w.bin'), new Uint8Array(SIZE));
    await withFiles(async (files) => expect((await files.open('..w.bin', 'w')).size).toBe(SIZE));
  });

  test('a model that is a link finds its weights beside itself and beside what it links to, and nowhere else', async () => {
    const [blobs, snapshot, elsewhere] = ['blobs', 'snapshot', 'elsewhere'].map((name) => join(root, name));
    for (const path of [blobs, snapshot, elsewhere]) await mkdir(path);
    await writeFile(join(blobs, 'aaa'), 'the model');
    await writeFile(join(blobs, 'bbb'), new Uint8Array(SIZE));
    await writeFile(join(snapshot, 'own.bin'), new Uint8Array(SIZE + 1));
    await writeFile(join(elsewhere, 'ccc'), "another model's");
    await symlink('../blobs/aaa', join(snapshot, 'model.onnx'));
    await symlink('../blobs/bbb', join(snapshot, 'model.onnx_data'));
    await symlink('../elsewhere/ccc', join(snapshot, 'away.bin'));
    await symlink('../blobs', join(snapshot, 'all'));
    await withFiles(
      async (files) => {
        expect((await files.open('model.onnx_data', 'w')).size).toBe(SIZE);
        expect((await files.open('own.bin', 'w')).size).toBe(SIZE + 1);
        expect((await files.open('all/bbb', 'w')).size).toBe(SIZE);
        for (const location of ['away.bin', 'all'])
          await expect(files.open(location, 'w')).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_LINK' });
        // What lies beside the real model is not a place of its own: only names in the snapshot lead there.
        await expect(files.open('bbb', 'w')).rejects.toMatchObject({ code: 'FEATX_IO_NOT_FOUND' });
      },
      {},
      join(snapshot, 'model.onnx'),
    );
  });

  test('a model in a directory that is a link is at home in both', async () => {
    await symlink('model', join(root, 'alias'));
    await withFiles(
      async (files) => expect((await files.open('w.bin', 'w')).path).toBe(at('w.bin')),
      {},
      join(root, 'alias', 'model.onnx'),
    );
  });
});

describe('hard links', () => {
  test('are read with a warning, and refused where asked', async () => {
    await link(join(root, 'secret.bin'), at('hard.bin'));
    const warnings: string[] = [];
    await withFiles(async (files) => expect((await files.open('hard.bin', 'w')).size).toBe(SIZE), {
      warn: (message) => warnings.push(message),
    });
    expect(warnings).toEqual(["'hard.bin' has 2 hard links"]);
    await withFiles(async (files) => expect((await files.open('hard.bin', 'w')).size).toBe(SIZE));
    const watched = watchingFileSystem();
    await withFiles(
      (files) =>
        expect(files.open('hard.bin', 'w')).rejects.toMatchObject({
          name: 'PolicyError',
          code: 'FEATX_EXTERNAL_HARD_LINK',
          path: at('hard.bin'),
          field: 'w',
          hint: 'copy the file, or leave out `strictExternal`',
          message: "external data of w is refused: 'hard.bin' has 2 hard links",
        }),
      { strict: true, fileSystem: watched.fileSystem },
    );
    expect(watched.opened()).toEqual([]);
  });

  test('of the model itself are no matter: it was named by its user', async () => {
    await link(at('model.onnx'), at('other.onnx'));
    await symlink('model.onnx', at('link.onnx'));
    const warnings: string[] = [];
    for (const model of ['model.onnx', 'link.onnx'])
      await withFiles(
        async (files) => expect((await files.open('model.onnx', 'w')).path).toBe(at('model.onnx')),
        { strict: true, warn: (message) => warnings.push(message) },
        at(model),
      );
    expect(warnings).toEqual([]);
    await withFiles(
      (files) => expect(files.open('other.onnx', 'w')).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_HARD_LINK' }),
      { strict: true },
    );
  });

  test('of one name there is nothing to say', async () => {
    const warnings: string[] = [];
    await withFiles(async (files) => expect((await files.open('w.bin', 'w')).size).toBe(SIZE), {
      strict: true,
      warn: (message) => warnings.push(message),
    });
    expect(warnings).toEqual([]);
  });
});

describe('what is no regular file is refused without waiting for it', () => {
  const message = (location: string): string =>
    `external data of graph.initializer[3] is refused: '${location}' is not a regular file`;

  test('a directory', () =>
    expectRefused('sub', { code: 'FEATX_EXTERNAL_KIND', path: at('sub'), message: message('sub') }));

  posixTest('a pipe that nobody writes to, also under another name', async () => {
    await promisify(execFile)('mkfifo', [at('pipe')]);
    await symlink('pipe', at('link'));
    await expectRefused('pipe', { code: 'FEATX_EXTERNAL_KIND', path: at('pipe'), message: message('pipe') });
    await expectRefused('link', { code: 'FEATX_EXTERNAL_KIND', path: at('pipe'), message: message('link') });
  });

  posixTest('a socket', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
    await expectRefused('socket', { code: 'FEATX_EXTERNAL_KIND' });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('files that change under the gate', () => {
  /** The file system of somebody who puts another file in the place of w.bin once it has been looked at. */
  const swapping = (other: string): FileSystem => ({
    ...nodeFileSystem,
    open: (path, flags, mode) => nodeFileSystem.open(path === at('w.bin') ? other : path, flags, mode),
  });

  test('one that was swapped for another is refused', async () => {
    await withFiles(
      (files) =>
        expect(files.open('w.bin', 'w')).rejects.toMatchObject({
          name: 'PolicyError',
          code: 'FEATX_EXTERNAL_LINK',
          path: at('w.bin'),
          field: 'w',
          message: "external data of w is refused: 'w.bin' was replaced while it was being opened",
        }),
      { fileSystem: swapping(join(root, 'secret.bin')) },
    );
  });

  posixTest('one that was swapped for a pipe does not hang', async () => {
    await promisify(execFile)('mkfifo', [at('pipe')]);
    await withFiles(
      (files) => expect(files.open('w.bin', 'w')).rejects.toMatchObject({ name: 'IoError', code: 'FEATX_IO_KIND' }),
      { fileSystem: swapping(at('pipe')) },
    );
  });

  test('the same number on another device is another file', async () => {
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      stat: async (path) => {
        const stat = await nodeFileSystem.stat(path);
        return path === at('w.bin') ? Object.assign(stat, { dev: stat.dev + 1n }) : stat;
      },
    };
    await withFiles(
      (files) => expect(files.open('w.bin', 'w')).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_LINK' }),
      { fileSystem },
    );
  });

  test('nothing stays open of what was refused', async () => {
    let open = 0;
    const counting: FileSystem = {
      ...swapping(join(root, 'secret.bin')),
      open: async (path, flags, mode) => {
        const handle = await swapping(join(root, 'secret.bin')).open(path, flags, mode);
        open++;
        const close = handle.close.bind(handle);
        return Object.assign(handle, { close: () => (open--, close()) });
      },
    };
    await withFiles(
      async (files) => {
        await expect(files.open('w.bin', 'w')).rejects.toThrow('was replaced');
        expect(open).toBe(0);
        await files.open('sub/inner.bin', 'w');
        expect(open).toBe(1);
      },
      { fileSystem: counting },
    );
    expect(open).toBe(0);
  });
});

describe('names', () => {
  test('a file is opened once, under however many names', async () => {
    await symlink('w.bin', at('link'));
    const watched = watchingFileSystem();
    await withFiles(
      async (files) => {
        const first = await files.open('w.bin', 'a');
        for (const location of ['w.bin', './w.bin', 'sub/../w.bin', 'link'])
          expect(await files.open(location, 'b')).toBe(first);
        const looked = watched.seen.length;
        expect(await files.open('link', 'c')).toBe(first);
        expect(watched.seen).toHaveLength(looked);
      },
      { fileSystem: watched.fileSystem },
    );
    expect(watched.opened()).toEqual([at('w.bin')]);
    expect(watched.seen.filter(({ call, path }) => call === 'realpath' && path === directory)).toHaveLength(1);
  });

  posixTest('a backslash is a letter first, then a separator', async () => {
    await withFiles(async (files) => expect((await files.open('sub\\inner.bin', 'w')).path).toBe(at('sub/inner.bin')));
    await writeFile(at('sub\\inner.bin'), new Uint8Array(SIZE + 1));
    await withFiles(async (files) => expect((await files.open('sub\\inner.bin', 'w')).size).toBe(SIZE + 1));
    expect(sidecarPlaces('dir/m.onnx', 'a\\b\\c')).toEqual([join('dir', 'a\\b\\c'), join('dir', 'a', 'b', 'c')]);
    expect(sidecarPlaces('m.onnx', 'a/b')).toEqual([join('a', 'b')]);
  });

  test.each([
    ['missing.bin', 'FEATX_IO_NOT_FOUND', 'there is no such file or folder (ENOENT)'],
    ['w.bin/inner', 'FEATX_IO', 'a part of the path is not a directory (ENOTDIR)'],
    ['n'.repeat(300), 'FEATX_IO', 'the name is too long (ENAMETOOLONG)'],
  ])('%s is an IoError that names file and tensor', async (location, code, reason) => {
    await withFiles((files) =>
      expect(files.open(location, 'graph.initializer[0]')).rejects.toMatchObject({
        name: 'IoError',
        code,
        path: at(location),
        message: `cannot read the weights of graph.initializer[0] from ${at(location)}: ${reason}`,
      }),
    );
  });

  posixTest('of a name with a backslash that is nowhere, the name as it stands is said', async () => {
    await withFiles((files) =>
      expect(files.open('sub\\missing', 'w')).rejects.toMatchObject({
        code: 'FEATX_IO_NOT_FOUND',
        path: at('sub\\missing'),
      }),
    );
    await withFiles((files) =>
      expect(files.open('w.bin\\inner', 'w')).rejects.toMatchObject({ code: 'FEATX_IO', path: at('w.bin/inner') }),
    );
  });
});

describe('whatever fails', () => {
  test('the n-th call of the file system: an IoError that says what was being done, or the file', async () => {
    const said = new Set<string>();
    for (const fault of ['EIO', 'EACCES', 'EMFILE', 'ESTALE', 'ENOENT']) {
      for (let n = 1; ; n++) {
        const { fileSystem, calls } = faultyFileSystem(n, fault);
        const files = new DirectorySidecars(at('model.onnx'), { fileSystem });
        const result = await files.open('w.bin', 'w').then(
          ({ size }) => size,
          (error: unknown) => error,
        );
        await files.close().catch((error: unknown) => expect(error).toMatchObject({ name: 'IoError' }));
        if (calls.length < n) break;
        if (result === SIZE) continue;
        expect({ fault, call: calls[n - 1], result }).toMatchObject({
          result: { name: 'IoError', message: expect.stringContaining(`(${fault})`) },
        });
        said.add(`${calls[n - 1]} ${(result as Error).message.split(root)[0]}`);
      }
    }
    expect([...said].sort()).toEqual([
      'fstat! cannot read ',
      'open! cannot open ',
      'realpath! cannot find the directory of ',
      'realpath! cannot read the weights of w from ',
      'stat! cannot read the weights of w from ',
    ]);
  });

  test('a failure is remembered, and closing goes on past it', async () => {
    let refusals = 1;
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      open: (path, flags, mode) =>
        path === at('w.bin') && refusals-- > 0
          ? Promise.reject(Object.assign(new Error(), { code: 'EIO' }))
          : nodeFileSystem.open(path, flags, mode),
    };
    const files = new DirectorySidecars(at('model.onnx'), { fileSystem });
    await expect(files.open('w.bin', 'w')).rejects.toMatchObject({ name: 'IoError' });
    await expect(files.open('w.bin', 'w')).rejects.toMatchObject({ name: 'IoError' });
    const inner = await files.open('sub/inner.bin', 'w');
    await files.close();
    await expect(inner.read(0, 1)).rejects.toMatchObject({
      name: 'IoError',
      message: expect.stringContaining('EBADF'),
    });
  });

  test('a model that is gone has no directory', async () => {
    await unlink(at('model.onnx'));
    await withFiles((files) =>
      expect(files.open('w.bin', 'w')).rejects.toMatchObject({
        code: 'FEATX_IO_NOT_FOUND',
        path: at('model.onnx'),
        message: expect.stringContaining('cannot find the directory of'),
      }),
    );
  });
});

test('a model in memory has no files beside it', async () => {
  await expect(NO_SIDECARS.open('w.bin', 'graph.initializer[0]')).rejects.toMatchObject({
    name: 'UsageError',
    code: 'FEATX_USAGE_NO_DIRECTORY',
    field: 'graph.initializer[0]',
    hint: 'give the path of the model',
    message: "graph.initializer[0] keeps its values in 'w.bin', beside a model that was given as bytes",
  });
  await NO_SIDECARS.close();
});
