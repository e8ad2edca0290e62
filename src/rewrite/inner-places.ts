import { bodiesOf, functionKey, hasBodies, type GraphView } from '../onnx/graph.js';
import { scopeAt, type ScopePath } from '../onnx/inside.js';
import type { FunctionDef, Node, OnnxModel } from '../onnx/records.js';

/** A way from the main graph into a body or a function: by a node of the scope around it. */
export type InnerStep =
  | { readonly kind: 'body'; readonly node: Node; readonly attribute: string; readonly graph: number }
  | { readonly kind: 'call'; readonly node: Node; readonly function: number };

/** A tensor that lives in a body or a function, by the way that leads to it. */
export interface InnerPlace {
  readonly tensor: string;
  /** Outermost first; never empty. */
  readonly steps: readonly InnerStep[];
  /** `If_0/then_branch::r`, `call_1::r`, `call_1/Loop_0/body::r`. */
  readonly label: string;
}

/** How each operator hands on what its body makes; others do not. */
export const BODIES: { readonly [opType: string]: 'branch' | 'stacked' } = {
  If: 'branch',
  Loop: 'stacked',
  Scan: 'stacked',
};

/** Whether a step leads into a body that runs in rounds. */
export function isRounds(step: InnerStep): boolean {
  return step.kind === 'body' && BODIES[step.node.opType] === 'stacked';
}

/** Places that are looked for, beyond which one name says nothing. */
const MOST_PLACES = 9;
/** Scopes that are entered in search of a name; functions that call functions have as many as they have ways. */
const MOST_SCOPES = 20_000;

/**
 * The places of a tensor below the main graph that a name means: the one of that label, else all in which a tensor has
 * that name.
 */
export function innerPlaces(view: GraphView, name: string): readonly InnerPlace[] {
  if (!isInside(view.model, name)) return [];
  const labelled = new Search(
    view,
    (label, tensor) => name === `${label}::${tensor}`,
    (label) => name.startsWith(label),
  );
  const exact = labelled.find();
  if (exact.length > 0) return exact.slice(0, 1);
  const holding = functionsHolding(view.model, name);
  return new Search(
    view,
    (_label, tensor) => tensor === name,
    () => true,
    (index) => holding.has(index),
  ).find();
}

/** Names of all tensors below the main graph, by model: thousands of names may be asked of one. */
const namesBelow = new WeakMap<OnnxModel, ReadonlySet<string>>();

/** Whether something below the main graph has a name, alone or behind a label. */
function isInside(model: OnnxModel, name: string): boolean {
  const names = namesBelow.get(model) ?? tensorsBelow(model);
  namesBelow.set(model, names);
  if (names.has(name)) return true;
  for (let at = name.indexOf('::'); at >= 0; at = name.indexOf('::', at + 1))
    if (names.has(name.slice(at + 2))) return true;
  return false;
}

function tensorsBelow(model: OnnxModel): ReadonlySet<string> {
  const names = new Set<string>();
  const within = (nodes: readonly Node[]): void =>
    nodes.forEach((node) => node.outputs.forEach((each) => names.add(each)));
  for (const { nodes } of model.functions) within(nodes);
  const stack = [...model.graph.nodes, ...model.functions.flatMap(({ nodes }) => nodes)].filter(hasBodies);
  for (let node = stack.pop(); node !== undefined; node = stack.pop())
    for (const body of bodiesOf(node)) {
      for (const given of [...body.inputs, ...body.initializers]) names.add(given.name);
      within(body.nodes);
      for (const inner of body.nodes) if (hasBodies(inner)) stack.push(inner);
    }
  return names;
}

class Search {
  private readonly found: InnerPlace[] = [];
  private readonly functions: ReadonlyMap<string, number>;
  private scopes = 0;

  constructor(
    private readonly view: GraphView,
    private readonly isWanted: (label: string, tensor: string) => boolean,
    private readonly mayLead: (label: string) => boolean,
    private readonly entersFunction: (index: number) => boolean = () => true,
  ) {
    this.functions = new Map(
      view.model.functions.map(({ domain, name, overload }, index) => [functionKey(domain, name, overload), index]),
    );
  }

  find(): readonly InnerPlace[] {
    this.enter(this.view.model.graph.nodes, [], '');
    return this.found;
  }

