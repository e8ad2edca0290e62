import { constants, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { extract } from './extract.js';
import { inspect } from './inspect.js';
import { openModel } from './open.js';
import { runCli, type CliResult } from './testing/cli.js';
import { DISAGREEMENTS, network, type FaultCase } from './testing/faults/case.js';
import { CASES } from './testing/faults/cases.js';
import { faultsDocument } from './testing/faults/document.js';
import { EARLIER, faultFolder, type FaultFolder } from './testing/faults/folder.js';
import { ROWS, type Reference } from './testing/faults/rows.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';

/**
 * Bad inputs and faults by the rows of docs/internals/faults.md: what the program says, how it ends, and what it leaves
 * as it was.
 */

const home = process.cwd();
const onWindows = process.platform === 'win32';
let folder: FaultFolder;

describe('the table', () => {
  test('has 88 rows, and every one has a case or tests that stand where it says', () => {
    expect(ROWS.map(({ number }) => number)).toEqual(Array.from({ length: 88 }, (_, index) => index + 1));
    const sources = new Map(
      [...new Set(ROWS.flatMap(({ elsewhere = [] }) => elsewhere.map(({ file }) => file)))].map((file) => [
        file,
        readFileSync(file, 'utf8'),
      ]),
    );
    const isThere = ({ file, test: name }: Reference): boolean =>
      sources.get(file)?.includes(`'${name.replaceAll("'", "\\'")}'`) === true;
    expect(ROWS.flatMap(({ elsewhere = [] }) => elsewhere.filter((reference) => !isThere(reference)))).toEqual([]);
    expect(
      ROWS.filter(
        ({ number, elsewhere = [] }) => elsewhere.length === 0 && !CASES.some(({ rows }) => rows.includes(number)),
      ),
    ).toEqual([]);
  });

  test('every case belongs to a row and has a name of its own there', () => {
    const names = CASES.flatMap(({ rows, name }) => rows.map((row) => `${row} ${name}`));
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    expect(CASES.filter(({ rows }) => rows.length === 0 || rows.some((row) => row < 1 || row > 88))).toEqual([]);
    expect(CASES.filter(({ exit, code }) => (exit === 0) !== (code === undefined))).toEqual([]);
    expect(CASES.length).toBeGreaterThanOrEqual(150);
  });

  test('every disagreement of other readers has a case', () => {
    expect(Object.keys(DISAGREEMENTS).filter((id) => !CASES.some(({ line }) => line === id))).toEqual([]);
  });

  test('docs/internals/faults.md is up to date (node scripts/make-faults-page.mjs)', () => {
    expect(readFileSync(join('docs', 'internals', 'faults.md'), 'utf8').replaceAll('\r\n', '\n')).toBe(
      faultsDocument(),
    );
  });
});

/** What a terminal acts on, but for the ends of lines. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const joined = (text: string): string => text.replaceAll('\r\n', '').replaceAll('\n', '');

function begin(fault: FaultCase): ReadonlyMap<string, string> {
  folder = faultFolder(fault);
  process.chdir(folder.work);
  return folder.snapshot();
}

/** What is there and was not, is not and was, or is not what it was. */
function changes(before: ReadonlyMap<string, string>): readonly string[] {
  const after = folder.snapshot();
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .sort();
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly field?: string;
  readonly offset?: number;
}

describe.each([...new Set(CASES.flatMap(({ rows }) => rows))].sort((a, b) => a - b))('row %i', (row) => {
  afterEach(() => {
    process.chdir(home);
    folder.remove();
  });

  for (const fault of CASES.filter(({ rows }) => rows.includes(row))) {
    (fault.posix && onWindows ? test.skip : test)(fault.name, async () => {
      const before = begin(fault);
      const said = await runCli([...fault.argv, ...(fault.argv.includes('--csv') ? [] : ['--json'])]);
      checkRecord(fault, said);
      assertLeft(fault, changes(before));
      await checkOutput(fault);
      if (fault.isSlow) return;
      folder.remove();
      process.chdir(home);
      const again = begin(fault);
      checkText(fault, await runCli(fault.argv, { env: { NO_COLOR: '1' } }));
      assertLeft(fault, changes(again));
    });
  }
});

test('a model that changes while it is inspected is no model', async () => {
  const place = mkdtempSync(join(tmpdir(), 'featx-changing-'));
  try {
    const path = join(place, 'm.onnx');
    writeFileSync(path, network());
    const changing: FileSystem = {
      ...nodeFileSystem,
      open: async (...args) => {
        const handle = await nodeFileSystem.open(...args);
        return Object.assign(Object.create(handle) as typeof handle, {
          read: async (buffer: Uint8Array, position: number) => {
            const count = await handle.read(buffer, position);
            writeFileSync(path, network({}, { irVersion: 9 }));
            return count;
          },
        });
      },
    };
    await expect(inspect(path, { fileSystem: changing, isolate: false })).rejects.toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_CHANGED',
    });
    await expect(inspect(path, { isolate: false })).resolves.toMatchObject({ model: { ir_version: 9 } });
  } finally {
    rmSync(place, { recursive: true });
  }
});

