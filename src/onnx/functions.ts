import type { FunctionDef, Node, OnnxModel } from './records.js';
import { bodiesOf, functionKey, invalid, nodeLabel, readsOf } from './scopes.js';

/**
 * Checks the model-local functions, called or not: no two of one identity, every tensor they read is theirs, no output is made twice, none calls itself.
 * @throws ModelFormatError `FEATX_GRAPH_DUPLICATE`, `FEATX_GRAPH_MISSING_TENSOR` or `FEATX_GRAPH_RECURSION`
 */
export function assertFunctions(model: OnnxModel): void {
  const byKey = new Map<string, FunctionDef>();
  model.functions.forEach((definition, index) => {
    const key = functionKey(definition.domain, definition.name, definition.overload);
    if (byKey.has(key)) throw invalid(model, 'FEATX_GRAPH_DUPLICATE', `two functions are ${label(definition)}`, `functions[${index}]`);
    byKey.set(key, definition);
    assertOwnTensors(model, definition, `functions[${index}]`);
  });
  assertNoRecursion(model, byKey);
}

function label({ domain, name, overload }: FunctionDef): string {
  return `'${[domain, name, overload].filter((part) => part !== '').join(':')}'`;
}

function assertOwnTensors(model: OnnxModel, definition: FunctionDef, field: string): void {
  const made = new Set(definition.inputs);
  for (const node of definition.nodes) {
    for (const output of node.outputs) {
      if (output !== '' && made.has(output)) throw invalid(model, 'FEATX_GRAPH_DUPLICATE', `'${output}' is defined twice in the function ${label(definition)}, again by ${nodeLabel(node)}`, `${field}.node[${node.index}]`);
      made.add(output);
    }
  }
  for (const node of definition.nodes) {
    const missing = readsOf(node).find((name) => !made.has(name));
    if (missing !== undefined) throw invalid(model, 'FEATX_GRAPH_MISSING_TENSOR', `'${missing}' is read by ${nodeLabel(node)} of the function ${label(definition)} and never made in it`, `${field}.node[${node.index}]`);
  }
  const missing = definition.outputs.find((name) => !made.has(name));
  if (missing !== undefined) throw invalid(model, 'FEATX_GRAPH_MISSING_TENSOR', `the output '${missing}' of the function ${label(definition)} is never made`, field);
}

/** The functions that the nodes of a function call, in its bodies too. */
function calleesOf(definition: FunctionDef, byKey: ReadonlyMap<string, FunctionDef>): FunctionDef[] {
  const callees = new Set<FunctionDef>();
  const stack: Node[] = [...definition.nodes];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const callee = byKey.get(functionKey(node.domain, node.opType, node.overload));
    if (callee !== undefined) callees.add(callee);
    for (const body of bodiesOf(node)) for (const inner of body.nodes) stack.push(inner);
  }
  return [...callees];
}

/** Depth first, without recursion of its own: a function on the trail that is called again. */
function assertNoRecursion(model: OnnxModel, byKey: ReadonlyMap<string, FunctionDef>): void {
  const seen = new Set<FunctionDef>();
  const onTrail = new Set<FunctionDef>();
  const trail: { readonly caller: FunctionDef; readonly callees: FunctionDef[] }[] = [];
  const enter = (caller: FunctionDef): void => {
    seen.add(caller);
    onTrail.add(caller);
    trail.push({ caller, callees: calleesOf(caller, byKey) });
  };
  for (const first of model.functions) {
    if (!seen.has(first)) enter(first);
    for (let step = trail.at(-1); step !== undefined; step = trail.at(-1)) {
      const callee = step.callees.pop();
      if (callee === undefined) {
        onTrail.delete(step.caller);
        trail.pop();
      } else if (onTrail.has(callee)) {
        const chain = trail.slice(trail.findIndex(({ caller }) => caller === callee)).map(({ caller }) => caller);
        throw invalid(model, 'FEATX_GRAPH_RECURSION', `a function calls itself: ${[...chain, callee].map(label).join(' -> ')}`, `functions[${model.functions.indexOf(callee)}]`);
      } else if (!seen.has(callee)) enter(callee);
    }
  }
}
