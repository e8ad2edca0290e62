import { ancestorsOf, capturesOf, executionOrder, functionKey, hasBodies, type GraphView } from '../onnx/graph.js';
import type { Node } from '../onnx/records.js';
import { Constants } from '../shapes/constants.js';
import { inferGraph } from '../shapes/infer.js';
import { isTensor } from '../shapes/info.js';
import { BATCH_RULES } from './batch-rules.js';
import { MixesEntries, Refusal, Visit, type Entries, type Infos } from './batch-visit.js';

/**
 * Whether the values of an entry depend on which others are in its batch: no, yes, or no rule says so; `why` names the
 * node.
 */
export type Mixing =
  | { readonly kind: 'apart' }
  | { readonly kind: 'mixed'; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string };

/** A tensor of a graph: the axis that counts entries, null if it is the same for all, or why that is not known. */
type Following = Entries | Exclude<Mixing, { readonly kind: 'apart' }>;

/** What is followed through a graph. */
export interface MixingQuestion {
  readonly view: GraphView;
  /** Outputs by name, and the tensors that each is made of. */
  readonly outputs: ReadonlyMap<string, readonly string[]>;
  /** Inputs that have values of their own for each entry, any number of them along axis 0. */
  readonly batched: readonly string[];
  /** Numbers for all dims of the inputs. */
  readonly inputShapes: ReadonlyMap<string, readonly number[]>;
}

/** Entries of a batch: a number that no other size of a network has as a factor by chance. */
const UNUSUAL = 13;

/** What operators do with the entries of a batch, on the way to each output. */
export async function mixingIn(question: MixingQuestion): Promise<ReadonlyMap<string, Mixing>> {
  const { view, outputs, batched, inputShapes } = question;
  const shapes = new Map(
    [...inputShapes].map(([name, shape]) => [name, batched.includes(name) ? [UNUSUAL, ...shape.slice(1)] : shape]),
  );
  const constants = await Constants.of(view.model);
  const { infos } = inferGraph(view, constants, { inputShapes: shapes, fixDefaults: true });
  const found = follow({ view, infos, batched, roots: [...outputs.values()].flat() });
  return new Map(
    [...outputs].map(([name, tensors]) => [name, worst(tensors.map((tensor) => found.get(tensor) ?? null))]),
  );
}

interface Walk {
  readonly view: GraphView;
  readonly infos: Infos;
  readonly batched: readonly string[];
  readonly roots: readonly string[];
}

function follow({ view, infos, batched, roots }: Walk): ReadonlyMap<string, Following> {
  const found = new Map<string, Following>(batched.map((name) => [name, { axis: 0, factor: 1 }]));
  const functions = new Set(view.model.functions.map((f) => functionKey(f.domain, f.name, f.overload)));
  const kept = ancestorsOf(view, roots);
  for (const node of executionOrder(view)) {
    if (!kept.has(node) || isCalculated(node, infos)) continue;
    const made = madeBy(node);
    node.outputs.forEach((name, at) => {
      if (name !== '') found.set(name, Array.isArray(made) ? (made[at] ?? null) : (made as Following));
    });
  }
  return found;

  function madeBy(node: Node): Following | readonly Following[] {
    const own = node.inputs.map((name) => found.get(name) ?? null);
    const inner = capturesOf(node).map((name) => found.get(name) ?? null);
    const before = worst([...own, ...inner]);
    if (before.kind !== 'apart') return before;
    if ([...own, ...inner].every((each) => each === null)) return null;
    const opset = view.model.opsetImports.find(({ domain }) => domain === node.domain)?.version ?? 1;
    const visit = new Visit(
      node,
      opset,
      UNUSUAL,
      own.filter(isFollowed),
      (name) => infos.get(name),
      (name) => view.producerOf.get(name)?.node,
    );
    try {
      if (hasBodies(node)) visit.refuse('its bodies are not looked into');
      if (functions.has(functionKey(node.domain, node.opType, node.overload)))
        visit.refuse('what it calls is not looked into');
      const rule = BATCH_RULES.get(`${node.domain}:${node.opType}`);
      return rule === undefined ? visit.refuse('no rule says what it does with entries') : rule(visit);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { kind: error instanceof MixesEntries ? 'mixed' : 'unknown', why: error.message };
    }
  }
}

function isFollowed(each: Following): each is Entries {
  return each === null || 'axis' in each;
}

/** Whether all that a node makes are numbers that are known, as calculations with sizes are. */
function isCalculated({ outputs }: Node, infos: Infos): boolean {
  return outputs.every((name) => {
    const info = infos.get(name);
    return name === '' || (isTensor(info) && info.value?.every((scalar) => typeof scalar === 'number') === true);
  });
}

/** What is known of a value that is made of some others. */
function worst(all: readonly Following[]): Mixing {
  const faults = all.flatMap((each) => (isFollowed(each) ? [] : [each]));
  return faults.find(({ kind }) => kind === 'mixed') ?? faults[0] ?? { kind: 'apart' };
}
