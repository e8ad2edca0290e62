import { BACKBONE, BACKBONE_WEIGHTS } from '../fixtures/fixture.js';
import { node, tensor, value, type GraphSpec, type ModelSpec, type NodeSpec } from '../model-spec.js';
import { CUT, DECLARED, HOOK, INSPECT, model, network, type FaultCase } from './case.js';

/** Rows 20 to 39: the graph. */

const CONDITION = tensor('c', [], [1], 'bool');
/** What leaves an If is declared too, so that nothing has to ask ONNX Runtime. */
const WITH_IF: Partial<GraphSpec> = { initializers: [CONDITION], valueInfo: [...DECLARED, value('r', [1, 4, 4, 4])] };

/** The network with more nodes and initializers. */
const withNodes = (nodes: readonly NodeSpec[], more: Partial<GraphSpec> = {}, spec: Partial<ModelSpec> = {}) =>
  model(() =>
    network(
      { nodes: [...BACKBONE, ...nodes], ...more, initializers: [...BACKBONE_WEIGHTS, ...(more.initializers ?? [])] },
      spec,
    ),
  );
const branches = (
  then: GraphSpec,
  otherwise: GraphSpec = { nodes: [node('Identity', ['stem/act'], ['e'])], outputs: [value('e')] },
): NodeSpec['attributes'] => ({ then_branch: { graph: then }, else_branch: { graph: otherwise } });

const invalid = (
  row: number,
  name: string,
  code: string,
  files: FaultCase['files'],
  more: Partial<FaultCase> = {},
): FaultCase => ({ rows: [row], name, files, argv: INSPECT, exit: 3, code: `FEATX_GRAPH_${code}`, ...more });
const accepted = (row: number, name: string, files: FaultCase['files'], more: Partial<FaultCase> = {}): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: INSPECT,
  exit: 0,
  ...more,
});
const refused = (
  row: number,
  name: string,
  code: string,
  files: FaultCase['files'],
  argv: readonly string[],
  more: Partial<FaultCase> = {},
): FaultCase => ({ rows: [row], name, files, argv, exit: 2, code, ...more });
const tap = (...names: readonly string[]): readonly string[] => [
  'extract',
  'm.onnx',
  ...names.flatMap((name) => ['--tensor', name]),
  '-o',
  'out.onnx',
];

const FUNCTION: ModelSpec['opset'] = [
  ['', 17],
  ['d', 1],
];
const call = (name: string, input: string, output: string): NodeSpec =>
  node(name, [input], [output], {}, { domain: 'd' });
const calls = (nodes: Readonly<Record<string, readonly NodeSpec[]>>): FaultCase['files'] =>
  withNodes(
    [call('F', 'y', 'z')],
    { valueInfo: [...DECLARED, value('z', [1, 5])] },
    {
      opset: FUNCTION,
      functions: Object.entries(nodes).map(([name, inner]) => ({
        name,
        domain: 'd',
        inputs: ['p'],
        outputs: ['q'],
        nodes: inner,
      })),
    },
  );

/** Functions that each call the next several times. */
const chain = (length: number, times: number): FaultCase['files'] =>
  calls(
    Object.fromEntries(
      Array.from({ length }, (_, index) => [
        index === 0 ? 'F' : `F${index}`,
        index === length - 1
          ? [node('Neg', ['p'], ['q'])]
          : [
              ...Array.from({ length: times }, (_none, at) => call(`F${index + 1}`, 'p', `t${at}`)),
              node('Neg', ['t0'], ['q']),
            ],
      ]),
    ),
  );

