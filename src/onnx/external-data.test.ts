import { execFile } from 'node:child_process';
import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { extract } from '../extract.js';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type AttributeSpec, type Entries, type GraphSpec, type ModelSpec, type TensorSpec } from '../testing/model-spec.js';
import { FileSource } from '../wire/file-source.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { DirectorySidecars } from '../wire/sidecar-files.js';
import type { ByteSource } from '../wire/source.js';
import { externalReference, openExternal, type SidecarFiles } from './external-data.js';
import { tensorsOf } from './graph.js';
import type { OnnxModel } from './records.js';

/** Places that are not plainly inside the directory of the model, on some operating system at least. */
const HOSTILE_LOCATIONS: readonly string[] = [
  '../secret.bin', '../../secret.bin', '../model/../secret.bin', 'a/../../secret.bin', 'a/./../../secret.bin', './../secret.bin', 'sub/../../secret.bin', 'sub/sub/../../../secret.bin',
  '..', '../', '../..', '.', './', 'sub/..', 'sub/../', './.', '..\\secret.bin', 'sub\\..\\..\\secret.bin', '.\\..\\secret.bin', 'sub/..\\../secret.bin', '..//secret.bin', './/../secret.bin',
  '/etc/hostname', '//etc/hostname', '///etc/hostname', '/', '//server/share/w.bin', '\\etc\\hostname', '\\\\server\\share\\w.bin', '\\\\?\\C:\\w.bin', '\\\\.\\PhysicalDrive0', '\\??\\C:\\w.bin',
  'C:\\w.bin', 'C:/w.bin', 'C:w.bin', 'c:..\\w.bin', 'z:', '~/w.bin', '~', '~root/w.bin', 'file:///etc/hostname', 'file://localhost/etc/hostname', 'http://example.com/w.bin', 'https://example.com/w.bin',
  'data:,abc', 'FILE:w.bin', 'CON', 'con', 'NUL', 'nul.bin', 'sub/aux', 'PRN.txt', 'COM1', 'com1 ', 'COM\u00b9', 'LPT9.bin', 'lpt\u00b2', 'CONIN$', 'conout$', 'sub\\nul',
  'w.bin:stream', 'sub/w.bin:$DATA', 'w.bin.', 'w.bin ', 'sub./w.bin', 'sub /w.bin', '...', '.. /w.bin', 'w.bin\0', '\0', 'w.bin\0.txt', '../secret.bin\0w.bin', '',
  '*/_ORT_MEM_ADDR_/*', '_ort_mem_addr_', 'sub/_ORT_MEM_ADDR_', 'x'.repeat(4097),
];

/** Locations that stay inside by their letters, and that links or the kind of file lead elsewhere. */
const HOSTILE_LINKS = ['link-out.bin', 'dir-out/secret.bin', 'chain.bin', 'link-absolute.bin', 'directory', 'device', 'pipe', 'link-sibling.bin'];

const IN_DIRECTORY = ['w.bin', './w.bin', 'sub/../w.bin', 'sub//inner.bin', 'sub\\inner.bin', 'link-inside.bin'];

const SIZE = 2048;

