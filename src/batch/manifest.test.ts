import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem } from '../wire/fs.js';
import { Journal } from './journal.js';
import { readManifest } from './manifest.js';
import { merge } from './merge.js';

const home = mkdtempSync(join(tmpdir(), 'featx-manifest-'));
afterAll(() => rmSync(home, { recursive: true }));
let count = 0;

function stored(manifest: unknown): string {
  const path = join(home, `${count++}.manifest.json`);
  writeFileSync(path, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return path;
}

const file = { path: 'o.1-of-2.npz', size_bytes: 3, sha256: 'aa' };
const run = {
  schema: 1,
  command: 'run-manifest',
  featx: '0',
  plan: 'p',
  shard: { index: 1, count: 2 },
  total: 4,
  first: 0,
  end: 2,
  rows: 2,
  output: 'o.npz',
  files: [file],
};
const item = { position: 0, item: 'a.onnx', output: 'o.onnx', status: 'done', error: null, files: [file] };
const batch = {
  schema: 1,
  command: 'batch-manifest',
  featx: '0',
  plan: 'p',
  shard: { index: 1, count: 2 },
  root: '..',
  total: 2,
  items: [item],
};

test('manifests are what was written', async () => {
  const arrays = [
    { key: 'y', entry_axis: 1 },
    { key: 'z', entry_axis: 0, offsets: 'z.offsets' },
    { key: 'w', entry_axis: null },
  ];
  for (const manifest of [run, { ...run, arrays }, batch, { ...run, files: [{ ...file, path: 'o.1-of-2/a.pb' }] }])
    expect(await readManifest(stored(manifest), nodeFileSystem)).toEqual(manifest);
});

test.each<readonly [string, unknown]>([
  ['an output above', { ...run, output: '..' }],
  ['an output that is the folder', { ...run, output: '.' }],
  ['no output', { ...run, output: '' }],
  ['an output elsewhere', { ...run, output: 'a\\b.npz' }],
  ['a NUL byte', { ...run, output: 'a\0.npz' }],
  ['a file above', { ...run, files: [{ ...file, path: '../secret.npz' }] }],
  ['a file by an absolute path', { ...run, files: [{ ...file, path: '/etc/passwd' }] }],
  ['a file on a drive', { ...run, files: [{ ...file, path: 'c:x' }] }],
  ['an axis below 0', { ...run, arrays: [{ key: 'y', entry_axis: -1 }] }],
  ['an array without a key', { ...run, arrays: [{ entry_axis: 0 }] }],
  ['a file twice', { ...run, files: [file, file] }],
  ['rows that are not its inputs', { ...run, rows: 1 }],
  ['an end beyond the total', { ...run, total: 1 }],
  ['more inputs than any run has', { ...run, total: 2 ** 50, end: 2 ** 50, rows: 2 ** 50 }],
  ['more shards than there can be', { ...run, shard: { index: 1, count: 2 ** 53 - 1 } }],
  ['more shards than there can be, of a batch', { ...batch, shard: { index: 1, count: 2 ** 32 - 1 } }],
  ['an item that is done and made nothing', { ...batch, items: [{ ...item, files: [] }] }],
  ['a root with a NUL byte', { ...batch, root: 'a\0b' }],
  ['deep nesting', `{"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
])('%s is no manifest', async (_case, manifest) => {
  await expect(readManifest(stored(manifest), nodeFileSystem)).rejects.toMatchObject({
    name: 'UsageError',
    code: 'FEATX_MERGE',
  });
});

test('of a million missing shards a few are named', async () => {
  for (const manifest of [run, batch]) {
    const { problems } = await merge([stored({ ...manifest, shard: { index: 1, count: 1_000_000 } })], {
      output: join(home, 'never'),
    });
    expect(problems.length).toBeLessThan(25);
    expect(existsSync(join(home, 'never'))).toBe(false);
  }
});

test('a journal is a regular file, and nothing else is waited for or written through', async () => {
  const state = join(home, 'state');
  mkdirSync(state);
  const secret = join(home, 'secret');
  writeFileSync(secret, 'mine');
  symlinkSync(secret, join(state, 'linked.journal.jsonl'));
  await expect(Journal.open(nodeFileSystem, state, 'linked')).rejects.toMatchObject({
    name: 'PolicyError',
    code: 'FEATX_BATCH_JOURNAL',
  });
  if (process.platform === 'win32') return;
  execFileSync('mkfifo', [join(state, 'pipe.journal.jsonl')]);
  await expect(Journal.open(nodeFileSystem, state, 'pipe')).rejects.toMatchObject({
    name: 'PolicyError',
    code: 'FEATX_BATCH_JOURNAL',
  });
});