const DUPLICATES: readonly FaultCase[] = [
  invalid(
    20,
    'an initializer twice',
    'DUPLICATE',
    withNodes([], { initializers: [tensor('fc.bias', [5], [1, 2, 3, 4, 5])] }),
    { line: 'initializer twice', field: 'graph.initializer[4]', message: /'fc\.bias'/ },
  ),
  invalid(
    20,
    'an initializer twice, cut',
    'DUPLICATE',
    withNodes([], { initializers: [tensor('fc.bias', [5], [1, 2, 3, 4, 5])] }),
    { argv: CUT },
  ),
  invalid(
    20,
    'an initializer and a sparse one',
    'DUPLICATE',
    withNodes([], {
      sparseInitializers: [{ values: tensor('fc.bias', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [5] }],
    }),
    { field: 'graph.sparse_initializer[0]' },
  ),
  invalid(
    20,
    'an input twice',
    'DUPLICATE',
    withNodes([], { inputs: [value('x', [1, 3, 8, 8]), value('x', [1, 3, 8, 8])] }),
    { field: 'graph.input[1]' },
  ),
  accepted(
    20,
    'an initializer that is an input is a default',
    withNodes([], { inputs: [value('x', [1, 3, 8, 8]), value('fc.bias', [5])] }),
    { report: { model: { overridable_initializers: 1 }, inputs: [{ name: 'x' }] } },
  ),
  invalid(23, 'a tensor that two nodes make', 'DUPLICATE', withNodes([node('Neg', ['x'], ['stem/act'])]), {
    line: 'broken graph',
    field: 'graph.node[7]',
    message: /node\[1\] Relu and by node\[7\] Neg/,
  }),
  invalid(
    23,
    'a tensor that a node and an initializer make',
    'DUPLICATE',
    withNodes([node('Neg', ['x'], ['fc.bias'])]),
    { argv: CUT },
  ),
  invalid(23, 'an input that a node makes', 'DUPLICATE', withNodes([node('Neg', ['y'], ['x'])])),
  invalid(23, 'a node that makes one tensor twice', 'DUPLICATE', withNodes([node('Split', ['y'], ['p', 'p'])])),
];

const CYCLES: readonly FaultCase[] = [
  invalid(21, 'a node that reads itself', 'CYCLE', withNodes([node('Add', ['y', 'z'], ['z'])]), {
    line: 'broken graph',
    message: /node\[7\] Add <- node\[7\] Add/,
  }),
  invalid(
    21,
    'two nodes that read each other',
    'CYCLE',
    withNodes([node('Add', ['y', 'b'], ['a']), node('Neg', ['a'], ['b'])]),
    { field: 'graph.node[7]', message: /node\[7\] Add <- node\[8\] Neg <- node\[7\] Add/ },
  ),
  invalid(
    21,
    'a ring behind the features',
    'CYCLE',
    withNodes([node('Add', ['y', 'b'], ['a']), node('Neg', ['a'], ['b'])]),
    { argv: CUT },
  ),
  invalid(
    21,
    'a cycle through what a body captures',
    'CYCLE',
    withNodes(
      [
        node('If', ['c'], ['r'], branches({ nodes: [node('Neg', ['t'], ['s'])], outputs: [value('s')] })),
        node('Neg', ['r'], ['t']),
      ],
      { initializers: [CONDITION] },
    ),
  ),
  invalid(22, 'a tensor that nothing makes', 'MISSING_TENSOR', withNodes([node('Neg', ['gone'], ['z'])]), {
    line: 'broken graph',
    field: 'graph.node[7]',
    message: /'gone' \(read by node\[7\] Neg\)/,
  }),
  invalid(22, 'an output that nothing makes', 'MISSING_TENSOR', withNodes([], { outputs: [value('gone', [1])] }), {
    field: 'graph.output',
  }),
  invalid(
    22,
    'a tensor of a sibling body',
    'MISSING_TENSOR',
    withNodes(
      [
        node(
          'If',
          ['c'],
          ['r'],
          branches({ nodes: [node('Neg', ['y'], ['s'])], outputs: [value('s')] }, { outputs: [value('s')] }),
        ),
      ],
      { initializers: [CONDITION] },
    ),
    { message: /'s'/ },
  ),
  invalid(
    22,
    'a function that reads a tensor of its caller',
    'MISSING_TENSOR',
    calls({ F: [node('Add', ['p', 'stem/act'], ['q'])] }),
    { field: 'functions[0].node[0]' },
  ),
  invalid(
    22,
    'a missing tensor that the cut would leave out',
    'MISSING_TENSOR',
    withNodes([node('Neg', ['gone'], ['z'])]),
    { argv: CUT },
  ),
  accepted(
    24,
    'nodes in reverse order',
    model(() => network({ nodes: [...BACKBONE].reverse() })),
    { line: 'unsorted nodes', report: { out_indices: [0, 1] }, warns: [/not in topological order/] },
  ),
  accepted(
    24,
    'nodes in reverse order keep it',
    model(() => network({ nodes: [...BACKBONE].reverse() })),
    {
      line: 'unsorted nodes',
      argv: tap('layer1/act', 'stem/act'),
      outputs: ['layer1/act', 'stem/act'],
      operators: ['Relu', 'Conv', 'Relu', 'Conv'],
      warns: [/not in topological order/],
    },
  ),
  refused(
    24,
    'nodes in reverse order, under --strict',
    'FEATX_STRICT',
    model(() => network({ nodes: [...BACKBONE].reverse() })),
    [...CUT, '--strict'],
  ),
];

const FUNCTIONS: readonly FaultCase[] = [
  invalid(25, 'a function that calls itself', 'RECURSION', calls({ F: [call('F', 'p', 'q')] }), {
    message: /'d:F' -> 'd:F'/,
  }),
  invalid(
    25,
    'two functions that call each other',
    'RECURSION',
    calls({ F: [call('G', 'p', 'q')], G: [call('F', 'p', 'q')] }),
    { argv: CUT },
  ),
  invalid(
    25,
    'a call hidden in a body',
    'RECURSION',
    calls({
      F: [
        node('If', ['p'], ['q'], { then_branch: { graph: { nodes: [call('F', 'p', 'r')], outputs: [value('r')] } } }),
      ],
    }),
  ),
  {
    rows: [25],
    name: 'a chain of 101 functions',
    files: chain(101, 1),
    argv: INSPECT,
    exit: 5,
    code: 'FEATX_LIMIT_CALLS',
    hint: /--max-calls/,
  },
  {
    rows: [26],
    name: 'twenty functions that each call the next a hundred times',
    files: chain(20, 100),
    argv: INSPECT,
    exit: 5,
    code: 'FEATX_LIMIT_EXPANSION',
    hint: /--max-expansion/,
  },
  {
    rows: [26],
    name: 'twenty functions that each call the next a hundred times, cut',
    files: chain(20, 100),
    argv: CUT,
    exit: 5,
    code: 'FEATX_LIMIT_EXPANSION',
  },
  invalid(
    25,
    'a function that nothing calls and that calls itself',
    'RECURSION',
    calls({ F: [node('Neg', ['p'], ['q'])], G: [call('G', 'p', 'q')] }),
  ),
];

const TAPS: readonly FaultCase[] = [
  accepted(
    28,
    'an output that is one already',
    model(() => network()),
    { argv: ['extract', 'm.onnx', '--mode', 'hook', '--tensor', 'y', '-o', 'out.onnx'], outputs: ['y'] },
  ),
  accepted(
    28,
    'an output that the file lists twice',
    model(() => network({ outputs: [value('y', [1, 5]), value('y', [1, 5])] })),
    { line: 'output twice', argv: HOOK, outputs: ['y', 'stem/act'] },
  ),
  accepted(
    29,
    'an input leaves through an Identity',
    model(() => network()),
    { argv: ['extract', 'm.onnx', '--mode', 'hook', '--tensor', 'x', '-o', 'out.onnx'], outputs: ['y', 'x_feature'] },
  ),
  accepted(
    29,
    'so does an initializer',
    model(() => network()),
    { argv: tap('fc.bias'), outputs: ['fc.bias_feature'], operators: ['Identity'] },
  ),
  refused(
    30,
    'an empty name',
    'FEATX_USAGE',
    model(() => network({ nodes: [...BACKBONE, node('MaxPool', ['x'], ['m', ''])] })),
    tap(''),
    { message: /takes a name, not ''/ },
  ),
  refused(
    30,
    'an empty name of a node',
    'FEATX_USAGE',
    model(() => network()),
    ['extract', 'm.onnx', '--node', '', '-o', 'out.onnx'],
    { message: /takes a name, not ''/ },
  ),
  refused(
    30,
    'an empty name of a module',
    'FEATX_USAGE',
    model(() => network()),
    ['extract', 'm.onnx', '--module', '', '-o', 'out.onnx'],
    { message: /takes a name, not ''/ },
  ),
  accepted(
    31,
    'a sequence leaves as a sequence',
    withNodes([node('SequenceConstruct', ['y'], ['seq'])], {
      valueInfo: [...DECLARED, { name: 'seq', type: { sequence: { tensor: 'float32', shape: [1, 5] } } }],
    }),
    { argv: tap('seq'), outputs: ['seq'] },
  ),
  refused(
    31,
    'a sequence under another name, where Identity takes none',
    'FEATX_USAGE_ALIAS',
    withNodes(
      [node('SequenceConstruct', ['y'], ['seq'])],
      { valueInfo: [...DECLARED, { name: 'seq', type: { sequence: { tensor: 'float32' } } }] },
      { opset: 13 },
    ),
    [...tap('seq'), '--out-map', 'other'],
  ),
  accepted(
    32,
    'a tensor of a body',
    withNodes(
      [
        node(
          'If',
          ['c'],
          ['r'],
          branches({ nodes: [node('Neg', ['stem/act'], ['inner'])], outputs: [value('inner')] }),
        ),
      ],
      WITH_IF,
    ),
    { argv: tap('inner'), outputs: ['r/then_branch::inner'], operators: ['Conv', 'Relu', 'If'] },
  ),
  accepted(32, 'a tensor of a function', calls({ F: [node('Neg', ['p'], ['inner']), node('Neg', ['inner'], ['q'])] }), {
    argv: tap('inner'),
    outputs: ['z::inner'],
    operators: ['Conv', 'Relu', 'Conv', 'Relu', 'GlobalAveragePool', 'Flatten', 'Gemm', 'F'],
  }),
  refused(
    33,
    'a tensor of several bodies',
    'FEATX_RESOLVE_INSIDE',
    withNodes(
      [
        node(
          'If',
          ['c'],
          ['r'],
          branches(
            { nodes: [node('Neg', ['stem/act'], ['inner'])], outputs: [value('inner')] },
            { nodes: [node('Abs', ['stem/act'], ['inner'])], outputs: [value('inner')] },
          ),
        ),
      ],
      WITH_IF,
    ),
    tap('inner'),
    { message: /2 bodies and calls/, hint: /'r\/then_branch::inner', 'r\/else_branch::inner'/ },
  ),
  accepted(
    33,
    'a name of the graph that bodies have too is the one of the graph',
    withNodes(
      [node('If', ['c'], ['r'], branches({ nodes: [node('Neg', ['stem/act'], ['pool'])], outputs: [value('pool')] }))],
      WITH_IF,
    ),
    { argv: tap('pool'), outputs: ['pool'], operators: ['Conv', 'Relu', 'Conv', 'Relu', 'GlobalAveragePool'] },
  ),
  accepted(
    34,
    'a default name that another tensor has',
    model(() =>
      network({
        nodes: BACKBONE.map((spec) => ({
          ...spec,
          inputs: spec.inputs?.map((name) => (name === 'stem/act' ? '1' : name)),
          outputs: spec.outputs?.map((name) => (name === 'stem/act' ? '1' : name)),
        })),
        valueInfo: [...DECLARED, value('1', [1, 4, 4, 4])],
      }),
    ),
    { argv: CUT, outputs: ['0', 'feature_1'], warns: [/the name '1' is taken by another tensor/] },
  ),
  refused(
    34,
    'a name of --out-map that another tensor has',
    'FEATX_USAGE_OUT_MAP',
    model(() => network()),
    [...CUT, '--out-map', 'a,layer1/conv'],
    { message: /'layer1\/conv' is taken/ },
  ),
  refused(
    34,
    'a name of --out-map that a body has',
    'FEATX_USAGE_OUT_MAP',
    withNodes(
      [
        node(
          'If',
          ['c'],
          ['r'],
          branches({ nodes: [node('Neg', ['stem/act'], ['inner'])], outputs: [value('inner')] }),
        ),
      ],
      { initializers: [CONDITION], outputs: [value('r', [1, 4, 4, 4])] },
    ),
    [...HOOK, '--out-map', 'inner'],
  ),
];

const CUSTOM = node('Custom', ['layer1/act'], ['z'], {}, { domain: 'my.ops', name: 'custom' });
const CUSTOM_OPSET: Partial<ModelSpec> = {
  opset: [
    ['', 17],
    ['my.ops', 1],
  ],
};

const TYPES: readonly FaultCase[] = [
  accepted(35, 'an output whose type is nowhere is declared by name alone', withNodes([CUSTOM], {}, CUSTOM_OPSET), {
    line: 'untyped output',
    argv: tap('z'),
    outputs: ['z'],
    warns: [/my\.ops/, /the type of the output 'z' is not known/],
    isSlow: true,
  }),
  refused(
    35,
    'an output whose type is nowhere, under --strict',
    'FEATX_STRICT',
    withNodes([CUSTOM], {}, CUSTOM_OPSET),
    [...tap('z'), '--strict'],
    { line: 'untyped output', isSlow: true },
  ),
  accepted(
    35,
    'an output without a type gets the one that is known',
    model(() => network({ outputs: [value('y', null, null)], valueInfo: [...DECLARED, value('y', [1, 5])] })),
    { line: 'untyped output', argv: tap('y'), outputs: ['y'] },
  ),
  accepted(
    35,
    'an output that is declared with another shape',
    model(() => network({ outputs: [value('y', [7, 3])] })),
    {
      line: 'wrong output type',
      argv: ['run', 'm.onnx', '--tensor', 'y', '--input', 'random', '-o', 'out.npz'],
      report: { features: [{ tensor: 'y', shape: [1, 5] }] },
      warns: [/declares 'y' as float32 \[7, 3\], but its nodes make float32 \[1, 5\]/],
      isSlow: true,
    },
  ),
  accepted(
    36,
    'a node whose value only a body reads stays',
    withNodes(
      [
        node('Abs', ['x'], ['seen']),
        node('If', ['c'], ['r'], branches({ nodes: [node('Neg', ['seen'], ['s'])], outputs: [value('s')] })),
      ],
      { initializers: [CONDITION], valueInfo: [...DECLARED, value('r', [1, 4, 4, 4])] },
    ),
    {
      argv: tap('r'),
      outputs: ['r'],
      operators: ['Conv', 'Relu', 'Abs', 'If'],
      warns: [/declares 'r' as float32 \[1, 4, 4, 4\]/],
    },
  ),
  accepted(
    36,
    'training is dropped with a warning',
    model(() =>
      network({}, { trainingInfo: [{ algorithm: { nodes: [node('Mul', ['fc.bias', 'fc.bias'], ['b'])] } }] }),
    ),
    { argv: CUT, outputs: ['0', '1'], warns: [/training_info is dropped/] },
  ),
  refused(
    37,
    'a pattern that nothing matches',
    'FEATX_RESOLVE',
    model(() => network()),
    tap('nothing*'),
    { message: /no tensor matches 'nothing\*'/ },
  ),
  refused(
    37,
    'a name that is nearly one',
    'FEATX_RESOLVE',
    model(() => network()),
    tap('stem/akt', 'layer2/act'),
    { message: /stem\/act.*layer1\/act/ },
  ),
  refused(
    37,
    'an index that is none',
    'FEATX_RESOLVE',
    model(() => network()),
    ['extract', 'm.onnx', '--out', '7', '-o', 'out.onnx'],
    { message: /index 7 is out of range/, hint: /0 to 1/ },
  ),
  refused(
    37,
    'a model without features',
    'FEATX_RESOLVE_NONE',
    model(() => network({ nodes: [node('Neg', ['x'], ['y'])], inputs: [value('x', [1, 5])] })),
    ['extract', 'm.onnx', '--out', '0', '-o', 'out.onnx'],
    { hint: /--tensor/ },
  ),
  accepted(38, 'an operator that nobody knows is cut around', withNodes([CUSTOM], {}, CUSTOM_OPSET), {
    argv: CUT,
    outputs: ['0', '1'],
    warns: [/my\.ops/],
  }),
  accepted(38, 'an operator that nobody knows is named', withNodes([CUSTOM], {}, CUSTOM_OPSET), {
    warns: [/operators of the domain 'my\.ops'.*featx run/],
  }),
  {
    rows: [38],
    name: 'an operator that nobody knows cannot be run',
    files: withNodes([CUSTOM], { valueInfo: [...DECLARED, value('z', [1, 8, 2, 2])] }, CUSTOM_OPSET),
    argv: ['run', 'm.onnx', '--tensor', 'z', '--input', 'random', '-o', 'out.npz'],
    exit: 6,
    code: 'FEATX_RUNTIME_MODEL',
    message: /my\.ops/,
    isSlow: true,
  },
  accepted(
    38,
    'opset 999',
    model(() => network({}, { opset: 999 })),
    { line: 'unknown numbers', report: { model: { opset_imports: { '': 999 } } }, warns: [/operator set 999, newer/] },
  ),
  accepted(
    38,
    'opset 999, cut',
    model(() => network({}, { opset: 999 })),
    { argv: CUT, outputs: ['0', '1'], warns: [/operator set 999/] },
  ),
  {
    rows: [38],
    name: 'opset 999, run',
    files: model(() => network({}, { opset: 999 })),
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '-o', 'out.npz'],
    exit: 6,
    code: 'FEATX_RUNTIME_MODEL',
    message: /999/,
    isSlow: true,
  },
  accepted(
    38,
    'IR version 300',
    model(() => network({}, { irVersion: 300 })),
    { report: { model: { ir_version: 300 } }, warns: [/IR version 300, newer/] },
  ),
  accepted(
    39,
    'a metadata key twice stays twice',
    model(() =>
      network(
        {},
        {
          metadata: [
            ['author', 'one'],
            ['author', 'two'],
          ],
        },
      ),
    ),
    { argv: CUT, holds: () => [new TextEncoder().encode('one'), new TextEncoder().encode('two')] },
  ),
  accepted(
    39,
    'metadata of two mebibytes stays',
    model(() => network({}, { metadata: [['notes', 'n'.repeat(2 * 2 ** 20)]] })),
    { argv: CUT, holds: () => [new Uint8Array(2 * 2 ** 20).fill(0x6e)] },
  ),
  accepted(
    39,
    'metadata with control characters stays, and is not printed',
    model(() => network({}, { producer: ['evil\u001b[2J\u202e', '1'], metadata: [['\u001b[31m', '\u0007']] })),
    { text: /evil\\x1b\[2J\\u202e/ },
  ),
];

export const GRAPH_CASES: readonly FaultCase[] = [...DUPLICATES, ...CYCLES, ...FUNCTIONS, ...TAPS, ...TYPES];
