import { ModelFormatError } from '../errors.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type FunctionSpec, type NodeSpec } from '../testing/model-spec.js';
import { assertFunctions } from './functions.js';
import { viewGraph } from './graph.js';
import { indexModel } from './model.js';

const call = (name: string, input = 'p', output = 'q', overload?: string): NodeSpec => node(name, [input], [output], {}, { domain: 'd', ...(overload === undefined ? {} : { overload }) });
const define = (name: string, nodes: readonly NodeSpec[], more: Partial<FunctionSpec> = {}): FunctionSpec => ({ name, domain: 'd', inputs: ['p'], outputs: ['q'], nodes, ...more });
const inBody = (inner: NodeSpec): NodeSpec => node('If', ['p'], ['q'], { then_branch: { graph: { nodes: [inner], outputs: [value(String(inner.outputs?.[0]))] } } });

async function check(...functions: readonly FunctionSpec[]): Promise<void> {
  assertFunctions(await indexModel(encodeModel({ functions, graph: {} })));
}

test.each(FIXTURES)('$name passes', async ({ model }) => {
  const indexed = await indexModel(encodeModel(model));
  expect(() => assertFunctions(indexed)).not.toThrow();
});

test.each<[string, readonly FunctionSpec[], string, string, RegExp]>([
  ['two of one identity', [define('F', [call('G')]), define('F', [call('G')])], 'FEATX_GRAPH_DUPLICATE', 'functions[1]', /two functions are 'd:F'/],
  ['a tensor of nobody', [define('F', [node('Add', ['p', 'gone'], ['q'])])], 'FEATX_GRAPH_MISSING_TENSOR', 'functions[0].node[0]', /'gone' is read by node\[0\] Add of the function 'd:F'/],
  ['a capture of nobody', [define('F', [inBody(node('Add', ['p', 'outer'], ['r']))])], 'FEATX_GRAPH_MISSING_TENSOR', 'functions[0].node[0]', /'outer' is read by node\[0\] If/],
  ['an output of nobody', [define('F', [node('Relu', ['p'], ['r'])])], 'FEATX_GRAPH_MISSING_TENSOR', 'functions[0]', /the output 'q'/],
  ['an output made twice', [define('F', [node('Relu', ['p'], ['q']), node('Neg', ['p'], ['q'])])], 'FEATX_GRAPH_DUPLICATE', 'functions[0].node[1]', /'q' is defined twice in the function 'd:F', again by node\[1\] Neg/],
  ['an output that is an input', [define('F', [node('Relu', ['q'], ['p'])])], 'FEATX_GRAPH_DUPLICATE', 'functions[0].node[0]', /'p' is defined twice/],
  ['one that calls itself', [define('F', [call('F')])], 'FEATX_GRAPH_RECURSION', 'functions[0]', /'d:F' -> 'd:F'$/],
  ['a ring of three behind a tail', [define('T', [call('A')]), define('A', [call('B')]), define('B', [call('C')]), define('C', [call('A')])], 'FEATX_GRAPH_RECURSION', 'functions[1]', /itself: 'd:A' -> 'd:B' -> 'd:C' -> 'd:A'$/],
  ['a call hidden in a body', [define('F', [inBody(call('F', 'p', 'r'))])], 'FEATX_GRAPH_RECURSION', 'functions[0]', /'d:F' -> 'd:F'/],
  ['a call of its own overload', [define('F', [call('F', 'p', 'q', 'o')], { overload: 'o' })], 'FEATX_GRAPH_RECURSION', 'functions[0]', /'d:F:o'/],
])('%s', async (_what, functions, code, field, message) => {
  const work = check(...functions);
  await expect(work).rejects.toThrow(ModelFormatError);
  await expect(work).rejects.toThrow(expect.objectContaining({ code, field, message: expect.stringMatching(message) }));
});

test('overloads that call each other, and diamonds, are no recursion', async () => {
  await expect(check(define('F', [call('F', 'p', 'q', 'o')]), define('F', [call('G')], { overload: 'o' }), define('G', [node('Relu', ['p'], ['q'])]), define('H', [call('F', 'p', 'm'), call('G', 'm', 'q')]))).resolves.toBeUndefined();
});

test('calls that would expand 2^2,000 times are walked once each', async () => {
  const functions = Array.from({ length: 2_000 }, (_, index) => define(`F${index}`, index === 0 ? [node('Relu', ['p'], ['q'])] : [call(`F${index - 1}`, 'p', 'm'), call(`F${index - 1}`, 'm', 'q')]));
  await expect(check(...functions.reverse())).resolves.toBeUndefined();
});

test('viewGraph checks functions too', async () => {
  const model = await indexModel(encodeModel({ functions: [define('F', [call('F')])], graph: {} }));
  expect(() => viewGraph(model)).toThrow(/calls itself/);
});