/** A model with its one external tensor at each place that may hold a TensorProto. */
function models(tensor: TensorSpec): ReadonlyMap<string, ModelSpec> {
  const y = value('y', null);
  const plain: GraphSpec = { nodes: [node('Identity', ['x'], ['y'])], inputs: [value('x', [1])], outputs: [y] };
  const indices: TensorSpec = { name: 'indices', dims: [SIZE / 8], type: 'int64', external: tensor.external };
  const small: TensorSpec = { dims: [1], type: 'int64', data: [0] };
  const body = (graph: Partial<GraphSpec>): AttributeSpec => ({ graph: { nodes: [node('Identity', ['w'], ['z'])], outputs: [value('z', null)], ...graph } });
  const branches = (graph: Partial<GraphSpec>): GraphSpec => ({ ...plain, nodes: [node('If', ['x'], ['y'], { then_branch: body(graph), else_branch: body({ initializers: [{ ...small, name: 'w' }] }) })] });
  const constant = (attributes: Record<string, AttributeSpec>): GraphSpec => ({ ...plain, nodes: [node('Constant', [], ['w'], attributes), node('Identity', ['w'], ['y'])] });
  const functions = (more: Partial<NonNullable<ModelSpec['functions']>[number]>): ModelSpec => ({
    graph: { ...plain, nodes: [node('F', ['x'], ['y'], {}, { domain: 'd' })] }, opset: [['', 17], ['d', 1]],
    functions: [{ name: 'F', domain: 'd', inputs: ['x'], outputs: ['y'], nodes: [node('Identity', ['x'], ['y'])], ...more }],
  });
  return new Map<string, ModelSpec>([
    ['initializer', { graph: { ...plain, nodes: [node('Identity', ['w'], ['y'])], initializers: [tensor] } }],
    ['sparse initializer, values', { graph: { ...plain, nodes: [node('Identity', ['w'], ['y'])], sparseInitializers: [{ values: tensor, indices: small, dims: [9999] }] } }],
    ['sparse initializer, indices', { graph: { ...plain, nodes: [node('Identity', ['w'], ['y'])], sparseInitializers: [{ values: { ...small, name: 'w' }, indices, dims: [9999] }] } }],
    ['attribute, tensor', { graph: constant({ value: { tensor } }) }],
    ['attribute, tensors', { graph: constant({ values: { tensors: [small, tensor] } }) }],
    ['attribute, sparse tensor', { graph: constant({ sparse_value: { sparse: { values: tensor, indices: small, dims: [9999] } } }) }],
    ['attribute, sparse tensor indices', { graph: constant({ sparse_value: { sparse: { values: small, indices, dims: [9999] } } }) }],
    ['attribute, sparse tensors', { graph: constant({ sparse_values: { sparses: [{ values: tensor, indices: small, dims: [9999] }] } }) }],
    ['initializer of a body', { graph: branches({ initializers: [tensor] }) }],
    ['sparse initializer of a body', { graph: branches({ sparseInitializers: [{ values: tensor, indices: small, dims: [9999] }] }) }],
    ['constant of a body', { graph: branches({ nodes: [node('Constant', [], ['z'], { value: { tensor } })] }) }],
    ['body of a body', { graph: branches({ nodes: branches({ initializers: [tensor] }).nodes, outputs: [y] }) }],
    ['bodies', { graph: { ...plain, nodes: [node('Custom', ['x'], ['y'], { bodies: { graphs: [{}, { initializers: [tensor] }] } }, { domain: 'd' })] } }],
    ['function', functions({ nodes: [node('Constant', [], ['y'], { value: { tensor } })] })],
    ['body in a function', functions({ nodes: branches({ initializers: [tensor] }).nodes })],
    ['default attribute of a function', functions({ defaults: { table: { tensor } } })],
    ['default attribute of a function, in a graph', functions({ defaults: { table: { graph: { initializers: [tensor] } } } })],
    ['training, initialization', { graph: plain, trainingInfo: [{ initialization: { initializers: [tensor] } }] }],
    ['training, algorithm', { graph: plain, trainingInfo: [{ algorithm: { nodes: [node('Constant', [], ['c'], { value: { tensor } })] } }] }],
  ]);
}

function entries(location: string): Entries {
  return [['location', location], ['offset', '0'], ['length', String(SIZE)]];
}

const tensorAt = (location: string): TensorSpec => ({ name: 'w', dims: [SIZE / 4], external: entries(location) });

let root: string;
let directory: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'featx-gate-'));
  directory = join(root, 'model');
  await mkdir(join(directory, 'sub'), { recursive: true });
  await mkdir(join(directory, 'directory'));
  await mkdir(join(root, 'model-secret'));
  for (const path of ['secret.bin', 'model-secret/w.bin', 'model/w.bin', 'model/sub/inner.bin']) await writeFile(join(root, path), new Uint8Array(SIZE));
  const links: readonly (readonly [string, string])[] = [
    ['../secret.bin', 'link-out.bin'], ['..', 'dir-out'], ['link-out.bin', 'chain.bin'], [join(root, 'secret.bin'), 'link-absolute.bin'], ['/dev/zero', 'device'], ['../model-secret/w.bin', 'link-sibling.bin'], ['w.bin', 'link-inside.bin'],
  ];
  for (const [target, name] of links) await symlink(target, join(directory, name));
  await promisify(execFile)('mkfifo', [join(directory, 'pipe')]);
});

afterAll(() => rm(root, { recursive: true }));

/** The real file system, and every path that was opened or copied through it. */
function recording(): { readonly fileSystem: FileSystem; readonly opened: string[] } {
  const opened: string[] = [];
  const fileSystem: FileSystem = {
    ...nodeFileSystem,
    open: (path, flags, mode) => (opened.push(path), nodeFileSystem.open(path, flags, mode)),
    clone: (from, to) => (opened.push(from), nodeFileSystem.clone(from, to)),
  };
  return { fileSystem, opened };
}

