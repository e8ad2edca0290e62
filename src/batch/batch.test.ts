import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from '../extract.js';
import { buildCli, collect, folderOf, smallModel, type BatchResult } from '../testing/batch.js';
import { backbone } from '../testing/fixtures/fixture.js';
import { encodeModel } from '../testing/model-builder.js';
import { value, weights } from '../testing/model-spec.js';
import { nodeFileSystem } from '../wire/fs.js';
import { batch, previewPlan, type BatchOptions } from './batch.js';
import { planJobs, type Job } from './jobs.js';
import { decodeLine, encodeLine, type JournalRecord } from './journal-lines.js';
import { judge, readMade, type Made } from './made.js';
import { stopwatch } from '../testing/time.js';

let cli: Awaited<ReturnType<typeof buildCli>>;
let root: string;
beforeAll(async () => void (cli = await buildCli()));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-batch-'));
  for (const name of ['a', 'b', 'c']) writeFileSync(join(root, `${name}.onnx`), smallModel(name.charCodeAt(0)));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const JOBS: readonly Job[] = ['a', 'b', 'c'].map((name) => ({
  input: `${name}.onnx`,
  output: `cut/${name}.onnx`,
  options: { out: [0, 1] },
}));
const journal = (): string => join(root, '.featx', 'batch.journal.jsonl');

function run(options: BatchOptions = {}, jobs: Iterable<Job> = JOBS, where = root): Promise<BatchResult> {
  return collect(jobs, { root: where, jobs: 1, stateDirectory: '.featx', workerEntry: cli.worker, ...options });
}

async function statuses(options: BatchOptions = {}, jobs: Iterable<Job> = JOBS, where = root): Promise<string> {
  const { reports } = await run(options, jobs, where);
  return [...reports]
    .sort((a, b) => (a.item < b.item ? -1 : 1))
    .map(({ status }) => status[0])
    .join('');
}

/** Puts the bytes of a file at `offset` to other values, of the same length. */
function alter(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] ^= 0xff;
  writeFileSync(path, bytes);
}

/** Every line of the journal that can be read. */
function journalRecords(): JournalRecord[] {
  const lines = readFileSync(journal(), 'utf8').trimEnd().split('\n');
  return lines.flatMap((line) => decodeLine(Buffer.from(`${line}\n`)) ?? []);
}

/** Rewrites what the journal remembers, with digests that are right. */
function editMemory(edit: (made: Made) => unknown): void {
  const edited = journalRecords().map((record) => {
    const made = readMade(record.made);
    return encodeLine(made === null ? record : { ...record, made: edit(made) });
  });
  writeFileSync(journal(), Buffer.concat(edited));
}

test('cuts are those of extract, and the records say so', async () => {
  const { reports, summary } = await run();
  for (const { input, output, options } of JOBS) {
    await extract(join(root, input), join(root, 'alone.onnx'), { ...options, isolate: false });
    expect(readFileSync(join(root, output)).equals(readFileSync(join(root, 'alone.onnx')))).toBe(true);
  }
  expect(reports).toHaveLength(3);
  expect(reports[0]).toMatchObject({
    schema: 1,
    command: 'batch',
    item: 'a.onnx',
    output: 'cut/a.onnx',
    status: 'done',
    attempts: 1,
    error: null,
    report: { command: 'extract', input: 'a.onnx', output: 'cut/a.onnx', features: [{ index: 0 }, { index: 1 }] },
  });
  expect(summary).toEqual({
    schema: 1,
    command: 'batch-summary',
    done: 3,
    skipped: 0,
    failed: 0,
    remaining: 0,
    elapsed_ms: expect.any(Number),
  });
});

