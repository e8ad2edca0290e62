import { viewGraph, type GraphView } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { declaredTypes, type TensorTypes } from '../onnx/types.js';
import type { Feature } from '../features/feature.js';
import { EMPTY_EDIT, type Drops, type GraphEdit, NO_DROPS, type OutputEdit } from '../rewrite/edit.js';
import { planRewrite, type Plan } from '../rewrite/plan.js';
import { DEFAULT_PLAN, type Beginning, type BuiltTap, type PlanOptions, type Tap } from '../rewrite/tap.js';
import { encodeModel } from './model-builder.js';
import type { GraphSpec, ModelSpec } from './model-spec.js';

/** Plans of small graphs, and short ways to say what they are to be: no model is run. */

export async function viewed(graph: GraphSpec, more: Omit<Partial<ModelSpec>, 'graph'> = {}): Promise<GraphView> {
  return viewGraph(await indexModel(encodeModel({ graph, ...more })));
}

/** A tap of one tensor of which nothing is known. */
export function tapped(tensor: string, more: Partial<Tap> = {}): Tap {
  return {
    index: null,
    module: null,
    tensors: [tensor],
    numChs: null,
    reduction: null,
    dtype: 'float32',
    shape: ['N', 4],
    layout: null,
    prefixTokens: 0,
    grid: null,
    ...more,
  };
}

/** A plan with what the file declares. */
export function planned(
  view: GraphView,
  taps: readonly (Tap | string)[],
  options: Partial<PlanOptions> = {},
  types: TensorTypes = declaredTypes(view.model),
): Plan {
  const all = taps.map((tap) => (typeof tap === 'string' ? tapped(tap) : tap));
  return planRewrite(view, types, all, { ...DEFAULT_PLAN, ...options });
}

/** Where a cut begins, by the name of its tensor. */
export function at(tensor: string, more: Partial<Beginning> = {}): Beginning {
  return { name: tensor, tensor, module: null, index: null, group: null, ...more };
}

/** An edit that gives some outputs and says what else it does. */
export function editOf(
  outputs: readonly OutputEdit[],
  drop: Partial<Drops> = {},
  more: Partial<GraphEdit> = {},
): GraphEdit {
  return { ...EMPTY_EDIT, outputs, drop: { ...NO_DROPS, ...drop }, ...more };
}

/** An output that says what the file does. */
export function borrowed(list: NonNullable<OutputEdit['borrow']>['list'], index: number, name: string): OutputEdit {
  return { name, borrow: { list, index }, type: null };
}

/** What a value leaves through under another name. */
export function identity(from: string, to: string, count = 0): GraphEdit['addNodes'][number] {
  return { opType: 'Identity', name: `featx/Identity${count === 0 ? '' : `_${count}`}`, inputs: [from], outputs: [to] };
}

/** What a plan says of an output that is a tensor of the model, under its own name or another. */
export function bare(tap: Tap, output = tap.tensors[0]): Plan['outputs'][number] {
  const { tensors, dtype, shape, layout, prefixTokens, numChs: channels } = tap;
  const before: BuiltTap['before'] = { tensor: tensors[0], layout, prefixTokens, converted: false };
  return { tap, output, dtype, shape, layout, prefixTokens, converted: false, before, channels, steps: [] };
}

/** Features that carry tensors, of which nothing else is looked at. */
export function carrying(tensors: readonly (string | null)[]): readonly Feature[] {
  return tensors.map((tensor, index) => ({ tensor, index }) as Feature);
}
