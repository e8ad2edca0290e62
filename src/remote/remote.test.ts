import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ServerResponse } from 'node:http';
import { extract } from '../extract.js';
import { inspect } from '../inspect.js';
import { openModel } from '../open.js';
import { runCli } from '../testing/cli.js';
import { farModel } from '../testing/far-model.js';
import { RemoteServer, serve, type Asked, type Misbehaviour, type Served } from '../testing/remote-server.js';
import { patience } from '../testing/time.js';
import { BufferSource } from '../wire/source.js';
import { openRemote } from './open-remote.js';
import type { Patience } from './waiting.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'featx-remote-'));
});
afterEach(() => rm(folder, { recursive: true }));

const TENSOR = '/blocks.1/Add_output_0';
const select = [{ by: 'tensor', name: TENSOR }] as const;
/** Pauses are noted and not made. */
const paused: number[] = [];
const quick: Partial<Patience> = { pause: async (ms) => void paused.push(ms) };
const remote = (more: object = {}): object => ({
  remote: { cacheFolder: join(folder, 'cache'), environment: { HOME: folder }, patience: quick, ...more },
});
/** Jest takes seconds to compare megabytes. */
const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const cutOf = async (url: string, more?: object): Promise<string> => {
  const target = join(folder, 'cut.onnx');
  await extract(url, target, { select, ...remote(more) });
  return digest(await readFile(target));
};

/** 3 MB, six matrices of 512 KB; and the same layout with other weights: what a fine-tune is. */
let bytes: Uint8Array;
let file: Served;
let fileTuned: Served;
let localCut: string;
beforeAll(async () => {
  const [small, tuned] = [farModel(3, 256), farModel(3, 256, 99)];
  bytes = await small.read(0, small.size);
  file = { source: new BufferSource(bytes), etag: '"v1"', lastModified: 'Sat, 01 Aug 2026 10:00:00 GMT' };
  fileTuned = {
    source: new BufferSource(await tuned.read(0, tuned.size)),
    etag: '"v2"',
    lastModified: 'Sun, 02 Aug 2026 10:00:00 GMT',
  };
  const place = await mkdtemp(join(tmpdir(), 'featx-local-'));
  await writeFile(join(place, 'm.onnx'), bytes);
  await extract(join(place, 'm.onnx'), join(place, 'cut.onnx'), { select });
  localCut = digest(await readFile(join(place, 'cut.onnx')));
  await rm(place, { recursive: true });
});

test('a network of 100 MB is indexed by few requests as it is from a file, and cut by what it keeps', async () => {
  const far = farModel(24, 512);
  await using server = await RemoteServer.start({ 'm.onnx': { source: far, etag: '"1"' } });
  await using model = await openModel(server.url('m.onnx'), remote());
  await using local = await openModel(far);
  expect(model.graph.nodes.map(({ outputs }) => outputs)).toEqual(local.graph.nodes.map(({ outputs }) => outputs));
  expect(model.graph.initializers.map(({ name, payloads }) => [name, payloads])).toEqual(
    local.graph.initializers.map(({ name, payloads }) => [name, payloads]),
  );
  expect(server.asked.length).toBeLessThan(100);
  expect(server.bytesAsked).toBeLessThan(800_000);
  const indexed = server.bytesAsked;
  const cut = await extract(server.url('m.onnx'), join(folder, 'cut.onnx'), { select, ...remote() });
  expect(cut.bytes_copied).toBeGreaterThan(8_000_000);
  expect(server.bytesAsked - indexed).toBeLessThan(cut.bytes_copied + 800_000);
});

test('a cut is that of the file, whatever the name of the result, and a second one fetches nothing again', async () => {
  await using server = await RemoteServer.start({ 'm.onnx': file });
  expect(await cutOf(server.url('m.onnx'))).toEqual(localCut);
  const { length } = server.asked;
  expect(server.bytesAsked).toBeLessThan(bytes.length * 1.1);
  expect(await cutOf(server.url('m.onnx'))).toEqual(localCut);
  expect(server.asked.slice(length).map(({ start, end }) => end - start)).toEqual([1]);
  expect(await cutOf(server.url('m.onnx'), { offline: true })).toEqual(localCut);
  expect(server.asked).toHaveLength(length + 1);
});

/** Answers as it was asked, with other headers. */
function answer(
  { start, end }: Asked,
  response: ServerResponse,
  { source, etag }: Served,
  headers: object,
): Promise<boolean> {
  return source.read(start, end).then((body) => {
    response.writeHead(206, {
      'content-range': `bytes ${start}-${end - 1}/${source.size}`,
      ...(etag === undefined ? {} : { etag }),
      ...headers,
    });
    response.end(body);
    return true;
  });
}

