import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { encodeOptions } from './batch/options.js';
import { performTask } from './batch/tasks.js';
import { exitCodeOf } from './cli/exit-codes.js';
import { asFeatxError } from './cli/io.js';
import { run } from './run.js';
import { runCli } from './testing/cli.js';
import { smallModel } from './testing/batch.js';
import { faultyFileSystem, FAULTS_OF, type Fault } from './testing/faulty-fs.js';
import { seededFloats } from './testing/random.js';
import { verify } from './verify.js';
import { VERSION } from './version.js';
import { nodeFileSystem, writeFully, type FileHandle, type FileSystem } from './wire/fs.js';
import { thisWriter } from './wire/writers.js';

/**
 * Every command with every call of the file system going wrong in every way, one at a time: the old files or the new
 * ones, and an error that says where.
 */

const isWhole = process.env.FEATX_CHECK_FAULTS !== undefined;
/** Faults that pass by, or that a device does not keep up. */
const PASSING = new Set<Fault>(['EINTR', 'short', 'ESTALE', 'EACCES']);

/** What a command said: its exit code, and its message or its result. */
interface Said {
  readonly exit: number;
  readonly text: string;
}

/** Every fault of every call, one fault of every call, one fault of every third call, or nothing. */
type Depth = 'faults' | 'calls' | 'third' | 'none';

interface Case {
  readonly name: string;
  /** Files before the command; names with `/` lie in folders. */
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  readonly act: (fs: FileSystem, at: (name: string) => string) => Promise<Said>;
  /** Files that the command puts in place one after the other, each whole: a folder of them. */
  readonly oneByOne?: boolean;
  /** What `npm test` takes of it: a third if nothing is said. `npm run check:faults` takes all faults of all calls. */
  readonly depth?: Depth;
}

/** Above the largest process id of any system. */
const GONE = 2 ** 31 - 2;
const STALE = `.featx-${thisWriter().host}-${GONE}-abc.tmp`;
const MODEL = smallModel(1);
const OLD = 'what stood here before';
const ONE = ['--tensor', 'layer1/act'];

function npy(seed: number): Buffer {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8), }".padEnd(117) + '\n';
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]),
    Buffer.from(header),
    Buffer.from(seededFloats(192, seed).buffer),
  ]);
}

async function cli(fileSystem: FileSystem, ...argv: readonly string[]): Promise<Said> {
  const { exit, stdout, stderr } = await runCli(argv, { fileSystem });
  return { exit, text: exit === 0 ? stdout : stderr };
}

async function said(work: Promise<unknown>): Promise<Said> {
  try {
    return {
      exit: 0,
      text: JSON.stringify(await work, (key, value: unknown) => (key === 'elapsed_ms' || key === 'run_ms' ? 0 : value)),
    };
  } catch (error) {
    const failure = asFeatxError(error);
    return { exit: exitCodeOf(failure), text: `${failure.message} ${failure.path ?? ''}` };
  }
}

const cut = (name: string, ...flags: readonly string[]): Case => ({
  name: `extract ${name}`,
  files: { 'model.onnx': MODEL, 'out.onnx': OLD, [STALE]: '' },
  act: (fs, at) => cli(fs, 'extract', at('model.onnx'), ...ONE, '-o', at('out.onnx'), '--quiet', ...flags),
});
const running = (output: string): Case => ({
  name: `run -o ${output}`,
  files: {
    'model.onnx': MODEL,
    'in/a.npy': npy(1),
    'in/b.npy': npy(2),
    ...(output.endsWith('/') ? {} : { [output]: OLD }),
    [STALE]: '',
  },
  act: (fs, at) =>
    said(
      run(at('model.onnx'), {
        select: [
          { by: 'tensor', name: 'layer1/act' },
          ...(output.endsWith('.npy') ? [] : [{ by: 'tensor', name: 'stem/act' } as const]),
        ],
        inputs: [at('in')],
        output: at(output),
        fileSystem: fs,
      }),
    ),
});
const TASK = {
  kind: 'extract',
  item: 'model.onnx',
  url: null,
  remote: {},
  output: 'out.onnx',
  options: encodeOptions({ select: [{ by: 'tensor', name: 'layer1/act' }], weights: 'external' }),
  made: null,
  remember: true,
} as const;

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
const file = (path: string, content: string): object => ({ path, size_bytes: content.length, sha256: sha256(content) });
const shard = (index: number): string =>
  JSON.stringify({
    schema: 1,
    command: 'batch-manifest',
    featx: VERSION,
    plan: 'p',
    shard: { index, count: 2 },
    root: '.',
    total: 2,
    items: [
      {
        position: index - 1,
        item: `${index}.onnx`,
        output: `cut/${index}.onnx`,
        status: 'done',
        error: null,
        files: [file(`cut/${index}.onnx`, `cut ${index}`)],
      },
    ],
  });
