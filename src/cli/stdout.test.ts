import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Standard output of ten kinds, and one that may not grow, under every command of the program as it is built: exit 0
 * says that every byte has arrived. `npm test`
 * takes every kind for three commands and the failing kinds for most others; `npm run check:stdout` takes all for all.
 */

const PROGRAM = join(process.cwd(), 'bin', 'featx.js');
const MODEL = join(process.cwd(), 'fixtures', 'timm', 'test_resnet.ts.onnx');
const isWhole = process.env.FEATX_CHECK_STDOUT !== undefined;
const hasShell = process.platform !== 'win32';
const AT_ONCE = 2;
const LIMIT_BYTES = 1024;
const PIPE_BYTES = 65_536;
const FILL = `process.stdout.write(Buffer.alloc(${PIPE_BYTES}))`;

/** Command lines in a folder of their own that holds `model.onnx` and a cut of it, `cut.onnx`. */
const COMMANDS: { readonly [name: string]: readonly string[] } = {
  'inspect --tensors --json': ['inspect', 'model.onnx', 'model.onnx', '--tensors', '--json'],
  'extract -o -': ['extract', 'model.onnx', '--out', '1', '-o', '-'],
  version: ['--version'],
  inspect: ['inspect', 'model.onnx', '--tensors'],
  'inspect --csv': ['inspect', 'model.onnx', '--tensors', '--csv'],
  'extract --json': ['extract', 'model.onnx', '--out', '1', '-o', 'out.onnx', '--json'],
  extract: ['extract', 'model.onnx', '--out', '1', '-o', 'out.onnx'],
  'run --json': ['run', 'model.onnx', '--out', '1', '--input', 'random', '-o', 'out.npz', '--json'],
  run: ['run', 'model.onnx', '--out', '1', '--input', 'random'],
  verify: ['verify', 'model.onnx', 'cut.onnx'],
  doctor: ['doctor', '--provider', 'cpu', '--json'],
  batch: ['batch', 'model.onnx', '--out', '1', '-o', 'batch/{name}.onnx', '--json'],
  init: ['init', 'model.onnx', '--force', '-o', 'featx.config.json', '--json'],
  merge: ['merge', '.', '-o', 'all.json', '--json'],
  help: ['help', 'extract'],
};
const EVERY_SINK = ['inspect --tensors --json', 'extract -o -', 'version'];
/** What a command writes beside standard output, which must be there and whole though nobody reads. */
const WRITES: { readonly [name: string]: string } = {
  'extract --json': 'out.onnx',
  extract: 'out.onnx',
  'run --json': 'out.npz',
  init: 'featx.config.json',
  merge: 'all.json',
};

const SINKS = [
  'pipe',
  'socket',
  'slow pipe',
  'full pipe',
  'closed pipe',
  '/dev/full',
  'head -1',
  'file',
  'terminal',
  'null',
  'file that may not grow',
] as const;
type Sink = (typeof SINKS)[number];
const FAILING: readonly Sink[] = ['closed pipe', '/dev/full'];
/** These start processes of their own and print as others do. */
const LONG = ['run', 'verify', 'doctor', 'merge', 'init'];

interface Delivery {
  readonly exit: number;
  /** What the other end got; null where there is no telling. */
  readonly got: Buffer | null;
  readonly stderr: string;
  /** The file that it wrote. */
  readonly written: Buffer | null;
}

let home: string;
let turns = 0;
const references = new Map<string, Promise<Delivery>>();

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'featx-stdout-'));
  mkdirSync(join(home, 'seed'));
  await shell(
    `"${process.execPath}" "${PROGRAM}" extract "${MODEL}" --out 1,2 -o "${join(home, 'seed', 'cut.onnx')}" --quiet`,
    home,
  );
  writeFileSync(
    join(home, 'seed', 'manifest.1-of-1.json'),
    JSON.stringify({
      schema: 1,
      command: 'batch-manifest',
      featx: JSON.parse(readFileSync('package.json', 'utf8')).version,
      plan: 'p',
      shard: { index: 1, count: 1 },
      root: '.',
      total: 0,
      items: [],
    }),
  );
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function shell(
  script: string,
  cwd: string,
): Promise<{ readonly exit: number; readonly stdout: Buffer; readonly stderr: string }> {
  const { FORCE_COLOR: _color, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      'bash',
      ['-c', script],
      { cwd, encoding: 'buffer', maxBuffer: 2 ** 28, env: { ...env, NODE_OPTIONS: '', NO_COLOR: '1', TERM: 'xterm' } },
      (error, stdout, stderr) => {
        resolve({ exit: error === null ? 0 : Number(error.code ?? -1), stdout, stderr: stderr.toString('utf8') });
      },
    );
  });
}

/** Each word in quotes that a shell leaves alone. */
const quoted = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');

