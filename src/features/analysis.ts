import { ByNames } from '../onnx/by-name.js';
import type { GraphView } from '../onnx/graph.js';
import type { Dim } from '../onnx/records.js';
import type { InferredTypes, TensorTypes } from '../onnx/types.js';
import { floatView, type FloatView } from './float-view.js';
import {
  emptyFlow,
  flowBetween,
  nodeAt,
  nodesBetween,
  reachableFrom,
  tensorsOn,
  wholeFlow,
  withCuts,
  type Flow,
  type Stretch,
  type TensorSet,
} from './flow.js';
import type { Geometry, Places } from './geometry.js';
import { geometryOf, type Shapes } from './geometry-walk.js';
import { headsOf, lateralsOf, type Lateral } from './laterals.js';
import { closedHourglasses, endsOf, withoutAuxiliary } from './trunk.js';

/** What every resolver looks at. */
export interface Analysis {
  /** The graph as the file has it. */
  readonly file: GraphView;
  /** The graph as a float network in plain operators: `flow`'s nodes and tensors are this one's. */
  readonly view: GraphView;
  readonly float: FloatView;
  readonly types: InferredTypes;
  /** From the image to the sink: the classifier's output, or the deepest map. */
  readonly flow: Flow;
  /** Whether that sink is a classifier's output. */
  readonly classifies: boolean;
  /** From the image to every output. */
  readonly network: Flow;
  /**
   * Tensors of `flow` that something else than `flow` reads, or that are outputs: what a neck or a head goes on with.
   */
  readonly tapped: ReadonlySet<string>;
  /** Whether an upsampling makes a map. */
  readonly goesUp: boolean;
  /** Tensors that an upsampling reads. */
  readonly sentUp: ReadonlySet<string>;
  /** Ways from the backbone into maps that were upsampled; where there are none, into heads. */
  readonly laterals: readonly Lateral[];
  /** From the inputs to every output, as the file has it. */
  readonly whole: Flow;
  /** By name in the float view, and by name in the file. */
  readonly geometry: ReadonlyMap<string, Geometry>;
  /** By number in the float view; null for tensors without a place. */
  readonly places: readonly (Geometry | null)[];
}

const cache = new WeakMap<GraphView, { readonly types: InferredTypes; readonly analysis: Analysis }>();

/** Finds the main path and what is known of its tensors. */
export function analyse(file: GraphView, types: InferredTypes): Analysis {
  const known = cache.get(file);
  if (known?.types === types) return known.analysis;
  const analysis = analyseAnew(file, types);
  cache.set(file, { types, analysis });
  return analysis;
}

function analyseAnew(file: GraphView, types: InferredTypes): Analysis {
  const float = floatView(file);
  const { view } = float;
  const { order, data, inputs, whole } = wholeFlow(view);
  const common = { file, view, float, types, whole: wholeFlow(file).whole };
  const input = imageInput(inputs, types.nominal);
  if (input === null)
    return {
      ...common,
      network: whole,
      tapped: new Set(),
      goesUp: false,
      sentUp: new Set(),
      laterals: [],
      classifies: false,
      flow: emptyFlow(whole),
      geometry: new Map(),
      places: [],
    };
  const shapes: Shapes = {
    nominal: (name: string): readonly Dim[] | null => types.nominal.get(float.typedLike(name))?.shape ?? null,
    nominalAt: nominalShapes(float, types),
    proven: (name: string): readonly Dim[] | null => types.types.get(float.typedLike(name))?.shape ?? null,
  };
  const fromImage = inputs.length === 1 ? data : reachableFrom(order, [input]);
  const open = geometryOf(view, { ...whole, input }, shapes);
  const closed = closedHourglasses(order, { ...whole, input }, fromImage, open);
  const geometry = closed.ends.size === 0 ? open : geometryOf(view, { ...whole, input }, shapes, closed.ends);
  const outputs = [...view.outputs.keys()].filter((name) => fromImage.has(name));
  const ends = endsOf(whole, geometry, input, outputs, closed);
  const flow = mainFlow(view, { ...whole, input }, order, fromImage, geometry, ends.sinks);
  const tapped = tappedOf(view, whole, flow);
  const laterals = lateralsOf(view, whole, flow, geometry);
  return {
    ...common,
    flow,
    classifies: ends.classifies,
    network: whole,
    tapped,
    goesUp: geometry.goesUp,
    sentUp: sentUpOf(whole, geometry),
    laterals: laterals.length > 0 || ends.classifies ? laterals : headsOf(whole, flow, tapped),
    geometry: withNamesOfFile(float, geometry),
    places: geometry.at,
  };
}

/** Shapes with nominal sizes of the tensors of the float view, by their numbers there. */
function nominalShapes({ view, keepsNumbers, typedLike }: FloatView, types: InferredTypes): Shapes['nominalAt'] {
  const { nominal, nominalAt } = types;
  if (nominalAt !== undefined && keepsNumbers) return (tensor) => nominalAt(tensor)?.shape ?? null;
  return (tensor) => nominal.get(typedLike(view.columns.nameOf(tensor)))?.shape ?? null;
}