const part = (index: number): string =>
  JSON.stringify({
    schema: 1,
    command: 'run-manifest',
    featx: VERSION,
    plan: 'p',
    shard: { index, count: 2 },
    total: 2,
    first: index - 1,
    end: index,
    rows: 1,
    output: 'x.npy',
    files: [file(`x.${index}-of-2.npy`, npy(index).toString('latin1'))].map((entry) => ({
      ...entry,
      sha256: sha256(npy(index)),
    })),
  });

const CASES: readonly Case[] = [
  { ...cut('one file'), depth: 'calls' },
  { ...cut('a new file'), files: { 'model.onnx': MODEL } },
  { ...cut('with a sidecar', '--weights', 'external'), depth: 'calls' },
  cut('by reference', '--weights', 'reference'),
  cut('as a hook', '--mode', 'hook'),
  {
    name: 'extract in place',
    files: { 'model.onnx': MODEL, [STALE]: '' },
    act: (fs, at) => cli(fs, 'extract', at('model.onnx'), ...ONE, '-o', at('model.onnx'), '--in-place', '--quiet'),
  },
  running('out.npz'),
  { ...running('out.npy'), depth: 'none' },
  { ...running('out.safetensors'), depth: 'none' },
  running('folder/'),
  {
    ...running('full/'),
    files: {
      'model.onnx': MODEL,
      'in/a.npy': npy(1),
      'in/b.npy': npy(2),
      'full/stem%2Fact.pb': OLD,
      'full/layer1%2Fact.pb': OLD,
    },
    oneByOne: true,
  },
  {
    // The batch tidies for its workers.
    name: 'a worker of batch',
    files: { 'model.onnx': MODEL, 'out.onnx': OLD },
    act: async (fs, at) => {
      const result = await performTask({ ...TASK, root: at('.') }, () => undefined, fs);
      return result.is === 'failed'
        ? {
            exit: result.error.code.startsWith('FEATX_IO') ? 4 : 70,
            text: `${result.error.message} ${result.error.path ?? ''}`,
          }
        : { exit: 0, text: '' };
    },
  },
  {
    name: 'merge of a batch',
    files: {
      'a.json': shard(1),
      'b.json': shard(2),
      'cut/1.onnx': 'cut 1',
      'cut/2.onnx': 'cut 2',
      'all.json': OLD,
      [STALE]: '',
    },
    act: (fs, at) => cli(fs, 'merge', at('a.json'), at('b.json'), '-o', at('all.json'), '--quiet'),
  },
  {
    name: 'merge of a run',
    files: {
      'a.json': part(1),
      'b.json': part(2),
      'x.1-of-2.npy': npy(1),
      'x.2-of-2.npy': npy(2),
      'x.npy': OLD,
      [STALE]: '',
    },
    act: (fs, at) => cli(fs, 'merge', at('a.json'), at('b.json'), '-o', at('x.npy'), '--quiet'),
  },
  { name: 'inspect', files: { 'model.onnx': MODEL }, act: (fs, at) => cli(fs, 'inspect', at('model.onnx'), '--csv') },
  {
    name: 'verify',
    files: { 'model.onnx': MODEL, 'cut.onnx': MODEL },
    act: (fs, at) => said(verify(at('model.onnx'), at('cut.onnx'), { map: new Map([['y', 'y']]), fileSystem: fs })),
  },
  {
    name: 'init',
    files: { 'model.onnx': MODEL, 'featx.config.json': OLD, [STALE]: '' },
    act: (fs, at) => cli(fs, 'init', '-o', at('featx.config.json'), '--force', '--quiet'),
    depth: 'none',
  },
];

