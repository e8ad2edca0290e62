import { spawn, type ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeatxError } from '../errors.js';
import { extract } from '../extract.js';
import { buildCli, campaignConfig, FAULTS, folderOf, makeCampaign, type Campaign } from '../testing/batch.js';
import { decodeLine } from './journal-lines.js';
import { processesIn } from '../testing/processes.js';
import { patience, stopwatch, type Stopwatch } from '../testing/time.js';

/**
 * Many models, some of them broken in every way there is, through the command line as it is shipped; `npm run
 * check:batch` takes a thousand.
 */

const COUNT = Number(process.env.FEATX_CHECK_BATCH ?? 32);
const IS_LONG = COUNT >= 1_000;
const KILLS = IS_LONG ? 5 : 1;
/** Graphs of real models; their weights need not be there, so their cuts lie beside them. */
const ZOO = process.env.FEATX_ZOO;
const ZOO_COUNT = 100;
const LIMIT_MS = COUNT * 10_000 + 600_000;
const SETTINGS = { timeout_seconds: Math.ceil(patience(1_000) / 1_000), memory_bytes: 400e6, jobs: 2 };

let cli: Awaited<ReturnType<typeof buildCli>>;
let root: string;
let campaign: Campaign;
/** What `extract` writes for the good, one model after another, and why not for the zoo's, by output. */
const serial = new Map<string, Buffer>();
const refused = new Map<string, string>();

interface Ended {
  readonly exit: number | null;
  readonly signal: string | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts `featx batch` in the campaign's folder. */
function start(args: readonly string[], onLine: (lines: number) => void = () => undefined): Running {
  const child = spawn(process.execPath, [cli.main, 'batch', '--json', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onLine(stdout.split('\n').length - 1);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (exit, signal) =>
      resolve({ exit, signal, lines: stdout.split('\n').filter((line) => line !== ''), stderr }),
    ),
  );
  return { process: child, ended };
}

/** How many items standard error names as failed; it says nothing else. */
function failuresIn(stderr: string): number {
  const lines = stderr.split('\n').filter((line) => line !== '');
  expect(lines.filter((line) => !/^(failed | *hint: |\d+ attempts)/.test(line))).toEqual([]);
  return lines.filter((line) => line.startsWith('failed ')).length;
}

/**
 * Checks that the lines are one terminal record per item and a summary, each with the fate that the campaign gave it.
 */
function assertRecords({ lines, stderr, exit }: Ended): void {
  const records = lines.map((line) => JSON.parse(line));
  const summary = records.pop();
  const failed = campaign.jobs.length - serial.size;
  expect(exit).toBe(1);
  expect(failuresIn(stderr)).toBe(records.filter(({ status }) => status === 'failed').length);
  expect(summary).toMatchObject({ command: 'batch-summary', failed, remaining: 0 });
  expect(summary.done + summary.skipped).toBe(campaign.jobs.length - failed);
  const byItem = new Map(records.map((record) => [`${record.item} -> ${record.output}`, record]));
  expect(records).toHaveLength(campaign.jobs.length);
  expect(byItem.size).toBe(campaign.jobs.length);
  for (const { input, output, fault } of campaign.jobs) {
    const { status, error, attempts } = byItem.get(`${input} -> ${output}`);
    const isGood = serial.has(output);
    expect([input, status === 'failed', error === null]).toEqual([input, !isGood, isGood]);
    if (isGood) continue;
    const code = fault === null ? (refused.get(output) ?? 'none') : FAULTS[fault];
    expect([input, error.code, error.code.startsWith(code)]).toEqual([input, error.code, true]);
    if (fault?.startsWith('inject'))
      expect([attempts, error.signal]).toEqual([2, fault === 'inject-crash' ? 'SIGSEGV' : 'SIGKILL']);
  }
}

function assertOutputs(): void {
  for (const [output, bytes] of serial)
    expect([output, readFileSync(join(root, output)).equals(bytes)]).toEqual([output, true]);
  const names = [...serial.keys()]
    .filter((output) => output.startsWith('cut/'))
    .map((output) => output.replace('cut/', ''));
  expect([...folderOf(join(root, 'cut')).keys()]).toEqual(names.sort());
}

/** Terminal records of the last run in the journal, by item. */
function journalledItems(): ReadonlyMap<unknown, number> {
  const counts = new Map<unknown, number>();
  let run: unknown;
  for (const line of readFileSync(join(root, '.featx', 'batch.journal.jsonl'), 'utf8').split('\n')) {
    const record = decodeLine(Buffer.from(`${line}\n`));
    if (record?.kind === 'run') {
      run = record.run;
      counts.clear();
    }
    if (record?.kind === 'item' && record.run === run) counts.set(record.id, (counts.get(record.id) ?? 0) + 1);
  }
  return counts;
}

function copyZoo(folder: string): Campaign['jobs'] {
  mkdirSync(join(root, 'zoo'));
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.onnx'))
    .sort((a, b) => statSync(join(folder, a)).size - statSync(join(folder, b)).size)
    .slice(0, ZOO_COUNT);
  for (const name of names) copyFileSync(join(folder, name), join(root, 'zoo', name));
  return names.map((name) => ({
    input: `zoo/${name}`,
    output: `zoo/${name.replace('.onnx', '.cut')}`,
    options: { out: [-1] },
    fault: null,
  }));
}

beforeAll(async () => {
  cli = await buildCli();
  root = realpathSync(mkdtempSync(join(tmpdir(), 'featx-campaign-')));
  campaign = makeCampaign(root, COUNT);
  const zoo = IS_LONG && ZOO !== undefined ? copyZoo(ZOO) : [];
  campaign = { root, jobs: [...campaign.jobs, ...zoo] };
  for (const { input, output, options, fault } of campaign.jobs) {
    if (fault !== null) continue;
    const alone = join(root, input.startsWith('zoo/') ? 'zoo' : '', 'serial.onnx');
    try {
      await extract(join(root, input), alone, { ...options, isolate: false });
      serial.set(output, readFileSync(alone));
    } catch (error) {
      if (!(error instanceof FeatxError)) throw error;
      refused.set(output, error.code);
    }
  }
  campaignConfig(campaign, SETTINGS);
}, LIMIT_MS);

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

beforeEach(() => {
  for (const name of ['cut', '.featx']) rmSync(join(root, name), { recursive: true, force: true });
});

test(
  'every item has one terminal record, the good are as a serial run makes them, and the parent lives',
  async () => {
    assertRecords(await start([]).ended);
    assertOutputs();
    expect([...journalledItems().values()].every((count) => count === 1)).toBe(true);
    expect(processesIn(root)).toEqual([]);
    if (!IS_LONG) return;
    const { lines } = await start([]).ended;
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ done: 0, skipped: serial.size });
  },
  LIMIT_MS,
);

