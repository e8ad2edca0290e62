import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { findFiles, globFiles } from './find-files.js';
import { nodeFileSystem, type FileSystem } from './fs.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-find-'));
  for (const path of ['a.onnx', 'b.onnx', 'c.ort', 'shut/no.onnx', 'open/d.onnx', 'open/deep/e.onnx']) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), '');
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const found = async (pattern: string, fs: FileSystem = nodeFileSystem): Promise<readonly unknown[]> => {
  const warnings: string[] = [];
  const { files } = await findFiles(pattern, root, { fs, warn: (message) => warnings.push(message) });
  return [files.map(({ item }) => item), ...warnings];
};

/** A file system on which a folder can be seen and not listed, whoever asks. */
const shut = (name: string): FileSystem => ({
  ...nodeFileSystem,
  readdir: async (path) => {
    if (path.endsWith(name)) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    return nodeFileSystem.readdir(path);
  },
});

test('a folder that cannot be listed is left out with a warning, and the walk goes on', async () => {
  const warning = 'shut cannot be looked into and is left out';
  expect(await found('**/*.onnx', shut('shut'))).toEqual([
    ['a.onnx', 'b.onnx', 'open/d.onnx', 'open/deep/e.onnx'],
    warning,
  ]);
  expect(await found('*/*.onnx', shut('shut'))).toEqual([['open/d.onnx'], warning]);
  const warnings: string[] = [];
  const files = await globFiles(join(root, '**', '*.onnx'), {
    fs: shut('shut'),
    warn: (message) => warnings.push(message),
  });
  expect(files).toHaveLength(4);
  expect(warnings).toEqual([expect.stringContaining(warning)]);
});

test('the folder that a pattern names must be there', async () => {
  await expect(found('shut/*.onnx', shut('shut'))).rejects.toMatchObject({ name: 'IoError' });
});

test('sets and braces find what they say, each file once', async () => {
  expect(await found('[ab].onnx')).toEqual([['a.onnx', 'b.onnx']]);
  expect(await found('{a,*}.{onnx,ort}')).toEqual([['a.onnx', 'b.onnx', 'c.ort']]);
  expect(await found('{open,open/deep,none}/*.onnx')).toEqual([['open/d.onnx', 'open/deep/e.onnx']]);
});

test('a file that exists is meant, whatever its name looks like', async () => {
  if (sep === '\\') return;
  writeFileSync(join(root, '{a,b}.onnx'), '');
  expect(await found('{a,b}.onnx')).toEqual([['{a,b}.onnx']]);
});

test('many ** in a row look into each directory a few times, not once for every way there', async () => {
  const deep = join(root, ...Array.from({ length: 12 }, () => 'd'));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, 'a.npy'), '');
  symlinkSync(root, join(root, 'loop'));
  let lists = 0;
  const fs: FileSystem = { ...nodeFileSystem, readdir: (path) => (lists++, nodeFileSystem.readdir(path)) };
  const glob = (...parts: string[]): Promise<string[]> =>
    globFiles(join(root, ...parts), { fs, warn: () => undefined });
  expect(await glob(...Array.from({ length: 12 }, () => '**'), '*.npy')).toEqual([join(deep, 'a.npy')]);
  expect(lists).toBeLessThan(17 * 14);
  expect(await glob('**', 'd', '**', 'd', '*.npy')).toEqual([join(deep, 'a.npy')]);
  expect(await glob('nothing', '*')).toEqual([]);
});
