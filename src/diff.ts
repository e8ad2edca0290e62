import { EntryRuns, type EntryRun } from './entry-runs.js';
import { UsageError } from './errors.js';
import { nodesDiff, weightsDiff } from './graph-diff.js';
import { DistanceSum, linearCka } from './measures/compare.js';
import { featureMap, pooled } from './measures/maps.js';
import type { Matrix } from './measures/matrix.js';
import { inputName, localPath } from './open.js';
import { called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { diffPage } from './pages/diff-page.js';
import { pageNameWarnings } from './pages/shell.js';
import { prepare, type PreparedModel } from './prepare.js';
import type { DiffReport, FeatureDistance, FeatureInfoDifference, FeatureInfoSide } from './report/diff-records.js';
import { diffWords, ROUNDING } from './report/diff-words.js';
import { assertNoWarnings } from './report/strict.js';
import type { PlannedOutput } from './rewrite/plan.js';
import type { RunnerOptions } from './runner.js';
import { toFloat32 } from './tensors/convert.js';
import { cutWarnings } from './tensors/text-inputs.js';
import { VERSION } from './version.js';
import { BufferSource } from './wire/source.js';
import { writeFile } from './wire/sink.js';
import { resolveTarget } from './wire/target.js';

/** What `diff` takes: the options of the table, and what only a program can give. */
export type DiffOptions = OptionsOf<'diff'> &
  Pick<RunnerOptions, 'fileSystem' | 'resolve'> & {
    /** What the models are called in the report; their paths by default. */
    readonly names?: readonly [a: string, b: string];
  };

/**
 * What two models have in common and where they part: nodes, weights by digest, FeatureInfo; and with inputs, how far
 * each feature of one is from that of the other.
 * @throws what `run` throws; UsageError if the models do not have as many selected features
 */
export async function diff(
  a: string | Uint8Array,
  b: string | Uint8Array,
  options: DiffOptions = {},
): Promise<DiffReport> {
  return called('diff', options, () => compare(a, b, options));
}

async function compare(a: string | Uint8Array, b: string | Uint8Array, options: DiffOptions): Promise<DiffReport> {
  const started = performance.now();
  const { output, names, remote, inputs = [], texts = [] } = options;
  const reads = [a, b].flatMap((input) => localPath(input) ?? []);
  const target = output === undefined ? null : await resolveTarget(output, reads, { ...options, inPlace: false });
  const graphs = await compareGraphs(a, b, options);
  const runs = inputs.length + texts.length === 0 ? null : await compareRuns(a, b, options);
  const named = target === null ? [] : pageNameWarnings(target);
  const warnings = [...new Set([...graphs.warnings, ...(runs?.warnings ?? []), ...named])];
  const name = names ?? [inputName(a, remote), inputName(b, remote)];
  if (options.strict) assertNoWarnings(warnings, name[0] ?? undefined);
  const features = runs?.features ?? null;
  const parting = features?.find(
    ({ relative_error: error, reason }) => reason !== undefined || error === null || !(error <= ROUNDING),
  );
  const { nodes, weights, feature_info: info } = graphs;
  const isSame =
    nodes.same_graph &&
    [nodes.only_a, nodes.only_b, weights.differences].every(({ length }) => length === 0) &&
    info.every(({ equal }) => equal) &&
    (features ?? []).every(({ largest_difference: largest }) => largest === 0);
  const report: DiffReport = {
    schema: 1,
    command: 'diff',
    featx: VERSION,
    a: name[0],
    b: name[1],
    equal: isSame,
    says: diffWords({ nodes, weights, feature_info: info, features, parts_at: parting?.a ?? null }),
    nodes,
    weights,
    feature_info: info,
    features,
    parts_at: parting?.a ?? null,
    entries: runs?.entries ?? 0,
    output: target,
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
  const worded = { ...report, warnings: report.warnings.map((text) => options.inWords?.(text) ?? text) };
  if (target !== null)
    await writeFile(new BufferSource(new Uint8Array(0)), [new TextEncoder().encode(diffPage(worded))], target, options);
  return report;
}

async function compareGraphs(
  a: string | Uint8Array,
  b: string | Uint8Array,
  {
    inputs: _inputs,
    texts: _texts,
    select: _select,
    out: _out,
    last: _last,
    embedding: _embedding,
    ...options
  }: DiffOptions,
): Promise<Pick<DiffReport, 'nodes' | 'weights' | 'feature_info' | 'warnings'>> {
  const opening = { ...options, isListing: true };
  await using mine = await prepare(a, opening);
  await using yours = await prepare(b, opening);
  return {
    nodes: await nodesDiff(mine.model, yours.model),
    weights: await weightsDiff(mine, yours),
    feature_info: infoDiff(mine, yours),
    warnings: [...mine.warnings, ...yours.warnings],
  };
}

function infoDiff({ resolution: a }: PreparedModel, { resolution: b }: PreparedModel): FeatureInfoDifference[] {
  const side = (features: typeof a.features, index: number): FeatureInfoSide | null => {
    const feature = features.find((each) => each.index === index);
    if (feature === undefined) return null;
    const { module, numChs, reduction, tensor } = feature;
    return { module, num_chs: numChs, reduction, tensor };
  };
  const indices = new Set([...a.features, ...b.features].map(({ index }) => index));
  return [...indices].map((index) => {
    const [mine, yours] = [side(a.features, index), side(b.features, index)];
    const equal =
      mine?.module === yours?.module && mine?.num_chs === yours?.num_chs && mine?.reduction === yours?.reduction;
    return { index, a: mine, b: yours, equal };
  });
}

interface RunsDiff {
  readonly features: readonly FeatureDistance[];
  readonly entries: number;
  readonly warnings: readonly string[];
}

async function compareRuns(a: string | Uint8Array, b: string | Uint8Array, options: DiffOptions): Promise<RunsDiff> {
  await using mine = await EntryRuns.open(a, options);
  await using yours = await EntryRuns.open(b, options);
  const [one, other] = [mine.runner.features, yours.runner.features];
  if (one.length !== other.length)
    throw new UsageError(`A has ${one.length} selected features and B ${other.length}`, {
      hint: 'select those that are to be compared, in the order of both',
    });
  const pairs = one.map((feature, at) => new Pair(feature, other[at]));
  const rest: AsyncGenerator<EntryRun, void> = yours.entries();
  let entries = 0;
  for await (const entry of mine.entries()) {
    const match = await rest.next();
    if (match.done) break;
    for (const pair of pairs) pair.add(entry, match.value);
    entries++;
  }
  await rest.return();
  return {
    features: pairs.map((pair) => pair.result()),
    entries,
    warnings: [mine, yours].flatMap(({ runner, plan }) => [
      ...runner.warnings,
      ...plan.warnings,
      ...(plan.text === null ? [] : cutWarnings(plan.text.tokenizer)),
    ]),
  };
}

/** Cells a side, and samples in all, that a kernel alignment is of. */
const LARGEST_COMPARED = 32;
const MOST_SAMPLES = 4096;

/** A feature of both models. */
class Pair {
  private readonly sum = new DistanceSum();
  private readonly samples: { readonly a: Matrix[]; readonly b: Matrix[] } = { a: [], b: [] };
  private count = 0;
  private reason: string | undefined;
  private isAligned = true;

  constructor(
    private readonly a: PlannedOutput,
    private readonly b: PlannedOutput,
  ) {}

  add(mine: EntryRun, yours: EntryRun): void {
    const [one, other] = [mine.values.get(this.a.output), yours.values.get(this.b.output)];
    if (one === undefined || other === undefined) return;
    const [x, y] = [toFloat32(one), toFloat32(other)];
    if (String(one.shape) === String(other.shape)) this.sum.add(x, y);
    else this.reason = `[${one.shape.join(', ')}] and [${other.shape.join(', ')}] are not of one shape`;
    const [p, q] = [featureMap(x, one.shape, this.a), featureMap(y, other.shape, this.b)];
    if (p.height !== q.height || p.width !== q.width) this.isAligned = false;
    else if (this.count < MOST_SAMPLES) {
      const cells = pooled(p, LARGEST_COMPARED).cells;
      this.samples.a.push(cells);
      this.samples.b.push(pooled(q, LARGEST_COMPARED).cells);
      this.count += cells.rows;
    }
  }

  result(): FeatureDistance {
    const { cosine, relativeError, largestDifference } = this.sum.result();
    const known = this.reason === undefined;
    return {
      a: this.a.output,
      b: this.b.output,
      cosine: known ? cosine : null,
      cka: this.isAligned && this.count > 1 ? linearCka(stacked(this.samples.a), stacked(this.samples.b)) : null,
      relative_error: known ? relativeError : null,
      largest_difference: known ? largestDifference : null,
      ...(known ? {} : { reason: this.reason }),
    };
  }
}

function stacked(parts: readonly Matrix[]): Matrix {
  const columns = parts[0].columns;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const values = new Float64Array(rows * columns);
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at);
    at += part.values.length;
  }
  return { rows, columns, values };
}