/** What most tools do, and what a writer of two files does that does not think of their order. */
const CONTROLS: readonly Case[] = [
  {
    name: 'a writer in place',
    files: { 'out.onnx': OLD },
    act: (fs, at) =>
      said(
        careless(fs, at('out.onnx'), async (file) => {
          await writeFully(file, MODEL, 0, at('out.onnx'));
          await file.sync();
        }),
      ),
  },
  {
    name: 'a writer that renames before it syncs',
    files: { 'out.onnx': OLD },
    act: (fs, at) =>
      said(
        careless(fs, at('new'), async (file) => {
          await writeFully(file, MODEL, 0, at('new'));
          await fs.rename(at('new'), at('out.onnx'));
          await file.sync();
        }),
      ),
  },
  {
    name: 'a writer that puts the model in place before its sidecar',
    files: { 'out.onnx': OLD, 'out.data': OLD },
    act: (fs, at) =>
      said(
        (async () => {
          for (const name of ['out.onnx', 'out.data']) {
            await careless(fs, at(`${name}.new`), (file) => writeFully(file, MODEL, 0, at(`${name}.new`)));
            await fs.rename(at(`${name}.new`), at(name));
          }
        })(),
      ),
  },
];

async function careless(fs: FileSystem, path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await fs.open(path, 'w', 0o666);
  try {
    await write(file);
  } finally {
    await file.close();
  }
}

let folder: string;
const at = (name: string): string => join(folder, name);
const opened = new Set<string>();

beforeAll(() => {
  // Where there is a file system in memory, syncing costs nothing.
  folder = join(mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'featx-fs-faults-')), 'work');
  opened.add(dirname(folder));
});
afterAll(() => {
  for (const path of opened) rmSync(path, { recursive: true, force: true });
});

type Files = ReadonlyMap<string, string>;

function restore(files: Case['files']): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), content);
  }
}

/** All files but temporary ones, by name. */
function state(): Files {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !name.endsWith('.tmp') && statSync(at(name)).isFile(),
  );
  return new Map(names.sort().map((name) => [name.replaceAll('\\', '/'), readFileSync(at(name), 'latin1')]));
}

function temporaries(): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tmp'));
}

function isSame(a: Files, b: Files): boolean {
  return a.size === b.size && [...a].every(([name, content]) => b.get(name) === content);
}

/** Each file old or new, and none other. */
function isMixed(now: Files, old: Files, fresh: Files): boolean {
  return (
    [...old].every(([name, content]) => [content, fresh.get(name)].includes(now.get(name))) &&
    [...now].every(([name, content]) => [old.get(name), fresh.get(name)].includes(content))
  );
}

/** What is wrong with what a failure left; empty where nothing is. */
function faultsOf(
  said: Said,
  { calls, paths }: Pick<ReturnType<typeof faultyFileSystem>, 'calls' | 'paths'>,
  {
    old,
    fresh,
    wanted,
    oneByOne,
  }: { readonly old: Files; readonly fresh: Files; readonly wanted: Said; readonly oneByOne: boolean },
): string[] {
  const now = state();
  const wrong: string[] = [];
  const isOld = isSame(now, old);
  const isNew = isSame(now, fresh);
  if (said.exit === 0) {
    if (!isNew) wrong.push(`it ended well and left ${isOld ? 'the old files' : [...now.keys()].join(', ')}`);
    if (said.text !== wanted.text) wrong.push(`it ended well and said ${said.text}`);
  } else {
    if (said.exit !== 4) wrong.push(`exit ${said.exit}: ${said.text}`);
    if (!isOld && !isNew && !(oneByOne && isMixed(now, old, fresh)))
      wrong.push(`neither old nor new: ${[...now].map(([name, content]) => `${name} (${content.length})`).join(', ')}`);
    const about = calls.flatMap((call, index) => (call.endsWith('!') ? paths[index] : []));
    // What becomes of a temporary file is told of the file that it would have been.
    const isTold = about.some((path) => path.endsWith('.tmp')) && said.text.includes('cannot replace');
    if (
      !isTold &&
      !about.some((path) => [path, dirname(path), basename(path)].some((name) => said.text.includes(name)))
    )
      wrong.push(`it names none of ${about.join(', ')}: ${said.text}`);
  }
  const left = temporaries().filter((name) => name !== STALE);
  if (left.length > 0) wrong.push(`left ${left.join(', ')}`);
  return wrong;
}

