import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { batch, type BatchOptions } from '../batch/batch.js';
import type { Job } from '../batch/jobs.js';
import type { BatchSummary, JobReport } from '../batch/reports.js';
import { builtCli } from './bundles.mjs';
import { backbone } from './fixtures/fixture.js';
import { encodeModel } from './model-builder.js';
import { node, value, weights } from './model-spec.js';

/** The command line as it is shipped, its worker with the faults that tests inject. */
export async function buildCli(): Promise<{ readonly main: string; readonly worker: string }> {
  const home = await builtCli();
  return { main: join(home, 'featx.cjs'), worker: join(home, 'batch-worker.js') };
}

const VALUES = [
  value('stem/conv', [1, 4, 4, 4]),
  value('stem/act', [1, 4, 4, 4]),
  value('layer1/conv', [1, 8, 2, 2]),
  value('layer1/act', [1, 8, 2, 2]),
  value('pool', [1, 8, 1, 1]),
  value('flat', [1, 8]),
];

/**
 * A backbone of features `stem/act` and `layer1/act`, its weights from a seed; one in ten leaves its shapes to ONNX
 * Runtime.
 */
export function smallModel(seed: number): Uint8Array {
  const initializers = [
    weights('stem.weight', [4, 3, 3, 3], seed),
    weights('layer1.weight', [8, 4, 3, 3], seed + 1),
    weights('fc.weight', [5, 8], seed + 2),
    weights('fc.bias', [5], seed + 3),
  ];
  return encodeModel({ graph: backbone({ initializers, valueInfo: seed % 10 === 0 ? [] : VALUES }) });
}

/** Ways in which an item can be broken, and the code of the error that it must get. */
export const FAULTS: { readonly [kind: string]: string } = {
  malformed: 'FEATX_WIRE',
  'missing-weights': 'FEATX_IO_NOT_FOUND',
  'inject-hang': 'FEATX_TIMEOUT',
  'inject-crash': 'FEATX_CHILD_CRASH',
  'inject-memory': 'FEATX_MEMORY',
  'no-features': 'FEATX_RESOLVE',
  unreadable: 'FEATX_IO',
  'not-a-model': 'FEATX_UNSUPPORTED',
  'hostile-path': 'FEATX_EXTERNAL',
  duplicate: 'FEATX_USAGE_DUPLICATE_OUTPUT',
};

function writeBroken(kind: string, path: string, seed: number): void {
  const externalAt = (location: string): Uint8Array =>
    encodeModel({
      graph: backbone({
        initializers: [
          { name: 'stem.weight', dims: [4, 3, 3, 3], external: [['location', location]] },
          weights('layer1.weight', [8, 4, 3, 3], seed),
          weights('fc.weight', [5, 8], seed),
          weights('fc.bias', [5], seed),
        ],
      }),
    });
  switch (kind) {
    case 'malformed':
      return writeFileSync(path, smallModel(seed).subarray(0, 900));
    case 'missing-weights':
      return writeFileSync(path, externalAt('not-there.bin'));
    case 'hostile-path':
      return writeFileSync(path, externalAt('../../../etc/passwd'));
    case 'no-features':
      return writeFileSync(
        path,
        encodeModel({
          graph: {
            nodes: [node('Identity', ['x'], ['y'])],
            inputs: [value('x', [2, 3])],
            outputs: [value('y', [2, 3])],
          },
        }),
      );
    case 'not-a-model':
      return writeFileSync(path, '<!DOCTYPE html><html><body>404 Not Found</body></html>');
    case 'unreadable':
      if (process.platform === 'win32') return symlinkSync('nowhere', path);
      return void execFileSync('mkfifo', [path]);
    default:
      return writeFileSync(path, smallModel(seed));
  }
}

/** A folder of models, one in a hundred broken (at least one in each way), and the jobs that cut them. */
export interface Campaign {
  readonly root: string;
  readonly jobs: readonly (Job & { readonly fault: string | null })[];
}

export function makeCampaign(root: string, count: number): Campaign {
  const kinds = Object.keys(FAULTS);
  mkdirSync(join(root, 'models'), { recursive: true });
  const broken = Math.max(kinds.length, Math.floor(count / 100));
  const jobs = Array.from({ length: count }, (_, at) => {
    const turn = Math.floor((at * broken) / count);
    const isBroken = Math.floor(((at - 1) * broken) / count) !== turn;
    const fault = isBroken ? kinds[turn % kinds.length] : null;
    const name = `m${String(at).padStart(5, '0')}${fault === null ? '' : `-${fault}`}.onnx`;
    if (fault === null) writeFileSync(join(root, 'models', name), smallModel(at));
    else writeBroken(fault, join(root, 'models', name), at);
    return {
      input: `models/${name}`,
      output: fault === 'duplicate' ? 'cut/twice.onnx' : `cut/${name}`,
      options: { out: [0, 1] },
      fault,
    };
  });
  // Two make a duplicate.
  const twins =
    jobs.filter(({ fault }) => fault === 'duplicate').length > 1
      ? []
      : [{ ...jobs[jobs.length - 1], output: 'cut/twice.onnx', fault: 'duplicate' }];
  return { root, jobs: [...jobs.slice(0, jobs.length - twins.length), ...twins] };
}

/** A config that asks for the jobs of a campaign. */
export function campaignConfig({ root, jobs }: Campaign, more: object): void {
  writeFileSync(
    join(root, 'featx.config.json'),
    JSON.stringify({
      ...more,
      models: jobs.map(({ input, output, options }) => ({ model: input, output, options: { out: options?.out } })),
    }),
  );
}

export interface BatchResult {
  readonly reports: readonly JobReport[];
  readonly summary: BatchSummary;
}

/** Everything that a batch yields. */
export async function collect(jobs: Iterable<Job>, options: BatchOptions): Promise<BatchResult> {
  const reports: JobReport[] = [];
  const running = batch(jobs, options);
  for (;;) {
    const next = await running.next();
    if (next.done) return { reports, summary: next.value };
    reports.push(next.value);
  }
}

/** Contents of a folder by name, hidden files too. */
export function folderOf(path: string): ReadonlyMap<string, Buffer> {
  return new Map(
    readdirSync(path)
      .sort()
      .map((name) => [name, readFileSync(join(path, name))]),
  );
}
