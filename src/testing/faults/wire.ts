import { deflateRawSync, gzipSync } from 'node:zlib';
import { BACKBONE, BACKBONE_WEIGHTS } from '../fixtures/fixture.js';
import { node, tensor, value, type GraphSpec, type TypeSpec } from '../model-spec.js';
import {
  bytes,
  bytesOf,
  double,
  float,
  group,
  int,
  join,
  joinAll,
  message,
  tag,
  varint,
  type RawField,
} from '../wire-writer.js';
import { CUT, DECLARED, HOOK, INSPECT, model, network, type FaultCase } from './case.js';

/** Rows 1 to 19: the bytes. */

const good = network();
const END = good.length;
const behind = (...parts: readonly Uint8Array[]) => model(() => join(good, ...parts));
const cutAt = (size: number) => model(() => good.slice(0, size));
const text = (content: string) => model(() => bytesOf(content));

const wire = (
  row: number,
  name: string,
  code: string,
  offset: number | 'known',
  files: FaultCase['files'],
  more: Partial<FaultCase> = {},
): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: INSPECT,
  exit: code === 'DEPTH' ? 5 : 3,
  code: `FEATX_WIRE_${code}`,
  offset,
  ...more,
});
const accepted = (row: number, name: string, files: FaultCase['files'], more: Partial<FaultCase> = {}): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: INSPECT,
  exit: 0,
  ...more,
});
const foreign = (name: string, files: FaultCase['files'], kind: RegExp, more: Partial<FaultCase> = {}): FaultCase => ({
  rows: [2],
  name,
  files,
  argv: INSPECT,
  exit: 3,
  code: 'FEATX_UNSUPPORTED_FILE',
  message: kind,
  hint: /./,
  ...more,
});