/** The first `times` answers after the first. */
function few(times: number, misbehave: Misbehaviour): Misbehaviour {
  let left = times;
  return (asked, response, served) => asked.before > 0 && left-- > 0 && misbehave(asked, response, served);
}

describe('what a server may do, and what becomes of it', () => {
  const good: readonly (readonly [name: string, misbehave: Misbehaviour])[] = [
    ['429 with Retry-After', few(2, (_, response) => !!response.writeHead(429, { 'retry-after': '7' }).end())],
    [
      "429 with the hub's RateLimit",
      few(1, (_, response) => !!response.writeHead(429, { ratelimit: '"resolvers";r=0;t=9' }).end()),
    ],
    ['503', few(2, (_, response) => !!response.writeHead(503).end())],
    ['408', few(1, (_, response) => !!response.writeHead(408).end())],
    ['a reset before the answer', few(2, (_, response) => !response.destroy().writableEnded)],
    [
      'a body that is cut off',
      few(2, async ({ start, end }, response, served) => {
        response.writeHead(206, {
          'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
          'content-length': end - start,
          etag: '"v1"',
        });
        response.write(await served?.source.read(start, start + ((end - start) >> 1)), () => response.destroy());
        return true;
      }),
    ],
    [
      'a range that is shorter than what was asked for',
      few(2, (asked, response) => {
        const end = asked.start + ((asked.end - asked.start + 1) >> 1);
        return serve({ ...asked, end }, file, response).then(() => true);
      }),
    ],
    [
      'a total that is not told',
      (asked, response) =>
        asked.before > 0 &&
        answer(asked, response, file, { 'content-range': `bytes ${asked.start}-${asked.end - 1}/*` }),
    ],
    ['no Accept-Ranges, as ever', () => false],
  ];
  test.each(good)('%s: the cut is whole', async (_, misbehave) => {
    await using server = await RemoteServer.start({ 'm.onnx': file });
    server.misbehave = misbehave;
    paused.length = 0;
    expect(await cutOf(server.url('m.onnx'))).toEqual(localCut);
  });

  test.each<readonly [name: string, misbehave: Misbehaviour]>([
    [
      'silence in the middle of a body',
      few(1, async ({ start, end }, response, served) => {
        response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}`, etag: '"v1"' });
        response.write(await served?.source.read(start, start + ((end - start) >> 1)));
        return true;
      }),
    ],
    ['silence before the answer', few(1, () => true)],
  ])('%s: the request is made again', async (_, misbehave) => {
    await using server = await RemoteServer.start({ 'm.onnx': file });
    server.misbehave = misbehave;
    expect(await cutOf(server.url('m.onnx'), { patience: { ...quick, silenceMs: patience(300) } })).toEqual(localCut);
  });

  const bad: readonly (readonly [name: string, code: string, misbehave: Misbehaviour])[] = [
    [
      '200 where a range was asked for',
      'FEATX_REMOTE_ANSWER',
      ({ before }, response) => before > 0 && !!response.writeHead(200, { etag: '"v1"' }).end(bytes),
    ],
    [
      'a range that begins elsewhere',
      'FEATX_REMOTE_ANSWER',
      (asked, response) =>
        asked.before > 0 &&
        answer(asked, response, file, { 'content-range': `bytes ${asked.start + 1}-${asked.end}/${bytes.length}` }),
    ],
    [
      'no Content-Range',
      'FEATX_REMOTE_ANSWER',
      ({ start, end }, response) => !!response.writeHead(206, { etag: '"v1"' }).end(bytes.subarray(start, end)),
    ],
    [
      'another total',
      'FEATX_IO_CHANGED',
      (asked, response) =>
        asked.before > 0 &&
        answer(asked, response, file, { 'content-range': `bytes ${asked.start}-${asked.end - 1}/99` }),
    ],
    [
      'a body that is longer than its range',
      'FEATX_REMOTE_ANSWER',
      ({ start, end, before }, response) =>
        before > 0 &&
        !!response
          .writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}`, etag: '"v1"' })
          .end(Buffer.concat([bytes.subarray(start, end), Buffer.alloc(10)])),
    ],
    [
      'a compressed range',
      'FEATX_REMOTE_ANSWER',
      ({ start, end, before }, response) =>
        before > 0 &&
        !!response
          .writeHead(206, {
            'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
            'content-encoding': 'gzip',
            etag: '"v1"',
          })
          .end(gzipSync(bytes.subarray(start, end))),
    ],
    [
      'another file, which If-Match notices',
      'FEATX_IO_CHANGED',
      (asked, response) => asked.before > 0 && serve(asked, fileTuned, response).then(() => true),
    ],
    [
      'another file of a server that ignores If-Match',
      'FEATX_IO_CHANGED',
      (asked, response) => asked.before > 0 && answer(asked, response, fileTuned, {}),
    ],
    ['416', 'FEATX_REMOTE', ({ before }, response) => before > 0 && !!response.writeHead(416).end()],
    ['404', 'FEATX_IO_NOT_FOUND', (_, response) => !!response.writeHead(404).end()],
    ['403', 'FEATX_REMOTE_DENIED', (_, response) => !!response.writeHead(403).end()],
    ['503 for ever', 'FEATX_REMOTE', ({ before }, response) => before > 0 && !!response.writeHead(503).end()],
    [
      'redirects in a circle',
      'FEATX_REMOTE_ANSWER',
      (_, response) => !!response.writeHead(302, { location: '/m.onnx' }).end(),
    ],
    [
      'a redirect to plain http elsewhere',
      'FEATX_REMOTE_ANSWER',
      (_, response) => !!response.writeHead(302, { location: 'http://example.com/m.onnx' }).end(),
    ],
  ];
  test.each(bad)('%s: %s, and nothing is written', async (_, code, misbehave) => {
    await using server = await RemoteServer.start({ 'm.onnx': file });
    server.misbehave = misbehave;
    await expect(cutOf(server.url('m.onnx'))).rejects.toMatchObject({ code });
    expect(existsSync(join(folder, 'cut.onnx'))).toBe(false);
    // What was fetched before the fault is still of the first file.
    server.misbehave = () => false;
    expect(await cutOf(server.url('m.onnx'))).toEqual(localCut);
  });

  test('waits are as long as the server says', async () => {
    await using server = await RemoteServer.start({ 'm.onnx': file });
    paused.length = 0;
    server.misbehave = few(1, (_, response) => !!response.writeHead(429, { 'retry-after': '7' }).end());
    await cutOf(server.url('m.onnx'));
    expect(paused).toEqual([7_000]);
  });

  test('a short file of a server that knows no ranges is read whole, compressed or not', async () => {
    await using server = await RemoteServer.start({ 'm.onnx': file, 'z.onnx': file });
    server.misbehave = ({ path }, response) =>
      path === 'm.onnx'
        ? !!response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
        : !!response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes));
    expect(await cutOf(server.url('m.onnx'))).toEqual(localCut);
    expect(await cutOf(server.url('z.onnx'))).toEqual(localCut);
    expect(server.asked).toHaveLength(2);
  });

  test('a long one is not', async () => {
    await using server = await RemoteServer.start({ 'm.onnx': file });
    server.misbehave = (_, response) => !!response.writeHead(200, { 'content-length': 2 ** 31 }).write(bytes);
    await expect(inspect(server.url('m.onnx'), remote())).rejects.toMatchObject({ code: 'FEATX_REMOTE_ANSWER' });
  });

  test('a file of the same size in its place, without any validator: refused, or seen at the end', async () => {
    await using server = await RemoteServer.start({ 'm.onnx': { source: file.source } });
    const url = server.url('m.onnx');
    expect((await inspect(url, remote())).warnings.join()).toContain('neither ETag nor Last-Modified');
    await expect(cutOf(url)).rejects.toMatchObject({ code: 'FEATX_REMOTE_UNVALIDATED', name: 'PolicyError' });
    expect(await cutOf(url, { allowUnvalidated: true })).toEqual(localCut);
    await rm(join(folder, 'cut.onnx'));
    const from = server.asked.length;
    server.misbehave = (asked, response) =>
      asked.before > from && answer(asked, response, { source: fileTuned.source }, {});
    await expect(cutOf(url, { allowUnvalidated: true })).rejects.toMatchObject({ code: 'FEATX_IO_CHANGED' });
    expect(existsSync(join(folder, 'cut.onnx'))).toBe(false);
    // Nothing of it is believed later.
    expect(await readdir(join(folder, 'cache'))).toEqual([]);
  });

  test('a weak ETag is compared, and not sent', async () => {
    await using server = await RemoteServer.start({ 'm.onnx': { source: file.source, etag: 'W/"v1"' } });
    expect(await cutOf(server.url('m.onnx'))).toEqual(localCut);
    expect(server.asked.filter(({ headers }) => headers['if-match'] !== undefined)).toEqual([]);
  });
});

