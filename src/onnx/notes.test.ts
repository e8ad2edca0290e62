import { encodeModel } from '../testing/model-builder.js';
import { node, value, type ModelSpec } from '../testing/model-spec.js';
import { viewGraph } from './graph.js';
import { indexModel } from './model.js';

async function warningsOf(spec: Partial<ModelSpec>): Promise<readonly string[]> {
  return viewGraph(await indexModel(encodeModel({ graph: {}, ...spec }))).warnings;
}

const call = (domain: string, opType: string): ReturnType<typeof node> => node(opType, [], [], {}, { domain });

test('versions up to the newest are known', async () => {
  expect(await warningsOf({ irVersion: 14, opset: 28 })).toEqual([]);
  expect(await warningsOf({ irVersion: 15, opset: 29 })).toEqual([
    expect.stringContaining('IR version 15'),
    expect.stringContaining('operator set 29'),
  ]);
});

test('operators that ONNX, ONNX Runtime or the model define are known', async () => {
  const functions = [{ name: 'F', domain: 'mine', nodes: [] }];
  expect(
    await warningsOf({
      functions,
      graph: {
        nodes: [call('', 'Relu'), call('ai.onnx.ml', 'Scaler'), call('com.microsoft', 'FusedConv'), call('mine', 'F')],
      },
    }),
  ).toEqual([]);
});

test('others are named by domain, wherever they stand', async () => {
  const body = { graph: { nodes: [node('Inner', [], ['o'], {}, { domain: 'deep' })], outputs: [value('o')] } };
  const functions = [{ name: 'F', domain: 'mine', nodes: [call('called', 'Op')] }];
  const nodes = [
    ...['A', 'B', 'C', 'D', 'A'].map((opType) => call('my.ops', opType)),
    call('mine', 'G'),
    node('If', [], ['r'], { then_branch: body }),
    node('Neg', ['q'], ['p']),
    node('Neg', ['r'], ['q']),
  ];
  expect(await warningsOf({ functions, graph: { nodes } })).toEqual([
    expect.stringContaining("'my.ops' (A, B, C, …)"),
    expect.stringContaining("'mine' (G)"),
    expect.stringContaining("'deep' (Inner)"),
    expect.stringContaining("'called' (Op)"),
    expect.stringContaining('topological order'),
  ]);
});
