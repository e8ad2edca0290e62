import { join } from 'node:path';
import { indexModel } from '../../onnx/model.js';
import { changedNode } from '../../onnx/node-rows.js';
import type { MetadataEntry } from '../../onnx/records.js';
import { bundled } from '../bundles.mjs';
import { minimise } from './minimise.js';
import { modelCorpus } from './seeds.js';
import { runCampaign, type CampaignResult } from './supervisor.js';
import { nameOfFinding, type Target } from './target.js';
import type { Control } from './targets/controls.js';
import { CAN_LIST } from '../processes.js';
import { patience } from '../time.js';
import { httpTarget, type Between } from './targets/http.js';
import { readerTarget, type Reader } from './targets/reader.js';
import { contentOf, piecesOf } from './tree.js';
import { inputOf } from './worker.js';

/** What is wrong on purpose must be found, or finding nothing would mean nothing. */

const ROOT = process.cwd();
const EXECUTIONS = 200;
const corpus = modelCorpus(ROOT);

/** The first iteration whose input gives a finding, and its name. */
async function firstFinding(
  target: Target,
  seed: number,
  executions: number,
): Promise<{ readonly iteration: number; readonly name: string; readonly bytes: Uint8Array } | null> {
  for (let iteration = 0; iteration < executions; iteration++) {
    const bytes = inputOf(target, seed, iteration);
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
  const nodes = model.graph.nodes.map((node) =>
    changedNode(node, {
      attributes: node.attributes.map((attribute) => ({
        ...attribute,
        type: attribute.type === 0 ? 99 : attribute.type,
      })),
    }),
  );
  return { ...model, graph: { ...model.graph, nodes } };
};

test.each([
  ['the last graph wins', lastGraphWins, 10],
  ['a plain object as a map', plainObjectMap, 10],
  ['an enum that is not closed', lenientEnums, 4],
])('the oracle finds a wrong reader: %s', async (_what, reader, seed) => {
  const target = readerTarget(corpus, reader);
  const found = await firstFinding(target, seed, 4000);
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

/** A program that does not look at what tells versions apart. */
const blind: Between = (fetch) => async (url, init) => {
  const headers = new Headers(init.headers);
  headers.delete('if-match');
  const answer = await fetch(url, { ...init, headers });
  for (const name of ['etag', 'last-modified']) answer.headers.delete(name);
  // Only the first answer is looked at, so that the program believes that it would see a change.
  if (headers.get('range')?.startsWith('bytes=0-') === true) answer.headers.set('etag', 'W/"any"');
  return answer;
};

/** A program that takes a range for the one beside it. */
const shifted: Between = (fetch) => async (url, init) => {
  const headers = new Headers(init.headers);
  const [, start, end] = /^bytes=([1-9]\d*)-(\d+)$/.exec(headers.get('range') ?? '') ?? [];
  if (start === undefined) return fetch(url, init);
  headers.set('range', `bytes=${Number(start) - 1}-${Number(end) - 1}`);
  const answer = await fetch(url, { ...init, headers });
  const total = answer.headers.get('content-range')?.split('/')[1];
  if (answer.status === 206) answer.headers.set('content-range', `bytes ${start}-${end}/${total}`);
  return answer;
};

test.each([
  ['versions are not told apart', blind, 'bytes-of-two-versions'],
  ['a range is another', shifted, 'bytes-of-no-version'],
])('a program that reads servers wrongly is found: %s', async (_what, between, law) => {
  expect((await firstFinding(httpTarget(between), 3, 4000))?.name).toBe(law);
});

describe('a child is watched', () => {
  let worker: string;
  beforeAll(async () => {
    worker = join(await bundled('fuzz', { worker: 'src/testing/fuzz/worker-main.ts' }), 'worker.js');
  });

  // Of time that the child works, where the system tells.
  const campaign = (control: Control, seed: number): Promise<CampaignResult> =>
    runCampaign({
      targets: new Map([[control, 1]]),
      seed,
      seconds: Infinity,
      executions: EXECUTIONS,
      jobs: 1,
      worker,
      root: ROOT,
      stuckMs: CAN_LIST ? 1500 : patience(1000),
      costlyAttempts: 0,
    });

  // With these seeds one input fails, and early: what waits for it, or looks for it in children, is soon done.
  test.each([
    ['control-hang', 'hang', 'hangs', 15],
    ['control-memory', 'memory', 'overMemory', 15],
    ['control-crash', 'crash', 'crashes', 9],
    ['control-foreign', 'foreign', 'foreignErrors', 18],
    ['control-law', 'law', 'findings', 2],
  ] as const)('%s', async (control, kind, count, seed) => {
    const {
      findings,
      totals: [totals],
    } = await campaign(control, seed);
    expect(findings.map((finding) => finding.kind)).toEqual([kind]);
    expect([findings[0].bytes[0], findings[0].bytes[1] < 8]).toEqual([7, true]);
    expect(totals[count]).toBe(1);
    expect(totals.executions).toBe(EXECUTIONS);
  });
});
