import { viewGraph, type GraphView } from '../../../onnx/graph.js';
import { indexModel } from '../../../onnx/model.js';
import type { OnnxModel } from '../../../onnx/records.js';
import type { Layout } from '../../../features/feature.js';
import { EMPTY_EDIT, type GraphEdit } from '../../../rewrite/edit.js';
import { planRewrite, type Plan } from '../../../rewrite/plan.js';
import { DEFAULT_PLAN, type Mode, type PlanOptions, type Tap } from '../../../rewrite/tap.js';
import { splice } from '../../../rewrite/splice.js';
import { planWeights, type WeightsMode } from '../../../rewrite/weights.js';
import { WEIGHTS_MODES } from '../../../options/choices.js';
import { materialize } from '../../../wire/pieces.js';
import { mutatedMessage } from '../mutate-model.js';
import { compareReaders } from '../oracle.js';
import { hashOf, Random } from '../random.js';
import { MODEL } from '../schema.js';
import type { Corpus } from '../seeds.js';
import { codeOf, Violation, type Target } from '../target.js';
import { joined } from '../tree.js';
import { assertKept, fieldsOf } from './kept-fields.js';
import { ZeroSidecars } from './sidecars.js';
import { staticTypes } from './types.js';

/** Bytes in front of the model: what to cut out of it. */
const PREFIX = 4;
const MODES: readonly Mode[] = ['dict', 'list', 'hook'];
const LAYOUTS: readonly Layout[] = ['NCHW', 'NHWC', 'NLC', 'NCL'];

interface Request {
  readonly taps: readonly Tap[];
  readonly options: PlanOptions;
  readonly weights: WeightsMode;
  readonly sameDirectory: boolean;
  readonly align: number;
}

interface Result {
  readonly plan: Plan;
  readonly bytes: Uint8Array;
  /** Whether tensors were given new contents. */
  readonly moved: boolean;
}

/**
 * Cuts of models: the result is a model, what the edit does not name is there byte for byte, and the same request gives
 * the same bytes.
 */
export function rewriteTarget(corpus: Corpus): Target {
  return {
    name: 'rewrite',
    shape: { prefix: PREFIX, type: MODEL },
    deepOnceIn: 20,
    input: (random) =>
      joined([Uint8Array.from({ length: PREFIX }, () => random.below(256)), mutatedMessage(corpus, random, true)]),
    run: async (bytes, deep) => {
      const source = bytes.slice(PREFIX);
      let view: GraphView;
      try {
        view = viewGraph(await indexModel(source));
      } catch (error) {
        return codeOf(error);
      }
      assertSame(
        'empty-edit-changes-bytes',
        await materialize(view.model.source, splice(view.model, EMPTY_EDIT)),
        source,
      );
      const request = requestFor(view, new Random(hashOf(bytes.subarray(0, PREFIX))));
      let result: Result;
      try {
        result = await cut(view, request);
      } catch (error) {
        const code = codeOf(error);
        // An output without a name is the model's own, or was asked for.
        const isNameless = view.outputs.has('') || request.taps.some(({ name }) => name === '');
        if (code === 'FEATX_USAGE_EDIT' && !isNameless) throw new Violation('plan-does-not-fit', String(error));
        return code;
      }
      assertSame('two-runs-differ', (await cut(view, request)).bytes, result.bytes);
      await assertCut(source, view, result, deep);
      return 'ok';
    },
  };
}