function safetensors(): Uint8Array {
  const header = bytesOf('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  return join(new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer), header, new Uint8Array(4));
}

function tar(): Uint8Array {
  const block = new Uint8Array(1024);
  block.set(bytesOf('m.onnx'));
  block.set(bytesOf('ustar'), 257);
  return block;
}

/** The network with an If whose branch holds an If, and so on. */
function nestedIfs(levels: number): Uint8Array {
  let inner: GraphSpec = { nodes: [node('Identity', ['c'], ['r'])], outputs: [value('r')] };
  for (let level = 1; level < levels; level++)
    inner = {
      nodes: [
        node('If', ['c'], ['r'], {
          then_branch: { graph: inner },
          else_branch: { graph: { outputs: [{ name: 'c' }] } },
        }),
      ],
      outputs: [value('r')],
    };
  const outer = node('If', ['c'], ['r'], {
    then_branch: { graph: inner },
    else_branch: { graph: { outputs: [{ name: 'c' }] } },
  });
  return network({ nodes: [...BACKBONE, outer], initializers: [...BACKBONE_WEIGHTS, tensor('c', [], [1], 'bool')] });
}

/** Every level is a few bytes in front of the next, written inside out: nothing is copied twice. */
function nestedBodies(levels: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  const before = (...front: readonly Uint8Array[]): void => {
    for (const part of front) size += part.length;
    parts.push(join(...front));
  };
  for (let level = 0; level < levels; level++) {
    before(bytes(1, 'then_branch').bytes, tag(6, 2), varint(size));
    before(bytes(4, 'If').bytes, tag(5, 2), varint(size));
    before(tag(1, 2), varint(size));
  }
  before(int(1, 8).bytes, tag(7, 2), varint(size));
  return joinAll(parts.reverse());
}

function nestedType(levels: number): Uint8Array {
  let type = message([bytes(1, message([int(1, 1)]))]);
  for (let level = 0; level < levels; level++) type = message([bytes(4, message([bytes(1, type)]))]);
  return join(good, bytes(7, message([bytes(13, message([bytes(1, 'deep'), bytes(2, type)]))])).bytes);
}

function sequenceOf(levels: number): TypeSpec {
  let type: TypeSpec = { tensor: 'float32' };
  for (let level = 0; level < levels; level++) type = { sequence: type };
  return type;
}

const unknown: readonly RawField[] = [
  int(9001, 7),
  bytes(9002, 'kept'),
  float(9003, 1.5),
  double(9004, 2.5),
  group(9005, int(1, 1), group(2, bytes(3, 'nested'))),
];
const inGraph = (...content: readonly Uint8Array[]): Uint8Array =>
  join(int(1, 8).bytes, bytes(7, join(...content)).bytes);
const inNode = (...content: readonly Uint8Array[]): Uint8Array => inGraph(bytes(1, join(...content)).bytes);

const TRUNCATED: readonly FaultCase[] = [
  wire(1, 'cut inside the weights', 'TRUNCATED', 'known', cutAt(600)),
  wire(1, 'cut by its last byte', 'TRUNCATED', 'known', cutAt(END - 1), { argv: CUT }),
  wire(1, 'cut behind its first byte', 'TRUNCATED', 1, cutAt(1)),
  wire(1, 'cut inside the length of the graph', 'TRUNCATED', 3, cutAt(4)),
  {
    rows: [1],
    name: 'cut before its graph',
    files: cutAt(2),
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_MISSING',
    hint: /./,
  },
  {
    rows: [1],
    name: 'cut before its operator sets',
    files: model(() => network({}, { opset: [] })),
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_OPSET',
    message: /imports no operator set/,
  },
  {
    rows: [1],
    name: 'cut before its operator sets, and cut out of',
    files: model(() => network({}, { opset: [] })),
    argv: CUT,
    exit: 3,
    code: 'FEATX_GRAPH_OPSET',
  },
];

const FOREIGN: readonly FaultCase[] = [
  foreign(
    'an empty file',
    model(() => new Uint8Array(0)),
    /is empty/,
  ),
  foreign(
    'a Git LFS pointer',
    text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'),
    /Git LFS pointer/,
    { argv: CUT, hint: /git lfs pull/ },
  ),
  foreign('an HTML page', text('<!DOCTYPE html>\n<html><head><title>404</title></head></html>'), /HTML page/),
  foreign(
    'gzip',
    model(() => gzipSync('model')),
    /gzip archive/,
    { hint: /unpack/ },
  ),
  foreign(
    'zip',
    model(() => join(bytesOf('PK\x03\x04'), deflateRawSync('model'))),
    /zip archive/,
  ),
  foreign(
    'an ONNX Runtime flatbuffer',
    model(() => join(Uint8Array.of(0x18, 0, 0, 0), bytesOf('ORTM'), new Uint8Array(8))),
    /\.ort/,
  ),
  foreign('safetensors', model(safetensors), /safetensors/),
  foreign(
    'a NumPy array',
    model(() => join(Uint8Array.of(0x93), bytesOf('NUMPY'), Uint8Array.of(1, 0))),
    /NumPy array/,
  ),
  foreign('JSON', text('{"graph": {}}'), /JSON/),
  foreign('a Python program', text('import torch\n\nmodel = torch.load("m.pt")\n'), /a text file/, { hint: /\.onnx/ }),
  foreign('a note', text('hello, this is the model you asked for\n'), /a text file/, { argv: CUT }),
  foreign(
    'a Windows note in UTF-16',
    model(() => new Uint8Array([0xff, 0xfe, ...Buffer.from('a note', 'utf16le')])),
    /a text file/,
  ),
  foreign(
    'a pickled checkpoint',
    model(() => join(Uint8Array.of(0x80, 2, 0x8a, 0x0a), bytesOf('lFC...state_dict'))),
    /pickle/,
  ),
  foreign(
    'a picture',
    model(() => join(Uint8Array.of(0x89), bytesOf('PNG\r\n\x1a\n'), new Uint8Array(16))),
    /PNG picture/,
  ),
  foreign('a PDF', text('%PDF-1.7\n%\u00e2\u00e3\n1 0 obj\n'), /PDF/),
  foreign('a tar archive', model(tar), /tar archive/),
  foreign(
    'zstd',
    model(() => join(Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), new Uint8Array(16))),
    /zstd archive/,
  ),
];