test(
  'kill -9 of the parent at any moment, then --resume: nothing is lost, doubled or torn',
  async () => {
    for (let kill = 1; kill <= KILLS; kill++) {
      const at = Math.floor((COUNT * kill) / (KILLS + 1)) + 3;
      const running = start(kill === 1 ? [] : ['--resume'], (lines) => {
        if (lines >= at) running.process.kill('SIGKILL');
      });
      expect(await running.ended).toMatchObject({ signal: 'SIGKILL' });
      for (const [name, bytes] of folderOf(join(root, 'cut')))
        if (!name.startsWith('.')) expect([name, serial.get(`cut/${name}`)?.equals(bytes)]).toEqual([name, true]);
    }
    assertRecords(await start(['--resume']).ended);
    assertOutputs();
    const counts = journalledItems();
    expect(counts.size).toBe(campaign.jobs.length);
    expect([...counts.values()].every((count) => count === 1)).toBe(true);
    expect(processesIn(root)).toEqual([]);
  },
  LIMIT_MS,
);

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  '%s stops at once, with a summary',
  async (name, code) => {
    let clock: Stopwatch | null = null;
    const running = start([], (lines) => {
      if (lines < 5 || clock !== null) return;
      clock = stopwatch();
      running.process.kill(name);
    });
    const { exit, lines, stderr } = await running.ended;
    (clock as Stopwatch | null)?.within(500);
    const records = lines.map((line) => JSON.parse(line));
    const summary = records.pop();
    expect(exit).toBe(code);
    expect(failuresIn(stderr)).toBe(records.filter(({ status }) => status === 'failed').length);
    expect(summary).toMatchObject({ command: 'batch-summary', remaining: campaign.jobs.length - records.length });
    expect(summary.done + summary.failed).toBe(records.length);
    expect(processesIn(root)).toEqual([]);
    expect([...folderOf(join(root, 'cut')).keys()].filter((file) => file.startsWith('.'))).toEqual([]);
  },
  LIMIT_MS,
);
