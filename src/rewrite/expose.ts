import { ResolveError, UnsupportedModelError } from '../errors.js';
import { unescaped } from '../features/glob.js';
import { hasTensor, viewGraph, type GraphView } from '../onnx/graph.js';
import type { OnnxModel } from '../onnx/records.js';
import type { TensorType } from '../onnx/types.js';
import type { Selector } from '../options/feature-kinds.js';
import { option } from '../options/words.js';
import { tensorTypeOf } from '../shapes/tensor-type.js';
import { inferWhole } from '../shapes/whole.js';
import { BODIES, innerPlaces, type InnerPlace } from './inner-places.js';
import { defaultOpset } from './taps.js';
import { whyNotStacked } from './rounds.js';
import { walkOut } from './way-out.js';

/** A model in which tensors of bodies and functions are tensors of the main graph, and what makes it so. */
export interface Exposed {
  readonly view: GraphView;
  /** The names of these tensors in the main graph, by the names that were asked for. */
  readonly names: ReadonlyMap<string, string>;
}

/**
 * Makes tensors of bodies and functions tensors of the main graph: as further outputs of every node on the way out.
 * Names that the main graph has, and names that nothing has, are left alone.
 * @throws ResolveError for a name of several tensors; UnsupportedModelError where a value cannot leave, with the reason
 */
export async function exposed(view: GraphView, wanted: readonly string[]): Promise<Exposed> {
  const names = new Map<string, string>();
  let current = view;
  for (const name of new Set(wanted)) {
    if (hasTensor(current, name)) continue;
    const places = innerPlaces(current, name);
    if (places.length > 1) throw ambiguous(name, places);
    if (places.length === 0) continue;
    const [place] = places;
    names.set(name, place.label);
    if (!hasTensor(current, place.label)) current = await exposePlace(current, place);
  }
  return { view: current, names };
}

/** The tensors by name among what is to be selected, and the same with the names that they have once exposed. */
export async function exposedSelection(
  view: GraphView,
  select: readonly Selector[] | undefined,
): Promise<{ readonly view: GraphView; readonly select: readonly Selector[] | undefined }> {
  const asked = (select ?? []).flatMap((each) => (each.by === 'tensor' ? [unescaped(each.name)] : []));
  if (asked.length === 0) return { view, select };
  const found = await exposed(view, asked);
  if (found.names.size === 0) return { view, select };
  return {
    view: found.view,
    select: select?.map((each) => {
      const label = each.by === 'tensor' ? found.names.get(unescaped(each.name)) : undefined;
      return label === undefined || each.by !== 'tensor' ? each : { by: 'tensor', name: label };
    }),
  };
}

function ambiguous(name: string, places: readonly InnerPlace[]): ResolveError {
  const labels = places.slice(0, 5).map(({ label }) => `'${label}'`);
  return new ResolveError(
    `'${name}' is not a tensor of the main graph, and ${places.length > 8 ? 'many' : places.length} bodies and calls have one of that name`,
    {
      code: 'FEATX_RESOLVE_INSIDE',
      hint: `name the one that is meant: ${labels.join(', ')}${places.length > 5 ? ', …' : ''}`,
    },
  );
}

async function exposePlace(view: GraphView, place: InnerPlace): Promise<GraphView> {
  const { steps, label } = place;
  for (const step of steps)
    if (step.kind === 'body' && (BODIES[step.node.opType] === undefined || step.node.domain !== ''))
      throw cannot(label, `${step.node.opType} hands on nothing but what its body is for`);
  assertOpsets(view.model, place);
  // Other branches give the same, to find out what the tensor is.
  const { model } = walkOut(view, place, null);
  const type = await typeAt(model, label);
  const needsType = steps.some(({ kind }) => kind === 'body');
  if (needsType && (type.dtype === null || type.shape === null || type.type !== undefined))
    throw cannot(
      label,
      type.type === undefined ? 'its dtype and its number of axes are not known' : `it is a ${type.type}`,
    );
  const why = await whyNotStacked(model, place);
  if (why !== null) throw cannot(label, why);
  return walkOut(view, place, type);
}

/** @throws UnsupportedModelError where a scope has no operators to hand a value on with */
function assertOpsets(model: OnnxModel, { steps, label }: InnerPlace): void {
  const opset = defaultOpset(model);
  for (const step of steps) {
    if (step.kind === 'call' && !model.functions[step.function].opsetImports.some(({ domain }) => domain === ''))
      throw cannot(label, `the function ${model.functions[step.function].name} imports no operators of the standard`);
    if (step.kind === 'body' && step.node.opType === 'Scan' && opset < 9)
      throw cannot(label, `Scan has another form in opset ${opset}, with a batch of its own`);
    if (step.kind === 'body' && step.node.opType === 'If' && opset < 11)
      throw cannot(
        label,
        `opset ${opset} has both branches of one shape, and the one that is not taken would give nothing`,
      );
  }
}

function cannot(label: string, why: string): UnsupportedModelError {
  return new UnsupportedModelError(`'${label}' cannot leave: ${why}`, {
    code: 'FEATX_INSIDE',
    hint: `take what leaves there, or another tensor with ${option('tensor')}`,
  });
}

/** What a tensor of the main graph is. */
async function typeAt(model: OnnxModel, label: string): Promise<TensorType> {
  const { proven } = await inferWhole(viewGraph({ ...model, warnings: [] }));
  const info = proven.infos.get(label);
  return info === undefined ? { dtype: null, shape: null } : tensorTypeOf(info);
}
