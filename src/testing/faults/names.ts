import { BACKBONE } from '../fixtures/fixture.js';
import { value, type NodeSpec } from '../model-spec.js';
import { bytesOf, type Text } from '../wire-writer.js';
import { DECLARED, INSPECT, model, network, type FaultCase } from './case.js';

/** Rows 61 to 69: names and patterns. */

/** The network with its first feature, and what it says of it, under another name. */
const named = (name: Text, more: Partial<NodeSpec> = {}) =>
  model(() =>
    network({
      nodes: BACKBONE.map((spec) => ({
        ...spec,
        inputs: spec.inputs?.map((each) => (each === 'stem/act' ? name : each)),
        outputs: spec.outputs?.map((each) => (each === 'stem/act' ? name : each)),
        ...(spec.name === 'stem/act' ? more : {}),
      })),
      valueInfo: [...DECLARED, value(name, [1, 4, 4, 4])],
    }),
  );
const tensors = (row: number, name: string, files: FaultCase['files'], more: Partial<FaultCase> = {}): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: [...INSPECT, '--tensors'],
  exit: 0,
  ...more,
});
const cut = (row: number, name: string, tensor: string, more: Partial<FaultCase> = {}): FaultCase => ({
  rows: [row],
  name,
  files: named(tensor),
  argv: ['extract', 'm.onnx', '--tensor', tensor.replace(/[*?\\]/g, '\\$&'), '-o', 'out.onnx'],
  exit: 0,
  outputs: [tensor],
  holds: () => [bytesOf(tensor)],
  ...more,
});

export const NAME_CASES: readonly FaultCase[] = [
  tensors(61, 'a name that is not UTF-8', named(Uint8Array.of(0x61, 0xff)), {
    line: 'odd names',
    finds: /"name":"a\\udcff"/,
    text: /a\\xff/,
  }),
  {
    rows: [61],
    name: 'a name that is not UTF-8 is copied byte for byte',
    line: 'odd names',
    files: named(Uint8Array.of(0x61, 0xff)),
    argv: ['extract', 'm.onnx', '--out', '0', '--mode', 'list', '-o', 'out.onnx'],
    exit: 0,
    outputs: ['a\udcff'],
    holds: () => [Uint8Array.of(0x0a, 2, 0x61, 0xff)],
  },
  tensors(61, 'a name that holds NUL', named('a\0b'), {
    line: 'odd names',
    finds: /"name":"a\\u0000b"/,
    text: /a\\x00b/,
  }),
  cut(62, 'a composed letter is not its parts', 'stem/act\u00e9'),
  {
    rows: [62],
    name: 'its parts are not the composed letter',
    files: named('stem/act\u00e9'),
    argv: ['extract', 'm.onnx', '--tensor', 'stem/acte\u0301', '-o', 'out.onnx'],
    exit: 2,
    code: 'FEATX_RESOLVE',
    message: /stem\/act\u00e9/,
  },
  tensors(62, 'letters that turn the line around', named('abc\u202egnp.exe'), {
    text: /abc\\u202egnp\.exe/,
    finds: /abc\\u202egnp\.exe/,
  }),
  tensors(62, 'letters of no width', named('abc\u200b\ufeff'), { text: /abc\\u200b\\ufeff/ }),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((name) => cut(63, `a tensor called ${name}`, name)),
  tensors(
    63,
    'an operator set of the domain __proto__',
    model(() =>
      network(
        {},
        {
          opset: [
            ['', 17],
            ['__proto__', 5],
          ],
        },
      ),
    ),
    { finds: /"__proto__":5/ },
  ),
  tensors(
    63,
    'metadata called __proto__',
    model(() =>
      network(
        {},
        {
          metadata: [
            ['__proto__', 'x'],
            ['constructor', 'y'],
          ],
        },
      ),
    ),
  ),
  {
    rows: [63],
    name: 'a FeatureInfo that is a prototype',
    files: model(() => network({}, { metadata: [['featx.feature_info', '{"__proto__": {"schema": 1}}']] })),
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_METADATA',
    hint: /cut it again/,
  },
  tensors(64, 'a name that clears the screen', named('\u001b[2J\u001b]0;title\u0007'), {
    text: /\\x1b\[2J\\x1b\]0;title\\x07/,
    finds: /\\u001b\[2J/,
  }),
  tensors(64, 'a name of several lines', named('a\r\nb\u0085c\u2028d'), { text: /a\\r\\nb\\u0085c\\u2028d/ }),
  {
    rows: [64],
    name: 'such a name in an error',
    files: named('\u001b[31mred'),
    argv: ['extract', 'm.onnx', '--tensor', '\u001b[31mrad', '-o', 'out.onnx'],
    exit: 2,
    code: 'FEATX_RESOLVE',
    message: /\[31mred/,
  },
  {
    rows: [64],
    name: 'such a name in a path',
    files: () => ({}),
    argv: ['inspect', 'gone\u001b[2J.onnx'],
    exit: 4,
    code: 'FEATX_IO_NOT_FOUND',
  },
  {
    rows: [66],
    name: 'a name that a spreadsheet would calculate',
    files: named('=HYPERLINK("http://x","y")'),
    argv: [...INSPECT, '--tensors', '--csv'],
    exit: 0,
    text: /"'=HYPERLINK\(""http:\/\/x"",""y""\)"/,
  },
  tensors(66, 'a name that a CI log would take for a command', named('::set-output name=a::b'), {
    text: /^\\x3a:set-output name=a::b /m,
    finds: /"::set-output name=a::b"/,
  }),
  tensors(66, 'a name that another CI log would take for a command', named('a ##vso[task.complete result=Failed;]'), {
    text: /a \\x23#vso\[/,
    finds: /\\u0023#vso/,
  }),
  {
    rows: [67],
    name: 'a pattern of many stars',
    files: named('a'.repeat(60_000)),
    argv: ['extract', 'm.onnx', '--tensor', `${'a*'.repeat(2_000)}b`, '-o', 'out.onnx'],
    exit: 2,
    code: 'FEATX_RESOLVE',
    message: /no tensor matches/,
  },
  {
    rows: [67],
    name: 'what would be a regular expression is a name',
    files: model(() => network()),
    argv: ['extract', 'm.onnx', '--tensor', '^(a+)+$', '-o', 'out.onnx'],
    exit: 2,
    code: 'FEATX_RESOLVE',
    message: /no tensor is named/,
  },
  {
    rows: [69],
    name: 'a name with separators becomes one file name',
    files: named('../../../evil'),
    argv: ['run', 'm.onnx', '--tensor', '../../../evil', '--input', 'random', '-o', 'out/'],
    exit: 0,
    creates: [/^out$/, /^out\/[^/]*evil[^/]*\.pb$/],
    isSlow: true,
  },
];
