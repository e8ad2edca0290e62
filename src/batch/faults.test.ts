import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IoError } from '../errors.js';
import { buildCli, collect, folderOf, smallModel } from '../testing/batch.js';
import { faultyFileSystem } from '../testing/faulty-fs.js';
import { Journal } from './journal.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import type { Job } from './jobs.js';

/**
 * The file system of the parent fails at one call or from one call on: the batch ends with an IoError or does its work,
 * and memory and outputs stay good.
 */

let cli: Awaited<ReturnType<typeof buildCli>>;
let root: string;
const JOBS: readonly Job[] = ['a', 'b'].map((name) => ({
  input: `${name}.onnx`,
  output: `cut/${name}.onnx`,
  options: { out: [0] },
}));

beforeAll(async () => {
  cli = await buildCli();
  root = mkdtempSync(join(tmpdir(), 'featx-batch-faults-'));
  for (const name of ['a', 'b']) writeFileSync(join(root, `${name}.onnx`), smallModel(name.charCodeAt(0)));
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** `npm run check:faults` takes every call. */
const EVERY = process.env.FEATX_CHECK_FAULTS === undefined ? 3 : 1;

const options = () => ({ root, jobs: 1, stateDirectory: '.featx', workerEntry: cli.worker });

test('however the file system fails', async () => {
  await collect(JOBS, options());
  const good = folderOf(join(root, 'cut'));
  const counting = faultyFileSystem(Infinity, 'EIO');
  await collect(JOBS, { ...options(), fileSystem: counting.fileSystem });
  expect(counting.calls.length).toBeGreaterThan(20);
  const outcomes = { failed: 0, finished: 0 };
  for (let n = 1, turn = 1; n <= counting.calls.length; n += EVERY, turn++) {
    const { fileSystem } = faultyFileSystem(n, turn % 2 === 0 ? 'EIO' : 'ENOSPC', turn % 3 === 0);
    try {
      const { summary, reports } = await collect(JOBS, { ...options(), fileSystem });
      expect(summary.done + summary.skipped + summary.failed).toBe(JOBS.length);
      for (const { error } of reports) if (error !== null) expect(error.code).toMatch(/^FEATX_IO/);
      outcomes[summary.failed === 0 ? 'finished' : 'failed']++;
    } catch (error) {
      expect(error).toBeInstanceOf(IoError);
      outcomes.failed++;
    }
    expect(folderOf(join(root, 'cut'))).toEqual(good);
  }
  expect(outcomes.failed).toBeGreaterThan(5);
  const { summary } = await collect(JOBS, options());
  expect(summary).toMatchObject({ done: 0, skipped: 2 });
});

test('a journal that cannot take a record stops the run; the next one goes on', async () => {
  rmSync(join(root, '.featx'), { recursive: true });
  const counting = faultyFileSystem(Infinity, 'ENOSPC');
  await collect(JOBS, { ...options(), fileSystem: counting.fileSystem });
  const records = counting.calls.flatMap((call, index) => (call === 'write' ? [index + 1] : []));
  rmSync(join(root, '.featx'), { recursive: true });
  // The first write is the header of the run, the second the record of the first item.
  await expect(
    collect(JOBS, { ...options(), fileSystem: faultyFileSystem(records[1], 'ENOSPC', true).fileSystem }),
  ).rejects.toThrow('no space left');
  const { reports } = await collect(JOBS, { ...options(), resume: true });
  expect(reports.map(({ item, status }) => [item, status])).toEqual([
    ['a.onnx', 'done'],
    ['b.onnx', 'done'],
  ]);
  expect(readFileSync(join(root, '.featx', 'batch.journal.jsonl'), 'utf8').match(/"kind":"run"/g)).toHaveLength(1);
});

test('no record is written behind half of another one', async () => {
  const directory = join(root, 'half');
  let writes = 0;
  // The disk takes half of the second record and is full; then somebody makes room.
  const filling: FileSystem = {
    ...nodeFileSystem,
    open: async (...args) => {
      const handle = await nodeFileSystem.open(...args);
      return {
        read: (buffer, position) => handle.read(buffer, position),
        stat: () => handle.stat(),
        chmod: (mode) => handle.chmod(mode),
        truncate: (size) => handle.truncate(size),
        sync: () => handle.sync(),
        close: () => handle.close(),
        write: async (buffer, position) => {
          if (++writes === 3) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
          return handle.write(writes === 2 ? buffer.subarray(0, buffer.length / 2) : buffer, position);
        },
      };
    },
  };
  const journal = await Journal.open(filling, directory, 'batch');
  await journal.begin({ plan: 'p', shard: 'batch' }, false);
  await expect(journal.item('a', { status: 'done' })).rejects.toThrow('no space left');
  await expect(journal.item('b', { status: 'done' })).rejects.toThrow('no space left');
  await journal.close();
  expect(writes).toBe(3);
  const next = await Journal.open(nodeFileSystem, directory, 'batch');
  await next.begin({ plan: 'p', shard: 'batch' }, true);
  await next.item('b', { status: 'done' });
  await next.reread();
  expect([await next.ofThisRun('a'), (await next.ofThisRun('b'))?.status]).toEqual([null, 'done']);
  await next.close();
});