test('verify runs every model beside its cut; one that differs fails, and its output is as it was', async () => {
  renameSync(join(root, 'b.onnx'), join(root, 'turned-bit.onnx'));
  mkdirSync(join(root, 'cut'));
  writeFileSync(join(root, 'cut', 'b.onnx'), 'before');
  const jobs = JOBS.map(({ output }, at) => ({
    input: ['a.onnx', 'turned-bit.onnx', 'c.onnx'][at],
    output,
    options: { out: [0, 1], verify: true },
  }));
  const { reports } = await run({}, jobs);
  expect(reports.map(({ status, report, error }) => [status, report?.verified, error?.code])).toEqual([
    ['done', true, undefined],
    ['failed', undefined, 'FEATX_VERIFY'],
    ['done', true, undefined],
  ]);
  expect([...folderOf(join(root, 'cut'))].map(([name, bytes]) => [name, bytes.length > 6])).toEqual([
    ['a.onnx', true],
    ['b.onnx', false],
    ['c.onnx', true],
  ]);
  expect(await statuses({}, [jobs[0], jobs[2]])).toBe('ss');
  // Without it the turned bit goes unseen.
  expect(await statuses({}, [{ ...jobs[1], options: { out: [0, 1] } }])).toBe('d');
});

test('a cut that nobody has verified is verified when that is asked for, and not made again', async () => {
  const before = { fine: JOBS[0], off: { ...JOBS[0], input: 'turned-bit.onnx', output: 'cut/off.onnx' } };
  renameSync(join(root, 'b.onnx'), join(root, 'turned-bit.onnx'));
  const plain = [before.fine, before.off];
  const verified = plain.map((job) => ({ ...job, options: { out: [0, 1], verify: true } }));
  expect(await statuses({}, plain)).toBe('dd');
  const made = ['a.onnx', 'off.onnx'].map((name) => readFileSync(join(root, 'cut', name)));
  const actions = async (jobs: readonly Job[]): Promise<readonly string[]> => {
    const seen: string[] = [];
    for await (const { action } of previewPlan(planJobs(jobs, root), { stateDirectory: '.featx' })) seen.push(action);
    return seen;
  };
  expect(await actions(plain)).toEqual(['skip', 'skip']);
  expect(await actions(verified)).toEqual(['verify', 'verify']);
  const { reports } = await run({}, verified);
  expect(reports.map(({ status, verified: isVerified, error }) => [status, isVerified, error?.code])).toEqual([
    ['skipped', true, undefined],
    ['failed', undefined, 'FEATX_VERIFY'],
  ]);
  // What is there stays: the new cut was not written.
  expect(['a.onnx', 'off.onnx'].map((name) => readFileSync(join(root, 'cut', name)))).toEqual(made);
  // Taking it away makes nothing again, and what was verified once stays verified.
  expect(await statuses({}, plain)).toBe('ss');
  expect(await actions(verified)).toEqual(['skip', 'verify']);
  const again = await run({}, [verified[0]]);
  expect(again.reports.map(({ status, verified: isVerified }) => [status, isVerified])).toEqual([
    ['skipped', undefined],
  ]);
});

test('what has not changed is skipped, what has is cut', async () => {
  expect(await statuses()).toBe('ddd');
  expect(await statuses()).toBe('sss');
  expect(await statuses({ check: 'content' })).toBe('sss');
  expect(await statuses({ force: true })).toBe('ddd');
  writeFileSync(join(root, 'b.onnx'), smallModel(1234));
  expect(await statuses()).toBe('sds');
  // Another time stamp alone changes nothing.
  utimesSync(join(root, 'a.onnx'), 1_000_000, 1_000_000);
  expect(await statuses()).toBe('sss');
  rmSync(join(root, 'cut', 'c.onnx'));
  expect(await statuses()).toBe('ssd');
  alter(join(root, 'cut', 'a.onnx'), 400);
  expect(await statuses()).toBe('dss');
  expect(
    await statuses(
      {},
      JOBS.map((job) => ({ ...job, options: { out: [1] } })),
    ),
  ).toBe('ddd');
  expect(
    await statuses(
      {},
      JOBS.map((job) => ({ ...job, output: job.output.replace('cut', 'other') })),
    ),
  ).toBe('ddd');
});