describe('links that expire', () => {
  /** A server that leads to signed links; those made before `since` have expired. */
  const signing = (server: RemoteServer, seen: { link: number; since: number; walks: number }): Misbehaviour => {
    for (let link = 1; link < 9; link++) server.files.set(`signed/${link}`, file);
    return (asked, response) => {
      if (asked.path === 'm.onnx') {
        seen.walks++;
        return !!response.writeHead(302, { location: `/signed/${++seen.link}?secret` }).end();
      }
      const [, link] = asked.path.split('/');
      if (Number(link) < seen.since) return !!response.writeHead(403).end();
      return serve(asked, file, response).then(() => true);
    };
  };

  test('the way is found again once for all requests, and the file is whole', async () => {
    await using server = await RemoteServer.start({});
    const seen = { link: 0, since: 0, walks: 0 };
    server.misbehave = signing(server, seen);
    const source = await openRemote(server.url('m.onnx'), { ...(remote() as { remote: object }).remote });
    expect(seen.walks).toBe(1);
    seen.since = 2;
    const ranges = Array.from({ length: 8 }, (_, at) => ({
      start: 300_000 + at * 100_000,
      end: 310_000 + at * 100_000,
    }));
    const read = await Promise.all(ranges.map(({ start, end }) => source.read(start, end)));
    expect(read.map(digest)).toEqual(ranges.map(({ start, end }) => digest(bytes.subarray(start, end))));
    expect(seen.walks).toBe(2);
    await source.close();
  });

  test('a way that leads to another file is not taken', async () => {
    await using server = await RemoteServer.start({});
    const seen = { link: 0, since: 0, walks: 0 };
    server.misbehave = signing(server, seen);
    const source = await openRemote(server.url('m.onnx'), { ...(remote() as { remote: object }).remote });
    seen.since = 2;
    const honest = server.misbehave;
    server.misbehave = (asked, response, served) =>
      asked.path === 'm.onnx' ? honest(asked, response, served) : answer(asked, response, fileTuned, {});
    await expect(source.read(300_000, 301_000)).rejects.toMatchObject({ code: 'FEATX_IO_CHANGED' });
    // Nor is anything read of it from then on.
    await expect(source.read(400_000, 401_000)).rejects.toMatchObject({ code: 'FEATX_IO_CHANGED' });
    await source.close();
  });
});

