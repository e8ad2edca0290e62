import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeatxError } from '../../errors.js';
import { extract, type ExtractOptions } from '../../extract.js';
import { indexModel } from '../../onnx/model.js';
import { nodeFileSystem, type FileSystem } from '../../wire/fs.js';
import { encodeModel } from '../model-builder.js';
import { value, type GraphSpec, type NodeSpec } from '../model-spec.js';
import { seededRandom } from '../random.js';
import { Dice } from './dice.js';
import { bytesOfTensor, EXOTIC, Refused, runModel, type RunValue } from './oracle.js';
import { randomGraph, type RandomGraph } from './random-graph.js';

/** Cuts of random graphs against the values that ONNX Runtime gives for the same tensors of the whole graph. */

/** Counts over cuts of random graphs. */
export interface CutTally {
  graphs: number;
  cuts: number;
  /** Outputs of cuts that were compared bit for bit, and those of them that were the graph's own. */
  compared: number;
  own: number;
  /** Values that differ between two runs of one graph. */
  unsteady: number;
  /** Values that ONNX Runtime writes over in the whole graph. */
  overwritten: number;
  /** Cuts of tensors that ONNX Runtime refuses to give, cut or not: it inserts casts around float16, and trips. */
  refused: number;
  /** Cuts by mode and weights mode. */
  readonly ways: Record<string, number>;
  readonly differences: string[];
}

/** A tally of nothing. */
export function newCutTally(): CutTally {
  return {
    graphs: 0,
    cuts: 0,
    compared: 0,
    own: 0,
    unsteady: 0,
    overwritten: 0,
    refused: 0,
    ways: {},
    differences: [],
  };
}

type Mode = Pick<ExtractOptions, 'mode' | 'rewrite' | 'keepOutputs'>;

const MODES: { readonly [name: string]: Mode } = {
  dict: { mode: 'dict' },
  list: { mode: 'list' },
  hook: { mode: 'hook' },
  'hook --rewrite': { mode: 'hook', rewrite: true },
  'keep-outputs': { mode: 'dict', keepOutputs: true },
};
const WEIGHTS = ['keep', 'embed', 'external', 'reference'] as const;

/** The real file system, which does not wait for the disk: nothing here is worth keeping. */
export const UNSYNCED: FileSystem = {
  ...nodeFileSystem,
  open: async (path, flags, mode) => {
    const handle = await nodeFileSystem.open(path, flags, mode);
    return {
      read: (buffer, position) => handle.read(buffer, position),
      write: (buffer, position) => handle.write(buffer, position),
      stat: () => handle.stat(),
      chmod: (mode_) => handle.chmod(mode_),
      truncate: (size) => handle.truncate(size),
      sync: async () => undefined,
      close: () => handle.close(),
    };
  },
};

/**
 * Cuts one random graph in every mode, and in every weights mode in turn; the same for the same seed. In every fourth
 * graph each mode meets each weights mode.
 */
