// npm run check:features: how far featx finds the features that people mean, in one table; exits 1 where a figure is
// below its target. `npm test` runs a short form.
//   --shared DIR   folder of zoo, zoo_tv_hf, corpus and cases (default ../shared)
//   --corpus DIR   the real networks that DIR/corpus/fetch.sh brought; left out without it
//   --set DIR      a folder of graphs with their truth.json, in the zoo's format; repeatable, no target
//   --only A,B     some of: zoo, tv, corpus, cases, networks, surgery, and the names of sets' folders
//   --filter TEXT  graphs with TEXT in their name alone, and no targets
//   --misses       what is wrong, graph by graph;  --by-variant  a row of every set for each variant
//   --jobs N       processes (default 2);  --json FILE  every score
// Graphs are inspected in processes of this script, which read the sources as they are now; what a build of them said
// of a file is remembered.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { checkNetworks, checkSurgery } from './features/cases.mjs';
import { bundled, inspectAll } from './features/inspect.mjs';
import { built, installed, root } from './ready.mjs';

const values = (name) => process.argv.flatMap((word, at) => (process.argv[at - 1] === `--${name}` ? [word] : []));
const value = (name, standard) => values(name).at(-1) ?? standard;
const flag = (name) => process.argv.includes(`--${name}`);

const shared = resolve(root, value('shared', '../shared'));
const corpus = value('corpus');
const only = value('only')?.split(',');
const filter = value('filter', '');
const wants = (name, needs) => (only === undefined || only.includes(name)) && existsSync(needs);

installed();
const { judge, summed, agrees, placeOf } = await bundled('src/testing/feature-score.ts');
const rows = [];
const record = {};

/** A figure, and the least that it must be: in percent, or a count where `of` is not a share. */
function row(set, what, right, all, least) {
  const isBelow = least !== undefined && filter === '' && 100 * right < least * all - 1e-9;
  const share = all === 0 ? '-' : `${((100 * right) / all).toFixed(1)} %`;
  rows.push([set, what, `${right} of ${all}`, share, least === undefined ? '' : `${least} %`, isBelow ? 'BELOW' : '']);
}

async function scoreSet(name, folder, targets) {
  const { models } = JSON.parse(readFileSync(join(folder, 'truth.json'), 'utf8'));
  const truths = models.filter(({ file }) => file.includes(filter));
  const reports = await inspectAll(
    truths.map(({ file }) => join(folder, file)),
    Number(value('jobs', 2)),
  );
  const judged = truths.map((truth) => {
    const report = reports.get(join(folder, truth.file));
    const { score, misses } = judge(truth, report.feature_info ?? []);
    return { truth, score, misses: report.error === undefined ? misses : [report.error, ...misses] };
  });
  record[name] = judged.map(({ truth, score, misses }) => ({
    file: truth.file,
    variant: truth.variant,
    ...score,
    misses,
  }));
  targets(judged);
  if (flag('by-variant'))
    for (const variant of new Set(judged.map(({ truth }) => `${truth.exporter} ${truth.variant ?? ''}`.trim())))
      settledRows(
        `${name}: ${variant}`,
        judged.filter(({ truth }) => `${truth.exporter} ${truth.variant ?? ''}`.trim() === variant),
      );
  if (flag('misses'))
    for (const { truth, misses } of judged)
      if (misses.length > 0) console.log(`${truth.file}\n  ${misses.join('\n  ')}`);
}

const sumOf = (judged, keep = () => true) =>
  summed(judged.filter(({ truth }) => keep(truth)).map(({ score }) => score));

function settledRows(name, judged) {
  const all = sumOf(judged);
  row(name, 'right, or null where the graph lost it', all.settled, all.asked);
  row(name, 'exact', all.exact, all.graphs);
  row(name, 'tensor', all.tensor, all.findable);
  row(name, 'module', all.module, all.findable);
  row(name, 'high and right', all.sureRight, all.sure);
}

if (wants('zoo', join(shared, 'zoo')))
  await scoreSet('zoo', join(shared, 'zoo'), (judged) => {
    const named = sumOf(judged, ({ exporter }) => exporter === 'torchscript' || exporter === 'dynamo');
    row('zoo', 'named: tensor at its index', named.aligned, named.findable, 100);
    row('zoo', 'named: module', named.module, named.findable, 100);
    const anonymous = sumOf(judged, ({ exporter }) => exporter === 'anonymous');
    row('zoo', 'anonymous: tensor', anonymous.tensor, anonymous.findable, 95);
    row('zoo', 'anonymous: tensor at its index', anonymous.aligned, anonymous.findable, 93);
    const all = sumOf(judged);
    row('zoo', 'exact', all.exact, all.graphs, 97.6);
    row('zoo', 'high and right', all.sureRight, all.sure, 98);
  });

if (wants('tv', join(shared, 'zoo_tv_hf')))
  await scoreSet('tv', join(shared, 'zoo_tv_hf'), (judged) => {
    const all = sumOf(judged);
    row('tv', 'exact', all.exact, all.graphs, 90);
    row('tv', 'tensor', all.tensor, all.findable, 95);
    row('tv', 'module', all.module, all.findable);
    row('tv', 'high and right', all.sureRight, all.sure, 98);
  });