/** What lies outside of the model's directory, or is no regular file. */
async function outside(opened: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const path of opened) {
    const real = await nodeFileSystem.realpath(path).catch(() => null);
    if (real === null) continue;
    const way = relative(await nodeFileSystem.realpath(directory), real);
    if (way.startsWith('..') || way === '' || !(await nodeFileSystem.stat(real)).isFile()) found.push(path);
  }
  return found;
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
  test('no location leads to a file outside of the model, whichever tensor names it', async () => {
    expect(HOSTILE_LOCATIONS.length).toBeGreaterThanOrEqual(60);
    const { fileSystem, opened } = recording();
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    await writeFile(join(directory, 'model.onnx'), 'the model');
    for (const location of [...HOSTILE_LOCATIONS, ...HOSTILE_LINKS]) {
      for (const [place, spec] of models(tensorAt(location))) {
        await using model = await openModel(encodeModel(spec));
        const codes = await openAll(model, files);
        expect({ place, location, codes }).toEqual({ place, location, codes: [expect.stringMatching(/^FEATX_EXTERNAL_/)] });
      }
    }
    await files.close();
    expect(opened).toEqual([]);
  });

  test('a cut of such a model is refused and opens nothing but the model', async () => {
    for (const [place, spec] of models(tensorAt('../secret.bin'))) {
      const path = await written(spec, 'hostile.onnx');
      for (const [mode, weights] of [['hook', 'embed'], ['hook', 'external'], ['hook', 'keep'], ['hook', 'reference']] as const) {
        const { fileSystem, opened } = recording();
        const cut = extract(path, join(directory, 'cut.onnx'), { mode, weights, fileSystem, named: [{ by: 'tensor', name: 'y' }], resolve: {}, isolate: false });
        await expect(cut).rejects.toMatchObject({ name: 'PolicyError', code: 'FEATX_EXTERNAL_LOCATION' });
        expect({ place, opened: new Set(opened) }).toEqual({ place, opened: new Set([path]) });
      }
    }
  });

  test('the same locations get past a check of the path alone', async () => {
    const { fileSystem, opened } = recording();
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
    const escaped = await outside(opened);
    expect(escaped.map((path) => relative(directory, path))).toEqual(expect.arrayContaining(['link-out.bin', join('dir-out', 'secret.bin'), 'chain.bin', join('..', 'model-secret', 'w.bin')]));
  });

  test.each(IN_DIRECTORY)('%j is a place in the directory of the model', async (location) => {
    const { fileSystem, opened } = recording();
    await writeFile(join(directory, 'model.onnx'), 'the model');
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    for (const [place, spec] of models(tensorAt(location))) {
      await using model = await openModel(encodeModel(spec));
      expect({ place, codes: await openAll(model, files) }).toEqual({ place, codes: ['opened'] });
    }
    await files.close();
    expect(opened).toHaveLength(1);
    expect(await outside(opened)).toEqual([]);
  });

  test('a name that is not UTF-8 is refused', async () => {
    const spec = { graph: { initializers: [{ name: 'w', dims: [1], external: [['location', Uint8Array.of(0x77, 0xff)]] }] } } satisfies ModelSpec;
    await using model = await openModel(encodeModel(spec));
    expect(() => externalReference(model.graph.initializers[0])).toThrow('is not UTF-8');
  });
});

describe('entries', () => {
  const reference = async (external: Entries, warn?: (message: string) => void): Promise<ReturnType<typeof externalReference>> => {
    await using model = await openModel(encodeModel({ graph: { initializers: [{ name: 'w', dims: [1], external }] } }));
    return externalReference(model.graph.initializers[0], warn);
  };
  const location: Entries[number] = ['location', 'w.bin'];

  test('offset and length are optional', async () => {
    expect(await reference([location])).toEqual({ location: 'w.bin', offset: 0, length: null });
    expect(await reference([['length', '8'], location, ['offset', '4096'], ['checksum', 'abc'], ['basepath', '/etc']])).toEqual({ location: 'w.bin', offset: 4096, length: 8 });
  });

  test.each(['-1', '0x10', ' 16', '16 ', '16zz', '1.5', '1e3', '', '+1', '9223372036854775807', '99999999999999999999', '\u0661'])('%j is no byte count', async (text) => {
    for (const key of ['offset', 'length']) await expect(reference([location, [key, text]])).rejects.toMatchObject({ name: 'PolicyError', code: 'FEATX_EXTERNAL_RANGE' });
  });

  test('a key that stands twice is refused, an unknown one is ignored and said', async () => {
    await expect(reference([location, ['location', 'other.bin']])).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_KEY' });
    await expect(reference([location, ['offset', '0'], ['offset', '8']])).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_KEY' });
    await expect(reference([location, ['__proto__', 'x'.repeat(5000)]])).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_KEY' });
    await expect(reference([['offset', '0']])).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_LOCATION' });
    const warnings: string[] = [];
    await reference([location, ['__proto__', '1'], ['constructor', '2']], (message) => warnings.push(message));
    expect(warnings).toEqual([expect.stringContaining("'__proto__'"), expect.stringContaining("'constructor'")]);
  });

  test.each([
    ['an offset beyond the file', { offset: '4096' }, 'has 2048'],
    ['a length beyond the file', { offset: '1024', length: '2048' }, 'has 2048'],
    ['another length than its dims take', { length: '1024' }, 'take 2048'],
    ['the rest of a file that is too long', { offset: '1024' }, 'take 2048'],
  ])('%s does not fit', async (_what, place, message) => {
    await writeFile(join(directory, 'model.onnx'), 'the model');
    const files = new DirectorySidecars(join(directory, 'model.onnx'));
    await using model = await openModel(encodeModel({ graph: { initializers: [{ name: 'w', dims: [SIZE / 4], external: [location, ...Object.entries(place)] }] } }));
    await expect(openExternal(model.graph.initializers[0], files)).rejects.toMatchObject({ name: 'ModelFormatError', code: 'FEATX_GRAPH_DATA', field: 'graph.initializer[0]', message: expect.stringContaining(message) });
    await files.close();
  });
});

