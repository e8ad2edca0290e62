import type { BigIntStats } from 'node:fs';
import { win32 } from 'node:path';
import { jest } from '@jest/globals';
import * as fc from 'fast-check';

/**
 * Templates, temporary files and sidecars by the path rules of Windows; what its file systems make of them can only be
 * seen on Windows itself.
 */
jest.unstable_mockModule('node:path', () => ({ ...win32, default: win32 }));
const { outputName } = await import('./template.js');
const { covers, findFiles, relativeTo } = await import('../wire/find-files.js');
const { nodeFileSystem } = await import('../wire/fs.js');
const { temporaryName } = await import('../wire/temporary-names.js');

const ROOT = 'C:\\work';

test.each([
  ['C:\\work\\models\\a.onnx', 'models/a.onnx'],
  ['models\\a.onnx', 'models/a.onnx'],
  ['models/a.onnx', 'models/a.onnx'],
  ['c:\\WORK\\models\\a.onnx', 'models/a.onnx'],
  ['..\\other\\a.onnx', '../other/a.onnx'],
  ['D:\\models\\a.onnx', 'D:/models/a.onnx'],
  ['\\\\server\\share\\a.onnx', '//server/share/a.onnx'],
  ['C:\\work', '.'],
])('%s is %s from the root, and comes back', (path, item) => {
  expect(relativeTo(ROOT, path)).toBe(item);
  expect(win32.resolve(ROOT, item).toLowerCase()).toBe(win32.resolve(ROOT, path).toLowerCase());
});

test.each([
  ['{dir}/{name}.features.onnx', { item: 'models/a.onnx', base: 'models' }, 'models/a.features.onnx'],
  ['out\\{rel}\\{name}.onnx', { item: 'models/deep/a.onnx', base: 'models' }, 'out/deep/a.onnx'],
  ['out/{rel}/{name}.onnx', { item: 'models/a.onnx', base: 'models' }, 'out/a.onnx'],
  ['out/{rel}/{name}.onnx', { item: 'MODELS/deep/a.onnx', base: 'models' }, 'out/deep/a.onnx'],
  ['{dir}/{name}.cut.onnx', { item: 'D:/models/a.onnx', base: 'D:/models' }, 'D:/models/a.cut.onnx'],
  ['out/{rel}/{name}.onnx', { item: 'D:/models/deep/a.ONNX', base: 'D:/models' }, 'out/deep/a.onnx'],
  ['{dir}/{name}.cut.onnx', { item: 'a.onnx', base: '.' }, 'a.cut.onnx'],
  ['{dir}/{name}.cut.onnx', { item: '//server/share/a.onnx', base: '//server/share' }, '//server/share/a.cut.onnx'],
  [
    '\\\\server\\share\\out\\{rel}\\{name}.onnx',
    { item: 'models/deep/a.onnx', base: 'models' },
    '//server/share/out/deep/a.onnx',
  ],
])('%s of %j is %s', (template, named, output) => {
  expect(outputName(template, named)).toBe(output);
});

test('models on a file server are found where they are', async () => {
  const never = (path: string): never => {
    throw Object.assign(new Error(path), { code: 'ENOENT' });
  };
  const kind = (path: string): 'file' | 'directory' => (path.endsWith('.onnx') ? 'file' : 'directory');
  const state = async (path: string): Promise<BigIntStats> =>
    ({
      isFile: () => kind(path) === 'file',
      isDirectory: () => kind(path) === 'directory',
      isSymbolicLink: () => false,
    }) as unknown as BigIntStats;
  const folders: { readonly [path: string]: readonly string[] } = {
    '\\\\server\\share\\': ['a.onnx', 'deep'],
    '\\\\server\\share\\deep': ['b.onnx'],
  };
  const fs = {
    ...nodeFileSystem,
    stat: state,
    lstat: async (path: string) => (path.includes('*') ? never(path) : state(path)),
    readdir: async (path: string) => [...(folders[path] ?? never(path))],
  };
  const options = { fs, warn: () => undefined };
  const found = await findFiles('//server/share/**/*.onnx', ROOT, options);
  expect(found.files.map(({ item }) => item)).toEqual(['//server/share/a.onnx', '//server/share/deep/b.onnx']);
  const backwards = await findFiles('\\\\server\\share\\**\\*.onnx', ROOT, options);
  expect(backwards).toEqual(found);
  expect(covers('\\\\server\\share\\deep', '//server/share/deep/b.onnx')).toBe(true);
  expect(covers('//server/share/deep', '//server/share/deep/b.onnx')).toBe(true);
  expect((await findFiles('//server/share/deep/*.onnx', ROOT, options)).files).toEqual([
    { item: '//server/share/deep/b.onnx', base: '//server/share/deep' },
  ]);
});

test('what a template makes of a file under its base stays under the directory that the template names', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9_.-]{0,8}[A-Za-z0-9_-]$/);
  fc.assert(
    fc.property(fc.array(name, { maxLength: 4 }), name, (folders, file) => {
      const item = ['models', ...folders, `${file}.onnx`].join('/');
      const output = outputName('out\\{rel}\\{name}.features.onnx', { item, base: 'models' });
      expect(win32.resolve(ROOT, output)).toBe(win32.join(ROOT, 'out', ...folders, `${file}.features.onnx`));
    }),
  );
});

test('a temporary file lies in the directory of its target, under a name that every system can have', () => {
  for (const directory of ['C:\\work\\out', '\\\\server\\share\\out', 'out', '.']) {
    const path = temporaryName(directory);
    expect(win32.dirname(path)).toBe(win32.normalize(directory));
    expect(win32.basename(path)).toMatch(/^\.featx-[0-9a-f]{8}-\d+-[0-9a-f]{12}\.tmp$/);
  }
});
