import * as fc from 'fast-check';
import { ModelFormatError } from '../errors.js';
import { arbitraryModel } from '../testing/arbitrary-model.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, type GraphSpec, type ModelSpec, type NodeSpec } from '../testing/model-spec.js';
import { seededRandom } from '../testing/random.js';
import { bytes, type RawField } from '../testing/wire-writer.js';
import {
  ancestorsOf,
  capturesOf,
  functionsUsedBy,
  graphsOf,
  readsOf,
  tensorsOf,
  viewGraph,
  type GraphView,
} from './graph.js';
import { indexModel } from './model.js';
import type { OnnxModel } from './records.js';

function open(graph: GraphSpec, more: Partial<ModelSpec> = {}): Promise<OnnxModel> {
  return indexModel(encodeModel({ ...more, graph }));
}

async function view(graph: GraphSpec): Promise<GraphView> {
  return viewGraph(await open(graph));
}

function fixture(name: string): ModelSpec {
  const found = FIXTURES.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no fixture ${name}`);
  return found.model;
}

async function failure(graph: GraphSpec): Promise<ModelFormatError> {
  const model = await open(graph);
  try {
    viewGraph(model);
  } catch (error) {
    expect(error).toBeInstanceOf(ModelFormatError);
    return error as ModelFormatError;
  }
  throw new Error('it should have failed');
}

const relu = (input: string, output: string): NodeSpec => node('Relu', [input], [output]);
const body = (graph: GraphSpec): NodeSpec['attributes'] => ({ body: { graph } });

describe('captures', () => {
  test.each([
    ['01-capture-if', 'If', ['a', 'only_in_body']],
    ['01-capture-loop', 'Loop', ['step']],
    ['01-capture-scan', 'Scan', ['gain']],
    ['01-capture-nested', 'Loop', ['deep', 'deep_weight']],
    ['01-capture-body-output', 'If', ['a', 'c']],
    ['02-unused-formal-inputs', 'Loop', []],
    ['03-same-name-in-body', 'If', ['x']],
  ])('%s', async (name, opType, captures) => {
    const model = await indexModel(encodeModel(fixture(name)));
    const owner = model.graph.nodes.find((each) => each.opType === opType);
    expect(owner && [...capturesOf(owner)].sort()).toEqual(captures);
    expect(() => viewGraph(model)).not.toThrow();
  });

  test('what a body defines in any way is its own: inputs, initializers, sparse ones, node outputs at any place', async () => {
    const model = await open({
      nodes: [
        node(
          'Loop',
          [],
          [],
          body({
            inputs: [value('formal')],
            initializers: [tensor('own', [], [1])],
            sparseInitializers: [
              { values: tensor('sparse', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [1] },
            ],
            nodes: [
              node('Add', ['formal', 'later', '', 'own', 'sparse', 'outer'], ['made', '']),
              relu('outer2', 'later'),
            ],
            outputs: [value('made'), value('outer3'), value('own')],
          }),
        ),
      ],
    });
    expect(capturesOf(model.graph.nodes[0])).toEqual(['outer', 'outer2', 'outer3']);
    expect(readsOf(model.graph.nodes[0])).toEqual(['outer', 'outer2', 'outer3']);
  });

  test('a name that an inner body takes from the body around it is no capture of the outer node', async () => {
    const inner = node('If', ['c'], ['r'], {
      then_branch: { graph: { nodes: [node('Add', ['between', 'far'], ['s'])], outputs: [value('s')] } },
    });
    const model = await open({
      nodes: [node('Loop', [], [], body({ nodes: [relu('near', 'between'), inner], outputs: [value('r')] }))],
    });
    expect(capturesOf(model.graph.nodes[0])).toEqual(['near', 'c', 'far']);
  });

  test('several bodies of one attribute count, and every body is walked once', async () => {
    const model = await open({
      nodes: [
        node('Switch', [], [], {
          cases: { graphs: [{ nodes: [relu('a', 'x')] }, { nodes: [relu('b', 'x')] }] },
          other: { graph: { outputs: [value('c')] } },
        }),
      ],
    });
    expect([...capturesOf(model.graph.nodes[0])]).toEqual(['a', 'b', 'c']);
    expect(capturesOf(model.graph.nodes[0])).toBe(capturesOf(model.graph.nodes[0]));
  });

  test('thirty levels of If: every body is walked once', async () => {
    let graph: GraphSpec = { nodes: [relu('deepest', 'd')], outputs: [value('d')] };
    for (let level = 0; level < 30; level++)
      graph = {
        nodes: [
          node('If', [`c${level}`], ['r'], {
            then_branch: { graph },
            else_branch: { graph: { outputs: [value('e')] } },
          }),
        ],
        outputs: [value('r')],
      };
    const model = await open(graph);
    expect(new Set(capturesOf(model.graph.nodes[0]))).toEqual(
      new Set(['deepest', 'e', ...Array.from({ length: 29 }, (_, level) => `c${level}`)]),
    );
  });
});

describe('who makes and who reads', () => {
  test('producers with their output index, consumers once each, through bodies too', async () => {
    const { producerOf, consumersOf, sorted } = viewGraph(
      await indexModel(encodeModel(fixture('08-optional-outputs'))),
    );
    expect(producerOf.get('indices')).toMatchObject({ node: { opType: 'MaxPool' }, output: 1 });
    expect(producerOf.get('hidden')).toMatchObject({ node: { opType: 'LSTM' }, output: 1 });
    expect(producerOf.has('')).toBe(false);
    expect(consumersOf.has('')).toBe(false);
    expect(sorted).toBe(true);
    const bodies = viewGraph(await indexModel(encodeModel(fixture('01-capture-if'))));
    expect(bodies.consumersOf.get('a')?.map(({ opType }) => opType)).toEqual(['If']);
    const twice = await view({ nodes: [node('Add', ['x', 'x'], ['y'])], inputs: [value('x')] });
    expect(twice.consumersOf.get('x')).toHaveLength(1);
  });

  test('an unsorted graph is accepted and said to be unsorted', async () => {
    const { sorted, producerOf } = viewGraph(await indexModel(encodeModel(fixture('13-unsorted'))));
    expect(sorted).toBe(false);
    expect(producerOf.size).toBe(7);
  });

  test('lookups by name', async () => {
    const { initializers, sparseInitializers, inputs, outputs } = viewGraph(
      await indexModel(encodeModel(fixture('11-sparse-initializer'))),
    );
    expect([[...initializers.keys()], [...sparseInitializers.keys()], [...inputs.keys()], [...outputs.keys()]]).toEqual(
      [[], ['sparse_weight'], ['x'], ['y']],
    );
  });

  test('names that JavaScript knows are names', async () => {
    const { producerOf, consumersOf } = viewGraph(await indexModel(encodeModel(fixture('13-odd-names'))));
    expect(producerOf.get('__proto__')?.node.opType).toBe('Neg');
    expect(consumersOf.get('constructor')).toHaveLength(1);
    expect(producerOf.has('hasOwnProperty')).toBe(false);
  });

  test('names that differ in bytes only are two', async () => {
    const { producerOf } = viewGraph(await indexModel(encodeModel(fixture('13-names-not-utf8'))));
    expect(producerOf.get('a\udcff')?.node.opType).toBe('Relu');
    expect(producerOf.get('a\udcfe')?.node.opType).toBe('Neg');
    expect(producerOf.get('nul\0l')?.node.opType).toBe('Add');
  });
});

describe('what is no valid graph', () => {
  const x = [value('x')];

  test.each<[string, GraphSpec, string, string, RegExp]>([
    [
      'a node and an initializer of one name',
      { inputs: x, initializers: [tensor('w', [], [1])], nodes: [relu('x', 'w')] },
      'FEATX_GRAPH_DUPLICATE',
      'graph.node[0]',
      /'w' is defined twice, by graph\.initializer\[0\] and by node\[0\] Relu/,
    ],
    [
      'two nodes of one output',
      { inputs: x, nodes: [relu('x', 'a'), node('Neg', ['x'], ['a'])] },
      'FEATX_GRAPH_DUPLICATE',
      'graph.node[1]',
      /by node\[0\] Relu and by node\[1\] Neg/,
    ],
    [
      'a node with one output twice',
      { inputs: x, nodes: [node('Split', ['x'], ['a', 'a'])] },
      'FEATX_GRAPH_DUPLICATE',
      'graph.node[0]',
      /by node\[0\] Split and by node\[0\] Split/,
    ],
    [
      'a node that makes an input',
      { inputs: x, nodes: [relu('x', 'x')] },
      'FEATX_GRAPH_DUPLICATE',
      'graph.node[0]',
      /an input of the graph/,
    ],
    [
      'two initializers of one name',
      { initializers: [tensor('w', [], [1]), tensor('w', [], [2])] },
      'FEATX_GRAPH_DUPLICATE',
      'graph.initializer[1]',
      /graph\.initializer\[0\]/,
    ],
    [
      'an initializer and a sparse one',
      {
        initializers: [tensor('w', [], [1])],
        sparseInitializers: [{ values: tensor('w', [1], [1]), indices: tensor('', [1], [0]), dims: [1] }],
      },
      'FEATX_GRAPH_DUPLICATE',
      'graph.sparse_initializer[0]',
      /'w'/,
    ],
    [
      'two inputs of one name',
      { inputs: [...x, ...x] },
      'FEATX_GRAPH_DUPLICATE',
      'graph.input[1]',
      /two inputs are named 'x'/,
    ],
    [
      'a tensor that is missing',
      { inputs: x, nodes: [relu('x', 'a'), relu('gone', 'b')] },
      'FEATX_GRAPH_MISSING_TENSOR',
      'graph.node[1]',
      /a tensor is read and never made: 'gone' \(read by node\[1\] Relu\)/,
    ],
    [
      'an output that is missing',
      { inputs: x, nodes: [relu('x', 'a')], outputs: [value('b')] },
      'FEATX_GRAPH_MISSING_TENSOR',
      'graph.output',
      /the output 'b'/,
    ],
    [
      'a capture that is missing',
      {
        inputs: x,
        nodes: [
          node('If', ['x'], ['r'], { then_branch: { graph: { nodes: [relu('gone', 's')], outputs: [value('s')] } } }),
        ],
      },
      'FEATX_GRAPH_MISSING_TENSOR',
      'graph.node[0]',
      /'gone' \(read by node\[0\] If\)/,
    ],
    [
      'a name defined only in a sibling body',
      {
        inputs: x,
        nodes: [
          node('If', ['x'], ['r'], {
            then_branch: { graph: { nodes: [relu('x', 's')] } },
            else_branch: { graph: { outputs: [value('s')] } },
          }),
        ],
      },
      'FEATX_GRAPH_MISSING_TENSOR',
      'graph.node[0]',
      /'s'/,
    ],
    [
      'a node that reads itself',
      { nodes: [relu('a', 'a')] },
      'FEATX_GRAPH_CYCLE',
      'graph.node[0]',
      /node\[0\] Relu <- node\[0\] Relu/,
    ],
    [
      'a cycle of two',
      { inputs: x, nodes: [relu('x', 's'), node('Add', ['s', 'b'], ['a']), node('Neg', ['a'], ['b'])] },
      'FEATX_GRAPH_CYCLE',
      'graph.node[1]',
      /node\[1\] Add <- node\[2\] Neg <- node\[1\] Add/,
    ],
    [
      'a cycle through a body',
      {
        nodes: [
          node('If', [], ['r'], { then_branch: { graph: { nodes: [relu('t', 's')], outputs: [value('s')] } } }),
          node('Neg', ['r'], ['t']),
        ],
      },
      'FEATX_GRAPH_CYCLE',
      'graph.node[0]',
      /If <- node\[1\] Neg/,
    ],
  ])('%s', async (_what, graph, code, field, message) => {
    const error = await failure(graph);
    expect([error.code, error.field]).toEqual([code, field]);
    expect(error.message).toMatch(message);
  });

  test('every missing tensor is counted, five are named', async () => {
    const error = await failure({ nodes: Array.from({ length: 8 }, (_, index) => relu(`gone${index}`, `a${index}`)) });
    expect(error.message).toMatch(/8 tensors are read and never made: 'gone0'.*'gone4' \(read by node\[4\] Relu\)$/);
  });

  test('a cycle behind nodes that merely follow it is found, a long one is shortened', async () => {
    const ring = Array.from({ length: 20 }, (_, index) => relu(`r${index}`, `r${(index + 1) % 20}`));
    const { message } = await failure({ nodes: [relu('tail', 'end'), relu('r3', 'tail'), ...ring] });
    expect(message).toMatch(/(node\[\d+\] Relu <- ){6}… <- node\[\d+\] Relu$/);
    expect(message).not.toMatch(/node\[[01]\]/);
  });

  test('the shortest way around is shown', async () => {
    const { message } = await failure({
      nodes: [
        node('Add', ['long3', 'short'], ['a']),
        relu('a', 'long1'),
        relu('long1', 'long2'),
        relu('long2', 'long3'),
        node('Neg', ['a'], ['short']),
      ],
    });
    expect(message).toMatch(/cycle: node\[0\] Add <- node\[4\] Neg <- node\[0\] Add$/);
  });

  test('a ring of 10,000 nodes is found in one walk', async () => {
    const model = await open({
      nodes: Array.from({ length: 10_000 }, (_, index) => relu(`r${index}`, `r${(index + 1) % 10_000}`)),
    });
    expect(() => viewGraph(model)).toThrow(/cycle/);
  });

  test('the path of the file is in the error', async () => {
    const file = encodeModel({ graph: { outputs: [value('y')] } });
    const model = await indexModel({
      size: file.length,
      path: 'dir/m.onnx',
      read: async (start, end) => file.subarray(start, end),
    });
    expect(() => viewGraph(model)).toThrow(/^dir\/m\.onnx is not a valid ONNX graph/);
  });

  test('an input that is also an initializer, and duplicate outputs, are valid', async () => {
    await expect(
      view({
        inputs: x,
        initializers: [tensor('x', [], [1])],
        nodes: [relu('x', 'y')],
        outputs: [value('y'), value('y')],
      }),
    ).resolves.toBeDefined();
  });
});

describe('ancestors', () => {
  test('the nodes a tensor needs, through bodies, and none for inputs, initializers and unknown names', async () => {
    const graph = viewGraph(await indexModel(encodeModel(fixture('01-capture-if'))));
    const ops = (...names: readonly string[]): string[] =>
      [...ancestorsOf(graph, names)].map(({ opType }) => opType).sort();
    expect(ops('b')).toEqual(['If', 'Relu']);
    expect(ops('a')).toEqual(['Relu']);
    expect(ops('a', 'y')).toEqual(['If', 'Neg', 'Relu']);
    expect(ops('x', 'only_in_body', 'no such')).toEqual([]);
  });

  test('of generated graphs are closed: whatever an ancestor reads is given or made by an ancestor, and none is idle', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryModel, fc.nat(), async ({ spec, style, tensors }, at) => {
        const graph = viewGraph(await indexModel(encodeModel(spec, style)));
        const target = [...tensors.keys()][at % tensors.size];
        const needed = ancestorsOf(graph, [target]);
        const read = new Set([target]);
        for (const each of needed) for (const name of readsOf(each)) read.add(name);
        for (const name of read) {
          const maker = graph.producerOf.get(name)?.node;
          expect(maker === undefined || needed.has(maker)).toBe(true);
        }
        for (const each of needed) expect(each.outputs.some((name) => read.has(name))).toBe(true);
        expect(graph.sorted).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('shuffling the nodes changes the order and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryModel, fc.nat(1000), async ({ spec }, seed) => {
        const random = seededRandom(seed);
        const nodes = [...(spec.graph.nodes ?? [])]
          .map((each) => ({ each, key: random() }))
          .sort((a, b) => a.key - b.key)
          .map(({ each }) => each);
        const [before, after] = [await view(spec.graph), await view({ ...spec.graph, nodes })];
        expect(new Set(after.producerOf.keys())).toEqual(new Set(before.producerOf.keys()));
        const ops = (graph: GraphView): string[] =>
          [...ancestorsOf(graph, graph.outputs.keys())].map(({ outputs }) => outputs.join()).sort();
        expect(ops(after)).toEqual(ops(before));
      }),
      { numRuns: 40 },
    );
  });
});

describe('functions', () => {
  const used = async (spec: ModelSpec, keep: (name: string) => boolean = () => true): Promise<string[]> => {
    const model = await indexModel(encodeModel(spec));
    return [
      ...functionsUsedBy(
        model,
        model.graph.nodes.filter(({ opType }) => keep(opType)),
      ),
    ]
      .map(({ name, overload }) => name + overload)
      .sort();
  };

  test('called by the graph, by a body, by a function; not the unused one', async () => {
    expect(await used(fixture('05-functions'))).toEqual(['FourTimes', 'Leaky', 'Twice']);
    expect(await used(fixture('05-functions'), (op) => op === 'Leaky')).toEqual(['Leaky']);
    expect(await used(fixture('05-function-with-bodies'))).toEqual(['Pick', 'Twice']);
  });

  test("overloads are apart, and a function may take an operator's name", async () => {
    expect(await used(fixture('05-overloads'))).toEqual(['Scaledown', 'Scaleup']);
    expect(
      await used({
        ...fixture('05-overloads'),
        graph: {
          nodes: [
            node('Scale', [], [], {}, { domain: 'featx.test', overload: 'up' }),
            node('Scale', [], [], {}, { domain: 'featx.test' }),
          ],
        },
      }),
    ).toEqual(['Scaleup']);
    expect(await used(fixture('05-function-named-as-op'))).toEqual(['Softplus']);
    expect(
      await used({
        ...fixture('05-function-named-as-op'),
        graph: { nodes: [node('Softplus', [], [], {}, { domain: 'ai.onnx' })] },
      }),
    ).toEqual(['Softplus']);
  });

  test('a function that calls itself ends the search', async () => {
    const self = { name: 'F', domain: 'd', nodes: [node('F', [], [], {}, { domain: 'd' })] };
    expect(await used({ functions: [self], graph: { nodes: [node('F', [], [], {}, { domain: 'd' })] } })).toEqual([
      'F',
    ]);
  });

  test('a body of 200,000 nodes is no argument list', async () => {
    const model = await open({
      nodes: [
        node('If', [], [], {
          then_branch: {
            graph: { extra: Array.from({ length: 200_000 }, (): RawField => bytes(1, bytes(4, 'N').bytes)) },
          },
        }),
      ],
    });
    expect(functionsUsedBy(model, model.graph.nodes).size).toBe(0);
  });
});

describe('everything in the model', () => {
  test('graphs of bodies, functions and training; tensors wherever they stand', async () => {
    const model = await indexModel(encodeModel(fixture('rich')));
    expect([...graphsOf(model)].map(({ name }) => name).sort()).toEqual(['g', 'g0', 'g1', 'rich', 'step']);
    const places = [...tensorsOf(model)].map(({ place }) => place);
    expect(places).toHaveLength(15);
    expect(new Set(places).size).toBe(15);
    expect(places).toContain('graph.sparse_initializer[0].indices');
    expect(places).toContain('graph.node[2].attribute[8].tensors[1]');
  });

  test('tensors of functions and of bodies in functions', async () => {
    const inBody = node('If', [], [], { then_branch: { graph: { initializers: [tensor('deep', [], [1])] } } });
    const model = await open(
      {},
      {
        functions: [
          {
            name: 'F',
            domain: 'd',
            nodes: [node('Constant', [], [], { value: { tensor: tensor('flat', [], [1]) } }), inBody],
          },
        ],
      },
    );
    expect([...tensorsOf(model)].map(({ name }) => name).sort()).toEqual(['deep', 'flat']);
    expect([...graphsOf(model)]).toHaveLength(2);
  });
});