test('only what a cut reads counts: the inside of a dropped weight may change, a kept weight may not', async () => {
  const jobs = [{ input: 'a.onnx', output: 'cut/a.onnx', options: { out: [0] } }];
  const initializers = [
    weights('stem.weight', [4, 3, 3, 3], 1),
    weights('layer1.weight', [8, 4, 3, 3], 2),
    weights('fc.weight', [40_000, 8], 3),
    weights('fc.bias', [40_000], 4),
  ];
  const path = join(root, 'a.onnx');
  writeFileSync(path, encodeModel({ graph: backbone({ initializers, outputs: [value('y', [1, 40_000])] }) }));
  expect(await statuses({}, jobs)).toBe('d');
  alter(path, 640_000);
  expect(await statuses({}, jobs)).toBe('s');
  alter(path, readFileSync(path).lastIndexOf('stem.weight') - 100);
  expect(await statuses({}, jobs)).toBe('d');
});

test('a content that changes under the same size and time is seen', async () => {
  await run();
  const { atime, mtime } = statSync(join(root, 'b.onnx'));
  alter(join(root, 'b.onnx'), 700);
  utimesSync(join(root, 'b.onnx'), atime, mtime);
  expect(await statuses()).toBe('sds');
});

test('a config beside the models that appears, changes or goes is seen', async () => {
  const config = join(root, 'preprocessor_config.json');
  const says = (size: number): string =>
    JSON.stringify({ image_processor_type: 'ViTImageProcessor', size: { height: size, width: size } });
  await run();
  writeFileSync(config, says(8));
  expect([await statuses(), await statuses()]).toEqual(['ddd', 'sss']);
  writeFileSync(config, says(9));
  expect([await statuses(), await statuses()]).toEqual(['ddd', 'sss']);
  rmSync(config);
  expect([await statuses(), await statuses()]).toEqual(['ddd', 'sss']);
});

test('moving and copying the folder keeps the memory', async () => {
  await run();
  const moved = `${root}-moved`;
  const copied = `${root}-copied`;
  try {
    renameSync(root, moved);
    expect(await statuses({}, JOBS, moved)).toBe('sss');
    cpSync(moved, copied, { recursive: true });
    expect(await statuses({}, JOBS, copied)).toBe('sss');
  } finally {
    rmSync(moved, { recursive: true, force: true });
    rmSync(copied, { recursive: true, force: true });
  }
});

