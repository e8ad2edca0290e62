import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fixtureBytes, readFixtures, saveFindings, writeFixtures } from './findings.js';
import { recordCampaign } from './record.js';
import { runCampaign, type CampaignResult, type TargetTotals } from './supervisor.js';
import { targetNamed, TARGETS } from './targets/all.js';
import { CONTROLS } from './targets/controls.js';
import { foundBy } from './worker.js';

/** `npm run fuzz`: parses the command line, runs a campaign, prints it, saves what it found. */

const USAGE = `npm run fuzz -- [--target ${[...TARGETS.keys()].join('|')}|all] [--seconds N] [--executions N] [--seed S] [--jobs N] [--record]
npm run fuzz -- --accept    run the fixtures that are not settled yet and write down what they give`;

const write = (text: string): void => void process.stderr.write(text);

function numberOf(text: string | undefined, flag: string, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  if (text === undefined) return otherwise;
  write(`--${flag} takes a whole number above 0, not ${text}\n${USAGE}\n`);
  return process.exit(2);
}

/** Runs the command; returns the exit status: 1 where there are findings. */
async function main(worker: string, root: string, args: readonly string[]): Promise<number> {
  const flag = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      target: flag,
      seconds: flag,
      executions: flag,
      seed: flag,
      jobs: flag,
      record: { type: 'boolean' },
      accept: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    write(`${USAGE}\n`);
    return 0;
  }
  if (values.accept) return accept(root);
  const name = values.target ?? 'all';
  const targets = name === 'all' ? TARGETS : new Map([[name, 1]]);
  if (!TARGETS.has(name) && name !== 'all' && !CONTROLS.some((control) => control === name)) {
    write(`there is no target ${name}\n${USAGE}\n`);
    return 2;
  }
  const executions = numberOf(values.executions, 'executions', Infinity);
  const seconds = numberOf(values.seconds, 'seconds', values.executions === undefined ? 60 : Infinity);
  const seed = numberOf(values.seed, 'seed', Date.now() % 2 ** 31);
  write(`seed ${seed}\n`);
  const result = await runCampaign({
    targets,
    seconds,
    executions,
    seed,
    jobs: numberOf(values.jobs, 'jobs', availableParallelism()),
    worker,
    root,
    onProgress: progress(),
  });
  write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}`);
  process.stdout.write(table(result));
  const files = name.startsWith('control-') ? [] : saveFindings(root, result.findings);
  for (const [index, finding] of result.findings.entries()) {
    process.stdout.write(
      `\n${finding.target}: ${finding.kind} ${finding.name} (seed ${seed}, iteration ${finding.iteration})\n  ${JSON.stringify(finding.message)}\n  ${files[index] ?? 'input'}: ${Buffer.from(finding.bytes).toString('base64').slice(0, 2000)}\n`,
    );
  }
  if (values.record) {
    recordCampaign(join(root, 'bench', 'results', 'fuzz.json'), result, {
      date: new Date().toISOString().slice(0, 10),
      commit: commitOf(root),
      node: process.version,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      seed,
    });
  }
  return result.findings.length > 0 ? 1 : 0;
}

function commitOf(root: string): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
}

/** A line that is written over on a terminal; elsewhere one now and then. */
function progress(): (totals: readonly TargetTotals[], secondsLeft: number) => void {
  let seconds = 0;
  return (totals, secondsLeft) => {
    const parts = totals
      .filter(({ executions }) => executions > 0)
      .map(
        ({ target, executions, seconds: spent, findings }) =>
          `${target} ${executions} (${Math.round(executions / spent)}/s)${findings > 0 ? ` ${findings} findings` : ''}`,
      );
    const line = `${parts.join(', ')}${Number.isFinite(secondsLeft) ? `; ${Math.max(0, Math.ceil(secondsLeft))} s left` : ''}`;
    if (process.stderr.isTTY) write(`\r\x1b[K${line}`);
    else if (++seconds % 10 === 0) write(`${line}\n`);
  };
}

function table({ totals, seconds }: CampaignResult): string {
  const head = [
    'target',
    'executions',
    'per second and core',
    'oracle checks',
    'findings',
    'crashes',
    'hangs',
    'foreign errors',
    'over memory',
    'peak MiB',
  ];
  const rows = totals.map((row) =>
    [
      row.target,
      row.executions,
      Math.round(row.executions / Math.max(row.seconds, 1e-3)),
      row.oracleChecks,
      row.findings,
      row.crashes,
      row.hangs,
      row.foreignErrors,
      row.overMemory,
      Math.round(row.peakRssMiB),
    ].map(String),
  );
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]): string =>
    `${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ')}\n`;
  return `${line(head)}${rows.map(line).join('')}${seconds.toFixed(1)} s\n`;
}

/** Settles the fixtures that are findings no more. */
async function accept(root: string): Promise<number> {
  let open = 0;
  const fixtures = [];
  for (const fixture of readFixtures(root)) {
    let { gives } = fixture;
    if (gives === null) {
      try {
        gives = await targetNamed(fixture.target, root).run(fixtureBytes(root, fixture), true);
        write(`${fixture.file}: ${gives}\n`);
      } catch (error) {
        open++;
        write(`${fixture.file}: still a finding, ${foundBy(error).name}\n`);
      }
    }
    fixtures.push({ ...fixture, gives });
  }
  writeFixtures(root, fixtures);
  return open > 0 ? 1 : 0;
}

const [worker, root, ...args] = process.argv.slice(2);
process.exitCode = await main(worker, root, args);