describe('links', () => {
  test('a model that is a link finds its weights beside itself and beside what it links to', async () => {
    const blobs = join(root, 'blobs');
    const snapshot = join(root, 'snapshot');
    await mkdir(blobs);
    await mkdir(snapshot);
    await writeFile(join(blobs, 'aaa'), 'the model');
    await writeFile(join(blobs, 'bbb'), new Uint8Array(SIZE));
    await symlink(relative(snapshot, join(blobs, 'aaa')), join(snapshot, 'model.onnx'));
    await symlink(relative(snapshot, join(blobs, 'bbb')), join(snapshot, 'model.onnx_data'));
    await symlink(join(root, 'secret.bin'), join(snapshot, 'out.bin'));
    const files = new DirectorySidecars(join(snapshot, 'model.onnx'));
    expect((await files.open('model.onnx_data', 'w')).size).toBe(SIZE);
    await expect(files.open('out.bin', 'w')).rejects.toMatchObject({ code: 'FEATX_EXTERNAL_LINK' });
    await files.close();
  });

  test('a hard link is read with a warning and refused where asked', async () => {
    await writeFile(join(directory, 'model.onnx'), 'the model');
    await link(join(root, 'secret.bin'), join(directory, 'hard.bin'));
    const warnings: string[] = [];
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { warn: (message) => warnings.push(message) });
    expect((await files.open('hard.bin', 'w')).size).toBe(SIZE);
    expect(warnings).toEqual(["'hard.bin' has 2 hard links"]);
    await files.close();
    const strict = new DirectorySidecars(join(directory, 'model.onnx'), { strict: true });
    await expect(strict.open('hard.bin', 'w')).rejects.toMatchObject({ name: 'PolicyError', code: 'FEATX_EXTERNAL_HARD_LINK' });
    await strict.close();
  });

  test('a file that is swapped between the check and the opening is refused', async () => {
    await writeFile(join(directory, 'model.onnx'), 'the model');
    const fileSystem: FileSystem = { ...nodeFileSystem, open: (path, flags, mode) => nodeFileSystem.open(path.endsWith('w.bin') ? join(root, 'secret.bin') : path, flags, mode) };
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    await expect(files.open('w.bin', 'w')).rejects.toMatchObject({ name: 'PolicyError', message: expect.stringContaining('was replaced') });
    await files.close();
  });

  test.each([
    ['missing.bin', 'FEATX_IO_NOT_FOUND', 'cannot read the weights of graph.initializer[0]'],
    ['w.bin/inner', 'FEATX_IO', 'not a directory'],
  ])('%s is an IoError that names file and tensor', async (location, code, message) => {
    await writeFile(join(directory, 'model.onnx'), 'the model');
    const files = new DirectorySidecars(join(directory, 'model.onnx'));
    await expect(files.open(location, 'graph.initializer[0]')).rejects.toMatchObject({ name: 'IoError', code, message: expect.stringContaining(message) });
    await files.close();
  });

  test.each(['realpath', 'stat'] as const)('a failing %s is an IoError', async (call) => {
    await writeFile(join(directory, 'model.onnx'), 'the model');
    const fileSystem: FileSystem = { ...nodeFileSystem, [call]: (path: string) => (path.includes('w.bin') === (call === 'stat') ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : nodeFileSystem[call](path)) };
    const files = new DirectorySidecars(join(directory, 'model.onnx'), { fileSystem });
    await expect(files.open('w.bin', 'w')).rejects.toMatchObject({ name: 'IoError', code: 'FEATX_IO' });
    await files.close();
  });

  test('a model in memory has no files beside it', async () => {
    const bytes = encodeModel({ graph: { nodes: [node('Identity', ['w'], ['y'])], outputs: [value('y', [SIZE / 4])], initializers: [tensorAt('w.bin')] } });
    const cut = extract(bytes, join(dirname(directory), 'cut.onnx'), { weights: 'embed', named: [{ by: 'tensor', name: 'y' }], isolate: false });
    await expect(cut).rejects.toMatchObject({ name: 'UsageError', code: 'FEATX_USAGE_NO_DIRECTORY' });
  });
});
