import { basename, dirname, join } from 'node:path';
import type { CutFileOptions } from './cut-files.js';
import { UsageError } from './errors.js';
import { findBeginnings } from './features/beginnings.js';
import { fingerprint } from './onnx/fingerprint.js';
import { isInitializer } from './onnx/graph.js';
import { dataTypeOf, tensorBytes, type TensorTypes } from './onnx/types.js';
import type { Measure } from './options/choices.js';
import { assertPath, called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import { inputName, localPath } from './open.js';
import { prepare, type PreparedModel, type PrepareOptions } from './prepare.js';
import type { CutRecord, PartRecord, SplitManifest, SplitReport } from './report/split-records.js';
import { assertNoWarnings } from './report/strict.js';
import { inEqualParts, inPartsUpTo, weightsBehind, type Division } from './rewrite/balance.js';
import { flopCosts, nodeCosts, weightBytes, weightCosts } from './rewrite/costs.js';
import {
  cutAt,
  divisible,
  frontierBefore,
  partsOf,
  type BytesOf,
  type Divisible,
  type Levels,
  type PartPlan,
} from './rewrite/partition.js';
import { planRewrite, type Plan } from './rewrite/plan.js';
import { DEFAULT_PLAN } from './rewrite/tap.js';
import { randomNodes } from './runtime/seeds.js';
import { writeFile } from './wire/sink.js';
import { BufferSource } from './wire/source.js';
import { plainTap, writePlan } from './write-plan.js';
import { resolveTarget } from './wire/target.js';

/** What `split` takes: the options of the table, and what only a program can give. */
export type SplitOptions = OptionsOf<'split'> &
  Pick<PrepareOptions, 'resolve'> &
  Pick<CutFileOptions, 'fileSystem' | 'onProgress'>;

/**
 * Splits a model into parts that one after the other compute what it computes, and writes a manifest that says how they
 * go together.
 * @param output template of the parts' files, with `{part}`; null for `{name}.{part}.onnx` beside the model
 * @throws UsageError, ResolveError, ModelFormatError, PolicyError, IoError
 */
export async function split(input: string, output: string | null, options: SplitOptions): Promise<SplitReport> {
  return called('split', options, () => splitInto(input, output, options));
}

async function splitInto(input: string, output: string | null, options: SplitOptions): Promise<SplitReport> {
  const started = performance.now();
  assertPath('the model', input);
  if (localPath(input) === null)
    throw new UsageError(`${inputName(input) ?? ''} is behind a URL: split reads a file`, {
      code: 'FEATX_USAGE_SPLIT',
      hint: 'fetch it first',
    });
  assertOneWay(options);
  const name = basename(input).replace(/\.onnx$/i, '');
  const template = (output ?? join(dirname(input), '{name}.{part}.onnx')).replaceAll('{name}', name);
  if (!basename(template).includes('{part}'))
    throw new UsageError(`the output '${template}' has no {part}: every part needs a file of its own`, {
      code: 'FEATX_USAGE_TEMPLATE',
      hint: 'such as parts/{name}.{part}.onnx',
    });
  await using prepared = await prepare(input, { ...options, typesOfAll: true, isListing: true });
  const { model, view, types, warnings, warn } = prepared;
  const bytesOf = bytesOfTensors(types.nominal);
  const { seeded, beyond } = randomNodes(view, view.outputs.keys(), () => null);
  const graph = divisible(view, bytesOf, new Set([...seeded, ...beyond]));
  assertDivisible(prepared);
  const cut = divide(prepared, graph, options);
  const parts = partsOf(graph, cut.levels, cut.count);
  const files = parts.map((_part, index) => template.replaceAll('{part}', String(index + 1)));
  const manifest = await resolveTarget(join(dirname(template), `${name}.split.json`), [input, ...files], options);
  for (const file of files) await resolveTarget(file, [input], { ...options, inPlace: false });
  const records: PartRecord[] = [];
  for (const [index, part] of parts.entries()) records.push(await writePart(prepared, part, files[index], options));
  const content: SplitManifest = {
    schema: 1,
    model: { file: basename(input), size_bytes: model.source.size, fingerprint: await fingerprint(model) },
    outputs: [...view.outputs.keys()],
    parts: records,
    cuts: cutRecords(parts, cut.names, types.types, bytesOf),
    shared_weights: sharedWeights(graph, cut.levels),
  };
  if (cut.imbalance !== null && cut.imbalance > BALANCED)
    warn(`the largest part is ${cut.imbalance.toFixed(2)} times as large as one of equal parts${heaviest(graph)}`);
  if (options.strict) assertNoWarnings(warnings, input);
  if (options.dryRun !== true) await writeManifest(manifest, content, options);
  const { model: _model, ...rest } = content;
  return {
    command: 'split',
    input: options.name ?? input,
    manifest,
    ...rest,
    weights: options.weights ?? 'keep',
    imbalance: cut.imbalance,
    verified: null,
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

const BALANCED = 1.25;

/** @throws UsageError unless exactly one way is given */
function assertOneWay({ at, parts, maxBytes, by }: SplitOptions): void {
  const given = [at, parts, maxBytes].filter((way) => way !== undefined).length;
  if (given !== 1)
    throw new UsageError(given === 0 ? 'nothing says where to split' : 'several options say where to split', {
      code: 'FEATX_USAGE_SPLIT',
      hint: `give one of ${option('at')}, ${option('parts')} and ${option('maxBytes')}`,
    });
  if (by !== undefined && parts === undefined)
    throw new UsageError(`${option('by', by)} is for ${option('parts')}`, { code: 'FEATX_USAGE_SPLIT' });
}

/** @throws UsageError for outputs that no part makes */
function assertDivisible({ view }: PreparedModel): void {
  const given = [...view.outputs.keys()].filter((name) => !view.producerOf.has(name));
  if (given.length === 0) return;
  throw new UsageError(
    `${given.map((name) => `'${name}'`).join(', ')}: an output that is an input or a weight leaves no part`,
    { code: 'FEATX_SPLIT_OUTPUT', hint: 'cut the other outputs out first' },
  );
}

interface Divided {
  readonly levels: Levels;
  readonly count: number;
  /** What the cuts were asked for; empty where the places were found. */
  readonly names: readonly string[];
  readonly imbalance: number | null;
}

function divide(
  { view, types, resolution }: PreparedModel,
  graph: Divisible,
  { at, parts, by = 'bytes', maxBytes, ...select }: SplitOptions,
): Divided {
  if (at !== undefined) {
    const found = findBeginnings(view, types, resolution, at, select, 'at');
    const byName = new Map<string, string[]>();
    for (const { name, tensor } of found) byName.set(name, [...(byName.get(name) ?? []), tensor]);
    const { levels, points } = cutAt(
      graph,
      [...byName].map(([name, tensors]) => ({ name, tensors })),
    );
    return { levels, count: points.length + 1, names: points.map(({ name }) => name), imbalance: null };
  }
  if (maxBytes !== undefined) return upTo(graph, maxBytes);
  const division = inEqualParts(graph, costsBy(graph, by, types.nominal), parts ?? 2);
  if (division === null)
    throw new UsageError(`the model has no ${parts} parts: ${graph.nodes.length} nodes depend on its inputs`, {
      code: 'FEATX_SPLIT_EMPTY',
      hint: 'ask for fewer',
    });
  return asDivided(division);
}

function asDivided({ levels, count, imbalance }: Division): Divided {
  return { levels, count, names: [], imbalance };
}

function costsBy(graph: Divisible, by: Measure, types: TensorTypes): ReturnType<typeof nodeCosts> {
  if (by === 'nodes') return nodeCosts(graph);
  return by === 'flops' ? flopCosts(graph, types) : weightCosts(graph, false);
}

/** @throws UsageError if one node needs more, or nothing need be split */
function upTo(graph: Divisible, most: number): Divided {
  const costs = weightCosts(graph, true);
  const large = graph.nodes.filter((node) => (costs.get(node) ?? 0) > most);
  if (large.length > 0)
    throw new UsageError(
      `no part can take ${most} bytes at most: node[${large[0].index}] ${large[0].opType} alone reads ${costs.get(large[0])} bytes of weights`,
      { code: 'FEATX_SPLIT_WEIGHT', hint: `raise ${option('maxBytes')}` },
    );
  const division = inPartsUpTo(graph, costs, most);
  if (division === null || division.count === 1)
    throw new UsageError(`the weights of the model take no more than ${most} bytes: there is nothing to split`, {
      code: 'FEATX_SPLIT_EMPTY',
      hint: `lower ${option('maxBytes')}, or ask for ${option('parts', 2)}`,
    });
  return { ...asDivided(division), imbalance: null };
}

function bytesOfTensors(types: TensorTypes): BytesOf {
  return (name) => knownBytes(types, name) ?? UNKNOWN_BYTES;
}

/** What is not known is taken for large. */
const UNKNOWN_BYTES = 2 ** 32;

function knownBytes(types: TensorTypes, name: string): number | null {
  const type = types.get(name);
  const dims = type?.shape ?? null;
  if (type === undefined || dims === null || !dims.every((dim): dim is number => typeof dim === 'number')) return null;
  return tensorBytes({ dims, dataType: dataTypeOf(type.dtype ?? '') });
}

/** The weight that no division can share out. */
function heaviest(graph: Divisible): string {
  const weightsOf = weightsBehind(graph);
  const names = new Set(graph.nodes.flatMap((node) => [...weightsOf(node)]));
  const [largest] = [...names]
    .map((name) => [name, weightBytes(graph.view, name)] as const)
    .sort((a, b) => b[1] - a[1]);
  return largest === undefined ? '' : `; its largest weight is '${largest[0]}' of ${largest[1]} bytes`;
}

async function writePart(
  prepared: PreparedModel,
  part: PartPlan,
  target: string,
  options: SplitOptions,
): Promise<PartRecord> {
  const written = await writePlan(prepared, planPart(prepared, part), target, options);
  return {
    ...written,
    inputs: part.inputs.map(({ name, from }) => ({ name, from: from === null ? 'model' : from + 1 })),
    outputs: part.outputs,
  };
}

/** A part as a cut: it begins at what other parts make, and gives what they read. */
function planPart({ view, types }: PreparedModel, { inputs, outputs }: PartPlan): Plan {
  const taps = outputs.map((tensor) => plainTap(types.types, tensor));
  const from = inputs.flatMap(({ name: tensor, from: made }) =>
    made === null ? [] : [{ name: tensor, tensor, module: null, index: null, group: null }],
  );
  return planRewrite(view, types.types, taps, {
    ...DEFAULT_PLAN,
    mode: 'list',
    from,
    keepInputs: true,
    foldShapes: false,
  });
}

function cutRecords(
  parts: readonly PartPlan[],
  names: readonly string[],
  types: TensorTypes,
  bytesOf: BytesOf,
): readonly CutRecord[] {
  return parts.slice(1).map((_part, index) => ({
    at: names[index] ?? null,
    frontier: frontierBefore(parts, index + 1).map((tensor) => {
      const type = types.get(tensor);
      const bytes = bytesOf(tensor);
      return {
        tensor,
        dtype: type?.dtype ?? null,
        shape: type?.shape ?? null,
        bytes: bytes === UNKNOWN_BYTES ? null : bytes,
      };
    }),
  }));
}

function sharedWeights(graph: Divisible, levels: Levels): SplitManifest['shared_weights'] {
  const weightsOf = weightsBehind(graph);
  const partsOfWeight = new Map<string, Set<number>>();
  for (const node of graph.nodes)
    for (const name of weightsOf(node))
      partsOfWeight.set(name, (partsOfWeight.get(name) ?? new Set()).add(levels.get(node) ?? 0));
  const shared = [...partsOfWeight].filter(([name, parts]) => parts.size > 1 && isInitializer(graph.view, name));
  return { count: shared.length, bytes: shared.reduce((bytes, [name]) => bytes + weightBytes(graph.view, name), 0) };
}

async function writeManifest(path: string, manifest: SplitManifest, options: SplitOptions): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
  await writeFile(new BufferSource(bytes), [{ start: 0, end: bytes.length }], path, {
    fileSystem: options.fileSystem,
    noClobber: options.noClobber,
    follow: options.follow,
    signal: options.signal,
  });
}
