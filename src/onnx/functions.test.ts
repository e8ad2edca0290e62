import { ModelFormatError, PolicyError } from '../errors.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type FunctionSpec, type NodeSpec } from '../testing/model-spec.js';
import { assertFunctions } from './functions.js';
import { viewGraph } from './graph.js';
import type { ReadLimits } from './limits.js';
import { indexModel } from './model.js';

const call = (name: string, input = 'p', output = 'q', overload?: string): NodeSpec =>
  node(name, [input], [output], {}, { domain: 'd', ...(overload === undefined ? {} : { overload }) });
const define = (name: string, nodes: readonly NodeSpec[], more: Partial<FunctionSpec> = {}): FunctionSpec => ({
  name,
  domain: 'd',
  inputs: ['p'],
  outputs: ['q'],
  nodes,
  ...more,
});
const inBody = (inner: NodeSpec): NodeSpec =>
  node('If', ['p'], ['q'], {
    then_branch: { graph: { nodes: [inner], outputs: [value(String(inner.outputs?.[0]))] } },
  });

async function check(...functions: readonly FunctionSpec[]): Promise<void> {
  assertFunctions(await indexModel(encodeModel({ functions, graph: {} })));
}

test.each(FIXTURES)('$name passes', async ({ model }) => {
  const indexed = await indexModel(encodeModel(model));
  expect(() => assertFunctions(indexed)).not.toThrow();
});

test.each<[string, readonly FunctionSpec[], string, string, RegExp]>([
  [
    'two of one identity',
    [define('F', [call('G')]), define('F', [call('G')])],
    'FEATX_GRAPH_DUPLICATE',
    'functions[1]',
    /two functions are 'd:F'/,
  ],
  [
    'a tensor of nobody',
    [define('F', [node('Add', ['p', 'gone'], ['q'])])],
    'FEATX_GRAPH_MISSING_TENSOR',
    'functions[0].node[0]',
    /'gone' is read by node\[0\] Add of the function 'd:F'/,
  ],
  [
    'a capture of nobody',
    [define('F', [inBody(node('Add', ['p', 'outer'], ['r']))])],
    'FEATX_GRAPH_MISSING_TENSOR',
    'functions[0].node[0]',
    /'outer' is read by node\[0\] If/,
  ],
  [
    'an output of nobody',
    [define('F', [node('Relu', ['p'], ['r'])])],
    'FEATX_GRAPH_MISSING_TENSOR',
    'functions[0]',
    /the output 'q'/,
  ],
  [
    'an output made twice',
    [define('F', [node('Relu', ['p'], ['q']), node('Neg', ['p'], ['q'])])],
    'FEATX_GRAPH_DUPLICATE',
    'functions[0].node[1]',
    /'q' is defined twice in the function 'd:F', again by node\[1\] Neg/,
  ],
  [
    'an output that is an input',
    [define('F', [node('Relu', ['q'], ['p'])])],
    'FEATX_GRAPH_DUPLICATE',
    'functions[0].node[0]',
    /'p' is defined twice/,
  ],
  ['one that calls itself', [define('F', [call('F')])], 'FEATX_GRAPH_RECURSION', 'functions[0]', /'d:F' -> 'd:F'$/],
  [
    'a ring of three behind a tail',
    [define('T', [call('A')]), define('A', [call('B')]), define('B', [call('C')]), define('C', [call('A')])],
    'FEATX_GRAPH_RECURSION',
    'functions[1]',
    /itself: 'd:A' -> 'd:B' -> 'd:C' -> 'd:A'$/,
  ],
  [
    'a call hidden in a body',
    [define('F', [inBody(call('F', 'p', 'r'))])],
    'FEATX_GRAPH_RECURSION',
    'functions[0]',
    /'d:F' -> 'd:F'/,
  ],
  [
    'a call hidden in a body of a default attribute',
    [define('F', [node('Relu', ['p'], ['q'])], { defaults: { branch: { graph: { nodes: [call('F', 'p', 'r')] } } } })],
    'FEATX_GRAPH_RECURSION',
    'functions[0]',
    /'d:F' -> 'd:F'$/,
  ],
  [
    'a ring of nine, of which seven are named',
    Array.from({ length: 9 }, (_, index) => define(`F${index}`, [call(`F${(index + 1) % 9}`)])),
    'FEATX_GRAPH_RECURSION',
    'functions[0]',
    /'d:F5' -> … -> 'd:F0'$/,
  ],
  [
    'a call of its own overload',
    [define('F', [call('F', 'p', 'q', 'o')], { overload: 'o' })],
    'FEATX_GRAPH_RECURSION',
    'functions[0]',
    /'d:F:o'/,
  ],
])('%s', async (_what, functions, code, field, message) => {
  const work = check(...functions);
  await expect(work).rejects.toThrow(ModelFormatError);
  await expect(work).rejects.toThrow(expect.objectContaining({ code, field, message: expect.stringMatching(message) }));
});

test('overloads that call each other, and diamonds, are no recursion', async () => {
  await expect(
    check(
      define('F', [call('F', 'p', 'q', 'o')]),
      define('F', [call('G')], { overload: 'o' }),
      define('G', [node('Relu', ['p'], ['q'])]),
      define('H', [call('F', 'p', 'm'), call('G', 'm', 'q')]),
    ),
  ).resolves.toBeUndefined();
});