test('a file that is left, changed, touched, replaced or put outside is seen', () => {
  const before = begin({
    rows: [1],
    name: '',
    files: () => ({ 'm.onnx': network(), 'kept.bin': new Uint8Array(8), 'old.bin': new Uint8Array(8) }),
    argv: [],
    exit: 0,
  });
  try {
    expect(changes(before)).toEqual([]);
    writeFileSync('.featx-1-2.tmp', '');
    writeFileSync('m.onnx', new Uint8Array(8));
    utimesSync('kept.bin', 0, 0);
    rmSync('old.bin');
    mkdirSync('old.bin');
    writeFileSync(join('..', 'stray'), '');
    rmSync('out.npz');
    expect(changes(before)).toEqual([
      join('..', 'stray'),
      '.featx-1-2.tmp',
      'kept.bin',
      'm.onnx',
      'old.bin',
      'out.npz',
    ]);
  } finally {
    process.chdir(home);
    folder.remove();
  }
});

test('temporary files stand beside their target, whatever folder the system has for them', async () => {
  const place = mkdtempSync(join(tmpdir(), 'featx-beside-'));
  try {
    mkdirSync(join(place, 'out'));
    writeFileSync(join(place, 'm.onnx'), network());
    const made: string[] = [];
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      open: (path, flags, mode) => (
        typeof flags === 'number' && (flags & constants.O_CREAT) !== 0 && made.push(path),
        nodeFileSystem.open(path, flags, mode)
      ),
      rename: (from, to) => (made.push(from, to), nodeFileSystem.rename(from, to)),
    };
    await extract(join(place, 'm.onnx'), join(place, 'out', 'cut.onnx'), {
      out: [0, 1],
      weights: 'external',
      fileSystem,
      isolate: false,
    });
    expect(made.length).toBeGreaterThanOrEqual(6);
    expect(new Set(made.map((path) => dirname(path)))).toEqual(new Set([join(place, 'out')]));
  } finally {
    rmSync(place, { recursive: true });
  }
});

/** The one record on standard output. */
function checkRecord(fault: FaultCase, { exit, stdout, stderr }: CliResult): void {
  if (fault.argv.includes('--csv')) return;
  expect({ exit, error: exit === fault.exit ? '' : stdout }).toEqual({ exit: fault.exit, error: '' });
  expect(stderr).toMatch(/^(run it: .*\n)?$/);
  expect(joined(stderr)).not.toMatch(UNSAFE);
  expect(stdout.slice(0, -1)).not.toMatch(UNSAFE);
  const record: { readonly error?: Failure; readonly warnings?: readonly string[] } = JSON.parse(stdout);
  if (fault.finds !== undefined) expect(stdout).toMatch(fault.finds);
  if (fault.exit !== 0) {
    checkError(fault, record.error);
    return;
  }
  expect(record.error).toBeUndefined();
  const patterns = fault.warns ?? [];
  const warnings = record.warnings ?? [];
  expect(warnings.filter((warning) => !patterns.some((pattern) => pattern.test(warning)))).toEqual([]);
  expect(patterns.filter((pattern) => !warnings.some((warning) => pattern.test(warning)))).toEqual([]);
  if (fault.report !== undefined) expect(record).toMatchObject(fault.report);
}

function checkError({ code, message, hint, field, offset }: FaultCase, error: Failure | undefined): void {
  expect(error).toMatchObject({ code, message: expect.stringMatching(message ?? /./s) });
  if (hint !== undefined) expect(error?.hint).toMatch(hint);
  if (typeof field === 'string') expect(error?.field).toBe(field);
  else if (field !== undefined) expect(error?.field).toMatch(field);
  if (offset === 'known') {
    expect(error?.offset).toBeGreaterThanOrEqual(0);
    expect(error?.offset).toBeLessThanOrEqual(readFileSync('m.onnx').length);
  } else if (offset !== undefined) expect(error?.offset).toBe(offset);
}

/** What a person sees. */
function checkText({ exit: wanted, text, warns, message }: FaultCase, { exit, stdout, stderr }: CliResult): void {
  expect({ exit, stderr }).toEqual({ exit: wanted, stderr });
  expect(joined(stdout)).not.toMatch(UNSAFE);
  expect(joined(stderr)).not.toMatch(UNSAFE);
  if (text !== undefined) expect(stdout).toMatch(text);
  for (const pattern of warns ?? []) expect(stderr).toMatch(pattern);
  if (wanted === 0) return;
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^featx: error: /);
  if (message !== undefined) expect(stderr).toMatch(message);
}

/** Inputs are what they were; so are outputs, unless all went well; nothing else is new. */
function assertLeft({ exit, argv, creates = [] }: FaultCase, changed: readonly string[]): void {
  const output = argv[argv.indexOf('-o') + 1];
  const mayChange = exit === 0 && argv.includes('-o') ? [output] : [];
  expect(changed.filter((path) => !mayChange.includes(path) && !creates.some((pattern) => pattern.test(path)))).toEqual(
    [],
  );
  for (const pattern of exit === 0 ? creates : []) expect(changed.filter((path) => pattern.test(path))).toHaveLength(1);
}

async function checkOutput({ exit, argv, outputs, operators, holds }: FaultCase): Promise<void> {
  if (exit !== 0 || !argv.includes('out.onnx')) return;
  const bytes = readFileSync('out.onnx');
  expect(bytes.toString('latin1')).not.toBe(EARLIER);
  for (const wanted of holds?.() ?? []) expect(bytes.includes(Buffer.from(wanted))).toBe(true);
  await using model = await openModel(join(process.cwd(), 'out.onnx'));
  if (outputs !== undefined) expect(model.graph.outputs.map(({ name }) => name)).toEqual(outputs);
  if (operators !== undefined) expect(model.graph.nodes.map(({ opType }) => opType)).toEqual(operators);
}
