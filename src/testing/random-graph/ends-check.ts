import { Tensor } from 'onnxruntime-node';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { FeatxError } from '../../errors.js';
import { extract } from '../../extract.js';
import { inspect } from '../../inspect.js';
import type { SplitManifest } from '../../report/split-records.js';
import { split } from '../../split.js';
import { encodeModel } from '../model-builder.js';
import { value } from '../model-spec.js';
import { seededRandom } from '../random.js';
import { escaped, isSame, mentionedBy, neededBy, textOf, UNSYNCED } from './cut-check.js';
import { Dice } from './dice.js';
import { EXOTIC, Refused, runModel, type Feeds, type RunTensor, type RunValue } from './oracle.js';
import { randomGraph, type RandomGraph } from './random-graph.js';

/** Both ends of cuts of random graphs: parts, beginnings and sizes against the whole graph. */

/** Counts over trips through random graphs, by what was done and what came of it. */
export interface EndsTally {
  graphs: number;
  readonly trips: Record<string, number>;
  readonly differences: string[];
}

/** A tally of nothing. */
export function newEndsTally(): EndsTally {
  return { graphs: 0, trips: {}, differences: [] };
}

/** Refusals that a random tensor may meet: a trip is right, refused, or wrong. */
const REFUSALS =
  /^FEATX_(SPLIT_(EMPTY|POINT|OUTPUT|ORDER)|FROM_(UNCOVERED|UNUSED|TYPE)|DIM_BAKED|USAGE_DIM|DIM_UNKNOWN)$/;

const NOT_JUDGED = 'not judged';

type Values = ReadonlyMap<string, RunValue>;

/**
 * Splits a random graph at random tensors, begins at them, and gives its symbols the numbers of a run; the same for the
 * same seed. Float16 is left aside: ONNX Runtime's CPU rounds it where a tensor leaves a graph.
 */