describe('a record that is stale or poisoned is not believed', () => {
  const edits: { readonly [what: string]: (made: Made) => unknown } = {
    'another version of featx': (made) => ({ ...made, featx: '0.0.9' }),
    'another runtime': (made) => ({ ...made, runtime: '1.0.0' }),
    'other options': (made) => ({ ...made, options: '0'.repeat(64) }),
    'from the future': (made) => ({ ...made, at_ms: Date.now() + 1e9 }),
    'another digest of what was read': (made) => ({ ...made, reads: [{ ...made.reads[0], sha256: '0'.repeat(64) }] }),
    'another digest of the output': (made) => ({ ...made, writes: [{ ...made.writes[0], sha256: '0'.repeat(64) }] }),
    'nothing read': (made) => ({ ...made, reads: [] }),
    'no bytes read': (made) => ({ ...made, reads: [{ ...made.reads[0], ranges: [] }] }),
    'a place that no record has': (made) => ({ ...made, absent: ['a/../b'] }),
    'nothing of what was not there': ({ absent: _absent, ...made }) => made,
    'nothing written': (made) => ({ ...made, writes: [] }),
    'another model': (made) => ({ ...made, reads: [{ ...made.reads[0], path: 'b.onnx' }] }),
    'a file elsewhere': (made) => ({
      ...made,
      writes: [...made.writes, { ...made.writes[0], path: '../../etc/passwd' }],
    }),
    'ranges past the end': (made) => ({ ...made, reads: [{ ...made.reads[0], ranges: [0, made.reads[0].size + 1] }] }),
    'ranges backwards': (made) => ({ ...made, reads: [{ ...made.reads[0], ranges: [10, 5] }] }),
    'no record at all': () => 'yes',
  };

  test('however it is wrong', async () => {
    const [job] = JOBS;
    await run({}, [job]);
    const [made] = journalRecords().flatMap((record) => readMade(record.made) ?? []);
    const { items } = planJobs([job], root);
    const verdict = async (value: unknown): Promise<string> => {
      const read = readMade(JSON.parse(JSON.stringify(value)));
      return read === null
        ? 'changed'
        : (await judge(read, { root, ...items[0] }, { fileSystem: nodeFileSystem, content: true, hashLimit: Infinity }))
            .is;
    };
    expect(await verdict(made)).toBe('same');
    for (const [what, edit] of Object.entries(edits))
      expect([what, await verdict(edit(made))]).toEqual([what, 'changed']);
    editMemory(edits['another digest of the output']);
    expect(await statuses({ check: 'content' }, [job])).toBe('d');
    expect(await statuses({ check: 'content' }, [job])).toBe('s');
  });

  test('a line that is torn, altered or foreign is as good as none', async () => {
    await run();
    const whole = readFileSync(journal(), 'utf8');
    for (const broken of [
      whole.replaceAll('"done"', '"d0ne"'),
      whole.replaceAll('"path":"c.onnx"', '"path":"d.onnx"'),
      `${whole}{"kind":"item"}\n[]\nnull\n\x00\n{"sum":"x`,
      '',
    ]) {
      writeFileSync(journal(), broken);
      expect(await statuses()).toMatch(broken.startsWith(whole) ? /^sss$/ : /^[ds]{2}d$/);
      expect(await statuses()).toBe('sss');
    }
    writeFileSync(journal(), whole.slice(0, whole.length - 40));
    expect(await statuses()).toBe('sss');
  });
});

test('an unchanged file is taken at the word of the file system unless content is to be checked', async () => {
  await run();
  await new Promise((resolve) => setTimeout(resolve, 2_100));
  await run();
  editMemory((made) => ({ ...made, writes: [{ ...made.writes[0], sha256: '0'.repeat(64) }] }));
  expect(await statuses()).toBe('sss');
  expect(await statuses({ check: 'content' })).toBe('ddd');
});

test('--fail-fast starts nothing after a failure; --resume does the rest once', async () => {
  writeFileSync(join(root, 'a.onnx'), 'no model');
  const { reports, summary } = await run({ failFast: true });
  expect(reports.map(({ item, status, error }) => [item, status, error?.path])).toEqual([
    ['a.onnx', 'failed', 'a.onnx'],
  ]);
  expect(JSON.stringify(reports)).not.toContain(root);
  expect(summary).toMatchObject({ failed: 1, remaining: 2 });
  const resumed = await run({ resume: true });
  expect(resumed.reports.map(({ item, status }) => [item, status])).toEqual([
    ['a.onnx', 'failed'],
    ['b.onnx', 'done'],
    ['c.onnx', 'done'],
  ]);
  // That run has ended: the next one begins anew.
  writeFileSync(join(root, 'a.onnx'), smallModel(1));
  expect(await statuses({ resume: true })).toBe('dss');
});

