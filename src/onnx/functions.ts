import { LARGE_EXPANSION, overLimit } from './limits.js';
import type { FunctionDef, Node, OnnxModel } from './records.js';
import { bodiesOf, functionKey, invalid, nodeLabel, readsOf } from './scopes.js';

/**
 * Checks the model-local functions, called or not: no two of one identity, every tensor they read is theirs, no output
 * is made twice, none calls itself, and what their calls stand for stays within the limits. Nothing is expanded; the
 * cost is that of visiting each node once.
 * @returns warnings
 * @throws ModelFormatError `FEATX_GRAPH_DUPLICATE`, `FEATX_GRAPH_MISSING_TENSOR` or `FEATX_GRAPH_RECURSION`
 * @throws PolicyError `FEATX_LIMIT_CALLS` or `FEATX_LIMIT_EXPANSION`
 */
export function assertFunctions(model: OnnxModel): readonly string[] {
  if (model.functions.length === 0) return [];
  const byKey = new Map<string, FunctionDef>();
  model.functions.forEach((definition, index) => {
    const key = functionKey(definition.domain, definition.name, definition.overload);
    if (byKey.has(key))
      throw invalid(model, 'FEATX_GRAPH_DUPLICATE', `two functions are ${label(definition)}`, `functions[${index}]`);
    byKey.set(key, definition);
    assertOwnTensors(model, definition, `functions[${index}]`);
  });
  return assertCalls(model, byKey);
}

function label({ domain, name, overload }: FunctionDef): string {
  return `'${[domain, name, overload].filter((part) => part !== '').join(':')}'`;
}

function assertOwnTensors(model: OnnxModel, definition: FunctionDef, field: string): void {
  const made = new Set(definition.inputs);
  for (const node of definition.nodes) {
    for (const output of node.outputs) {
      if (output !== '' && made.has(output))
        throw invalid(
          model,
          'FEATX_GRAPH_DUPLICATE',
          `'${output}' is defined twice in the function ${label(definition)}, again by ${nodeLabel(node)}`,
          `${field}.node[${node.index}]`,
        );
      made.add(output);
    }
  }
  for (const node of definition.nodes) {
    const missing = readsOf(node).find((name) => !made.has(name));
    if (missing !== undefined)
      throw invalid(
        model,
        'FEATX_GRAPH_MISSING_TENSOR',
        `'${missing}' is read by ${nodeLabel(node)} of the function ${label(definition)} and never made in it`,
        `${field}.node[${node.index}]`,
      );
  }
  const missing = definition.outputs.find((name) => !made.has(name));
  if (missing !== undefined)
    throw invalid(
      model,
      'FEATX_GRAPH_MISSING_TENSOR',
      `the output '${missing}' of the function ${label(definition)} is never made`,
      field,
    );
}

/** What stands in a list of nodes and, at any depth, in their bodies. */
interface Contents {
  readonly nodes: number;
  /** How often each function is called. */
  readonly calls: ReadonlyMap<FunctionDef, number>;
}

function contentsOf(
  { nodes, defaults }: Pick<FunctionDef, 'nodes' | 'defaults'>,
  byKey: ReadonlyMap<string, FunctionDef>,
): Contents {
  let count = 0;
  let calls: Map<FunctionDef, number> | null = null;
  const stack: (readonly Node[])[] = [nodes, ...bodiesOf({ attributes: defaults }).map((body) => body.nodes)];
  for (let list = stack.pop(); list !== undefined; list = stack.pop()) {
    count += list.length;
    for (const node of list) {
      for (const body of bodiesOf(node)) stack.push(body.nodes);
      const callee = byKey.get(functionKey(node.domain, node.opType, node.overload));
      if (callee !== undefined) (calls ??= new Map()).set(callee, (calls.get(callee) ?? 0) + 1);
    }
  }
  return { nodes: count, calls: calls ?? NO_CALLS };
}

const NO_CALLS: ReadonlyMap<FunctionDef, number> = new Map();

/** What a call of a function stands for. */
interface Expansion {
  /** Nodes, those of the functions that it calls included; a double, so that no count is too large for it. */
  readonly nodes: number;
  /** Functions inside each other, itself included. */
  readonly depth: number;
}

interface CallStep extends Contents {
  readonly caller: FunctionDef;
  readonly open: FunctionDef[];
}

/**
 * Visits every function once, callees first, without recursion of its own: a function on the trail that is called again
 * calls itself.
 */
function assertCalls(model: OnnxModel, byKey: ReadonlyMap<string, FunctionDef>): readonly string[] {
  const {
    limits,
    source: { path },
  } = model;
  const known = new Map<FunctionDef, Expansion>();
  const trail: CallStep[] = [];
  const onTrail = new Set<FunctionDef>();
  const enter = (caller: FunctionDef): void => {
    const contents = contentsOf(caller, byKey);
    onTrail.add(caller);
    trail.push({ ...contents, caller, open: [...contents.calls.keys()] });
  };
  for (const first of model.functions) {
    if (!known.has(first)) enter(first);
    for (let step = trail.at(-1); step !== undefined; step = trail.at(-1)) {
      const callee = step.open.pop();
      if (callee === undefined) {
        known.set(step.caller, expansionOf(step, known));
        onTrail.delete(step.caller);
        trail.pop();
      } else if (onTrail.has(callee)) {
        const chain = trail.slice(trail.findIndex(({ caller }) => caller === callee)).map(({ caller }) => caller);
        throw invalid(
          model,
          'FEATX_GRAPH_RECURSION',
          `a function calls itself: ${chainText([...chain, callee])}`,
          `functions[${model.functions.indexOf(callee)}]`,
        );
      } else if (!known.has(callee)) enter(callee);
    }
  }
  for (const [definition, { depth }] of known) {
    if (depth > limits.calls)
      throw overLimit('calls', limits.calls, `the function ${label(definition)} calls functions ${depth} deep`, {
        path,
        field: `functions[${model.functions.indexOf(definition)}]`,
      });
  }
  const { nodes, calls } = contentsOf({ nodes: model.graph.nodes, defaults: [] }, byKey);
  const expanded = expansionOf({ nodes, calls }, known).nodes - nodes;
  if (expanded > limits.expansion)
    throw overLimit(
      'expansion',
      limits.expansion,
      `the functions that its graph calls expand to ${sizeText(expanded)} nodes`,
      { path, field: 'functions' },
    );
  return expanded >= LARGE_EXPANSION
    ? [`the functions that the graph calls expand to ${expanded} nodes: ONNX Runtime may take long to open it`]
    : [];
}

function expansionOf({ nodes, calls }: Contents, known: ReadonlyMap<FunctionDef, Expansion>): Expansion {
  let whole = nodes;
  let deepest = 0;
  for (const [callee, count] of calls) {
    const inner = known.get(callee);
    whole += count * (inner?.nodes ?? 0);
    deepest = Math.max(deepest, inner?.depth ?? 0);
  }
  return { nodes: whole, depth: deepest + 1 };
}

function sizeText(count: number): string {
  return Number.isSafeInteger(count)
    ? String(count)
    : Number.isFinite(count)
      ? `about ${count.toExponential(0)}`
      : 'more than 1e308';
}

/** At most six of a ring of functions. */
function chainText(chain: readonly FunctionDef[]): string {
  const shown = chain.map(label);
  return (shown.length > 7 ? [...shown.slice(0, 6), '…', ...shown.slice(-1)] : shown).join(' -> ');
}