export async function checkCuts(seed: number, tally: CutTally, cutter: typeof extract = extract): Promise<void> {
  const graph = randomGraph(seed);
  const dice = new Dice(seededRandom(seed + 7));
  const taps = tapsOf(graph, dice);
  if (taps.length === 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'featx-cuts-'));
  try {
    const path = join(folder, 'model.onnx');
    writeFileSync(path, encodeModel(graph.spec, graph.style));
    tally.graphs++;
    const truth = new Truth(graph, taps);
    for (const [at, [name, mode]] of Object.entries(MODES).entries()) {
      const weights = WEIGHTS[(seed + at) % WEIGHTS.length];
      const way = `${name}, ${weights}`;
      const result = join(folder, `${at}.onnx`);
      const problem = await problemOf(graph, truth, { path, result, folder, taps, mode, weights, cutter }, tally);
      tally.cuts++;
      tally.ways[way] = (tally.ways[way] ?? 0) + 1;
      if (problem !== null) tally.differences.push(`seed ${seed}, ${way}, of ${JSON.stringify(taps)}: ${problem}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Cut {
  readonly path: string;
  readonly result: string;
  readonly folder: string;
  readonly taps: readonly string[];
  readonly mode: Mode;
  readonly weights: (typeof WEIGHTS)[number];
  readonly cutter: typeof extract;
}

/** One to three values that leave the graph: mostly of nodes, some outputs of the graph or inputs. */
function tapsOf({ values, spec }: RandomGraph, dice: Dice): readonly string[] {
  const made = new Set((spec.graph.nodes ?? []).flatMap(({ outputs = [] }) => outputs));
  const candidates = values.filter(({ name }) => name !== '' && (made.has(name) || dice.chance(0.1)));
  const count = Math.min(dice.int(1, 3), candidates.length);
  return [...new Set(Array.from({ length: count }, () => dice.pick(candidates).name))];
}

/** Further runs of a whole graph before a value of it is taken for steady: some kernels are, most of the time. */
const MORE_RUNS = 8;

async function problemOf(graph: RandomGraph, truth: Truth, cut: Cut, tally: CutTally): Promise<string | null> {
  const { path, result, folder, taps, mode, weights, cutter } = cut;
  let features;
  try {
    ({ features } = await cutter(path, result, {
      select: taps.map((name) => ({ by: 'tensor', name: escaped(name) })),
      ...mode,
      weights,
      isolate: false,
      fileSystem: UNSYNCED,
    }));
  } catch (error) {
    if (error instanceof FeatxError) return `${error.code}: ${error.message}`;
    throw error;
  }
  const keepsOwn = (mode.mode === 'hook' && mode.rewrite !== true) || mode.keepOutputs === true;
  const wanted = truth.of(keepsOwn, mode.mode !== 'hook' || mode.rewrite === true);
  if (wanted === null && !truth.isHalf) {
    tally.refused++;
    return null;
  }
  const bytes = new Uint8Array(readFileSync(result));
  const twice = await declaredTwice(bytes);
  if (twice.length > 0) return `declared as values and as outputs: ${twice.join(', ')}`;
  let got: ReadonlyMap<string, RunValue>;
  try {
    got = runModel(bytes, graph.feeds, folder);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (wanted === null) {
      tally.refused++;
      return null;
    }
    return `the cut does not run: ${error.message}`;
  }
  if (wanted === null) return 'the cut runs, and the same nodes without it do not';
  const own = keepsOwn ? truth.own : [];
  const pairs = [
    ...features.map(({ tensor, output }) => [tensor, output] as const),
    ...own.map((name) => [name, name] as const),
  ];
  tally.compared += pairs.length;
  tally.own += own.length;
  const names = new Set(pairs.map(([, output]) => output));
  for (const name of got.keys()) if (!names.has(name)) return `an output '${name}' that nobody asked for`;
  for (const [tensor, output] of pairs) {
    const [before, after] = [wanted.get(tensor), got.get(output)];
    if (before === undefined) return `'${tensor}' is not there in the whole graph`;
    if (after === undefined) return `no output '${output}'`;
    if (isSame(before, after)) continue;
    const again = (): RunValue | undefined =>
      truth.again(keepsOwn, mode.mode !== 'hook' || mode.rewrite === true)?.get(tensor);
    if (Array.from({ length: MORE_RUNS }, again).some((value) => !isSame(before, value))) {
      tally.unsteady++;
      continue;
    }
    if (isOverwritten(graph.spec.graph, tensor)) {
      tally.overwritten++;
      continue;
    }
    return `'${output}' is ${textOf(after)}, in the whole graph ${textOf(before)}`;
  }
  return null;
}

/**
 * Whether a BatchNormalization in training reads a Constant as its statistics: ONNX Runtime writes the new ones over
 * it, in whatever else reads it too.
 */
function isOverwritten({ nodes = [] }: GraphSpec, name: string): boolean {
  const isConstant = nodes.some(({ op, outputs = [] }) => op === 'Constant' && outputs.map(String).includes(name));
  return (
    isConstant &&
    nodes.some(
      ({ op, inputs = [], attributes = {} }) =>
        op === 'BatchNormalization' && 'training_mode' in attributes && inputs.slice(3, 5).map(String).includes(name),
    )
  );
}

/** Outputs that value_info speaks of too. */
async function declaredTwice(bytes: Uint8Array): Promise<readonly string[]> {
  await using model = await indexModel(bytes);
  const outputs = new Set(model.graph.outputs.map(({ name }) => name));
  return model.graph.valueInfo.map(({ name }) => name).filter((name) => outputs.has(name));
}

/**
 * Values of the whole graph with the taps among its outputs, or with nothing but them: float16 is rounded where a
 * tensor leaves a graph, and so what leaves it must be the same. ONNX Runtime's CPU calculates float16 in float32, and
 * where it rounds depends on every reader of a tensor: with float16 the nodes must be the same too.
 */
class Truth {
  readonly own: readonly string[];
  private readonly known = new Map<string, ReadonlyMap<string, RunValue> | null>();
  readonly isHalf: boolean;

  constructor(
    private readonly graph: RandomGraph,
    private readonly taps: readonly string[],
  ) {
    this.own = (graph.spec.graph.outputs ?? []).map(({ name }) => String(name));
    this.isHalf =
      JSON.stringify(graph.spec).includes('"float16"') || graph.values.some(({ dtype }) => dtype === 'float16');
  }

  /**
   * Null if ONNX Runtime refuses these outputs: it inserts casts around float16, and trips over some; it inlines
   * functions, and names may meet then.
   */
  of(keepsOwn: boolean, isPruned: boolean): ReadonlyMap<string, RunValue> | null {
    const key = `${keepsOwn} ${isPruned && this.isHalf}`;
    const before = this.known.get(key);
    if (before !== undefined) return before;
    const values = this.again(keepsOwn, isPruned);
    this.known.set(key, values);
    return values;
  }

  again(keepsOwn: boolean, isPruned: boolean): ReadonlyMap<string, RunValue> | null {
    const { spec, style, feeds } = this.graph;
    const names = [...new Set([...(keepsOwn ? this.own : []), ...this.taps])];
    const nodes = isPruned && this.isHalf ? neededBy(spec.graph, names) : spec.graph.nodes;
    const outputs = names.map((name) => value(name, null, null));
    try {
      return runModel(encodeModel({ ...spec, graph: { ...spec.graph, nodes, valueInfo: [], outputs } }, style), feeds);
    } catch (error) {
      if (error instanceof Refused) return null;
      throw error;
    }
  }
}

/** The nodes that tensors need, found without any of the code under test. */
export function neededBy({ nodes = [] }: GraphSpec, names: readonly string[]): readonly NodeSpec[] {
  const wanted = new Set(names);
  return nodes
    .toReversed()
    .filter((node) => {
      if (!(node.outputs ?? []).some((name) => wanted.has(String(name)))) return false;
      for (const name of mentionedBy(node)) wanted.add(name);
      return true;
    })
    .toReversed();
}

/** What a node and the bodies in it read. */
export function mentionedBy({ inputs = [], attributes = {} }: NodeSpec): readonly string[] {
  const bodies = Object.values(attributes).flatMap((attribute) => ('graph' in attribute ? [attribute.graph] : []));
  const inner = bodies.flatMap(({ nodes = [], outputs = [] }) => [
    ...nodes.flatMap(mentionedBy),
    ...outputs.map(({ name }) => String(name)),
  ]);
  return [...inputs.map(String), ...inner];
}

/** A name as a pattern that stands for nothing else. */
export function escaped(name: string): string {
  return name.replace(/[\\*?]/g, '\\$&');
}

export function isSame(a: RunValue, b: RunValue | undefined): boolean {
  if (b === undefined) return false;
  if (a === 'not a tensor' || b === 'not a tensor') return a === b;
  // What no runtime gives back leaves a cut as float32, which holds it exactly.
  if (EXOTIC.includes(a.dtype) && b.dtype === 'float32')
    return (
      a.dims.join() === b.dims.join() &&
      Array.from(a.data as Iterable<number>).every((number, at) => Object.is(number + 0, Number(b.data[at]) + 0))
    );
  return (
    a.dtype === b.dtype && a.dims.join() === b.dims.join() && Buffer.compare(bytesOfTensor(a), bytesOfTensor(b)) === 0
  );
}

export function textOf(seen: RunValue): string {
  if (seen === 'not a tensor') return seen;
  const { dtype, dims, data } = seen;
  return `${dtype}[${dims.join(',')}] ${Array.from(data as Iterable<unknown>)
    .slice(0, 6)
    .map(String)
    .join(' ')}`;
}