const VARINTS: readonly FaultCase[] = [
  wire(3, 'a varint of 11 bytes', 'VARINT', END + 3, behind(tag(9001, 0), varint(1, 11)), { line: 'broken wire' }),
  wire(
    3,
    'a tenth byte above 1',
    'VARINT',
    END + 3,
    behind(tag(9001, 0), new Uint8Array(9).fill(0xff), Uint8Array.of(2)),
  ),
  wire(3, 'a varint without end', 'VARINT', END + 3, behind(tag(9001, 0), new Uint8Array(1000).fill(0x80))),
  accepted(
    4,
    'values and lengths of five bytes',
    model(() => network({}, {}, { overlong: 4 })),
    { line: 'needless bytes', report: { model: { ir_version: 8, nodes: 7 }, out_indices: [0, 1] } },
  ),
  accepted(4, 'a value of ten bytes', behind(tag(1, 0), varint(8, 10)), { warns: [/field 1 of the model/] }),
  accepted(
    4,
    'needless bytes are copied as they are',
    model(() => network({}, { extra: [int(9001, 5, { overlong: 6 })] })),
    {
      line: 'needless bytes',
      argv: HOOK,
      outputs: ['y', 'stem/act'],
      holds: () => [int(9001, 5, { overlong: 6 }).bytes],
    },
  ),
  wire(5, 'field number 0', 'TAG', END, behind(Uint8Array.of(0, 0)), { line: 'broken wire' }),
  wire(5, 'field number 0, of bytes', 'TAG', END, behind(Uint8Array.of(2, 0))),
  wire(
    5,
    'field number 0 in a node',
    'TAG',
    'known',
    model(() => inNode(Uint8Array.of(1), new Uint8Array(8))),
  ),
  wire(5, 'a tag of six bytes', 'TAG', END, behind(varint(8, 6), Uint8Array.of(0)), { line: 'broken wire' }),
  wire(5, 'a tag above 2^32 - 1', 'TAG', END, behind(varint(2n ** 32n + 8n), Uint8Array.of(0))),
  wire(5, 'a tag of ten bytes', 'TAG', END, behind(varint(-1))),
];

const LENGTHS: readonly FaultCase[] = [
  wire(
    6,
    'a node longer than its graph, though not than the file',
    'TRUNCATED',
    'known',
    model(() => join(inGraph(tag(1, 2), varint(10)), bytes(9001, 'x'.repeat(20)).bytes)),
    { field: 'graph' },
  ),
  wire(6, 'a length of 2^31 - 1', 'TRUNCATED', END + 1, behind(tag(7, 2), varint(2 ** 31 - 1))),
  wire(6, 'a length of 2^63', 'LENGTH', END + 1, behind(tag(7, 2), varint(2n ** 63n))),
  wire(6, 'a length of -1', 'LENGTH', END + 1, behind(tag(7, 2), varint(-1)), { argv: CUT }),
  wire(6, 'a length of six bytes', 'LENGTH', END + 3, behind(tag(9001, 2), varint(0, 6)), { line: 'broken wire' }),
  wire(
    6,
    'raw_data longer than its tensor',
    'TRUNCATED',
    'known',
    model(() => inGraph(bytes(5, join(tag(9, 2), varint(1000))).bytes)),
    { field: /^graph\.initializer\[0\]/ },
  ),
  wire(6, 'a fixed64 that is cut off', 'TRUNCATED', END, behind(tag(9001, 1), new Uint8Array(7))),
  wire(
    6,
    'a list of numbers that ends inside a number',
    'TRUNCATED',
    'known',
    model(() => inGraph(bytes(5, bytes(1, Uint8Array.of(0x80)).bytes).bytes)),
  ),
  {
    rows: [6],
    name: 'packed dims of two mebibytes',
    files: model(() =>
      network({
        initializers: [
          ...BACKBONE_WEIGHTS,
          { name: 'long', dims: [], extra: [bytes(1, new Uint8Array(2 * 2 ** 20).fill(1))] },
        ],
      }),
    ),
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_DIMS',
    field: 'graph.initializer[4]',
    offset: 'known',
  },
  wire(
    6,
    'a packed list of two mebibytes that ends inside a number',
    'TRUNCATED',
    'known',
    model(() =>
      network({
        nodes: [
          ...BACKBONE,
          node('Neg', ['y'], ['z'], { list: { ints: [], extra: [bytes(8, new Uint8Array(2 * 2 ** 20).fill(0x80))] } }),
        ],
      }),
    ),
    { code: 'FEATX_WIRE_VARINT' },
  ),
  ...[6, 7].flatMap((type) => [
    wire(7, `wire type ${type}`, 'TAG', END, behind(varint(8 + type)), {
      line: 'broken wire',
      message: new RegExp(`wire type ${type} does not exist`),
    }),
    wire(
      7,
      `wire type ${type} in a node`,
      'TAG',
      'known',
      model(() => inNode(varint(8 + type))),
    ),
    wire(7, `wire type ${type} in a group`, 'TAG', END + 2, behind(tag(100, 3), varint(8 + type))),
  ]),
];

