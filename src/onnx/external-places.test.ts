import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { extract } from '../extract.js';
import { openModel } from '../open.js';
import { EXTERNAL_BYTES as SIZE, modelsWith, tensorAt } from '../testing/external-positions.js';
import { HOSTILE_LINKS, HOSTILE_LOCATIONS, IN_DIRECTORY } from '../testing/hostile-locations.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type ModelSpec } from '../testing/model-spec.js';
import { watchingFileSystem, type Seen } from '../testing/watching-fs.js';
import { FileSource } from '../wire/file-source.js';
import { nodeFileSystem } from '../wire/fs.js';
import { DirectorySidecars } from '../wire/sidecar-files.js';
import type { ByteSource } from '../wire/source.js';
import { openExternal, type SidecarFiles } from './external-data.js';
import { assertReference, REFERENCE_KEY } from './fingerprint.js';
import { tensorsOf } from './graph.js';
import type { OnnxModel } from './records.js';

/** Every hostile location at every place of a TensorProto, and what is looked at on the way. */

let root: string;
let directory: string;

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'featx-gate-')));
  directory = join(root, 'model');
  await mkdir(join(directory, 'sub'), { recursive: true });
  await mkdir(join(directory, 'directory'));
  await mkdir(join(root, 'model-secret'));
  for (const path of ['secret.bin', 'model-secret/w.bin', 'model/w.bin', 'model/sub/inner.bin'])
    await writeFile(join(root, path), new Uint8Array(SIZE));
  const links: readonly (readonly [string, string])[] = [
    ['../secret.bin', 'link-out.bin'],
    ['..', 'dir-out'],
    ['link-out.bin', 'chain.bin'],
    [join(root, 'secret.bin'), 'link-absolute.bin'],
    ['/dev/zero', 'device'],
    ['../model-secret/w.bin', 'link-sibling.bin'],
    ['w.bin', 'link-inside.bin'],
  ];
  for (const [target, name] of links) await symlink(target, join(directory, name));
  // A pipe that nobody writes to; what is no file at all on Windows.
  if (process.platform !== 'win32') await promisify(execFile)('mkfifo', [join(directory, 'pipe')]);
  else await mkdir(join(directory, 'pipe'));
  await writeFile(join(directory, 'model.onnx'), 'the model');
});

afterAll(() => rm(root, { recursive: true }));

/**
 * What was looked at, by its name or its real path, outside of the model's directory; or opened, and is no regular file
 * nor the directory itself.
 */
async function outside(seen: readonly Seen[]): Promise<readonly string[]> {
  const isOutside = (path: string): boolean => relative(directory, path).startsWith('..');
  const found = new Set<string>();
  for (const { call, path } of seen) {
    if (isOutside(resolve(path))) found.add(path);
    if (call === 'realpath') continue;
    const real = await nodeFileSystem.realpath(path).catch(() => null);
    if (real === null) continue;
    if (isOutside(real) || (call === 'open' && real !== directory && !(await nodeFileSystem.stat(real)).isFile()))
      found.add(path);
  }
  return [...found];
}

async function written(spec: ModelSpec, name: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, encodeModel(spec));
  return path;
}

/** Opens every external tensor of a model the way a cut does; returns what stopped it. */
async function openAll(model: OnnxModel, files: SidecarFiles): Promise<readonly string[]> {
  const codes: string[] = [];
  for (const tensor of tensorsOf(model)) {
    if (tensor.external === null) continue;
    try {
      await openExternal(tensor, files);
      codes.push('opened');
    } catch (error) {
      codes.push((error as { code: string }).code);
    }
  }
  return codes;
}