/** Taps and options, some of which no model could have. */
function requestFor(view: GraphView, random: Random): Request {
  const { graph } = view.model;
  const made = [...view.producerOf.keys()];
  const names = random.once(3)
    ? [...made, ...view.inputs.keys(), ...view.initializers.keys(), ...view.sparseInitializers.keys()]
    : made;
  const types = view.model.graph.valueInfo;
  const nameOf = (): string =>
    names.length === 0 || random.once(40) ? (graph.outputs[0]?.name ?? 'nothing') : random.pick(names);
  const tap = (index: number): Tap => {
    const shape = random.once(2)
      ? null
      : random.pick([[1, 16, 7, 7], [1, 49, 16], ['n', 16, null, 7], [1, 7, 7, 16], [2, 3], []] as const);
    return {
      index: random.once(4) ? null : index,
      module: random.once(2) ? null : 'm',
      tensors: Array.from({ length: random.once(8) ? 2 : 1 }, nameOf),
      numChs: null,
      reduction: null,
      dtype: types.length > 0 ? 'float32' : null,
      shape,
      layout: random.once(2) ? null : random.pick(LAYOUTS),
      prefixTokens: random.once(8) ? 1 : 0,
      grid: random.once(3) ? [7, 7] : null,
      ...(random.once(12) ? { name: nameOf() } : {}),
    };
  };
  const taps = Array.from({ length: 1 + random.below(4) }, (_, index) => tap(index));
  const mode = random.pick(MODES);
  const options: PlanOptions = {
    ...DEFAULT_PLAN,
    mode,
    rewrite: mode !== 'hook' || random.once(2),
    keepOutputs: random.once(3),
    order: random.once(3) ? 'exec' : 'out',
    outMap: random.once(8) ? taps.map((_tap, index) => (random.once(6) ? nameOf() : `out ${index}`)) : null,
    outputFmt: random.once(6) ? random.pick(LAYOUTS) : null,
  };
  return {
    taps,
    options,
    weights: random.pick(WEIGHTS_MODES),
    sameDirectory: !random.once(3),
    align: random.pick([1, 64, 4096]),
  };
}

async function cut(view: GraphView, { taps, options, weights, sameDirectory, align }: Request): Promise<Result> {
  const { model } = view;
  const plan = planRewrite(view, (await staticTypes(view)).types, taps, options);
  const planned = await planWeights(model, plan.edit, new ZeroSidecars(), {
    mode: weights,
    sameDirectory,
    align,
    sourceName: 'model.onnx',
    warn: () => undefined,
  });
  const contents = planned.sidecar?.contents('cut.data') ?? planned.contents;
  return { plan, bytes: await materialize(model.source, splice(model, plan.edit, contents)), moved: contents.size > 0 };
}

async function assertCut(
  source: Uint8Array,
  view: GraphView,
  { plan, bytes, moved }: Result,
  deep: boolean,
): Promise<void> {
  let result: OnnxModel;
  try {
    result = await indexModel(bytes);
    viewGraph(result);
  } catch (error) {
    throw new Violation('cut-is-no-model', `${codeOf(error)}: ${String(error)}`);
  }
  const { model } = view;
  const own = plan.edit.outputs?.map(({ name }) => name) ?? [];
  if (JSON.stringify(result.graph.outputs.map(({ name }) => name)) !== JSON.stringify(own))
    throw new Violation(
      'outputs-differ',
      `${JSON.stringify(own)} became ${JSON.stringify(result.graph.outputs.map(({ name }) => name))}`,
    );
  assertCounts(model, result, plan.edit);
  assertKept(fieldsOf(model, source, plan.edit), fieldsOf(result, bytes), moved);
  if (deep) compareReaders(bytes, result, 'ok');
}

function assertCounts(model: OnnxModel, result: OnnxModel, { drop, addNodes }: GraphEdit): void {
  const counts = (graph: OnnxModel['graph'], model: OnnxModel): readonly number[] => [
    graph.nodes.length,
    graph.initializers.length,
    graph.sparseInitializers.length,
    graph.inputs.length,
    graph.valueInfo.length,
    graph.quantizationAnnotations.length,
    model.functions.length,
  ];
  const before = counts(model.graph, model);
  const dropped = [
    drop.nodes.length - addNodes.length,
    drop.initializers.length,
    drop.sparseInitializers.length,
    drop.inputs.length,
    drop.valueInfo.length,
    drop.quantizationAnnotations.length,
    drop.functions.length,
  ];
  const want = before.map((count, index) => count - dropped[index]);
  const got = counts(result.graph, result);
  if (got.join() !== want.join()) throw new Violation('counts-differ', `${got.join(', ')}, not ${want.join(', ')}`);
}

function assertSame(law: string, a: Uint8Array, b: Uint8Array): void {
  if (Buffer.compare(a, b) !== 0)
    throw new Violation(
      law,
      `${a.length} bytes against ${b.length}, first difference at ${a.findIndex((byte, index) => byte !== b[index])}`,
    );
}