test('a consumer that leaves stops the run', async () => {
  for await (const { item } of batch(JOBS, { root, jobs: 1, workerEntry: cli.worker })) {
    expect(item).toBe('a.onnx');
    break;
  }
  expect([...folderOf(join(root, 'cut')).keys()].filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a stopped run kills what is being worked on, and says what is left', async () => {
  renameSync(join(root, 'b.onnx'), join(root, 'inject-hang.onnx'));
  const jobs = [JOBS[0], { input: 'inject-hang.onnx', output: 'cut/b.onnx', options: { out: [0] } }, JOBS[2]];
  const controller = new AbortController();
  let clock = stopwatch();
  const onProgress = (): void =>
    void setTimeout(() => {
      clock = stopwatch();
      controller.abort();
    }, 300);
  const { reports, summary } = await run({ signal: controller.signal, onProgress }, jobs);
  clock.within(500);
  expect(reports.map(({ item }) => item)).toEqual(['a.onnx']);
  expect(summary).toMatchObject({ done: 1, failed: 0, remaining: 2 });
});

test('a crash, an exit and garbage are one failure each, tried twice, and the rest goes on', async () => {
  const kinds = ['crash', 'abort', 'exit', 'garbage'];
  for (const kind of kinds) writeFileSync(join(root, `inject-${kind}.onnx`), smallModel(3));
  const jobs = [
    JOBS[0],
    ...kinds.map((kind) => ({ input: `inject-${kind}.onnx`, output: `cut/${kind}.onnx`, options: { out: [0] } })),
    JOBS[1],
  ];
  const { reports } = await run({ jobs: 2 }, jobs);
  const errors = new Map(
    reports.map(({ item, status, attempts, error }) => [
      item,
      { status, attempts, code: error?.code, signal: error?.signal },
    ]),
  );
  expect(errors.get('inject-crash.onnx')).toEqual({
    status: 'failed',
    attempts: 2,
    code: 'FEATX_CHILD_CRASH',
    signal: 'SIGSEGV',
  });
  expect(errors.get('inject-abort.onnx')).toEqual({
    status: 'failed',
    attempts: 2,
    code: 'FEATX_CHILD_CRASH',
    signal: 'SIGABRT',
  });
  expect(errors.get('inject-exit.onnx')).toEqual({
    status: 'failed',
    attempts: 2,
    code: 'FEATX_CHILD_CRASH',
    signal: undefined,
  });
  expect(errors.get('inject-garbage.onnx')).toMatchObject({ status: 'failed', attempts: 2, code: 'FEATX_CHILD_CRASH' });
  expect(reports.find(({ item }) => item === 'inject-exit.onnx')?.error?.message).toContain('exit code 3');
  for (const item of ['a.onnx', 'b.onnx']) expect(errors.get(item)?.status).toBe('done');
});

test('two runs at once both finish, and every output is whole', async () => {
  const other = JOBS.map((job) => ({ ...job, options: { out: [1] } }));
  const [first, second] = await Promise.all([run({ stateDirectory: 'one' }), run({ stateDirectory: 'two' }, other)]);
  expect([first.summary.done, second.summary.done]).toEqual([3, 3]);
  const alone = async (out: readonly number[]): Promise<Buffer> => {
    const path = join(root, `alone-${out.join('-')}.onnx`);
    await extract(join(root, 'a.onnx'), path, { out, isolate: false });
    return readFileSync(path);
  };
  const cut = readFileSync(join(root, 'cut', 'a.onnx'));
  expect([await alone([0, 1]), await alone([1])].some((bytes) => bytes.equals(cut))).toBe(true);
  // Whatever stands there now, neither run takes the other's for its own.
  await run({ stateDirectory: 'one' });
  expect(readFileSync(join(root, 'cut', 'a.onnx')).equals(await alone([0, 1]))).toBe(true);
});

test('a directory of outputs that cannot be made fails its items', async () => {
  writeFileSync(join(root, 'file'), '');
  const { reports } = await run({}, [{ ...JOBS[0], output: 'file/a.onnx' }, JOBS[1]]);
  expect(reports.map(({ item, status, error }) => [item, status, error?.code, error?.path])).toEqual([
    ['a.onnx', 'failed', 'FEATX_IO', 'file'],
    ['b.onnx', 'done', undefined, undefined],
  ]);
  expect(reports[0].error?.message).toMatch(/^cannot make the directory file: .*\((EEXIST|ENOTDIR)\)$/);
});

test('where the journal cannot be kept, nothing is done', async () => {
  writeFileSync(join(root, 'file'), '');
  await expect(run({ stateDirectory: 'file/state' })).rejects.toThrow('journal');
  expect(existsSync(join(root, 'cut'))).toBe(false);
});
