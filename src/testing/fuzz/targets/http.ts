import { parseAddress } from '../../../remote/address.js';
import { isValidated } from '../../../remote/answers.js';
import { HttpFile } from '../../../remote/http-file.js';
import { PROBE } from '../../../remote/open-url.js';
import { indexedFiles } from '../../../remote/package-index.js';
import type { Fetch } from '../../../remote/route.js';
import { RemoteSource } from '../../../remote/remote-source.js';
import { MemoryStore } from '../../../remote/store.js';
import type { Patience } from '../../../remote/waiting.js';
import { mutateBytes } from '../mutate-bytes.js';
import { mutateJson, type Json } from '../mutate-json.js';
import type { Random } from '../random.js';
import { Script } from '../script.js';
import { ScriptedServer, type Versions } from '../scripted-server.js';
import { codeOf, Violation, type Target } from '../target.js';
import { joined } from '../tree.js';

const encoder = new TextEncoder();
const HOME = 'hub.example';
const PATIENCE: Partial<Patience> = { silenceMs: 15, tries: 3, pause: async () => undefined };
/** Shorter than the first request, longer, and longer than what is fetched whole. */
const SIZES = [70_000, 9000, 0, 1, 300, 300_000, 1_200_000] as const;
const PROBES = [1000, 1, 300, PROBE] as const;
const SCRIPT_BYTES = 160;
const kept = new Map<number, Versions>();

/** What stands between the program and the server. */
export type Between = (fetch: Fetch) => Fetch;

/**
 * Answers of servers: what is read is of one version of the file, whatever they do; tokens go to nobody else; and pages
 * of package indices.
 */
export function httpTarget(between: Between = (fetch) => fetch): Target {
  return {
    name: 'http',
    shape: { prefix: 1, type: null },
    deepOnceIn: 4,
    input: (random) =>
      random.once(8)
        ? joined([Uint8Array.of(1), mutatedPage(random)])
        : joined([
            Uint8Array.of(0),
            Uint8Array.from({ length: random.below(SCRIPT_BYTES) }, (_empty, at) => decision(random, at)),
          ]),
    run: async (bytes) => {
      try {
        return bytes[0] === 1
          ? await readPage(bytes.subarray(1))
          : await readFile(new Script(bytes.subarray(1)), between);
      } catch (error) {
        return codeOf(error);
      }
    },
  };
}

/** What the file and its server are; behind these bytes many zeros: one that is wrong in everything is left at once. */
const BEGINNING = 6;

function decision(random: Random, at: number): number {
  return at < BEGINNING || random.once(2) ? random.below(256) : 0;
}

function versionsOf(size: number): Versions {
  let versions = kept.get(size);
  if (versions === undefined) {
    const old = Uint8Array.from({ length: size }, (_empty, at) => (at * 31 + (at >> 8)) & 255);
    versions = { old, fresh: old.map((byte) => byte ^ 0xa5) };
    kept.set(size, versions);
  }
  return versions;
}

async function readFile(script: Script, between: Between): Promise<string> {
  const versions = versionsOf(script.pick(SIZES));
  const probe = script.pick(PROBES);
  const isHub = script.once(4);
  const address = isHub
    ? parseAddress('hf://owner/name/m.onnx', `https://${HOME}`)
    : parseAddress('https://files.example/m.onnx?signature=secret');
  const server = new ScriptedServer(script, versions);
  const { told } = server;
  const seen: Piece[] = [];
  let code = 'ok';
  try {
    const { file, head } = await HttpFile.open(address, probe, {
      fetch: between(server.fetch),
      patience: PATIENCE,
      token: isHub ? 'secret' : null,
    });
    const store = new MemoryStore();
    await store.write(head, 0);
    const source = new RemoteSource({
      address,
      http: file,
      store,
      size: file.version.size,
      openBeside: () => Promise.reject(new Error('not asked for')),
      isValidated: isValidated(file.version) || head.length === file.version.size,
    });
    try {
      code = await readParts(source, script, seen);
    } finally {
      await source.close();
    }
  } catch (error) {
    code = codeOf(error);
  }
  for (const url of told.urls) if (!url.startsWith('https://')) throw new Violation('asks-in-the-clear', url);
  for (const host of told.tokens) if (host !== HOME) throw new Violation('token-goes-elsewhere', host);
  // Without any validator a change shows at the ends of the file alone, and only when all is read.
  if (!told.lied && (server.isValidated || code === 'ok')) assertOneVersion(seen, versions, server.isValidated);
  return code;
}

interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** Reads as the program does, in steps, by ranges, and several at once. */
async function readParts(source: RemoteSource, script: Script, seen: Piece[]): Promise<string> {
  const { size } = source;
  const read = async (start: number, end: number): Promise<void> => {
    seen.push({ start, bytes: await source.read(start, end) });
  };
  for (let round = 0; round < 6 && (script.isOpen || round === 0); round++) {
    const start = script.below(size + 1);
    const end = Math.min(size, start + script.below(size + 1));
    switch (script.byte() % 4) {
      case 0:
        await read(start, end);
        break;
      case 1: {
        const until = Math.min(size, end + 4096);
        seen.push({ start, bytes: await source.readAhead({ start, end, until, left: round === 0 ? null : start }) });
        break;
      }
      case 2:
        await source.fetch([
          { start, end },
          { start: 0, end: start },
        ]);
        await read(start, end);
        break;
      default: {
        const middle = Math.floor((start + end) / 2);
        const settled = await Promise.allSettled([read(start, middle), read(middle, end), read(0, start)]);
        const failed = settled.find((each) => each.status === 'rejected');
        if (failed !== undefined) throw failed.reason;
      }
    }
  }
  await source.assertUnchanged();
  return 'ok';
}

/** @throws Violation if bytes are of neither version, or some of one and some of the other */
function assertOneVersion(seen: readonly Piece[], { old, fresh }: Versions, isStrict: boolean): void {
  const isOf = (version: Uint8Array): boolean =>
    seen.every(({ start, bytes }) => Buffer.compare(version.subarray(start, start + bytes.length), bytes) === 0);
  if (isOf(old) || isOf(fresh)) return;
  const isMixed = seen.every(({ start, bytes }) =>
    bytes.every((byte, at) => byte === old[start + at] || byte === fresh[start + at]),
  );
  if (!isMixed) throw new Violation('bytes-of-no-version', seen.map(({ start }) => start).join(', '));
  if (isStrict) throw new Violation('bytes-of-two-versions', seen.map(({ start }) => start).join(', '));
}

const PAGE: Json = {
  meta: { 'api-version': '1.0' },
  name: 'onnxruntime-gpu',
  files: [
    {
      filename: 'onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_27_x86_64.whl',
      url: '../../packages/a.whl',
      hashes: { sha256: 'ab'.repeat(32) },
      size: 1234,
      yanked: false,
    },
    { filename: 'b.whl', url: 'https://files.example/b.whl', hashes: { sha256: 'x' }, size: -1, yanked: 'broken' },
  ],
};

const PAGE_WORDS = {
  keys: ['files', 'filename', 'url', 'hashes', 'sha256', 'size', 'yanked', '__proto__', 'constructor'],
  values: [
    null,
    true,
    0,
    -1,
    1.5,
    2 ** 53,
    '',
    'http://x/y',
    'https://',
    'file:///x',
    '\\\\x',
    '0'.repeat(64),
    [],
    {},
    'data:,x',
  ],
} as const;

function mutatedPage(random: Random): Uint8Array {
  let page: Json = PAGE;
  for (let count = 1 + random.below(4); count > 0; count--) page = mutateJson(page, random, PAGE, PAGE_WORDS);
  const bytes = encoder.encode(JSON.stringify(page));
  return random.once(6) ? mutateBytes(bytes, random, bytes) : bytes;
}

async function readPage(page: Uint8Array): Promise<string> {
  const files = await indexedFiles('https://index.example/simple', 'onnxruntime-gpu', {
    fetch: async () => new Response(page.slice()),
    patience: PATIENCE,
  });
  for (const { url, sha256, size } of files)
    if (!url.startsWith('https://') || !/^[0-9a-f]{64}$/.test(sha256) || !(Number.isSafeInteger(size) && size >= 0))
      throw new Violation('package-that-cannot-be-fetched', JSON.stringify({ url, sha256, size }));
  return files.length === 0 ? 'none' : 'ok';
}
