import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from '../extract.js';
import { buildCli, collect, smallModel, type BatchResult } from '../testing/batch.js';
import { encodeModel } from '../testing/model-builder.js';
import { backbone } from '../testing/fixtures/fixture.js';
import { weights } from '../testing/model-spec.js';
import { RemoteServer, type Served } from '../testing/remote-server.js';
import { BufferSource } from '../wire/source.js';
import { previewPlan, type BatchOptions } from './batch.js';
import { findJobs, planJobs, type Job } from './jobs.js';

let cli: Awaited<ReturnType<typeof buildCli>>;
let root: string;
beforeAll(async () => void (cli = await buildCli()));
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'featx-urls-'))));
afterEach(() => rmSync(root, { recursive: true, force: true }));

const at = (path: string): string => join(root, path);
const served = (bytes: Uint8Array, etag?: string): Served => ({ source: new BufferSource(bytes), etag });
const options = { out: [0, 1] };
const jobsOf = (server: RemoteServer, names: readonly string[]): readonly Job[] =>
  names.map((name) => ({ input: server.url(name), output: `cut/${name}`, options }));

function run(jobs: readonly Job[], more: BatchOptions = {}): Promise<BatchResult> {
  const remote = { cacheFolder: at('cache'), ...more.remote };
  return collect(jobs, { root, jobs: 1, stateDirectory: '.featx', workerEntry: cli.worker, ...more, remote });
}

const statuses = async (jobs: readonly Job[], more?: BatchOptions): Promise<string> =>
  (await run(jobs, more)).reports.map(({ status }) => status[0]).join('');

/** The cut that `extract` makes of the same bytes on this machine. */
async function localCut(bytes: Uint8Array): Promise<Buffer> {
  mkdirSync(at('local'), { recursive: true });
  writeFileSync(at('local/m.onnx'), bytes);
  await extract(at('local/m.onnx'), at('local/cut.onnx'), options);
  return readFileSync(at('local/cut.onnx'));
}

test('models behind URLs are cut as files are, and only what changed is cut again', async () => {
  await using server = await RemoteServer.start({
    'a.onnx': served(smallModel(1), '"a1"'),
    'b.onnx': served(smallModel(2), '"b1"'),
  });
  const jobs = jobsOf(server, ['a.onnx', 'b.onnx']);
  const { reports } = await run(jobs);
  expect(reports.map(({ item, status, error }) => [item, status, error])).toEqual([
    [server.url('a.onnx'), 'done', null],
    [server.url('b.onnx'), 'done', null],
  ]);
  expect(readFileSync(at('cut/a.onnx')).equals(await localCut(smallModel(1)))).toBe(true);

  const before = server.asked.length;
  expect(await statuses(jobs)).toBe('ss');
  const asked = server.asked.slice(before);
  expect(asked.map(({ path, start, end }) => [path, end - start])).toEqual([
    ['a.onnx', 1],
    ['b.onnx', 1],
  ]);

  server.files.set('b.onnx', served(smallModel(3), '"b2"'));
  expect(await statuses(jobs)).toBe('sd');
  expect(readFileSync(at('cut/b.onnx')).equals(await localCut(smallModel(3)))).toBe(true);

  // A result that somebody changed is made anew.
  writeFileSync(at('cut/a.onnx'), 'something else');
  expect(await statuses(jobs)).toBe('ds');
});

test('offline, what was made stays and nothing is asked; what was never fetched fails by name', async () => {
  await using server = await RemoteServer.start({
    'a.onnx': served(smallModel(1), '"a1"'),
    'b.onnx': served(smallModel(2), '"b1"'),
  });
  await run(jobsOf(server, ['a.onnx']));
  const before = server.asked.length;
  const { reports } = await run(jobsOf(server, ['a.onnx', 'b.onnx']), { remote: { offline: true } });
  expect(reports.map(({ status, error }) => [status, error?.code ?? null])).toEqual([
    ['skipped', null],
    ['failed', 'FEATX_REMOTE_OFFLINE'],
  ]);
  expect(server.asked.length).toBe(before);
  // Another cut of what was fetched needs no server either.
  const [job] = jobsOf(server, ['a.onnx']);
  expect(await statuses([{ ...job, output: 'again.onnx' }], { remote: { offline: true } })).toBe('d');
});

test('without anything that tells versions apart, a cut is made again every time', async () => {
  await using server = await RemoteServer.start({ 'a.onnx': served(smallModel(1)) });
  const jobs = jobsOf(server, ['a.onnx']);
  expect(await statuses(jobs)).toBe('d');
  expect(await statuses(jobs)).toBe('d');
});