/** Runs a program into a sink. */
async function deliver(program: readonly string[], sink: Sink, writes: string | undefined): Promise<Delivery> {
  const cwd = join(home, String(turns++));
  mkdirSync(cwd);
  copyFileSync(MODEL, join(cwd, 'model.onnx'));
  for (const name of ['cut.onnx', 'manifest.1-of-1.json']) copyFileSync(join(home, 'seed', name), join(cwd, name));
  const line = quoted([process.execPath, ...program]);
  const scripts: { readonly [kind in Sink]: string } = {
    socket: line,
    pipe: `${line} | cat; exit \${PIPESTATUS[0]}`,
    'slow pipe': `${line} | (sleep 0.4; cat > got); exit \${PIPESTATUS[0]}`,
    // Who wrote to it before left it full.
    'full pipe': `(${quoted([process.execPath, '-e', FILL])}; touch full; ${line}) | (until [ -e full ]; do sleep 0.1; done; sleep 0.4; tail -c +${PIPE_BYTES + 1} > got); exit \${PIPESTATUS[0]}`,
    'closed pipe': `${line} | true; exit \${PIPESTATUS[0]}`,
    '/dev/full': `${line} > /dev/full`,
    'head -1': `${line} | head -1 > got; exit \${PIPESTATUS[0]}`,
    file: `${line} > got`,
    terminal: `script -qefc ${quoted([line])} /dev/null < /dev/null`,
    null: `${line} > /dev/null`,
    'file that may not grow': `ulimit -f ${LIMIT_BYTES / 1024}; ${line} > got`,
  };
  const { exit, stdout, stderr } = await shell(scripts[sink], cwd);
  const got = existsSync(join(cwd, 'got'))
    ? readFileSync(join(cwd, 'got'))
    : sink === 'pipe' || sink === 'socket' || sink === 'terminal'
      ? stdout
      : null;
  const written = writes !== undefined && existsSync(join(cwd, writes)) ? readFileSync(join(cwd, writes)) : null;
  rmSync(cwd, { recursive: true });
  return { exit, got, stderr, written };
}

/** Without what differs from run to run. */
function settled(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/"(elapsed_ms|run_ms|started_ms)":\d+/g, '"$1":0')
    .replace(/\d+(\.\d+)? m?s\b/g, '0 s');
}

function reference(name: string, program: readonly string[]): Promise<Delivery> {
  let known = references.get(name);
  if (known === undefined) references.set(name, (known = deliver(program, 'pipe', WRITES[name])));
  return known;
}

/** What is wrong with how a program ended; empty where exit 0 means that all has arrived. */
async function judge(name: string, program: readonly string[], sink: Sink): Promise<string[]> {
  const expected = await reference(name, program);
  const whole = settled(expected.got ?? Buffer.alloc(0));
  if (expected.exit !== 0 || whole === '') return [`into a pipe it ends with ${expected.exit}: ${expected.stderr}`];
  const { exit, got, stderr, written } = sink === 'pipe' ? expected : await deliver(program, sink, WRITES[name]);
  const wrong: string[] = [];
  const text = got === null ? null : settled(got);
  if (sink === 'closed pipe') {
    if (exit !== 141 || stderr !== '') wrong.push(`exit ${exit} with a closed pipe: ${stderr}`);
  } else if (sink === 'terminal' && name === 'extract -o -') {
    if (exit !== 2 || !(text ?? '').includes('terminal')) wrong.push(`exit ${exit} with a model on a terminal`);
  } else if (sink === '/dev/full') {
    if (exit !== 4 || !/no space left|ENOSPC/.test(stderr)) wrong.push(`exit ${exit} with a full device: ${stderr}`);
  } else if (sink === 'file that may not grow') {
    // The limit holds for the files of a batch's items too, and those that fail are an exit code of 1.
    if (exit === 0 ? text !== whole : exit !== 4 && !(exit === 1 && program.includes('batch')))
      wrong.push(`exit ${exit} with ${got?.length} of ${expected.got?.length} bytes: ${stderr}`);
  } else if (sink === 'head -1') {
    if (exit !== 0 && exit !== 141) wrong.push(`exit ${exit}: ${stderr}`);
    if (text === null || !whole.startsWith(text)) wrong.push('head saw another first line');
  } else {
    if (exit !== 0) wrong.push(`exit ${exit}: ${stderr}`);
    // A terminal ends lines its own way, may be narrow, and shows standard error too.
    const words = (printed: string): string => printed.replace(/\s+/g, '');
    if (
      sink === 'terminal'
        ? !(text ?? '').includes('\n') || (program.includes('--json') && !words(text ?? '').includes(words(whole)))
        : text !== null && text !== whole
    )
      wrong.push(`exit ${exit} with other bytes: ${got?.length} of ${expected.got?.length}`);
  }
  // Nobody who reads is no reason not to do the work.
  if (
    name in WRITES &&
    sink !== 'file that may not grow' &&
    (written === null || expected.written === null || settled(written) !== settled(expected.written))
  )
    wrong.push(`${WRITES[name]} is ${written === null ? 'missing' : 'another'}`);
  return wrong;
}

/** Some at a time. */
async function all<T>(items: readonly T[], work: (item: T) => Promise<readonly string[]>): Promise<string[]> {
  const found: string[] = [];
  let next = 0;
  const take = async (): Promise<void> => {
    while (next < items.length) found.push(...(await work(items[next++])));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return found;
}

const possible = SINKS.filter((sink) =>
  sink === '/dev/full' ? existsSync('/dev/full') : sink === 'terminal' ? existsSync('/usr/bin/script') : true,
);
const left = SINKS.filter((sink) => !possible.includes(sink));
const title = `exit 0 says that every byte has arrived${left.length === 0 ? '' : ` (not tried on this system: ${left.join(', ')})`}`;

(hasShell ? test.each([...possible]) : test.skip.each([...possible]))(`%s: ${title}`, async (sink) => {
  const names = Object.keys(COMMANDS).filter(
    (name) => isWhole || EVERY_SINK.includes(name) || (FAILING.includes(sink) && !LONG.includes(name)),
  );
  expect(
    await all(names, async (name) =>
      (await judge(name, [PROGRAM, ...COMMANDS[name]], sink)).map((wrong) => `${name}: ${wrong}`),
    ),
  ).toEqual([]);
});

(hasShell && existsSync('/dev/full') ? test : test.skip)('a program that prints and exits is found out', async () => {
  const careless = ['-e', `console.log('x'.repeat(${LIMIT_BYTES * 8})); process.exit();`];
  for (const sink of ['closed pipe', '/dev/full', 'file that may not grow'] as const)
    expect(await judge('careless', careless, sink)).not.toEqual([]);
});