/** Calls that go well though a device keeps failing: those that it has no part in, and those that clean up. */
function sparedBy(fault: Fault): ReadonlySet<string> {
  return new Set([
    'unlink',
    'close',
    'lstat',
    ...Object.keys(FAULTS_OF).filter((name) => !FAULTS_OF[name].includes(fault)),
  ]);
}

interface Finding {
  readonly fault: Fault;
  readonly call: string;
  readonly wrong: readonly string[];
}

/** Calls of a command that go wrong, with the faults that may happen to them. */
async function campaign(
  { files, act, oneByOne = false, depth = 'third' }: Case,
  persistent: boolean,
): Promise<{ readonly findings: readonly Finding[]; readonly failed: number; readonly tried: number }> {
  restore(files);
  const old = state();
  const counting = faultyFileSystem(Infinity, 'EIO');
  const wanted = await act(counting.fileSystem, at);
  expect(wanted).toMatchObject({ exit: 0 });
  expect(temporaries()).toEqual([]);
  const fresh = state();
  const findings: Finding[] = [];
  let failed = 0;
  let tried = 0;
  for (const [index, name] of counting.calls.entries()) {
    if (depth === 'third' && index % 3 !== 0) continue;
    const possible = FAULTS_OF[name].filter((fault) => !persistent || !PASSING.has(fault));
    const one = Math.floor(index / 3 + index) % possible.length;
    const faults = depth === 'faults' && !persistent ? possible : possible.slice(one, one + 1);
    for (const fault of faults) {
      tried++;
      restore(files);
      const faulty = faultyFileSystem(index + 1, fault, persistent, sparedBy(fault));
      const result = await act(faulty.fileSystem, at);
      const wrong = faultsOf(result, faulty, { old, fresh, wanted, oneByOne });
      // A cut in place would be cut again.
      if (result.exit !== 0 && !isSame(state(), fresh) && (depth === 'faults' || index % 4 === 0)) {
        const again = await act(nodeFileSystem, at);
        if (again.exit !== 0 || !isSame(state(), fresh) || temporaries().length > 0)
          wrong.push(
            `the run after it: exit ${again.exit}, ${again.text}, ${[...state().keys()].join(', ')} ${temporaries().join(', ')}`,
          );
      }
      if (result.exit !== 0) failed++;
      if (wrong.length > 0)
        findings.push({
          fault,
          call: `${index + 1} ${name} ${faulty.paths[index].map((path) => basename(path)).join(' ')}`,
          wrong,
        });
    }
  }
  return { findings, failed, tried };
}

const TAKEN = isWhole ? CASES.map((each) => ({ ...each, depth: 'faults' as const })) : CASES;

describe.each(TAKEN.filter(({ depth }) => depth !== 'none'))('$name', (each) => {
  test.each(each.depth === undefined ? [[false]] : [[false], [true]])(
    'whatever call fails, the files are the old ones or the new ones (and from then on: %s)',
    async (persistent) => {
      const { findings, failed, tried } = await campaign(each, persistent);
      expect(findings).toEqual([]);
      expect(failed).toBeGreaterThan(tried / 3);
    },
    1_200_000,
  );
});

test.each(CONTROLS)('$name is found out', async (control) => {
  const { findings } = await campaign({ ...control, depth: 'faults' }, false);
  expect(findings.filter(({ wrong }) => wrong.some((line) => line.startsWith('neither old nor new')))).not.toEqual([]);
});

test('a temporary file that cannot be removed is left to the next run, and is the only one', async () => {
  const [, , { files, act }] = CASES;
  restore(files);
  const counting = faultyFileSystem(Infinity, 'EIO');
  await act(counting.fileSystem, at);
  const writes = counting.calls.flatMap((name, index) =>
    (name === 'write' || name === 'fsync') && counting.paths[index][0].endsWith('.tmp') ? [index + 1] : [],
  );
  expect(writes.length).toBeGreaterThan(2);
  for (const n of writes) {
    restore(files);
    const { exit, text } = await act(faultyFileSystem(n, 'EIO', true, new Set(['close', 'lstat'])).fileSystem, at);
    expect({ exit, text }).toEqual({ exit: 4, text: expect.stringContaining('.featx-') });
    const left = temporaries();
    expect(left).toHaveLength(1);
    // Its writer is gone by then.
    for (const name of left) renameSync(at(name), at(name.replace(/-\d+-/, `-${GONE}-`)));
    await act(nodeFileSystem, at);
    expect(temporaries()).toEqual([]);
  }
});