/** More auxiliary heads than any network has. */
const MOST_AUXILIARY = 4;

/** The way from the image to the sinks that no auxiliary head reads alone. */
function mainFlow(
  view: GraphView,
  whole: Flow & { readonly input: string },
  order: Stretch,
  data: TensorSet,
  geometry: ReadonlyMap<string, Geometry>,
  ends: readonly string[],
): Flow {
  const isWhole =
    data.size >= whole.position.size &&
    ends.length === view.outputs.size &&
    ends.every((name) => view.outputs.has(name));
  let sinks = ends;
  let flow = isWhole ? withCuts(whole, whole.input, new Set(sinks)) : flowBetween(order, whole.input, data, sinks);
  for (let round = 0; sinks.length > 1 && round < MOST_AUXILIARY; round++) {
    const kept = withoutAuxiliary(flow, sinks, geometry);
    if (kept === null || kept.length === 0 || kept.length === sinks.length) break;
    sinks = kept;
    flow = flowBetween(order, whole.input, data, sinks);
  }
  return flow;
}

/** Tensors of a flow that something else than it reads, or that are outputs. */
export function tappedOf(view: GraphView, network: Flow, flow: Flow): ReadonlySet<string> {
  const { columns } = flow;
  const { readers } = columns;
  const tapped = new Set<string>();
  if (flow.rows.length === network.rows.length) {
    for (const name of view.outputs.keys()) if (flow.position.has(name)) tapped.add(name);
    return tapped;
  }
  const isRead = (tensor: number): boolean => {
    for (let at = readers.starts[tensor]; at < readers.starts[tensor + 1]; at++)
      if (network.atRow[readers.items[at]] >= 0 && flow.atRow[readers.items[at]] < 0) return true;
    return false;
  };
  const isOutput = new Uint8Array(columns.count);
  for (const name of view.outputs.keys()) isOutput[columns.tensorOf.get(name) ?? columns.count] = 1;
  for (const tensor of tensorsOn(flow))
    if (isOutput[tensor] === 1 || isRead(tensor)) tapped.add(columns.nameOf(tensor));
  return tapped;
}

function sentUpOf(network: Flow, geometry: Places): ReadonlySet<string> {
  const sent = new Set<string>();
  if (!geometry.goesUp) return sent;
  for (const { inputs, outputs } of nodesBetween(network, 0))
    if (geometry.get(outputs[0])?.upsampled === true && geometry.get(inputs[0])?.upsampled === false)
      sent.add(inputs[0]);
  return sent;
}

/** The same for the tensors of the file that the float view has under another name. */
function withNamesOfFile({ aliases, turned }: FloatView, geometry: Places): ReadonlyMap<string, Geometry> {
  const more = new Map<string, Geometry>();
  for (const [name, to] of aliases) {
    const place = geometry.has(name) ? undefined : geometry.get(to);
    if (place !== undefined) more.set(name, place);
  }
  for (const [name, to] of turned) {
    const place = geometry.get(to);
    if (place?.axes?.join('') !== 'NHWC') continue;
    const [n = null, h = null, w = null, c = null] = place.shape ?? [];
    more.set(name, { ...place, axes: ['N', 'C', 'H', 'W'], shape: place.shape === null ? null : [n, c, h, w] });
  }
  if (more.size === 0) return geometry;
  return new ByNames(
    function* () {
      yield* more.keys();
      for (const name of geometry.keys()) if (!more.has(name)) yield name;
      return undefined;
    },
    (name) => more.get(name) ?? geometry.get(name),
  );
}

/** The graph input that holds images: rank 4, else rank 3, the largest first; weights are no inputs. */
function imageInput(inputs: readonly string[], types: TensorTypes): string | null {
  let best: string | null = null;
  let bestScore = 0;
  for (const name of inputs) {
    const shape = types.get(name)?.shape;
    const score = shape == null ? 0.5 : shape.length === 4 ? 3 : shape.length === 3 ? 2 : 0;
    if (score > bestScore) [best, bestScore] = [name, score];
  }
  return best;
}

const LAYERS = new Set(['Conv', 'Gemm', 'MatMul']);

const pooled = new WeakMap<Analysis, number>();

/** Layers with weights between the pooling and the scores. */
export function layersBehindPool(analysis: Analysis): number {
  let layers = pooled.get(analysis);
  if (layers === undefined) pooled.set(analysis, (layers = countBehindPool(analysis)));
  return layers;
}

function countBehindPool({ flow, places }: Analysis): number {
  let layers = 0;
  for (const tensor of flow.cuts) {
    const at = flow.positions[tensor];
    if (places[tensor]?.pooled === true && at >= 0 && LAYERS.has(nodeAt(flow, at).opType)) layers++;
  }
  return layers;
}
