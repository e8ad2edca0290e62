import { rowsOf } from './node-rows.js';
import type { Node, OnnxModel } from './records.js';
import { functionKey } from './scopes.js';
import { graphsOf } from './walk.js';

/** What is odd about a model and still no error: said in every report. */

/** The newest that this version knows. @see https://github.com/onnx/onnx/blob/main/docs/Versioning.md */
const NEWEST = { irVersion: 14, opset: 28 } as const;

/** Domains whose operators ONNX defines or ONNX Runtime brings along. */
export const KNOWN_DOMAINS: ReadonlySet<string> = new Set([
  '',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.dml',
  'com.microsoft.experimental',
  'com.microsoft.nchwc',
  'com.ms.internal.nhwc',
  'org.pytorch.aten',
]);

/** The warning about a graph whose nodes are not in topological order. */
export const UNSORTED = 'the nodes of this model are not in topological order; their order is kept';

/** Warnings about versions that are newer than this program, and about operators that nobody defines. */
export function notesOn(model: OnnxModel): readonly string[] {
  const notes: string[] = [];
  const { irVersion, opsetImports } = model;
  if (irVersion > NEWEST.irVersion)
    notes.push(`the model has IR version ${irVersion}, newer than any that this featx knows (${NEWEST.irVersion})`);
  for (const { domain, version } of opsetImports)
    if (domain === '' && version > NEWEST.opset)
      notes.push(`the model imports operator set ${version}, newer than any that this featx knows (${NEWEST.opset})`);
  for (const [domain, operators] of foreignOperators(model)) {
    const some = [...operators].slice(0, 3).join(', ');
    notes.push(
      `operators of the domain '${domain}' (${some}${operators.size > 3 ? ', …' : ''}) are defined neither by ONNX nor in the model: types behind them may stay unknown, and featx run fails where ONNX Runtime lacks them`,
    );
  }
  return notes;
}

/** Operators by domain that are neither known nor functions of the model. */
function foreignOperators(model: OnnxModel): ReadonlyMap<string, ReadonlySet<string>> {
  const functions = new Set(model.functions.map(({ domain, name, overload }) => functionKey(domain, name, overload)));
  const foreign = new Map<string, Set<string>>();
  const look = (nodes: readonly Node[]): void => {
    if (
      rowsOf(nodes)
        ?.domains()
        .every((domain) => KNOWN_DOMAINS.has(domain))
    )
      return;
    for (const { domain, opType, overload } of nodes) {
      if (KNOWN_DOMAINS.has(domain) || functions.has(functionKey(domain, opType, overload))) continue;
      const operators = foreign.get(domain);
      if (operators === undefined) foreign.set(domain, new Set([opType]));
      else operators.add(opType);
    }
  };
  for (const graph of graphsOf(model)) look(graph.nodes);
  for (const { nodes } of model.functions) look(nodes);
  return foreign;
}