export async function checkEnds(seed: number, tally: EndsTally): Promise<void> {
  const graph = withMoreOutputs(randomGraph(seed));
  const dice = new Dice(seededRandom(seed + 11));
  const places = placesOf(graph, dice);
  const isRounded =
    graph.values.some(({ dtype }) => dtype === 'float16' || (dtype !== null && EXOTIC.includes(dtype))) ||
    JSON.stringify(graph.spec).includes('"float16"');
  if (places.length === 0 || isRounded) return;
  const folder = mkdtempSync(join(tmpdir(), 'featx-ends-'));
  try {
    const path = join(folder, 'model.onnx');
    writeFileSync(path, encodeModel(graph.spec, graph.style));
    const trips = new Trips(graph, path, folder, places, dice.chance(0.6));
    if (trips.whole === null) return;
    tally.graphs++;
    for (const kind of ['split', 'from', 'dim'] as const) {
      const found = await outcome(() => trips[kind]());
      const isRefused = found?.startsWith('FEATX_') === true;
      const what = found === null ? 'right' : isRefused ? `refused (${found})` : found === NOT_JUDGED ? found : 'wrong';
      tally.trips[`${kind}: ${what}`] = (tally.trips[`${kind}: ${what}`] ?? 0) + 1;
      if (what === 'wrong') tally.differences.push(`seed ${seed}, ${kind} at ${JSON.stringify(places)}: ${found}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function outcome(trip: () => Promise<string | null>): Promise<string | null> {
  try {
    return await trip();
  } catch (error) {
    if (error instanceof Refused) return `does not run: ${error.message}`;
    if (!(error instanceof FeatxError)) throw error;
    return REFUSALS.test(error.code) ? error.code : `is refused, ${error.code}: ${error.message}`;
  }
}

/** The graph with the last values that its inputs lead to as outputs too: its own often depend on none. */
function withMoreOutputs(graph: RandomGraph): RandomGraph {
  const { spec, values } = graph;
  const { nodes = [], inputs = [], outputs = [] } = spec.graph;
  const fed = new Set(inputs.map(({ name }) => String(name)));
  for (const node of nodes)
    if (mentionedBy(node).some((name) => fed.has(name))) for (const name of node.outputs ?? []) fed.add(String(name));
  const given = new Set([...inputs, ...outputs].map(({ name }) => String(name)));
  const more = values
    .filter(({ name, dtype }) => dtype !== null && name !== '' && fed.has(name) && !given.has(name))
    .slice(-3);
  const all = [...outputs, ...more.map(({ name }) => value(name, null, null))];
  return { ...graph, spec: { ...spec, graph: { ...spec.graph, outputs: all } } };
}

/** One or two tensors between the inputs and the outputs, mostly. */
function placesOf({ values, spec }: RandomGraph, dice: Dice): readonly string[] {
  const { graph } = spec;
  const fed = new Set((graph.inputs ?? []).map(({ name }) => String(name)));
  const own = (graph.outputs ?? []).map(({ name }) => String(name));
  const between = new Set<string>();
  for (const node of neededBy(graph, own)) {
    if (!mentionedBy(node).some((name) => fed.has(name))) continue;
    for (const name of (node.outputs ?? []).map(String)) {
      fed.add(name);
      if (!own.includes(name) || dice.chance(0.1)) between.add(name);
    }
  }
  const candidates = values.filter(({ name, dtype }) => dtype !== null && between.has(name));
  const count = Math.min(dice.int(1, 2), candidates.length);
  return [...new Set(Array.from({ length: count }, () => dice.pick(candidates).name))];
}

function feedOfValue({ dtype, data, dims }: RunTensor): Feeds[string] {
  return new Tensor(dtype as 'float32', data as Float32Array, dims);
}

class Trips {
  /** Null if ONNX Runtime refuses the graph, or gives other values every time. */
  readonly whole: Values | null;

  constructor(
    private readonly graph: RandomGraph,
    private readonly path: string,
    private readonly folder: string,
    private readonly places: readonly string[],
    /** Whether inputs may go round the places. */
    private readonly keepsInputs: boolean,
  ) {
    this.whole = this.steady();
  }

  private steady(): Values | null {
    const bytes = new Uint8Array(readFileSync(this.path));
    try {
      const [one, other] = [runModel(bytes, this.graph.feeds), runModel(bytes, this.graph.feeds)];
      return [...one].every(([name, value]) => isSame(value, other.get(name))) ? one : null;
    } catch (error) {
      if (error instanceof Refused) return null;
      throw error;
    }
  }

  async split(): Promise<string | null> {
    const { manifest } = await split(this.path, join(this.folder, 'part.{part}.onnx'), {
      at: this.places,
      isolate: false,
      fileSystem: UNSYNCED,
    });
    const { parts, cuts } = JSON.parse(readFileSync(manifest, 'utf8')) as SplitManifest;
    // JavaScript has no sequences and no optional values to hand on.
    if (cuts.some(({ frontier }) => frontier.some(({ dtype }) => dtype === null))) return NOT_JUDGED;
    const known = new Map<string, RunValue>();
    for (const { file } of parts) for (const [name, value] of this.run(file, known)) known.set(name, value);
    return this.difference(known);
  }

  /** A cut of the tensors, and what begins at them. */
  async from(): Promise<string | null> {
    const [cut, rest] = [join(this.folder, 'cut.onnx'), join(this.folder, 'rest.onnx')];
    const options = { isolate: false, fileSystem: UNSYNCED } as const;
    const select = this.places.map((name) => ({ by: 'tensor' as const, name: escaped(name) }));
    const { features } = await extract(this.path, cut, { ...options, select, codes: true });
    const made = this.run(basename(cut), new Map());
    const { from = [] } = await extract(this.path, rest, {
      ...options,
      from: this.places,
      keepInputs: this.keepsInputs,
    });
    const outputs = new Map(features.map(({ tensor, output }) => [tensor, output]));
    const given = new Map(
      from.flatMap(({ tensor, input }) => {
        const value = made.get(outputs.get(tensor) ?? '');
        return value === undefined ? [] : [[input, value] as const];
      }),
    );
    return this.difference(this.run(basename(rest), given));
  }

  async dim(): Promise<string | null> {
    const { inputs } = await inspect(this.path, { isolate: false });
    const dims = new Map<string, number>();
    for (const { name, shape } of inputs)
      for (const [axis, dim] of (shape ?? []).entries())
        if (typeof dim !== 'number')
          dims.set(
            typeof dim === 'string' && /^\w+$/.test(dim) ? dim : `${name}:${axis}`,
            this.graph.feeds[name].dims[axis],
          );
    if (dims.size === 0) return null;
    const sized = join(this.folder, 'sized.onnx');
    await extract(this.path, sized, { dims, isolate: false, fileSystem: UNSYNCED });
    return this.difference(this.run(basename(sized), new Map()));
  }

  private run(file: string, known: Values): Values {
    const given = [...known].flatMap(([name, value]) =>
      value === 'not a tensor' || EXOTIC.includes(value.dtype) ? [] : [[name, feedOfValue(value)] as const],
    );
    const feeds: Feeds = { ...this.graph.feeds, ...Object.fromEntries(given) };
    return runModel(new Uint8Array(readFileSync(join(this.folder, file))), feeds, this.folder);
  }

  private difference(got: Values): string | null {
    for (const [name, before] of this.whole ?? []) {
      const after = got.get(name);
      if (after === undefined) return `no output '${name}'`;
      if (!isSame(before, after)) return `'${name}' is ${textOf(after)}, in the whole graph ${textOf(before)}`;
    }
    return null;
  }
}