for (const folder of values('set')) {
  const name = basename(resolve(folder));
  if (wants(name, folder)) await scoreSet(name, resolve(folder), (judged) => settledRows(name, judged));
}

if (corpus !== undefined && wants('corpus', corpus)) await scoreCorpus();

async function scoreCorpus() {
  const expectations = JSON.parse(readFileSync(join(shared, 'corpus', 'expected.json'), 'utf8')).filter(
    ({ file }) => file.includes(filter) && existsSync(join(corpus, file)),
  );
  const reports = await inspectAll(
    expectations.map(({ file }) => join(corpus, file)),
    Number(value('jobs', 2)),
  );
  const judged = expectations.map((expected) => ({
    expected,
    ...judgeNetwork(expected, reports.get(join(corpus, expected.file))),
  }));
  record.corpus = judged.map(({ expected, ...rest }) => ({ file: expected.file, ...rest }));
  const share = (what, key, least, keep = () => true) => {
    const asked = judged.filter((one) => one[key] !== undefined && keep(one));
    row('corpus', what, asked.filter((one) => one[key]).length, asked.length, least);
  };
  share('sure expectations', 'exact', 94, ({ expected }) => expected.sure);
  share('all expectations', 'exact', undefined);
  share('embeddings', 'embedding', 98);
  share('necks', 'neck', 85);
  share('towers', 'towers', 100);
  if (flag('misses'))
    for (const { expected, problems } of judged)
      if (problems.length > 0)
        console.log(
          `${expected.file} (${expected.kind})${expected.sure ? '' : ' (not sure)'}\n  ${problems.join('\n  ')}`,
        );
}

/** What of an expectation holds; a key that is undefined was not asked. */
function judgeNetwork(expected, report) {
  const problems = report.error === undefined ? [] : [report.error];
  const got = (report.feature_info ?? []).filter(({ tensor }) => tensor !== null).map(placeOf);
  const groups = new Map((report.groups ?? []).map(({ name, features }) => [name, features.map(placeOf)]));
  const verdict = { problems };
  const settle = (key, holds, problem) => {
    verdict[key] = holds;
    if (!holds) problems.push(problem);
  };
  const words = (places) => places.join(' ') || 'none';
  if (expected.towers === undefined) {
    const tensors = expected.tensors?.every((tensor, index) => report.feature_info?.[index]?.tensor === tensor) ?? true;
    settle('exact', agrees(got, expected) && tensors, `features ${words(got)}, expected ${words(expected.features)}`);
  } else {
    const lists = [got, ...groups.values()].map((list) => list.join(' '));
    const holds = expected.towers.every(
      (tower) => lists.some((list) => list === tower.join(' ')) || got.join(' ').includes(tower.join(' ')),
    );
    settle(
      'towers',
      holds,
      `towers ${lists.join(' | ')}, expected ${expected.towers.map((tower) => tower.join(' ')).join(' | ')}`,
    );
  }
  if (expected.embedding != null) {
    const tensor = report.embedding?.tensor ?? 'none';
    settle('embedding', tensor === expected.embedding, `embedding ${tensor}, expected ${expected.embedding}`);
  }
  if (expected.neck) {
    const neck = groups.get('neck') ?? [];
    settle('neck', expected.neck.join(' ') === neck.join(' '), `neck ${words(neck)}, expected ${words(expected.neck)}`);
  }
  return verdict;
}

const cases = join(shared, 'cases', 'features');
if (wants('cases', cases) && filter === '') {
  built();
  const { stdout } = spawnSync(process.execPath, [join(cases, 'check.mjs')], { cwd: root, encoding: 'utf8' });
  const lines = stdout
    .trim()
    .split('\n')
    .filter((line) => /^(ok|FAIL) /.test(line));
  row('cases', 'values that PyTorch has', lines.filter((line) => line.startsWith('ok')).length, lines.length, 100);
  if (flag('misses')) for (const line of lines) if (!line.startsWith('ok')) console.log(line);
}

async function statements(name, folder, check) {
  if (!wants(name, folder) || filter !== '') return;
  const results = await check(folder, await bundled('src/index.ts'));
  row(name, 'statements', results.filter(({ problem }) => problem === null).length, results.length, 100);
  if (flag('misses'))
    for (const { statement, problem } of results)
      if (problem !== null) console.log(`FAIL ${name}: ${statement}\n  ${problem}`);
}

await statements('networks', join(shared, 'cases', 'networks'), checkNetworks);
await statements('surgery', join(shared, 'cases', 'surgery'), checkSurgery);

if (rows.length === 0) {
  console.error(
    `nothing to score: ${shared} holds neither zoo, zoo_tv_hf nor cases; name folders with --shared, --corpus and --set`,
  );
  process.exit(2);
}
const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
for (const cells of rows)
  console.log(
    cells
      .map((cell, column) => (column >= 2 && column <= 4 ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join('  ')
      .trimEnd(),
  );
if (value('json') !== undefined) writeFileSync(value('json'), JSON.stringify(record, null, 1));
process.exitCode = rows.some((cells) => cells.at(-1) !== '') ? 1 : 0;
