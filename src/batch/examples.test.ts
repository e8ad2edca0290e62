import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { buildCli, smallModel } from '../testing/batch.js';
import { VERSION } from '../version.js';
import { isRecord } from '../options/schema.js';

/** Every file under examples/ does what it says: run here, or held against the structure that its reader asks for. */

const EXAMPLES = join(process.cwd(), 'examples');
const hasShell = process.platform !== 'win32';
const yaml: { load(text: string): unknown } = createRequire(import.meta.url)('js-yaml');

let cli: Awaited<ReturnType<typeof buildCli>>;
let root: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => void (cli = await buildCli()));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'featx-examples-'));
  mkdirSync(join(root, 'models'));
  mkdirSync(join(root, 'bin'));
  for (let at = 1; at <= 6; at++) writeFileSync(join(root, 'models', `m${at}.onnx`), smallModel(at));
  command('featx', `exec "${process.execPath}" "${cli.main}" "$@"`);
  command('npx', 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"');
  command('sbatch', `exec "${process.execPath}" "${join(process.cwd(), 'src', 'testing', 'fake-sbatch.mjs')}" "$@"`);
  const scheduler = /^(SLURM|AWS_BATCH|AZ_BATCH|JOB_COMPLETION|FEATX)_/;
  const plain = Object.entries(process.env).filter(([name]) => !scheduler.test(name) && name !== 'NODE_OPTIONS');
  env = { ...Object.fromEntries(plain), PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH ?? ''}` };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function command(name: string, script: string): void {
  writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(root, 'bin', name), 0o755);
}

function shell(
  script: string,
  more: NodeJS.ProcessEnv = {},
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync('sh', ['-euc', script], { cwd: root, env: { ...env, ...more }, encoding: 'utf8' });
}

function config(): void {
  writeFileSync(
    join(root, 'featx.config.json'),
    '{"models": ["models/*.onnx"], "output": "features/{name}.onnx", "jobs": 1, "options": {"out": [0, 1]}}',
  );
}

/** What a run without shards makes of the same. */
function assertMergedIsWhole(): void {
  expect(shell('featx merge')).toMatchObject({ status: 0, stdout: expect.stringContaining('6 items of 4 shards') });
  expect(shell('featx batch --shard 1/1 --state alone --manifest alone/manifest.json --force --json')).toMatchObject({
    status: 0,
  });
  expect(readFileSync(join(root, '.featx', 'manifest.json'), 'utf8')).toBe(
    readFileSync(join(root, 'alone', 'manifest.json'), 'utf8'),
  );
}

function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let inside = value;
  for (const step of path)
    inside = Array.isArray(inside) ? inside[Number(step)] : isRecord(inside) ? inside[step] : undefined;
  return inside;
}

const file = (...path: readonly string[]): string => readFileSync(join(EXAMPLES, ...path), 'utf8');

/** Those that use featx as a library; `src/examples.test.ts` runs them. */
const OF_THE_LIBRARY = /^(browser|bundler|service)\//;

test('there is no example of the command line that is not tested here', () => {
  const files = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(EXAMPLES, path)).isFile())
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !OF_THE_LIBRARY.test(path));
  expect(files.sort()).toEqual([
    'config/featx.config.json',
    'container/Dockerfile',
    'github-actions/features.yml',
    'kubernetes/job.yaml',
    'make/Makefile',
    'npm/package.json',
    'slurm/featx-array.sbatch',
    'slurm/one-node.sh',
  ]);
});

test('every example says how featx gets to it', () => {
  for (const folder of readdirSync(EXAMPLES).filter((name) => name !== 'config')) {
    const heads = readdirSync(join(EXAMPLES, folder)).map((name) =>
      readFileSync(join(EXAMPLES, folder, name), 'utf8')
        .split('\n')
        .slice(0, 10)
        .join('\n'),
    );
    expect([folder, heads.some((head) => head.includes('npm pack'))]).toEqual([folder, true]);
  }
  expect(readFileSync('README.md', 'utf8')).toContain(`featx-${VERSION}.tgz`);
});

(hasShell ? describe : describe.skip)('examples that are run', () => {
  test('config', () => {
    cpSync(join(EXAMPLES, 'config', 'featx.config.json'), join(root, 'featx.config.json'));
    mkdirSync(join(root, 'models', 'drafts'));
    writeFileSync(join(root, 'models', 'drafts', 'x.onnx'), smallModel(1));
    writeFileSync(join(root, 'models', 'teacher.onnx'), smallModel(2));
    const { stdout, status } = shell('featx batch --plan --json');
    const planned = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(status).toBe(0);
    expect(planned.map(({ item, output, action }) => [item, output, action])).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((number) => [`models/m${number}.onnx`, `features/m${number}.onnx`, 'cut']),
      ['models/teacher.onnx', 'features/teacher.onnx', 'cut'],
      ['models/teacher.onnx', 'features/teacher.pooled.onnx', 'cut'],
    ]);
    expect(existsSync(join(EXAMPLES, 'config', JSON.parse(file('config', 'featx.config.json')).$schema))).toBe(true);
    expect(shell('featx batch --json models/m1.onnx --last 2').status).toBe(0);
  });

  test('Slurm: an array of four, a merge, and a task that is submitted again', () => {
    config();
    const script = join(EXAMPLES, 'slurm', 'featx-array.sbatch');
    const [array, join_] = file('slurm', 'featx-array.sbatch')
      .split('\n')
      .filter((line) => /^# {3}/.test(line))
      .map((line) => line.replace(/^# +/, '').replace('examples/slurm/featx-array.sbatch', script));
    expect(shell(`${array}\n${join_}`)).toMatchObject({ status: 0 });
    expect(readFileSync(join(root, 'featx-merge.out'), 'utf8')).toContain('6 items of 4 shards');
    const sizes = [0, 1, 2, 3].map(
      (task) =>
        JSON.parse(
          readFileSync(join(root, `featx-${task}.out`), 'utf8')
            .trimEnd()
            .split('\n')
            .findLast((line) => line.includes('batch-summary')) ?? '',
        ).done,
    );
    expect(sizes).toEqual([2, 2, 1, 1]);
    rmSync(join(root, 'features', 'm5.onnx'));
    expect(shell('featx merge')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('features/m5.onnx is missing'),
    });
    expect(shell(`FEATX_SHARD=3/4 sbatch --array=2 ${script}`)).toMatchObject({ status: 0 });
    assertMergedIsWhole();
  });

  test('the one-node Slurm runs, or says what is missing', () => {
    const script = join(EXAMPLES, 'slurm', 'one-node.sh');
    execFileSync('/bin/sh', ['-n', script]);
    for (const program of ['dirname', 'id']) command(program, `exec $(PATH=/usr/bin:/bin command -v ${program}) "$@"`);
    const { status, stderr } = spawnSync('/bin/sh', [script], {
      cwd: root,
      env: { PATH: join(root, 'bin') },
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([77, expect.stringMatching(/^skipped: (root is needed|\w+ is not installed)/)]);
  });

  test('Kubernetes: the pods of the Job', () => {
    config();
    const job = yaml.load(file('kubernetes', 'job.yaml'));
    const pod = at(job, 'spec', 'template', 'spec');
    const container = at(pod, 'containers', 0);
    const completions = at(job, 'spec', 'completions');
    expect([
      at(job, 'apiVersion'),
      at(job, 'kind'),
      at(job, 'spec', 'completionMode'),
      at(pod, 'restartPolicy'),
    ]).toEqual(['batch/v1', 'Job', 'Indexed', 'Never']);
    expect(at(container, 'env', 0)).toEqual({ name: 'FEATX_SHARD_COUNT', value: String(completions) });
    expect(at(container, 'volumeMounts', 0, 'name')).toBe(at(pod, 'volumes', 0, 'name'));
    expect(at(container, 'volumeMounts', 0, 'mountPath')).toBe(at(container, 'workingDir'));
    const words = at(container, 'command');
    if (!Array.isArray(words)) throw new Error('the container has no command');
    for (let index = 0; index < Number(completions); index++) {
      const { status } = spawnSync(String(words[0]), words.slice(1).map(String), {
        cwd: root,
        env: { ...env, JOB_COMPLETION_INDEX: String(index), FEATX_SHARD_COUNT: String(completions) },
      });
      expect(status).toBe(0);
    }
    assertMergedIsWhole();
  });

  test('GitHub Actions: the structure of the workflow, and its own step', () => {
    config();
    const workflow = yaml.load(file('github-actions', 'features.yml'));
    const job = at(workflow, 'jobs', 'features');
    expect(Object.keys(isRecord(workflow) ? workflow : {})).toEqual(['name', 'on', 'permissions', 'jobs']);
    expect(at(job, 'runs-on')).toBe('ubuntu-latest');
    const steps = at(job, 'steps');
    if (!Array.isArray(steps)) throw new Error('the job has no steps');
    for (const step of steps) {
      expect('uses' in step !== 'run' in step).toBe(true);
      if ('uses' in step) expect(step.uses).toMatch(/^actions\/(checkout|setup-node|cache|upload-artifact)@v\d+$/);
      expect(Object.keys(step).filter((key) => !['uses', 'with', 'run', 'name'].includes(key))).toEqual([]);
    }
    const cached = steps
      .find(({ uses }) => String(uses).startsWith('actions/cache'))
      .with.path.trim()
      .split('\n');
    const run = steps.find(({ run: script }) => String(script).includes('featx')).run;
    expect(shell(run)).toMatchObject({ status: 0 });
    for (const path of cached) expect(existsSync(join(root, path))).toBe(true);
    expect(shell(run)).toMatchObject({ status: 0 });
    expect(readFileSync(join(root, 'features.jsonl'), 'utf8')).toContain('"done":0,"skipped":6,"failed":0');
  });

  test('the action of this repository: its arguments in quotes, and nothing in them is run', () => {
    const steps = at(yaml.load(readFileSync('action.yml', 'utf8')), 'runs', 'steps');
    const script = String(at(steps, 1, 'run'));
    const more = { FEATX: cli.main, GITHUB_ACTIONS: 'true' };
    const run = (args: string): ReturnType<typeof spawnSync> =>
      spawnSync('bash', ['-euc', script], { cwd: root, env: { ...env, ...more, ARGS: args }, encoding: 'utf8' });
    expect(run('"models/m?.onnx" --out 0,1 -o "features/{name} cut.onnx"')).toMatchObject({ status: 0 });
    expect(readdirSync(join(root, 'features'))).toContain('m1 cut.onnx');
    expect(run('models/m1.onnx --out 0 -o "$(touch ran).onnx"')).toMatchObject({ status: 0 });
    expect(existsSync(join(root, 'ran'))).toBe(false);
    config();
    expect(run('')).toMatchObject({ status: 0, stdout: expect.stringContaining('6 cut') });
  });

  test('npm script', () => {
    const { scripts } = JSON.parse(file('npm', 'package.json'));
    expect(shell(scripts.features)).toMatchObject({ status: 0 });
    expect(readdirSync(join(root, 'features'))).toHaveLength(6);
    expect(shell(scripts['features:plan'])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /^(same {4}models\/m\d\.onnx -> features\/m\d\.onnx\n){6}0 to cut, 6 unchanged, 0 failed\n$/,
      ),
    });
  });

  const hasMake = hasShell && spawnSync('make', ['--version']).status === 0;
  (hasMake ? test : test.skip)('Makefile', () => {
    cpSync(join(EXAMPLES, 'make', 'Makefile'), join(root, 'Makefile'));
    const make = (target: string): string =>
      execFileSync('make', [target, 'OUT=0,1'], { cwd: root, env, encoding: 'utf8' });
    make('features');
    expect(readdirSync(join(root, 'features')).filter((name) => name.endsWith('.onnx'))).toHaveLength(6);
    expect(make('features')).toContain('0 cut, 6 unchanged');
    for (const target of ['features', 'features/m2.onnx']) {
      rmSync(join(root, 'features', 'm2.onnx'));
      make(target);
      expect(existsSync(join(root, 'features', 'm2.onnx'))).toBe(true);
    }
    make('clean');
    expect(existsSync(join(root, 'features'))).toBe(false);
  });
});
