import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { indexModel } from '../../onnx/model.js';
import type { MetadataEntry } from '../../onnx/records.js';
import { minimise } from './minimise.js';
import { modelCorpus } from './seeds.js';
import { runCampaign, type CampaignResult } from './supervisor.js';
import { nameOfFinding, type Target } from './target.js';
import type { Control } from './targets/controls.js';
import { patience } from '../time.js';
import { readerTarget, type Reader } from './targets/reader.js';
import { contentOf, piecesOf } from './tree.js';
import { inputOf } from './worker.js';

/** What is wrong on purpose must be found, or finding nothing would mean nothing. */

const ROOT = process.cwd();
const corpus = modelCorpus(ROOT);

/** The first iteration whose input gives a finding, and its name. */
async function firstFinding(
  target: Target,
  executions: number,
): Promise<{ readonly iteration: number; readonly name: string; readonly bytes: Uint8Array } | null> {
  for (let iteration = 0; iteration < executions; iteration++) {
    const bytes = inputOf(target, 3, iteration);
    try {
      await target.run(bytes, true);
    } catch (error) {
      return { iteration, name: nameOfFinding(error), bytes };
    }
  }
  return null;
}

/** Takes the last of several graphs, as protobufjs does, where protobuf merges them. */
const lastGraphWins: Reader = (bytes) => {
  const pieces = piecesOf(bytes, null);
  const last = pieces?.findLastIndex(({ number, wireType }) => number === 7 && wireType === 2) ?? -1;
  return indexModel(
    pieces === null
      ? bytes
      : contentOf(pieces.filter(({ number, wireType }, index) => number !== 7 || wireType !== 2 || index === last)),
  );
};

/** Keeps metadata under its keys in a plain object. */
const plainObjectMap: Reader = async (bytes) => {
  const model = await indexModel(bytes);
  const byKey: { [key: string]: MetadataEntry } = {};
  for (const entry of model.metadata) byKey[entry.key] = entry;
  return { ...model, metadata: Object.values(byKey) };
};

/** Reads a known field whatever its wire type says. */
const lenientEnums: Reader = async (bytes) => {
  const model = await indexModel(bytes);
  const nodes = model.graph.nodes.map((node) => ({
    ...node,
    attributes: node.attributes.map((attribute) => ({
      ...attribute,
      type: attribute.type === 0 ? 99 : attribute.type,
    })),
  }));
  return { ...model, graph: { ...model.graph, nodes } };
};

test.each([
  ['the last graph wins', lastGraphWins],
  ['a plain object as a map', plainObjectMap],
  ['an enum that is not closed', lenientEnums],
])('the oracle finds a wrong reader: %s', async (_what, reader) => {
  const target = readerTarget(corpus, reader);
  const found = await firstFinding(target, 4000);
  expect(found?.name).toBe('means-something-else');
  if (found === null) return;
  const stillFound = (bytes: Uint8Array): Promise<boolean> =>
    target.run(bytes, true).then(
      () => false,
      (error: unknown) => nameOfFinding(error) === found.name,
    );
  const small = await minimise(found.bytes, target.shape, stillFound, { attempts: 500, milliseconds: 5000 });
  expect(small.length).toBeLessThan(Math.max(60, found.bytes.length));
  expect(await stillFound(small)).toBe(true);
});

describe('a child is watched', () => {
  const folder = mkdtempSync(join(tmpdir(), 'featx-fuzz-test-'));
  const worker = join(folder, 'worker.mjs');

  beforeAll(async () => {
    await build({
      absWorkingDir: ROOT,
      entryPoints: ['src/testing/fuzz/worker-main.ts'],
      outfile: worker,
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['onnxruntime-node', 'sharp'],
      logLevel: 'silent',
      banner: { js: 'import{createRequire as r}from"node:module";const require=r(import.meta.url);' },
    });
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  const campaign = (control: Control): Promise<CampaignResult> =>
    runCampaign({
      targets: new Map([[control, 1]]),
      seed: 1,
      seconds: Infinity,
      executions: 600,
      jobs: 1,
      worker,
      root: ROOT,
      stuckMs: patience(2000),
      costlyAttempts: 0,
    });

  test.each([
    ['control-hang', 'hang', 'hangs'],
    ['control-memory', 'memory', 'overMemory'],
    ['control-crash', 'crash', 'crashes'],
    ['control-foreign', 'foreign', 'foreignErrors'],
    ['control-law', 'law', 'findings'],
  ] as const)('%s', async (control, kind, count) => {
    const {
      findings,
      totals: [totals],
    } = await campaign(control);
    expect(findings.map((finding) => finding.kind)).toEqual([kind]);
    expect([findings[0].bytes[0], findings[0].bytes[1] < 8]).toEqual([7, true]);
    expect(totals[count]).toBeGreaterThan(0);
    expect(totals.executions).toBe(600);
  });
});
