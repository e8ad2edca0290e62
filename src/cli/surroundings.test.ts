import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';

/** What a shell can take away from a program before it starts. Runs the build, which `npm test` brings up to date. */

const PROGRAM = join(process.cwd(), 'bin', 'featx.js');
const MODEL = join(process.cwd(), 'fixtures', 'timm', 'test_resnet.ts.onnx');
const linux = process.platform === 'linux' ? test : test.skip;
const unix = process.platform === 'win32' ? test.skip : test;
let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'featx-surroundings-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Said {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a line of bash in which `featx` is the program and `$model` a model. */
function shell(line: string): Said {
  const script = `featx() { ${JSON.stringify(process.execPath)} ${JSON.stringify(PROGRAM)} "$@"; }; model=${JSON.stringify(MODEL)}; ${line}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return { status, stdout, stderr };
}

unix('a closed standard output is told, and one that is thrown away is not', () => {
  expect(shell('featx inspect "$model" >&-').stderr).toContain('what was printed is lost');
  expect(shell('featx inspect "$model" --quiet >&-').stderr).toBe('');
  expect(shell('featx inspect "$model" >/dev/null')).toEqual({ status: 0, stdout: '', stderr: '' });
});

unix('a working directory that was deleted is named, and absolute paths do without it', () => {
  const gone = (name: string, line: string): Said =>
    shell(`mkdir ${name} && cd ${name} && rmdir ../${name} && ${line}`);
  const target = join(folder, 'embedding.npz');
  expect(gone('a', `featx run "$model" --input random --embedding -o ${JSON.stringify(target)}`).status).toBe(0);
  expect(existsSync(target)).toBe(true);
  for (const line of ['featx batch "$model" --out 1 -o "{name}.cut.onnx"', 'featx init .'])
    expect(gone('b', line)).toMatchObject({
      status: 4,
      stderr: expect.stringMatching(/^featx: error: (the working directory was deleted|.*no such file)/),
    });
});

/** Whether Node itself starts with so few descriptors. */
function startsWith(most: number): boolean {
  return shell(`ulimit -n ${most}; ${JSON.stringify(process.execPath)} -e 0`).status === 0;
}

linux('too few descriptors are named, whatever lacks them', () => {
  const bare = encodeModel({
    graph: {
      inputs: [value('x', [1, 3, 8, 8])],
      outputs: [value('y', null, null)],
      nodes: [node('Einsum', ['x'], ['y'], { equation: { string: 'nchw->nhwc' } })],
    },
  });
  writeFileSync(join(folder, 'untyped.onnx'), bare);
  const commands = ['inspect untyped.onnx', 'run untyped.onnx --tensor y --input random'];
  // Newer versions of Node crash before they run anything of ours.
  const limits = [19, 20, 21, 22, 23, 24].filter((most) => startsWith(most));
  const told = limits.flatMap((most) => commands.map((command) => shell(`ulimit -n ${most}; featx ${command}`)));
  expect(told.every(({ stderr }) => !/bug in featx|not installed/.test(stderr))).toBe(true);
  expect(told.filter(({ status, stderr }) => status === 4 && stderr.includes('EMFILE')).length).toBeGreaterThan(0);
  expect(told.filter(({ status }) => status !== 0 && status !== 4 && status !== 1)).toEqual([]);
});

linux('a name that is not UTF-8 is opened, and its results are named after it', () => {
  const place = join(folder, 'names');
  mkdirSync(place);
  copyFileSync(MODEL, Buffer.concat([Buffer.from(`${place}/caf`), Buffer.of(0xe9), Buffer.from('.onnx')]));
  expect(shell(`cd names; featx extract $'caf\\xe9.onnx' --out 1`)).toMatchObject({ status: 0 });
  expect(readdirSync(place, { encoding: 'latin1' }).sort()).toEqual(['caf\xe9.features.onnx', 'caf\xe9.onnx']);
  const batch = shell(`cd names; featx batch . --out 1 -o 'cut/{name}.onnx' --json`);
  expect(batch.stdout).toContain('"done":1');
  expect(readdirSync(join(place, 'cut'), { encoding: 'latin1' })).toEqual(['caf\xe9.onnx']);
});