const GROUPS: readonly FaultCase[] = [
  wire(8, 'a group that is closed and not open', 'GROUP', END, behind(tag(5, 4)), { line: 'trailing bytes' }),
  wire(8, 'a group that is closed as another', 'GROUP', END + 2, behind(tag(100, 3), tag(101, 4))),
  wire(8, 'a group that stays open', 'GROUP', END, behind(tag(100, 3), int(1, 1).bytes)),
  wire(
    8,
    'a group that is closed outside its message',
    'GROUP',
    4,
    model(() => join(inGraph(tag(100, 3)), tag(100, 4))),
  ),
  wire(
    8,
    'a group of a known field that stays open',
    'GROUP',
    'known',
    model(() => inNode(tag(4, 3))),
  ),
  accepted(
    8,
    'closed groups are copied',
    model(() => network({ extra: unknown }, { extra: unknown })),
    {
      line: 'unknown fields',
      argv: HOOK,
      outputs: ['y', 'stem/act'],
      holds: () => [join(...unknown.map((field) => field.bytes))],
    },
  ),
  wire(9, 'a million groups inside each other', 'DEPTH', 'known', behind(new Uint8Array(1_000_000).fill(0x0b)), {
    line: 'broken wire',
    hint: /--max-depth/,
  }),
  wire(
    9,
    '7,000 bodies inside each other, 21,000 messages',
    'DEPTH',
    'known',
    model(() => nestedBodies(7_000)),
    { hint: /--max-depth/ },
  ),
  accepted(
    10,
    '30 bodies inside each other',
    model(() => nestedIfs(30)),
    { line: 'deep bodies', report: { model: { nodes: 8 } } },
  ),
  wire(
    10,
    '33 bodies inside each other',
    'DEPTH',
    'known',
    model(() => nestedIfs(33)),
    { line: 'deep bodies', message: /more than 100 deep/ },
  ),
  accepted(
    10,
    '33 bodies where the limit is raised',
    model(() => nestedIfs(33)),
    { argv: [...INSPECT, '--max-depth', '110'] },
  ),
  accepted(
    10,
    'a sequence of 40 sequences',
    model(() => network({ valueInfo: [...DECLARED, { name: 'nowhere', type: sequenceOf(40) }] })),
  ),
  wire(
    10,
    'a sequence of 60 sequences',
    'DEPTH',
    'known',
    model(() => nestedType(60)),
  ),
  wire(
    10,
    'a sequence of 5,000 sequences',
    'DEPTH',
    'known',
    model(() => nestedType(5_000)),
    { argv: CUT },
  ),
];

