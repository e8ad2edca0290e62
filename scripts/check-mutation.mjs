// npm run check:mutation: mutates what a wrong byte would come through (the gate for external data, the reader, the
// writer, verify), counts what the tests beside them notice, and writes bench/results/mutation.md. With sources as
// arguments, or lines of them (src/onnx/reader.ts:1-120): those only, and nothing is written. Stryker is fetched into
// npm's cache, since it would bring some 170 packages to everybody who installs this project and runs here once in a
// while.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { installed, root } from './ready.mjs';

const VERSION = '9.6.1';
const LEAST_PERCENT = 85;
const PASSES = [
  { source: 'src/wire/fields.ts', tests: ['src/wire/fields.test.ts'] },
  { source: 'src/wire/window.ts', tests: ['src/wire/window.test.ts'] },
  {
    source: 'src/wire/sidecar-files.ts',
    tests: ['src/wire/sidecar-files.test.ts', 'src/wire/sidecar-files.win32.test.ts'],
  },
  { source: 'src/onnx/external-data.ts', tests: ['src/onnx/external-data.test.ts'] },
  { source: 'src/onnx/reader.ts', tests: ['src/onnx/reader.test.ts', 'src/onnx/model.test.ts'] },
  { source: 'src/onnx/patch.ts', tests: ['src/onnx/patch.test.ts', 'src/rewrite/splice.test.ts'] },
  // These two without models that are run: their mutants are many, and the plan and the bytes say it all.
  {
    source: 'src/rewrite/plan.ts',
    tests: ['edits', 'outputs', 'begun', 'freed'].map((name) => `src/rewrite/plan-${name}.test.ts`),
  },
  { source: 'src/rewrite/splice.ts', tests: ['src/rewrite/splice.test.ts'] },
  { source: 'src/verify.ts', tests: ['src/verify-reports.test.ts'] },
  { source: 'src/verify-runs.ts', tests: ['src/verify-runs.test.ts', 'src/verify-feeds.test.ts'] },
  { source: 'src/verify-judge.ts', tests: ['src/verify-judge.test.ts'] },
  { source: 'src/verify-pairs.ts', tests: ['src/verify-pairs.test.ts'] },
];

function mutantsOf(pass) {
  const report = join('bench', 'tmp', 'mutation.json');
  const args = [
    'exec',
    '--yes',
    `--package=@stryker-mutator/core@${VERSION}`,
    `--package=@stryker-mutator/jest-runner@${VERSION}`,
    '--',
    'stryker',
    'run',
    'scripts/mutation.config.mjs',
  ];
  const { status, error } = spawnSync('npm', args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
    env: {
      ...process.env,
      NODE_OPTIONS: '--experimental-vm-modules --no-warnings',
      FEATX_MUTATION: JSON.stringify({ ...pass, report }),
    },
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`Stryker ended with ${status} on ${pass.source}`);
  const { files } = JSON.parse(readFileSync(join(root, report), 'utf8'));
  return Object.values(files).flatMap(({ mutants, source }) =>
    mutants.map((mutant) => ({ ...mutant, text: source.split('\n')[mutant.location.start.line - 1].trim() })),
  );
}

/** The pass of a source, or of some lines of it: `src/onnx/reader.ts:1-120`. */
function passFor(source) {
  const pass = PASSES.find((one) => one.source === source.replace(/:[\d-]+$/, ''));
  if (pass === undefined) throw new Error(`${source} is not one of ${PASSES.map((one) => one.source).join(', ')}`);
  return { ...pass, source };
}

installed();
const asked = process.argv.slice(2);
const started = Date.now();
const lines = ['| source | mutants | noticed | of them by a time limit | score |', '|---|---:|---:|---:|---:|'];
for (const pass of asked.length === 0 ? PASSES : asked.map(passFor)) {
  const mutants = mutantsOf(pass);
  const count = (...names) => mutants.filter(({ status }) => names.includes(status)).length;
  const [failed, hung, missed] = [count('Killed'), count('Timeout'), count('Survived', 'NoCoverage')];
  const score = (100 * (failed + hung)) / (failed + hung + missed);
  if (score < LEAST_PERCENT) process.exitCode = 1;
  lines.push(`| \`${pass.source}\` | ${failed + hung + missed} | ${failed + hung} | ${hung} | ${score.toFixed(1)} % |`);
  for (const { status, location, mutatorName, replacement, text } of mutants) {
    if (status === 'Killed' || status === 'Timeout') continue;
    process.stdout.write(
      `${status} ${pass.source}:${location.start.line}:${location.start.column} ${mutatorName}: ${(replacement ?? '').replace(/\s+/g, ' ').slice(0, 120)}\n    ${text}\n`,
    );
  }
}
const table = `${lines.join('\n')}\n`;
process.stdout.write(table);
if (asked.length === 0) {
  writeFileSync(
    join(root, 'bench', 'results', 'mutation.md'),
    `# Mutation testing

\`npm run check:mutation\` (Stryker ${VERSION}) changes one thing of a source at a time and runs the tests beside it; a mutant is noticed where one of them fails or runs into a time limit. The least score is ${LEAST_PERCENT} %.

${table}
${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}, ${Math.round((Date.now() - started) / 60_000)} min.
`,
  );
}
