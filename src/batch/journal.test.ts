import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFileSystem } from '../wire/fs.js';
import { thisWriter } from '../wire/writers.js';
import { encodeLine } from './journal-lines.js';
import { Journal } from './journal.js';

/** The journal as a file: how large it grows, and what becomes of it where somebody removes it. */

const HEADER = { plan: 'p', shard: '1-of-1' };
const NO_PROCESS = 2 ** 22 + 1;
let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-journal-'));
  path = join(root, 'state', 'batch.journal.jsonl');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const open = (): Promise<Journal> => Journal.open(nodeFileSystem, join(root, 'state'), 'batch');
const items = Array.from({ length: 200 }, (_none, index) => `model-${index}.onnx`);

test('a run that is killed and resumed many times leaves a journal in proportion to its items', async () => {
  mkdirSync(join(root, 'state'));
  const run = 'ab12';
  const killed = { host: thisWriter().host, process: NO_PROCESS };
  const lines = [
    encodeLine({ kind: 'run', run, ...HEADER, writer: killed }),
    ...items.map((id) => encodeLine({ kind: 'item', run, id, remembers: true, status: 'done', made: { at_ms: 0 } })),
  ];
  writeFileSync(path, Buffer.concat(lines));
  for (let resumed = 1; resumed <= 30; resumed++) {
    const journal = await open();
    expect(await journal.begin(HEADER, true)).toBe(true);
    for (const id of items) journal.remember(id, { at_ms: resumed });
    await journal.close();
  }
  expect(readFileSync(path, 'utf8').split('\n').length).toBeLessThan(6 * items.length);
  const journal = await open();
  expect(await journal.begin(HEADER, true)).toBe(true);
  for (const id of items) {
    expect(await journal.ofThisRun(id)).toMatchObject({ kind: 'item', id, status: 'done' });
    expect(await journal.cached(id)).toMatchObject({ id, made: { at_ms: 30 } });
  }
  await journal.close();
});

test('a journal that is removed with its directory in the middle of a run is put back whole', async () => {
  const journal = await open();
  await journal.begin(HEADER, false);
  await journal.item('a', { status: 'done', made: { at_ms: 1 } });
  expect(await journal.cached('a')).toBeNull();
  rmSync(join(root, 'state'), { recursive: true });
  await journal.item('b', { status: 'done', made: { at_ms: 2 } });
  await journal.item('c', { status: 'failed' });
  await journal.end({ done: 2 });
  await journal.close();
  const next = await open();
  expect(await next.cached('a')).toMatchObject({ made: { at_ms: 1 } });
  expect(await next.cached('b')).toMatchObject({ made: { at_ms: 2 } });
  expect(await next.begin(HEADER, true)).toBe(false);
  await next.close();
});

test('a journal whose place something else has taken is an error', async () => {
  const journal = await open();
  await journal.begin(HEADER, false);
  rmSync(path);
  writeFileSync(path, 'mine');
  await expect(journal.item('a', { status: 'done' })).rejects.toThrow('was replaced while it ran');
  await journal.close();
  expect(statSync(path).size).toBe(4);
});