describe('limits', () => {
  /** `length` functions that each call the next `times` times, and a graph that calls the first. */
  const chain = (length: number, times: number): Uint8Array => {
    const functions = Array.from({ length }, (_, index) =>
      define(
        `F${index}`,
        index === length - 1
          ? [node('Relu', ['p'], ['q'])]
          : Array.from({ length: times }, (_none, at) => call(`F${index + 1}`, 'p', at === 0 ? 'q' : `q${at}`)),
      ),
    );
    return encodeModel({
      functions,
      graph: { nodes: [call('F0', 'x', 'y')], inputs: [value('x')], outputs: [value('y')] },
    });
  };
  const verdict = async (file: Uint8Array, limits: Partial<ReadLimits> = {}): Promise<readonly string[]> =>
    assertFunctions(await indexModel(file, { limits }));

  test.each<[string, Uint8Array, Partial<ReadLimits>, string, RegExp, string]>([
    [
      '20 functions that call the next 100 times',
      chain(20, 100),
      {},
      'FEATX_LIMIT_EXPANSION',
      /expand to about 2e\+38 nodes, more than 1000000$/,
      '`limits.expansion: …`',
    ],
    [
      '2^2,000 expansions',
      chain(2_000, 2),
      { calls: 5_000 },
      'FEATX_LIMIT_EXPANSION',
      /more than 1e308 nodes/,
      '`limits.expansion: …`',
    ],
    [
      'a chain of 101 calls',
      chain(101, 1),
      {},
      'FEATX_LIMIT_CALLS',
      /the function 'd:F0' calls functions 101 deep, more than 100$/,
      '`limits.calls: …`',
    ],
    [
      'one expansion more than allowed',
      chain(2, 5),
      { expansion: 9 },
      'FEATX_LIMIT_EXPANSION',
      /expand to 10 nodes, more than 9$/,
      '`limits.expansion: …`',
    ],
    [
      'one function more than allowed',
      chain(5, 1),
      { functions: 4 },
      'FEATX_LIMIT_FUNCTIONS',
      /model-local functions, 5 or more, more than 4 \(byte \d+\)$/,
      '`limits.functions: …`',
    ],
  ])('%s', async (_what, file, limits, code, message, hint) => {
    const work = verdict(file, limits);
    await expect(work).rejects.toThrow(PolicyError);
    await expect(work).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message), hint: expect.stringContaining(hint) }),
    );
  });

  test('exactly as many as allowed pass, and many warn', async () => {
    await expect(verdict(chain(100, 1))).resolves.toEqual([]);
    await expect(verdict(chain(2, 5), { expansion: 10 })).resolves.toEqual([]);
    await expect(verdict(chain(5, 1), { functions: 5 })).resolves.toEqual([]);
    await expect(verdict(chain(3, 70))).resolves.toEqual([]);
    await expect(verdict(chain(3, 71))).resolves.toEqual([expect.stringMatching(/expand to 10153 nodes/)]);
    expect(viewGraph(await indexModel(chain(3, 71))).warnings).toHaveLength(1);
  });

  test('calls in bodies count, what nobody calls does not', async () => {
    const inner = encodeModel({
      functions: [
        define(
          'F',
          Array.from({ length: 10 }, (_, at) => node('Relu', ['p'], [at === 0 ? 'q' : `q${at}`])),
        ),
      ],
      graph: { nodes: [inBody(call('F', 'p', 'r')), inBody(call('F', 'p', 'r'))] },
    });
    await expect(verdict(inner, { expansion: 19 })).rejects.toThrow(/expand to 20 nodes/);
    await expect(
      verdict(encodeModel({ functions: [define('F', [node('Relu', ['p'], ['q'])])], graph: {} }), { expansion: 1 }),
    ).resolves.toEqual([]);
  });

  test.each([
    { depth: 0 },
    { depth: 1_001 },
    { calls: 1.5 },
    { expansion: Number.NaN },
    { functions: -1 },
    { nameBytes: 2 ** 60 },
  ])('a limit that is none: %p', async (limits) => {
    await expect(indexModel(chain(1, 1), { limits })).rejects.toThrow(
      expect.objectContaining({
        name: 'UsageError',
        message: expect.stringMatching(/^`limits\.[a-zA-Z]+` is .*, not a whole number .*from 1/),
      }),
    );
  });

  test('every node is visited once: ten times the calls take not much more than ten times the steps', async () => {
    const steps = async (length: number): Promise<number> => {
      const model = await indexModel(chain(length, 10), {
        limits: { calls: 10_000, expansion: Number.MAX_SAFE_INTEGER },
      });
      let visits = 0;
      for (const { nodes } of model.functions) {
        for (const each of nodes) {
          const { attributes } = each;
          Object.defineProperty(each, 'attributes', { get: () => (visits++, attributes) });
        }
      }
      expect(() => assertFunctions(model)).toThrow(/more than/);
      return visits;
    };
    const [small, large] = [await steps(20), await steps(200)];
    expect(small).toBeGreaterThan(0);
    expect(large / small).toBeLessThan(11);
  });
});

test('viewGraph checks functions too', async () => {
  const model = await indexModel(encodeModel({ functions: [define('F', [call('F')])], graph: {} }));
  expect(() => viewGraph(model)).toThrow(/calls itself/);
});