describe('hostile locations', () => {
  test('a cut of such a model is refused, and looks at nothing but the model and its directory', async () => {
    for (const [place, spec] of modelsWith(tensorAt('../secret.bin'))) {
      const path = await written(spec, 'hostile.onnx');
      for (const [mode, weights] of [
        ['hook', 'embed'],
        ['hook', 'external'],
        ['hook', 'keep'],
        ['hook', 'reference'],
      ] as const) {
        const { fileSystem, seen, opened } = watchingFileSystem();
        const cut = extract(path, join(directory, 'cut.onnx'), {
          mode,
          weights,
          fileSystem,
          select: [{ by: 'tensor', name: 'y' }],
          resolve: {},
          isolate: false,
        });
        await expect(cut).rejects.toMatchObject({ name: 'PolicyError', code: 'FEATX_EXTERNAL_LOCATION' });
        expect({ place, opened: new Set(opened()), outside: await outside(seen) }).toEqual({
          place,
          opened: new Set([path]),
          outside: [],
        });
      }
    }
  });

  test('a tensor that the cut leaves out names no file, wherever it points', async () => {
    const unused = tensorAt('../secret.bin');
    const y = value('y', null);
    const path = await written(
      {
        graph: {
          inputs: [value('x', [1])],
          outputs: [y],
          initializers: [unused],
          nodes: [node('Relu', ['x'], ['y']), node('Identity', ['w'], ['z'])],
        },
      },
      'unused.onnx',
    );
    const { fileSystem, seen, opened } = watchingFileSystem();
    await extract(path, join(directory, 'cut.onnx'), {
      fileSystem,
      select: [{ by: 'tensor', name: 'y' }],
      resolve: {},
      isolate: false,
    });
    expect(opened()).toContain(path);
    expect(await outside(seen)).toEqual([]);
  });

  test.each([
    ['embed', 'ABOVE/cut.onnx'],
    ['external', 'ABOVE/cut.onnx'],
    ['keep', 'ABOVE/cut.onnx'],
  ] as const)('with --weights %s, links out are refused before anything is written', async (weights, output) => {
    for (const location of HOSTILE_LINKS) {
      const path = await written(
        {
          graph: {
            nodes: [node('Identity', ['w'], ['y'])],
            outputs: [value('y', null)],
            initializers: [tensorAt(location)],
          },
        },
        'hostile.onnx',
      );
      const { fileSystem, opened } = watchingFileSystem();
      const cut = extract(path, output.replace('ABOVE', root), {
        weights,
        fileSystem,
        select: [{ by: 'tensor', name: 'y' }],
        resolve: {},
        isolate: false,
      });
      await expect(cut).rejects.toMatchObject({
        name: 'PolicyError',
        code: expect.stringMatching(/^FEATX_EXTERNAL_(LINK|KIND)$/),
      });
      expect({ location, opened: opened() }).toEqual({ location, opened: [path] });
    }
  });

  test('the record of a reference cut goes through the same gate', async () => {
    const { fileSystem, seen } = watchingFileSystem();
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    for (const file of [...HOSTILE_LOCATIONS, ...HOSTILE_LINKS]) {
      const record = JSON.stringify({ schema: 1, file, size_bytes: SIZE, sha256: '0'.repeat(64) });
      await using model = await openModel(
        encodeModel({ graph: { nodes: [], outputs: [] }, metadata: [[REFERENCE_KEY, record]] }),
      );
      await expect(assertReference(model, files)).rejects.toMatchObject({
        name: 'PolicyError',
        code: expect.stringMatching(/^FEATX_EXTERNAL_/),
      });
    }
    await files.close();
    expect(seen.filter(({ call }) => call === 'open')).toEqual([]);
    expect(await outside(seen)).toEqual([]);
  });

  test('the same locations get past a check of the path alone', async () => {
    const { fileSystem, seen } = watchingFileSystem();
    const careless: SidecarFiles = {
      open: async (location): Promise<ByteSource> => {
        const path = resolve(directory, location);
        if (!path.startsWith(directory)) throw Object.assign(new Error(), { code: 'FEATX_EXTERNAL_LOCATION' });
        return FileSource.open(path, fileSystem);
      },
      close: async () => undefined,
    };
    for (const location of [...HOSTILE_LOCATIONS, ...HOSTILE_LINKS, '../model-secret/w.bin']) {
      try {
        await (await careless.open(location, '')).close?.();
      } catch {
        // What it refuses, and what is not there.
      }
    }
    const escaped = await outside(seen);
    expect(escaped.map((path) => relative(directory, path))).toEqual(
      expect.arrayContaining([
        'link-out.bin',
        join('dir-out', 'secret.bin'),
        'chain.bin',
        join('..', 'model-secret', 'w.bin'),
      ]),
    );
  });

  test.each(IN_DIRECTORY)('%j is a place in the directory of the model', async (location) => {
    const { fileSystem, seen, opened } = watchingFileSystem();
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    for (const [place, spec] of modelsWith(tensorAt(location))) {
      await using model = await openModel(encodeModel(spec));
      expect({ place, codes: await openAll(model, files) }).toEqual({ place, codes: ['opened'] });
    }
    await files.close();
    expect(opened()).toHaveLength(1);
    expect(await outside(seen)).toEqual([]);
  });

  test('no location leads to a file outside of the model, whichever tensor names it', async () => {
    expect(HOSTILE_LOCATIONS.length + HOSTILE_LINKS.length).toBeGreaterThan(90);
    const { fileSystem, seen } = watchingFileSystem();
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    for (const location of [...HOSTILE_LOCATIONS, 'x'.repeat(4097), ...HOSTILE_LINKS]) {
      for (const [place, spec] of modelsWith(tensorAt(location))) {
        await using model = await openModel(encodeModel(spec));
        const codes = await openAll(model, files);
        expect({ place, location, codes }).toEqual({
          place,
          location,
          codes: [expect.stringMatching(/^FEATX_EXTERNAL_/)],
        });
      }
      if (HOSTILE_LOCATIONS.includes(location)) expect({ location, seen }).toEqual({ location, seen: [] });
    }
    await files.close();
    expect(seen.filter(({ call }) => call === 'open')).toEqual([]);
    expect(await outside(seen)).toEqual([]);
  });
});

test('a model in memory has no files beside it', async () => {
  const bytes = encodeModel({
    graph: {
      nodes: [node('Identity', ['w'], ['y'])],
      outputs: [value('y', [SIZE / 4])],
      initializers: [tensorAt('w.bin')],
    },
  });
  const cut = extract(bytes, join(dirname(directory), 'cut.onnx'), {
    weights: 'embed',
    select: [{ by: 'tensor', name: 'y' }],
    isolate: false,
  });
  await expect(cut).rejects.toMatchObject({ name: 'UsageError', code: 'FEATX_USAGE_NO_DIRECTORY' });
});