describe('the hub', () => {
  const COMMIT = 'a'.repeat(40);
  const hub = async (): Promise<{ server: RemoteServer; setting: (more?: object) => object }> => {
    const server = await RemoteServer.start({ 'cdn/m': file });
    server.misbehave = (asked, response) => {
      const { path } = asked;
      if (path === 'o/r/resolve/main/onnx/m.onnx' || path === `o/r/resolve/${COMMIT}/onnx/m.onnx`)
        return !!response
          .writeHead(302, {
            location: server.url('cdn/m?signature').replace('127.0.0.1', 'localhost'),
            'x-repo-commit': COMMIT,
            'x-linked-etag': '"sha"',
          })
          .end();
      if (path.startsWith('o/')) return !!response.writeHead(401, { 'x-error-code': 'GatedRepo' }).end();
      return false;
    };
    const environment = { HOME: folder, HF_ENDPOINT: server.url('').slice(0, -1), HF_TOKEN: 'hf_secret' };
    return { server, setting: (more = {}) => remote({ environment, ...more }) };
  };

  test('a token goes to its endpoint and to no other host; records and the cache hold no signature', async () => {
    const { server, setting } = await hub();
    await using _ = server;
    const report = await inspect('hf://o/r/onnx/m.onnx', setting());
    expect(report.model.path).toBe('hf://o/r/onnx/m.onnx');
    const tokens = server.asked.map(({ path, headers }) => [path.split('/')[0], headers.authorization]);
    expect(tokens[0]).toEqual(['o', 'Bearer hf_secret']);
    expect(tokens.slice(1).filter(([, token]) => token !== undefined)).toEqual([]);
    expect(tokens.filter(([place]) => place === 'o')).toHaveLength(1);
    const names = await readdir(join(folder, 'cache'));
    const record = await readFile(join(folder, 'cache', names.find((name) => name.endsWith('.json')) ?? ''), 'utf8');
    expect(record).not.toMatch(/signature|secret/);
    await expect(inspect('hf://o/r/other.onnx', setting())).rejects.toMatchObject({
      code: 'FEATX_REMOTE_DENIED',
      message: expect.stringContaining('must be asked for'),
    });
  });

  test('what the cache of the Hugging Face libraries has is not fetched', async () => {
    const { server, setting } = await hub();
    await using _ = server;
    const place = join(folder, '.cache/huggingface/hub/models--o--r');
    const snapshot = join(place, 'snapshots', COMMIT, 'onnx/m.onnx');
    for (const path of [snapshot, join(place, 'blobs/sha'), join(place, 'refs/main')])
      await mkdir(dirname(path), { recursive: true });
    await writeFile(join(place, 'blobs/sha'), bytes);
    await writeFile(join(place, 'refs/main'), COMMIT);
    await symlink('../../../blobs/sha', snapshot);
    await inspect(`hf://o/r@${COMMIT}/onnx/m.onnx`, setting());
    await inspect('hf://o/r/onnx/m.onnx', setting({ offline: true }));
    expect(server.asked).toHaveLength(0);
    // What a branch is now, only the hub knows.
    await inspect('hf://o/r/onnx/m.onnx', setting());
    expect(server.bytesAsked).toBeLessThan(600_000);
  });
});

