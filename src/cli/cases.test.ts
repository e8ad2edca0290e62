import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { openModel } from '../open.js';
import { runCli, type CliResult } from '../testing/cli.js';

/**
 * Every folder under fixtures/cases is a command line and what it must do. What writes files runs twice in the same
 * folder: the second run must say and leave the same as the first.
 */
interface Case {
  readonly argv: readonly string[];
  /** File in the working folder by name: its source under fixtures/, or beside case.json where that has it. */
  readonly files?: { readonly [name: string]: string };
  /** A file under fixtures/ on standard input. */
  readonly stdin?: string;
  readonly columns?: number;
  readonly expect: {
    readonly exit: number;
    /** Patterns that must be found; none given: the stream must be empty. */
    readonly stdout?: readonly string[];
    readonly stderr?: readonly string[];
    /** Patterns that must not be found in either stream. */
    readonly never?: readonly string[];
    /** What the record on standard output must contain; lists are compared item by item. Several records: a list. */
    readonly json?: unknown;
    readonly files?: {
      readonly [name: string]: {
        readonly outputs?: readonly string[];
        readonly nodes?: number;
        readonly largest_bytes?: number;
        readonly absent?: boolean;
      };
    };
  };
}

const FIXTURES = join(process.cwd(), 'fixtures');
const CASES = join(FIXTURES, 'cases');
const home = process.cwd();

describe.each(
  readdirSync(CASES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name),
)('%s', (name) => {
  const definition: Case = JSON.parse(readFileSync(join(CASES, name, 'case.json'), 'utf8'));
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'featx-case-'));
    for (const [target, source] of Object.entries(definition.files ?? {})) {
      mkdirSync(dirname(join(folder, target)), { recursive: true });
      const own = join(CASES, name, source);
      copyFileSync(existsSync(own) ? own : join(FIXTURES, source), join(folder, target));
    }
    process.chdir(folder);
  });

  afterEach(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true, force: true });
  });

  test('does what it says', async () => {
    const before = contents(folder);
    const first = await run(definition);
    const left = contents(folder);
    await check(definition, first, folder);
    if (isDeepStrictEqual(left, before)) return;
    const second = await run(definition);
    expect(withoutTime(second)).toEqual(withoutTime(first));
    expect(contents(folder)).toEqual(left);
  });
});

function run({ argv, stdin, columns }: Case): Promise<CliResult> {
  return runCli(argv, {
    columns,
    isTerminal: columns !== undefined,
    env: { NO_COLOR: '1' },
    ...(stdin === undefined ? {} : { stdin: readFileSync(join(FIXTURES, stdin)) }),
  });
}

async function check({ expect: wanted }: Case, { exit, stdout, stderr }: CliResult, folder: string): Promise<void> {
  // With what was said, so that a failing case explains itself.
  expect([exit, stderr]).toEqual([wanted.exit, stderr]);
  if (wanted.json === undefined) matches(stdout, wanted.stdout);
  else {
    const records: unknown[] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    if (Array.isArray(wanted.json)) expect(records).toMatchObject(wanted.json);
    else {
      expect(records).toHaveLength(1);
      expect(records[0]).toMatchObject(wanted.json as object);
    }
  }
  matches(stderr, wanted.stderr);
  for (const pattern of wanted.never ?? []) expect(stdout + stderr).not.toMatch(new RegExp(pattern));
  for (const [name, facts] of Object.entries(wanted.files ?? {})) {
    const path = join(folder, name);
    expect([name, existsSync(path)]).toEqual([name, facts.absent !== true]);
    if (facts.largest_bytes !== undefined) expect(readFileSync(path).length).toBeLessThanOrEqual(facts.largest_bytes);
    if (facts.outputs === undefined && facts.nodes === undefined) continue;
    await using model = await openModel(path);
    if (facts.outputs !== undefined) expect(model.graph.outputs.map((output) => output.name)).toEqual(facts.outputs);
    if (facts.nodes !== undefined) expect(model.graph.nodes).toHaveLength(facts.nodes);
  }
}

function matches(text: string, patterns: readonly string[] | undefined): void {
  if (patterns === undefined) expect(text).toBe('');
  else for (const pattern of patterns) expect(text).toMatch(new RegExp(pattern, 'm'));
}

function withoutTime({ exit, stdout, stderr }: CliResult): object {
  return {
    exit,
    stderr,
    stdout: stdout.replace(/"(elapsed|run)_ms":\d+/g, '"$1_ms":0').replace(/ in \d+ ms/g, ' in 0 ms'),
  };
}

function contents(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.sort().map((path) => [path, readFileSync(path).toString('latin1')]));
}
