import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk that is really full, and files that really may not grow, under the program as it is built. */

const PROGRAM = join(process.cwd(), 'bin', 'featx.js');
const MODEL = join(process.cwd(), 'fixtures', 'timm', 'test_resnet.ts.onnx');
const OLD = 'what stood here before';
const onUnix = process.platform !== 'win32';
/** A file system of 4 MB in a name space of this process's own. */
const UNSHARE = ['unshare', '--map-root-user', '--mount', 'bash', '-c'] as const;
const canMount =
  process.platform === 'linux' &&
  spawnSync(UNSHARE[0], [...UNSHARE.slice(1), 'mount -t tmpfs -o size=4m tmpfs /mnt'], { stdio: 'ignore' }).status ===
    0;
let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'featx-full-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const COMMANDS: { readonly [name: string]: readonly [output: string, argv: readonly string[]] } = {
  extract: ['out.onnx', ['extract', MODEL, '--out', '1', '-o', 'disk/out.onnx']],
  hook: ['out.onnx', ['extract', MODEL, '--out', '1', '--mode', 'hook', '-o', 'disk/out.onnx']],
  sidecar: ['out.onnx', ['extract', MODEL, '--out', '1', '--weights', 'external', '-o', 'disk/out.onnx']],
  run: ['out.npz', ['run', MODEL, '--out', '1', '--input', 'random', '-o', 'disk/out.npz']],
  init: ['featx.config.json', ['init', MODEL, '--force', '-o', 'disk/featx.config.json']],
};

/** Runs commands in one shell; what each ended with, what it said, and which files it left. */
function turns(
  before: string,
  names: readonly string[],
  after: string,
): readonly { readonly exit: string; readonly stderr: string; readonly files: string; readonly again: string }[] {
  const steps = names.map((name) => {
    const [output, argv] = COMMANDS[name];
    const line = `'${process.execPath}' '${PROGRAM}' ${argv.map((word) => `'${word}'`).join(' ')} --quiet`;
    return `rm -rf disk/*; printf '%s' '${OLD}' > disk/${output}; ( ${before}; ${line} > said 2> error-${name}; echo $? > exit-${name} ); ls -A disk | grep -v fill | tr '\\n' ' ' > files-${name}; cat disk/${output} > old-${name}; ${after}; ${line} > said 2>&1; echo $? > again-${name}; ls -A disk | tr '\\n' ' ' > later-${name}`;
  });
  const script = `cd '${folder}'; ${steps.join('\n')}`;
  const [program, ...args] = before.includes('fill')
    ? [...UNSHARE, `mount -t tmpfs -o size=4m tmpfs '${folder}/disk'; ${script}`]
    : ['bash', '-c', script];
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8').trim();
  return names.map((name) => ({
    exit: read(`exit-${name}`),
    stderr: read(`error-${name}`),
    files: `${read(`files-${name}`)}: ${read(`old-${name}`)}`,
    again: `${read(`again-${name}`)} ${read(`later-${name}`).replace(/\.[0-9a-f]{8}\.data/, '.*.data')}`,
  }));
}

const old = (name: string): string => `${COMMANDS[name][0]}: ${OLD}`;
const fresh = (name: string): string => `0 ${COMMANDS[name][0]}${name === 'sidecar' ? ' out.onnx.*.data' : ''}`;

(canMount ? test : test.skip)(
  `a full disk: exit 4, the old file, nothing else${canMount ? '' : ' (skipped: no file system can be mounted here)'}`,
  () => {
    mkdirSync(join(folder, 'disk'));
    const names = Object.keys(COMMANDS);
    const seen = turns('cat /dev/zero > disk/fill 2> no', names, 'rm disk/fill');
    expect(seen).toEqual(
      names.map((name) => ({
        exit: '4',
        stderr: expect.stringContaining('no space left on the device (ENOSPC)'),
        files: old(name),
        again: fresh(name),
      })),
    );
  },
);

(canMount ? test : test.skip)(
  'a profile that a full disk has no room for: exit 4, and no profile and no features',
  () => {
    mkdirSync(join(folder, 'disk'));
    writeFileSync(
      join(folder, 'go'),
      `cd '${folder}'; mount -t tmpfs -o size=4m tmpfs disk; cat /dev/zero > disk/fill 2> no
    '${process.execPath}' '${PROGRAM}' run '${MODEL}' --out 1 --input random --profile disk/p.json -o out.npz > said 2> error; echo $? > exit; ls -A disk > files`,
    );
    execFileSync(UNSHARE[0], [...UNSHARE.slice(1), `bash '${join(folder, 'go')}'`], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8').trim();
    expect({ exit: read('exit'), files: read('files') }).toEqual({ exit: '4', files: 'fill' });
    expect(read('error')).toContain('wrote only 0 bytes of the profile');
    expect(readdirSync(folder)).not.toContain('out.npz');
  },
);

(onUnix ? test : test.skip)('a file that may not grow any further: the same', () => {
  mkdirSync(join(folder, 'disk'));
  const names = ['sidecar'];
  const seen = turns('ulimit -f 64', names, 'true');
  expect(seen).toEqual(
    names.map((name) => ({
      exit: '4',
      stderr: expect.stringContaining('the file may not grow any further (EFBIG)'),
      files: old(name),
      again: fresh(name),
    })),
  );
});

(canMount ? test : test.skip)('a batch on a full disk stops with exit 4 and goes on once there is room', () => {
  mkdirSync(join(folder, 'disk'));
  copyFileSync(MODEL, join(folder, 'model.onnx'));
  writeFileSync(
    join(folder, 'go'),
    `cd '${folder}'; mount -t tmpfs -o size=4m tmpfs disk; cp model.onnx disk/; cat /dev/zero > disk/fill 2> no; cd disk
    '${process.execPath}' '${PROGRAM}' batch model.onnx --out 1 -o cut.onnx > ../first 2> ../error; echo $? > ../exit; rm fill; ls -A | tr '\\n' ' ' > ../files
    '${process.execPath}' '${PROGRAM}' batch model.onnx --out 1 -o cut.onnx --resume --json > ../second; echo $? > ../again; ls -A | tr '\\n' ' ' > ../later`,
  );
  execFileSync(UNSHARE[0], [...UNSHARE.slice(1), `bash '${join(folder, 'go')}'`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8').trim();
  expect({ exit: read('exit'), error: read('error'), files: read('files') }).toEqual({
    exit: '4',
    error: expect.stringContaining('no space left'),
    files: '.featx model.onnx',
  });
  expect({ again: read('again'), later: read('later') }).toEqual({ again: '0', later: '.featx cut.onnx model.onnx' });
  expect(
    read('second')
      .split('\n')
      .map((line) => JSON.parse(line).status ?? JSON.parse(line).done),
  ).toEqual(['done', 1]);
  expect(readdirSync(join(folder, 'disk'))).toEqual([]);
});
