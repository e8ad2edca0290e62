import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { encodeModel } from '../testing/model-builder.js';
import {
  node,
  tensor,
  value,
  type FunctionSpec,
  type GraphSpec,
  type ModelSpec,
  type NodeSpec,
} from '../testing/model-spec.js';
import { Algebra } from './algebra.js';
import { MOST_STEPS } from './budget.js';
import { Constants } from './constants.js';
import type { Size } from './formula.js';
import { inferGraph, type Inference } from './infer.js';
import { isTensor } from './info.js';

async function inferred(spec: ModelSpec): Promise<Inference> {
  await using model = await indexModel(encodeModel(spec), { limits: { calls: 10_000 } });
  return inferGraph(viewGraph(model), await Constants.of(model));
}

const vector = (name: string, first: number) =>
  tensor(
    name,
    [1_000],
    Array.from({ length: 1_000 }, (_empty, at) => first + at),
    'int64',
  );

/** Products and quotients of long vectors of formulas, one behind the other. */
function tower(count: number): ModelSpec {
  const nodes: NodeSpec[] = [
    node('Shape', ['x'], ['s']),
    node('Gather', ['s', 'zero'], ['n']),
    node('Add', ['n', 'vec'], ['v']),
    node('Identity', ['v'], ['y0']),
  ];
  for (let at = 0; at < count; at++)
    nodes.push(
      node(at % 3 === 0 ? 'Mul' : 'Add', [`y${at}`, 'v'], [`z${at}`]),
      node('Div', [`z${at}`, 'divisors'], [`y${at + 1}`]),
    );
  nodes.push(node('Reshape', ['x', 'flat'], ['last']));
  const initializers = [
    tensor('zero', [], [0], 'int64'),
    vector('vec', 1),
    vector('divisors', 3),
    tensor('flat', [2], [-1, 4], 'int64'),
  ];
  return { graph: { inputs: [value('x', ['n', 4])], nodes, initializers } };
}

describe('what may be calculated for one graph', () => {
  test('is bounded: behind it there are no values, but what needs none is known', async () => {
    const { algebra, infos, spentAt } = await inferred(tower(300));
    expect(spentAt).not.toBeNull();
    expect(algebra.budget.steps).toBeLessThan(MOST_STEPS * 1.5);
    expect(infos.get('y300')).toEqual({ kind: 'tensor', elemType: 7, shape: [1_000] });
    expect(infos.get('last')).toMatchObject({ elemType: 1, shape: [expect.anything(), 4] });
  });

  test('is enough for a short one', async () => {
    const { infos, spentAt } = await inferred(tower(2));
    const last = infos.get('y2');
    expect([spentAt, isTensor(last) && last.value?.length]).toEqual([null, 1_000]);
  });
});

test('a sum of many is what they are one by one, made once', () => {
  const algebra = new Algebra();
  const half = algebra.quotient(algebra.symbol('h'), 2) ?? 0;
  const sizes: Size[] = [1, algebra.symbol('a'), half, algebra.symbol('b'), 4, half, algebra.symbol('a')];
  expect(algebra.sum(sizes)).toBe(sizes.reduce<Size>((sum, size) => algebra.add(sum, size), 0));
  const symbols = Array.from({ length: 150 }, (_empty, at) => algebra.symbol(`s${at}`));
  const before = algebra.budget.steps;
  algebra.sum(Array.from({ length: 15_000 }, (_empty, at) => symbols[at % 150]));
  expect(algebra.budget.steps - before).toBeLessThan(2_000);
});

test('functions that call each other without end stay unknown', async () => {
  const count = 3_000;
  const functions: FunctionSpec[] = Array.from({ length: count }, (_empty, at) => ({
    name: `F${at}`,
    domain: 'd',
    inputs: ['x'],
    outputs: ['y'],
    opset: [
      ['', 17],
      ['d', 1],
    ],
    nodes: [at < count - 1 ? node(`F${at + 1}`, ['x'], ['y'], {}, { domain: 'd' }) : node('Relu', ['x'], ['y'])],
  }));
  const opset = [
    ['', 17],
    ['d', 1],
  ] as const;
  const calls = (first: number): ModelSpec => ({
    opset,
    functions,
    graph: { inputs: [value('x', [1, 3])], nodes: [node(`F${first}`, ['x'], ['y'], {}, { domain: 'd' })] },
  });
  expect((await inferred(calls(0))).infos.get('y')).toBeUndefined();
  expect((await inferred(calls(count - 200))).infos.get('y')).toMatchObject({ shape: [1, 3] });
});

test('bodies in bodies cost no more than they are long', async () => {
  let body: GraphSpec = { inputs: [], nodes: [node('Identity', ['x'], ['o'])], outputs: [value('o')] };
  const looped = (inner: GraphSpec, index: number): GraphSpec => ({
    inputs: [value(`i${index}`, [], 'int64'), value(`c${index}`, [], 'bool'), value(`s${index}`, null)],
    nodes: [
      node('Loop', ['', `c${index}`, `s${index}`], [`o${index}`], { body: { graph: inner } }),
      node('Concat', [`o${index}`, `o${index}`], [`p${index}`], { axis: { int: 0 } }),
      node('Identity', [`c${index}`], [`d${index}`]),
    ],
    outputs: [value(`d${index}`), value(`p${index}`)],
  });
  body = {
    inputs: [value('i', [], 'int64'), value('c', [], 'bool'), value('s', null)],
    nodes: [node('Concat', ['s', 's'], ['p'], { axis: { int: 0 } }), node('Identity', ['c'], ['d'])],
    outputs: [value('d'), value('p')],
  };
  for (let index = 0; index < 20; index++) body = looped(body, index);
  const loop = node('Loop', ['', 'go', 'v'], ['y'], { body: { graph: body } });
  const { infos } = await inferred({ graph: { inputs: [value('v', [1]), value('go', [], 'bool')], nodes: [loop] } });
  const found = infos.get('y');
  expect(found === undefined || (isTensor(found) && found.elemType === 1)).toBe(true);
});