const MERGED: readonly FaultCase[] = [
  accepted(
    11,
    'the graph in three parts',
    model(() => network({}, {}, { graphPieces: 3 })),
    { line: 'two graphs', report: { model: { nodes: 7, initializers: 4 }, out_indices: [0, 1] } },
  ),
  accepted(
    11,
    'the graph in three parts, cut',
    model(() => network({}, {}, { graphPieces: 3 })),
    {
      line: 'two graphs',
      argv: CUT,
      outputs: ['0', '1'],
      operators: ['Conv', 'Relu', 'Conv', 'Relu', 'Identity', 'Identity'],
    },
  ),
  accepted(11, 'ir_version twice', behind(int(1, 9).bytes), {
    line: 'scalar twice',
    report: { model: { ir_version: 9 } },
    warns: [/field 1 of the model .*byte \d+.* the last one counts/],
  }),
  accepted(
    11,
    'data_type twice',
    model(() =>
      network({
        initializers: [
          ...BACKBONE_WEIGHTS,
          { name: 'twice', dims: [2], type: 'int64', data: new Uint8Array(8), extra: [int(2, 6)] },
        ],
      }),
    ),
    { line: 'scalar twice', warns: [/field 2 of graph\.initializer\[4\]/] },
  ),
  accepted(
    11,
    'raw_data twice',
    model(() =>
      network({
        initializers: [
          ...BACKBONE_WEIGHTS,
          { ...tensor('twice', [1], [1]), data: new Uint8Array(7), extra: [bytes(9, new Uint8Array(4))] },
        ],
      }),
    ),
    { line: 'scalar twice', warns: [/field 9 of graph\.initializer\[4\]/] },
  ),
  accepted(
    11,
    'the name of a node twice',
    model(() => network({ nodes: BACKBONE.map((spec) => ({ ...spec, extra: [bytes(3, `${String(spec.name)}!`)] })) })),
    { argv: [...INSPECT, '--tensors'], finds: /"node":"fc!"/, warns: [/7 fields.*field 3 of graph\.node\[0\]/] },
  ),
  {
    rows: [11],
    name: 'ir_version twice, under --strict',
    files: behind(int(1, 9).bytes),
    argv: [...INSPECT, '--strict'],
    exit: 2,
    code: 'FEATX_STRICT',
  },
  accepted(12, 'the graph as a number', behind(int(7, 1).bytes), { report: { model: { nodes: 7 } } }),
  accepted(12, 'the graph as a number, copied', behind(int(7, 1).bytes), {
    argv: HOOK,
    holds: () => [int(7, 1).bytes],
  }),
  accepted(12, 'ir_version as bytes', behind(bytes(1, 'x').bytes), { report: { model: { ir_version: 8 } } }),
  accepted(
    12,
    'data_type as bytes that are no list of numbers',
    model(() =>
      network({
        initializers: [...BACKBONE_WEIGHTS, { ...tensor('odd', [1], [1]), extra: [bytes(2, Uint8Array.of(0x80))] }],
      }),
    ),
  ),
  accepted(
    12,
    'lists of numbers with a tag each',
    model(() => network({}, {}, { packed: false })),
    { report: { model: { weights_bytes: 1764 }, out_indices: [0, 1] } },
  ),
  accepted(
    13,
    'a dim that is a number and then a symbol',
    model(() =>
      network({
        inputs: [
          {
            name: 'x',
            type: {
              tensor: 'float32',
              shape: [1, 3, 8, 8],
              extra: [bytes(1, bytes(2, bytes(1, join(int(1, 4).bytes, bytes(2, 'n').bytes)).bytes).bytes)],
            },
          },
        ],
      }),
    ),
    {
      argv: ['extract', 'm.onnx', '--tensor', 'stem/act', '-o', 'out.onnx'],
      outputs: ['stem/act'],
      warns: [/stem\/conv \(Conv\) is impossible/],
    },
  ),
  accepted(
    13,
    'a type that is a tensor and then a sequence',
    model(() =>
      network({
        valueInfo: [
          ...DECLARED,
          {
            name: 'nowhere',
            type: {
              tensor: 'float32',
              shape: [1],
              extra: [bytes(4, message([bytes(1, message([bytes(1, message([int(1, 7)]))]))]))],
            },
          },
        ],
      }),
    ),
    {},
  ),
];

