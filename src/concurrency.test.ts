import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitCodeOf } from './cli/exit-codes.js';
import { asFeatxError } from './cli/io.js';
import { extract, type ExtractOptions } from './extract.js';
import { smallModel } from './testing/batch.js';
import { decodeModel } from './testing/decode.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';

/** Others at work on the same files at the same time. */

let folder: string;
const at = (name: string): string => join(folder, name);

beforeEach(() => (folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'featx-concurrency-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const cutOf = (...names: readonly string[]): ExtractOptions => ({
  select: names.map((name) => ({ by: 'tensor', name })),
  isolate: false,
});
const CUTS = [cutOf('stem/act'), cutOf('layer1/act'), cutOf('stem/act', 'layer1/act'), cutOf('pool')];
const WRITERS = 8;
const ROUNDS = 12;

/** What a reader of a result sees: which cut it is, after looking at its sidecar too. */
function seen(path: string): string {
  const bytes = readFileSync(path);
  for (const { externalData } of decodeModel(bytes).graph?.initializer ?? []) {
    const location = externalData?.find(({ key }) => key === 'location')?.value;
    if (location == null) continue;
    const [, hash] = /\.([0-9a-f]{8})\.data$/.exec(location) ?? [];
    const found = createHash('sha256')
      .update(readFileSync(at(location)))
      .digest('hex');
    if (!found.startsWith(String(hash))) return `a torn sidecar ${location}`;
  }
  return createHash('sha256').update(bytes).digest('hex');
}

test.each(['keep', 'external'] as const)(
  'eight writers of one output and a reader, weights %s: every sight of it is one whole result',
  async (weights) => {
    writeFileSync(at('model.onnx'), smallModel(1));
    const results = new Set<string>();
    for (const options of CUTS) {
      await extract(at('model.onnx'), at('out.onnx'), { ...options, weights });
      results.add(seen(at('out.onnx')));
    }
    expect(results.size).toBe(CUTS.length);
    const sights = new Set<string>();
    let isOver = false;
    let looks = 0;
    const reader = (async () => {
      for (; !isOver; looks++) {
        sights.add(seen(at('out.onnx')));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    let refused = 0;
    const write = async (writer: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        // One in four finds at the last moment that it should not have written.
        const isRefused = (writer + round) % 4 === 3;
        const options: ExtractOptions = {
          ...CUTS[(writer * 5 + round) % CUTS.length],
          weights,
          ...(isRefused ? { verifyFile: async () => false } : {}),
        };
        await extract(at('model.onnx'), at('out.onnx'), options).catch((error: { code?: string }) => {
          if (error.code !== 'FEATX_VERIFY') throw error;
          refused++;
        });
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    isOver = true;
    await reader;
    expect([...sights].filter((sight) => !results.has(sight))).toEqual([]);
    expect(looks).toBeGreaterThan(20);
    expect(refused).toBe((WRITERS * ROUNDS) / 4);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  },
);

const LONG_AGO = new Date(Date.now() - 3_600_000);
const OLD = smallModel(1);
const NEW = smallModel(11);

/** The file system on which something happens before the n-th call. */
function meddling(n: number, meddle: () => void): { readonly fileSystem: FileSystem; readonly count: () => number } {
  let calls = 0;
  const before =
    <A extends readonly unknown[], T>(call: (...args: A) => Promise<T>) =>
    (...args: A): Promise<T> => {
      if (++calls === n) meddle();
      return call(...args);
    };
  const fs = nodeFileSystem;
  const fileSystem: FileSystem = {
    open: before(async (path, flags, mode) => {
      const handle = await fs.open(path, flags, mode);
      return {
        ...pick(handle),
        read: before((buffer: Uint8Array, position: number) => handle.read(buffer, position)),
        write: before((buffer: Uint8Array, position: number) => handle.write(buffer, position)),
        stat: before(() => handle.stat()),
        sync: before(() => handle.sync()),
      };
    }),
    stat: before((path: string) => fs.stat(path)),
    lstat: before((path: string) => fs.lstat(path)),
    realpath: before((path: string) => fs.realpath(path)),
    readdir: before((path: string) => fs.readdir(path)),
    rename: before((from: string, to: string) => fs.rename(from, to)),
    unlink: before((path: string) => fs.unlink(path)),
    mkdir: before((path: string) => fs.mkdir(path)),
    clone: before((from: string, to: string) => fs.clone(from, to)),
  };
  return { fileSystem, count: () => calls };
}

function pick(handle: Awaited<ReturnType<FileSystem['open']>>): Pick<typeof handle, 'chmod' | 'truncate' | 'close'> {
  return {
    chmod: (mode) => handle.chmod(mode),
    truncate: (size) => handle.truncate(size),
    close: () => handle.close(),
  };
}

const WAYS: readonly (readonly [how: string, meddle: () => void])[] = [
  ['written over', () => writeFileSync(at('model.onnx'), NEW)],
  [
    'replaced',
    () => {
      writeFileSync(at('new.onnx'), NEW);
      renameSync(at('new.onnx'), at('model.onnx'));
    },
  ],
  ['cut off', () => truncateSync(at('model.onnx'), Math.floor(OLD.length / 2))],
];

describe.each(WAYS)('a model that is %s while it is read', (_how, meddle) => {
  test.each([
    ['streamed', cutOf('layer1/act')],
    ['cloned', { ...cutOf('layer1/act'), mode: 'hook' as const }],
    ['to a sidecar', { ...cutOf('layer1/act'), weights: 'external' as const }],
  ] as const)('%s: the result is of one version, or the change is noticed', async (_way, options) => {
    const versions = [];
    for (const bytes of [OLD, NEW]) {
      writeFileSync(at('model.onnx'), bytes);
      await extract(at('model.onnx'), at('out.onnx'), options);
      versions.push(readFileSync(at('out.onnx'), 'latin1'));
      for (const name of readdirSync(folder)) rmSync(at(name));
    }
    const outcomes = { whole: 0, noticed: 0 };
    for (let n = 1; ; n++) {
      for (const name of readdirSync(folder)) rmSync(at(name));
      writeFileSync(at('model.onnx'), OLD);
      utimesSync(at('model.onnx'), LONG_AGO, LONG_AGO);
      const { fileSystem, count } = meddling(n, meddle);
      const failure: unknown = await extract(at('model.onnx'), at('out.onnx'), { ...options, fileSystem }).then(
        () => null,
        (error: unknown) => error,
      );
      if (failure === null) {
        expect([n, versions.indexOf(readFileSync(at('out.onnx'), 'latin1'))]).not.toEqual([n, -1]);
        outcomes.whole++;
      } else {
        // Half a model may be seen for what it is before its change is.
        expect([3, 4]).toContain(exitCodeOf(asFeatxError(failure)));
        expect(readdirSync(folder)).toEqual(['model.onnx']);
        outcomes.noticed++;
      }
      if (n > count()) break;
    }
    expect(outcomes.whole).toBeGreaterThan(2);
    expect(outcomes.whole + outcomes.noticed).toBeGreaterThan(20);
  });
});