test('weights beside a remote model go through the same gate, and come from beside it', async () => {
  const sidecars = ['12-external.onnx', '12-external.data'];
  const served = await Promise.all(
    sidecars.map(
      async (name) =>
        [
          `d/${name}`,
          { source: new BufferSource(await readFile(join('fixtures/models', name))), etag: '"1"' },
        ] as const,
    ),
  );
  await using server = await RemoteServer.start(Object.fromEntries(served));
  const inspected = await inspect(server.url('d/12-external.onnx'), remote());
  expect(inspected.warnings).toEqual([]);
  expect(server.asked.length).toBe(2);
  await extract(server.url('d/12-external.onnx'), join(folder, 'a.onnx'), {
    weights: 'embed',
    out: [0],
    ...remote(),
  }).catch(() =>
    extract(server.url('d/12-external.onnx'), join(folder, 'a.onnx'), { weights: 'embed', mode: 'hook', ...remote() }),
  );
  expect((await stat(join(folder, 'a.onnx'))).size).toBeGreaterThan(100);
});

describe('on the command line', () => {
  test('a URL is a MODEL; its query is shown nowhere; the result goes to the working directory', async () => {
    await using server = await RemoteServer.start({ 'm.onnx': file });
    const env = { FEATX_CACHE: join(folder, 'cache'), HOME: folder };
    const url = `${server.url('m.onnx')}?X-Signature=topsecret`;
    const inspected = await runCli(['inspect', url, '--json'], { env });
    expect([inspected.exit, inspected.stderr]).toEqual([0, '']);
    expect(JSON.parse(inspected.stdout).model.path).toBe(server.url('m.onnx'));
    const cut = await runCli(['extract', url, '--tensor', TENSOR, '--dry-run', '--json'], { env });
    expect(JSON.parse(cut.stdout).output).toBe('m.features.onnx');
    for (const { stdout, stderr } of [inspected, cut]) expect(stdout + stderr).not.toContain('topsecret');
    const offline = await runCli(['inspect', server.url('other.onnx'), '--offline'], { env });
    expect([offline.exit, offline.stderr]).toEqual([4, expect.stringContaining('leave out --offline')]);
  });

  test.each([
    ['s3://bucket/m.onnx', 's3:// cannot be read'],
    ['ftp://host/m.onnx', 'what can be read is a path, https://, hf://'],
    ['http://example.com/m.onnx', 'use https://'],
    ['hf://model.onnx', 'hf://owner/repository/path'],
    ['https://user:password@example.com/m.onnx', 'would end up in logs'],
  ])('%s is refused with what can be read', async (url, words) => {
    const { exit, stderr } = await runCli(['inspect', url], { env: { HOME: folder } });
    expect([exit, stderr]).toEqual([2, expect.stringContaining(words)]);
    expect(stderr).not.toContain('password@');
  });
});

test('a port that fetch refuses is an error at once, and says what to do', async () => {
  await expect(openModel('http://localhost:6000/m.onnx', remote())).rejects.toMatchObject({
    code: 'FEATX_REMOTE_UNREACHABLE',
    message: expect.not.stringContaining('in a row'),
    hint: expect.stringContaining('another port'),
  });
});