  private enter(nodes: readonly Node[], steps: readonly InnerStep[], label: string): void {
    for (const node of nodes) {
      if (this.found.length >= MOST_PLACES || this.scopes >= MOST_SCOPES) return;
      const callee = this.functions.get(functionKey(node.domain, node.opType, node.overload));
      if (callee === undefined && !hasBodies(node)) continue;
      const own = `${label === '' ? '' : `${label}/`}${nodeName(node)}`;
      if (!this.mayLead(own)) continue;
      if (callee !== undefined && this.entersFunction(callee)) {
        const definition = this.view.model.functions[callee];
        this.scope(definition.nodes, [...steps, { kind: 'call', node, function: callee }], own, []);
      }
      for (const { name, graphs } of node.attributes)
        for (const [graph, body] of graphs.entries()) {
          const inside = `${own}/${name}${graphs.length > 1 ? `[${graph}]` : ''}`;
          if (!this.mayLead(inside)) continue;
          const given = [...body.inputs, ...body.initializers].map((each) => each.name);
          this.scope(body.nodes, [...steps, { kind: 'body', node, attribute: name, graph }], inside, given);
        }
    }
  }

  private scope(nodes: readonly Node[], steps: readonly InnerStep[], label: string, given: readonly string[]): void {
    this.scopes++;
    const tensors = new Set([...given, ...nodes.flatMap(({ outputs }) => outputs)]);
    for (const tensor of tensors)
      if (tensor !== '' && this.isWanted(label, tensor))
        this.found.push({ tensor, steps, label: `${label}::${tensor}` });
    this.enter(nodes, steps, label);
  }
}

/** What a label calls a node. */
function nodeName({ name, outputs, index }: Node): string {
  return name !== '' ? name : (outputs.find((output) => output !== '') ?? `node[${index}]`);
}

/** The functions in which a tensor has a name, in their bodies or in functions that they call too. */
function functionsHolding(model: OnnxModel, name: string): ReadonlySet<number> {
  const holding = new Set<number>();
  const keys = model.functions.map((each) => functionKey(each.domain, each.name, each.overload));
  const facts = model.functions.map((definition) => factsOf(definition, name));
  for (let before = -1; before < holding.size; ) {
    before = holding.size;
    for (const [index, { makes, calls }] of facts.entries())
      if (makes || [...holding].some((callee) => calls.has(keys[callee]))) holding.add(index);
  }
  return holding;
}

function factsOf(
  { nodes }: FunctionDef,
  name: string,
): { readonly makes: boolean; readonly calls: ReadonlySet<string> } {
  const calls = new Set<string>();
  let makes = false;
  const stack = [...nodes];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    makes ||= node.outputs.includes(name);
    calls.add(functionKey(node.domain, node.opType, node.overload));
    for (const body of bodiesOf(node)) {
      makes ||= [...body.inputs, ...body.initializers].some((given) => given.name === name);
      for (const inner of body.nodes) stack.push(inner);
    }
  }
  return { makes, calls };
}

/** The scope that some steps lead to. */
export function scopePath(steps: readonly InnerStep[]): ScopePath {
  return steps.reduce<ScopePath>(
    (path, step) =>
      step.kind === 'call'
        ? { function: step.function, steps: [] }
        : {
            ...path,
            steps: [...path.steps, { node: step.node.index, attribute: step.attribute, graph: step.graph }],
          },
    { function: null, steps: [] },
  );
}

/** Every node that calls a function, by the scope that it stands in. */
export function callsOf(
  model: OnnxModel,
  index: number,
): readonly { readonly scope: ScopePath; readonly node: Node }[] {
  const { domain, name, overload } = model.functions[index];
  const key = functionKey(domain, name, overload);
  const found: { readonly scope: ScopePath; readonly node: Node }[] = [];
  const scopes: ScopePath[] = [
    { function: null, steps: [] },
    ...model.functions.map((_definition, at) => ({ function: at, steps: [] })),
  ];
  for (let scope = scopes.pop(); scope !== undefined; scope = scopes.pop()) {
    for (const node of scopeAt(model, scope).nodes) {
      if (functionKey(node.domain, node.opType, node.overload) === key) found.push({ scope, node });
      for (const { name: attribute, graphs } of node.attributes)
        for (const graph of graphs.keys())
          scopes.push({ ...scope, steps: [...scope.steps, { node: node.index, attribute, graph }] });
    }
  }
  return found;
}