test('a server that fails costs its own items alone, and a run that was ended is resumed', async () => {
  await using server = await RemoteServer.start({
    'a.onnx': served(smallModel(1), '"a1"'),
    'b.onnx': served(smallModel(2), '"b1"'),
    'c.onnx': served(smallModel(3), '"c1"'),
  });
  const jobs = jobsOf(server, ['a.onnx', 'gone.onnx', 'b.onnx', 'c.onnx']);
  const stop = new AbortController();
  const ended = await run(jobs, {
    signal: stop.signal,
    onProgress: ({ done, failed }) => void (done + failed === 2 && stop.abort(130)),
  });
  expect(ended.summary.remaining).toBeGreaterThan(0);
  const first = ended.reports.map(({ status }) => status);
  expect(first.slice(0, 2)).toEqual(['done', 'failed']);
  const { reports } = await run(jobs, { resume: true });
  expect(reports.map(({ item, status }) => [item.split('/').at(-1), status])).toEqual(
    expect.arrayContaining([
      ['gone.onnx', 'failed'],
      ['b.onnx', expect.stringMatching(/done|skipped/)],
      ['c.onnx', 'done'],
    ]),
  );
  expect(reports.find(({ item }) => item.endsWith('gone.onnx'))?.error?.code).toBe('FEATX_IO_NOT_FOUND');
});

test('weights beside a model behind a URL are part of what must not have changed', async () => {
  const stem = weights('stem.weight', [4, 3, 3, 3], 1);
  const initializers = [
    { name: 'stem.weight', dims: [4, 3, 3, 3], external: [['location', 'w.bin']] as [string, string][] },
    weights('layer1.weight', [8, 4, 3, 3], 2),
    weights('fc.weight', [5, 8], 3),
    weights('fc.bias', [5], 4),
  ];
  const bytes = (fill: number): Uint8Array => new Uint8Array(4 * 3 * 3 * 3 * 4).fill(fill);
  expect(stem.dims).toEqual([4, 3, 3, 3]);
  await using server = await RemoteServer.start({
    'm/a.onnx': served(encodeModel({ graph: backbone({ initializers }) }), '"a1"'),
    'm/w.bin': served(bytes(0), '"w1"'),
  });
  const jobs: readonly Job[] = [
    { input: server.url('m/a.onnx'), output: 'a.onnx', options: { ...options, weights: 'embed' } },
  ];
  expect(await statuses(jobs)).toBe('d');
  expect(await statuses(jobs)).toBe('s');
  server.files.set('m/w.bin', served(bytes(1), '"w2"'));
  expect(await statuses(jobs)).toBe('d');
});

test('results of URLs are called after host, folders and name; what may be secret is written nowhere', async () => {
  const patterns = [
    'hf://owner/first/onnx/model.onnx',
    'hf://owner/second@v2/onnx/model.onnx',
    'https://example.org:8443/a/../b/model.onnx?signature=secret',
    'https://example.org/%2E%2E/x%5Cy/',
  ].map((pattern) => ({ pattern }));
  const { jobs } = await findJobs(patterns, [], root);
  expect(jobs.map(({ output }) => output)).toEqual([
    'owner/first/onnx/model.features.onnx',
    'owner/second@v2/onnx/model.features.onnx',
    'example.org_8443/b/model.features.onnx',
    'example.org/x_y/model.features.onnx',
  ]);
  const plan = planJobs(jobs, root);
  expect(plan.items.map(({ fault }) => fault)).toEqual([null, null, null, null]);
  expect(plan.items[2].item).toBe('https://example.org:8443/b/model.onnx');
  expect(JSON.stringify(plan.items.map(({ url: _url, ...rest }) => rest))).not.toContain('secret');

  const named = await findJobs(
    patterns.map((each) => ({ ...each, output: 'out/{name}.onnx' })),
    [],
    root,
  );
  expect(planJobs(named.jobs, root).items.map(({ fault }) => fault?.code)).toEqual(
    Array.from({ length: 4 }, () => 'FEATX_USAGE_DUPLICATE_OUTPUT'),
  );
  const twice = ['1', '2'].map((key) => ({ input: `https://example.org/m.onnx?key=${key}`, output: `${key}.onnx` }));
  expect(() => planJobs(twice, root)).toThrow(/two URLs of https:\/\/example\.org\/m\.onnx differ only in/);
});

test('a plan of URLs asks nobody', async () => {
  await using server = await RemoteServer.start({ 'a.onnx': served(smallModel(1), '"a1"') });
  const jobs = jobsOf(server, ['a.onnx']);
  const actions = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const { action } of previewPlan(planJobs(jobs, root), { stateDirectory: '.featx' })) found.push(action);
    return found;
  };
  expect(await actions()).toEqual(['cut']);
  await run(jobs);
  const before = server.asked.length;
  expect(await actions()).toEqual(['check']);
  expect(server.asked.length).toBe(before);
});
