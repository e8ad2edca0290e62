import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { expandGlob } from './glob.js';

test('many ** in a row look into each directory a few times, not once for every way there', async () => {
  const root = mkdtempSync(join(tmpdir(), 'featx-glob-'));
  try {
    const deep = join(root, ...Array.from({ length: 12 }, () => 'd'));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, 'a.npy'), '');
    let lists = 0;
    const counting: FileSystem = { ...nodeFileSystem, readdir: (path) => (lists++, nodeFileSystem.readdir(path)) };
    expect(await expandGlob(join(root, ...Array.from({ length: 12 }, () => '**'), '*.npy'), counting)).toEqual([
      join(deep, 'a.npy'),
    ]);
    expect(lists).toBeLessThan(13 * 14);
    expect(await expandGlob(join(root, '**', 'd', '**', 'd', '*.npy'), counting)).toEqual([join(deep, 'a.npy')]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