const REST: readonly FaultCase[] = [
  wire(14, 'zeros behind the model', 'TAG', END, behind(new Uint8Array(16)), { line: 'trailing bytes' }),
  wire(14, 'text behind the model', 'TAG', 'known', behind(bytesOf('# end of the model\n')), { argv: CUT }),
  {
    rows: [14],
    name: 'a model twice over is one graph with every tensor twice',
    files: behind(good),
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_DUPLICATE',
  },
  accepted(
    15,
    'fields in reverse order',
    model(() => network({}, {}, { order: 'reversed' })),
    { report: { model: { nodes: 7 }, out_indices: [0, 1] } },
  ),
  accepted(
    15,
    'fields in any order, initializers between nodes',
    model(() => network({}, {}, { order: 5 })),
    { report: { model: { nodes: 7 }, out_indices: [0, 1] } },
  ),
  accepted(
    15,
    'fields in any order, cut',
    model(() => network({}, {}, { order: 5 })),
    { argv: CUT, outputs: ['0', '1'] },
  ),
  {
    rows: [16],
    name: 'a dim of 2^60',
    files: model(() => network({ initializers: [...BACKBONE_WEIGHTS, { name: 'far', dims: [2n ** 60n] }] })),
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_DIMS',
    field: 'graph.initializer[4]',
    message: /1152921504606846976/,
    offset: 'known',
  },
  accepted(
    16,
    'a declared dim of 2^60 is unknown, not rounded',
    model(() => network({ outputs: [value('y', [2n ** 60n, 5])] })),
    { report: { outputs: [{ name: 'y', shape: [1, 5] }] } },
  ),
  accepted(
    16,
    'an attribute of 2^53 + 1 is copied',
    model(() =>
      network({
        nodes: BACKBONE.map((spec) => ({
          ...spec,
          attributes: { ...spec.attributes, exact: { int: 2n ** 53n + 1n } },
        })),
      }),
    ),
    { argv: CUT, holds: () => [int(3, 2n ** 53n + 1n).bytes] },
  ),
  accepted(
    17,
    'weights that go into a body make every length around them longer',
    () => ({
      'm.onnx': network({
        initializers: [...BACKBONE_WEIGHTS, tensor('c', [], [1], 'bool')],
        outputs: [value('y', [1, 5]), value('r', [5000])],
        nodes: [
          ...BACKBONE,
          node('If', ['c'], ['r'], {
            then_branch: {
              graph: {
                nodes: [
                  node('Constant', [], ['t'], {
                    value: { tensor: { dims: [5000], external: [['location', 'w.bin']] } },
                  }),
                ],
                outputs: [value('t', [5000])],
              },
            },
            else_branch: {
              graph: {
                nodes: [
                  node('Constant', [], ['e'], {
                    value: { tensor: { dims: [5000], external: [['location', 'w.bin']] } },
                  }),
                ],
                outputs: [value('e', [5000])],
              },
            },
          }),
        ],
      }),
      'w.bin': new Uint8Array(20_000).fill(7),
    }),
    {
      argv: ['extract', 'm.onnx', '--mode', 'hook', '--out', '0', '--weights', 'embed', '-o', 'out.onnx'],
      outputs: ['y', 'r', 'stem/act'],
      holds: () => [bytes(9, new Uint8Array(20_000).fill(7)).bytes],
    },
  ),
  {
    rows: [18],
    name: 'weights of 2 GiB cannot go into the file',
    line: 'large file',
    files: () => ({
      'm.onnx': network({
        initializers: [
          { name: 'stem.weight', dims: [4, 3, 2 ** 14, 2 ** 12], external: [['location', 'w.bin']] },
          ...BACKBONE_WEIGHTS.slice(1),
        ],
      }),
      'w.bin': { size: 12 * 2 ** 28, parts: [] },
    }),
    argv: [...CUT, '--weights', 'embed'],
    exit: 5,
    code: 'FEATX_LIMIT_MODEL',
    message: /2147483647/,
    hint: /--weights external/,
  },
  accepted(
    19,
    'a model of 4.5 GiB',
    () => {
      const size = 4.5 * 2 ** 30;
      const values = tag(9, 2);
      const header = join(
        bytes(8, 'huge').bytes,
        ...[9 * 2 ** 27].map((dim) => int(1, dim).bytes),
        int(2, 1).bytes,
        values,
        varint(size),
      );
      const tensorHeader = join(tag(5, 2), varint(header.length + size));
      const graphHeader = join(tag(7, 2), varint(tensorHeader.length + header.length + size));
      const head = join(good, graphHeader, tensorHeader, header);
      return { 'm.onnx': { size: head.length + size, parts: [[0, head]] } };
    },
    { line: 'large file', report: { model: { weights_bytes: 1764 + 4.5 * 2 ** 30, initializers: 5 } } },
  ),
];

export const WIRE_CASES: readonly FaultCase[] = [
  ...TRUNCATED,
  ...FOREIGN,
  ...VARINTS,
  ...LENGTHS,
  ...GROUPS,
  ...MERGED,
  ...REST,
];
