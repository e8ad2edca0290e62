import { constants } from 'node:fs';
import { win32 } from 'node:path';
import { jest } from '@jest/globals';
import type { BigIntStats } from 'node:fs';
import type { FileHandle, FileSystem } from './fs.js';

/**
 * The gate by the path rules of Windows, over a file system of names alone: what is real there can only be seen on
 * Windows itself.
 */
jest.unstable_mockModule('node:path', () => ({ ...win32, default: win32 }));
const { DirectorySidecars, sidecarPlaces } = await import('./sidecar-files.js');

const refuse = (code: string, path: string): never => {
  throw Object.assign(new Error(`${code}: ${path}`), { code });
};

/** Files by their real path; `links` by the path that is asked for. Names differ in case at will. */
function windows(
  files: readonly string[],
  links: { readonly [path: string]: string } = {},
): { readonly fileSystem: FileSystem; readonly opened: string[] } {
  const real = (path: string): string => {
    const normal = win32.normalize(path);
    const led = Object.entries(links).find(([link]) => link.toLowerCase() === normal.toLowerCase())?.[1] ?? normal;
    const isThere = [...files, ...files.map((file) => win32.dirname(file))].some(
      (known) => known.toLowerCase() === led.toLowerCase(),
    );
    return isThere ? led : refuse('ENOENT', path);
  };
  const state = (path: string): BigIntStats =>
    ({
      dev: 1n,
      ino: BigInt(files.findIndex((file) => file.toLowerCase() === path.toLowerCase())),
      size: 8n,
      mtimeNs: 0n,
      ctimeNs: 0n,
      nlink: 1n,
      isFile: () => files.some((file) => file.toLowerCase() === path.toLowerCase()),
      isDirectory: () => false,
    }) as unknown as BigIntStats;
  const opened: string[] = [];
  const never = (): never => refuse('ENOSYS', '');
  const handle = (path: string): FileHandle => ({
    read: never,
    write: never,
    stat: async () => state(path),
    chmod: never,
    truncate: never,
    sync: never,
    close: async () => undefined,
  });
  const fileSystem: FileSystem = {
    open: async (path, flags) => {
      expect(Number(flags) & (constants.O_WRONLY | constants.O_RDWR)).toBe(0);
      opened.push(path);
      return handle(path);
    },
    stat: async (path) => state(path),
    lstat: never,
    realpath: async (path) => real(path),
    readdir: never,
    rename: never,
    unlink: never,
    mkdir: never,
    clone: never,
  };
  return { fileSystem, opened };
}

const FILES = [
  'C:\\models\\m.onnx',
  'C:\\models\\w.bin',
  'C:\\models\\sub\\inner.bin',
  'C:\\models-secret\\w.bin',
  'C:\\secret.bin',
  'D:\\models\\w.bin',
  '\\\\server\\share\\m.onnx',
  '\\\\server\\share\\w.bin',
  '\\\\server\\other\\w.bin',
];

test.each([
  ['C:\\models\\m.onnx', 'w.bin', 'C:\\models\\w.bin'],
  ['C:\\models\\m.onnx', 'sub/inner.bin', 'C:\\models\\sub\\inner.bin'],
  ['C:\\models\\m.onnx', 'sub\\inner.bin', 'C:\\models\\sub\\inner.bin'],
  ['C:/models/m.onnx', './sub/../w.bin', 'C:\\models\\w.bin'],
  ['c:\\MODELS\\m.onnx', 'W.BIN', 'c:\\MODELS\\W.BIN'],
  ['\\\\server\\share\\m.onnx', 'w.bin', '\\\\server\\share\\w.bin'],
])('beside %s, %s is %s', async (model, location, path) => {
  const { fileSystem, opened } = windows(FILES);
  expect((await new DirectorySidecars(model, { fileSystem }).open(location, 'w')).path).toBe(path);
  expect(opened).toEqual([path]);
});

test.each([
  ['another directory of the drive', 'C:\\models\\m.onnx', 'C:\\secret.bin'],
  ['a directory whose name begins alike', 'C:\\models\\m.onnx', 'C:\\models-secret\\w.bin'],
  ['another drive', 'C:\\models\\m.onnx', 'D:\\models\\w.bin'],
  ['a file server', 'C:\\models\\m.onnx', '\\\\server\\share\\w.bin'],
  ['another share', '\\\\server\\share\\m.onnx', '\\\\server\\other\\w.bin'],
  ['a drive, from a share', '\\\\server\\share\\m.onnx', 'C:\\models\\w.bin'],
  ['the directory above', 'C:\\models\\sub\\inner.bin', 'C:\\models'],
  ['the directory itself', 'C:\\models\\sub\\inner.bin', 'C:\\models\\sub'],
])('a link or a junction to %s is refused', async (_what, model, target) => {
  const place = win32.join(win32.dirname(model), 'link.bin');
  const { fileSystem, opened } = windows(FILES, { [place]: target });
  await expect(new DirectorySidecars(model, { fileSystem }).open('link.bin', 'w')).rejects.toMatchObject({
    name: 'PolicyError',
    code: 'FEATX_EXTERNAL_LINK',
  });
  expect(opened).toEqual([]);
});

test("a link into the model's own directory, in whatever case it says it, is let through", async () => {
  const { fileSystem } = windows(FILES, { 'C:\\models\\link.bin': 'c:\\Models\\SUB\\inner.bin' });
  expect((await new DirectorySidecars('C:\\models\\m.onnx', { fileSystem }).open('link.bin', 'w')).size).toBe(8);
});

test('what got past the names of locations is still looked at by its real path', async () => {
  const { fileSystem, opened } = windows(FILES);
  for (const location of ['..\\secret.bin', '../models-secret/w.bin', 'sub\\..\\..\\secret.bin']) {
    await expect(new DirectorySidecars('C:\\models\\m.onnx', { fileSystem }).open(location, 'w')).rejects.toMatchObject(
      { name: 'PolicyError', code: 'FEATX_EXTERNAL_LINK' },
    );
  }
  expect(opened).toEqual([]);
});

test('a location has one place, whichever separator it uses', () => {
  expect(sidecarPlaces('C:\\models\\m.onnx', 'sub\\w.bin')).toEqual(['C:\\models\\sub\\w.bin']);
  expect(sidecarPlaces('C:\\models\\m.onnx', 'sub/w.bin')).toEqual(['C:\\models\\sub\\w.bin']);
});
