import { closeSync, ftruncateSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, deflateSync, crc32 } from 'node:zlib';
import { encodeModel, graphMessage, nodeMessage, tensorMessage } from './model-builder.js';
import { node, value, weights, type FunctionSpec, type NodeSpec } from './model-spec.js';
import { bytes, int, join as joined, joinAll, message, varint } from './wire-writer.js';

/** A small file that asks for much, and the command line that is given it. */
export interface Bomb {
  readonly name: string;
  /** Writes its files into a folder of its own; returns the command line. */
  readonly make: (folder: string) => readonly string[];
  readonly exit: number;
  /** Code of the error; null where the command succeeds. */
  readonly code: string | null;
  /** Left to `npm run check:bombs`: another stands for it. */
  readonly isTwin?: true;
}

/** What each may take above Node that does nothing. */
export const MOST_MIB = 80;
export const MOST_MS = 1000;

/** Field number, length, content. */
const field = (number: number, content: Uint8Array | string): Uint8Array => bytes(number, content).bytes;

function modelOf(graph: Uint8Array, more: readonly Uint8Array[] = []): Uint8Array {
  return joinAll([int(1, 8).bytes, field(8, int(2, 17).bytes), field(7, graph), ...more]);
}

/** `levels` messages around each other, of these fields in turn from the outside in. */
function nested(levels: number, numbers: readonly number[]): Uint8Array {
  const headers: Uint8Array[] = [];
  let size = 0;
  for (let level = 0; level < levels; level++) {
    const head = joined(varint(numbers[(levels - 1 - level) % numbers.length] * 8 + 2), varint(size));
    headers.push(head);
    size += head.length;
  }
  return joinAll(headers.reverse());
}

const X = value('x', [1, 3, 8, 8]);
const typedModel = (nodes: readonly NodeSpec[], outputs: readonly string[]): Uint8Array =>
  encodeModel({
    graph: {
      nodes,
      inputs: [X],
      outputs: outputs.map((name) => value(name, [1, 3, 8, 8])),
      valueInfo: nodes.flatMap((each) => (each.outputs ?? []).map((name) => value(name, [1, 3, 8, 8]))),
    },
  });

const call = (name: string, index = 0): NodeSpec =>
  node(name, ['p'], [index === 0 ? 'q' : `q${index}`], {}, { domain: 'd' });
const define = (name: string, nodes: readonly NodeSpec[]): FunctionSpec => ({
  name,
  domain: 'd',
  inputs: ['p'],
  outputs: ['q'],
  nodes,
});
const relu = node('Relu', ['p'], ['q']);
const calling = (functions: readonly FunctionSpec[]): Uint8Array =>
  encodeModel({
    functions,
    graph: { nodes: [node('F0', ['x'], ['y'], {}, { domain: 'd' })], inputs: [X], outputs: [value('y')] },
  });

function inspecting(file: () => Uint8Array): Bomb['make'] {
  return (folder) => {
    writeFileSync(join(folder, 'bomb.onnx'), file());
    return ['inspect', 'bomb.onnx', '--json'];
  };
}

const LONG_NAME = 64 * 1024;
const longName = (index: number): string => `${String(index).padStart(6, '0')}${'a'.repeat(LONG_NAME - 6)}`;

/** A graph whose tensors have names of 64 KiB. */
const longNames = (count: number): Uint8Array =>
  typedModel(
    Array.from({ length: count }, (_, index) =>
      node('Relu', [index === 0 ? 'x' : longName(index - 1)], [longName(index)]),
    ),
    [longName(count - 1)],
  );

function globbing(pattern: string): Bomb['make'] {
  return (folder) => {
    writeFileSync(join(folder, 'bomb.onnx'), longNames(40));
    return ['extract', 'bomb.onnx', '--tensor', pattern, '--dry-run', '--json'];
  };
}

/** A .npy file up to its values. */
function npyHead(shape: string, descr = '<f4'): Uint8Array {
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = `${dictionary.padEnd(117)}\n`;
  return joined(
    Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0),
    new TextEncoder().encode(header),
  );
}

function littleEndian(...numbers: readonly (readonly [value: number, width: number])[]): Uint8Array {
  return joinAll(
    numbers.map(([number, width]) =>
      Uint8Array.from({ length: width }, (_, index) => Math.floor(number / 256 ** index) % 256),
    ),
  );
}

/** A zip archive of one deflated entry. */
export function zip(name: string, content: Uint8Array, claimed = content.length): Uint8Array {
  const packed = deflateRawSync(content);
  const nameBytes = new TextEncoder().encode(name);
  const common = littleEndian(
    [20, 2],
    [0, 2],
    [8, 2],
    [0, 4],
    [crc32(content), 4],
    [packed.length, 4],
    [claimed, 4],
    [nameBytes.length, 2],
    [0, 2],
  );
  const local = joined(littleEndian([0x04034b50, 4]), common, nameBytes, packed);
  const central = joined(
    littleEndian([0x02014b50, 4], [20, 2]),
    common,
    littleEndian([0, 2], [0, 2], [0, 2], [0, 4], [0, 4]),
    nameBytes,
  );
  return joined(
    local,
    central,
    littleEndian([0x06054b50, 4], [0, 4], [1, 2], [1, 2], [central.length, 4], [local.length, 4], [0, 2]),
  );
}

function pngChunk(kind: string, content: Uint8Array): Uint8Array {
  const body = joined(new TextEncoder().encode(kind), content);
  return joined(littleEndian([content.length, 4]).reverse(), body, littleEndian([crc32(body), 4]).reverse());
}

/** A PNG that says it is that large. */
function png(width: number, height: number): Uint8Array {
  const header = joined(
    littleEndian([width, 4]).reverse(),
    littleEndian([height, 4]).reverse(),
    Uint8Array.of(8, 2, 0, 0, 0),
  );
  return joined(
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(new Uint8Array(1000))),
    pngChunk('IEND', new Uint8Array(0)),
  );
}

/** An input file for the runtime-free part of `run`: the model is fine. */
function feeding(name: string, file: () => Uint8Array): Bomb['make'] {
  return (folder) => {
    writeFileSync(join(folder, 'model.onnx'), typedModel([node('Relu', ['x'], ['y'])], ['y']));
    writeFileSync(join(folder, name), file());
    return ['run', 'model.onnx', '--tensor', 'y', '--input', name, '--json'];
  };
}

function batching(config: string): Bomb['make'] {
  return (folder) => {
    writeFileSync(join(folder, 'featx.config.json'), config);
    return ['batch', '--json'];
  };
}

/** Many tensors that are one range of a file. */
function sharing(folder: string): readonly string[] {
  const count = 4_000;
  const external = field(13, joined(field(1, 'location'), field(2, 'w.bin')));
  const tail = joined(
    external,
    field(13, joined(field(1, 'offset'), field(2, '0'))),
    field(13, joined(field(1, 'length'), field(2, '1048576'))),
    int(14, 1).bytes,
  );
  const names = Array.from({ length: count }, (_, index) => `w${index}`);
  const initializers = names.map((name) =>
    field(5, joined(message([int(1, 262_144), int(2, 1)]), field(8, name), tail)),
  );
  const sum = field(1, nodeMessage(node('Sum', names, ['y'])));
  writeFileSync(
    join(folder, 'bomb.onnx'),
    modelOf(joinAll([graphMessage({ outputs: [value('y', [262_144])] }), sum, ...initializers])),
  );
  writeFileSync(join(folder, 'w.bin'), new Uint8Array(1_048_576));
  mkdirSync(join(folder, 'out'));
  return ['extract', 'bomb.onnx', '--tensor', 'y', '--weights', 'external', '-o', join('out', 'cut.onnx'), '--json'];
}

/** A graph and then 100 MB of one metadata value, most of it a hole. */
function hugeMetadata(folder: string): readonly string[] {
  const model = typedModel([node('Relu', ['x'], ['y'])], ['y']);
  const size = 100_000_000;
  const content = joined(field(1, 'notes'), varint(2 * 8 + 2), varint(size));
  const head = joined(model, varint(14 * 8 + 2), varint(content.length + size), content);
  const file = openSync(join(folder, 'bomb.onnx'), 'w');
  writeSync(file, head);
  ftruncateSync(file, head.length + size);
  closeSync(file);
  return ['inspect', 'bomb.onnx', '--json'];
}

/** A name of 100 MB, most of it a hole. */
function hugeName(folder: string): readonly string[] {
  const size = 100_000_000;
  const output = joined(varint(2 * 8 + 2), varint(size));
  const inNode = joined(varint(1 * 8 + 2), varint(output.length + size), output);
  const head = joined(int(1, 8).bytes, varint(7 * 8 + 2), varint(inNode.length + size), inNode);
  const file = openSync(join(folder, 'bomb.onnx'), 'w');
  writeSync(file, head);
  ftruncateSync(file, head.length + size);
  closeSync(file);
  return ['inspect', 'bomb.onnx', '--json'];
}

const repeated = (part: Uint8Array, count: number): Uint8Array => {
  const whole = new Uint8Array(part.length * count);
  for (let index = 0; index < count; index++) whole.set(part, index * part.length);
  return whole;
};

/** Every bomb; each must end within a second and 80 MiB. */
export const BOMBS: readonly Bomb[] = [
  {
    name: 'a million groups inside each other',
    make: inspecting(() => joined(modelOf(graphMessage({})), new Uint8Array(1_000_000).fill(0x0b))),
    exit: 5,
    code: 'FEATX_WIRE_DEPTH',
  },
  {
    name: '20,000 submessages inside each other',
    make: inspecting(() => modelOf(nested(20_000, [1, 5, 6]))),
    exit: 5,
    code: 'FEATX_WIRE_DEPTH',
  },
  {
    name: '5,000 If nodes inside each other',
    make: inspecting(() => modelOf(nested(15_000, [1, 5, 6]))),
    exit: 5,
    code: 'FEATX_WIRE_DEPTH',
  },
  {
    name: '20,000 sequence types inside each other',
    make: inspecting(() => modelOf(field(11, joined(field(1, 'x'), field(2, nested(20_000, [4, 1])))))),
    exit: 5,
    code: 'FEATX_WIRE_DEPTH',
  },
  {
    name: '100,000 functions',
    make: inspecting(() =>
      modelOf(
        graphMessage({}),
        Array.from({ length: 100_000 }, (_, index) => field(25, joined(field(1, `F${index}`), field(10, 'd')))),
      ),
    ),
    exit: 5,
    code: 'FEATX_LIMIT_FUNCTIONS',
  },
  {
    name: '20 functions that call the next 100 times',
    make: inspecting(() =>
      calling(
        Array.from({ length: 20 }, (_, index) =>
          define(
            `F${index}`,
            index === 19 ? [relu] : Array.from({ length: 100 }, (_none, at) => call(`F${index + 1}`, at)),
          ),
        ),
      ),
    ),
    exit: 5,
    code: 'FEATX_LIMIT_EXPANSION',
  },
  {
    name: 'a chain of 10,000 calls',
    make: inspecting(() =>
      calling(
        Array.from({ length: 10_000 }, (_, index) =>
          define(`F${index}`, [index === 9_999 ? relu : call(`F${index + 1}`)]),
        ),
      ),
    ),
    exit: 5,
    code: 'FEATX_LIMIT_CALLS',
  },
  {
    name: 'a ring of 10,000 calls',
    isTwin: true,
    make: inspecting(() =>
      calling(Array.from({ length: 10_000 }, (_, index) => define(`F${index}`, [call(`F${(index + 1) % 10_000}`)]))),
    ),
    exit: 3,
    code: 'FEATX_GRAPH_RECURSION',
  },
  {
    name: 'a tensor that 2,000 functions hold, called 2,000 times',
    make: (folder) => {
      const functions = Array.from({ length: 2_000 }, (_, index) => define(`F${index}`, [relu]));
      const nodes = functions.map((_each, index) =>
        node(`F${index}`, [index === 0 ? 'x' : `t${index - 1}`], [`t${index}`], {}, { domain: 'd' }),
      );
      writeFileSync(
        join(folder, 'bomb.onnx'),
        encodeModel({
          functions,
          graph: {
            nodes,
            inputs: [X],
            outputs: [value('t1999', [1, 3, 8, 8])],
            valueInfo: nodes.flatMap((each) => (each.outputs ?? []).map((name) => value(name, [1, 3, 8, 8]))),
          },
        }),
      );
      return ['extract', 'bomb.onnx', '--tensor', 'q', '--dry-run', '--json'];
    },
    exit: 2,
    code: 'FEATX_RESOLVE_INSIDE',
  },
  { name: 'names of 64 KiB', make: inspecting(() => longNames(40)), exit: 0, code: null },
  { name: 'a name of 100 MB', make: hugeName, exit: 5, code: 'FEATX_LIMIT_NAME' },
  {
    name: '300,000 equal names',
    make: inspecting(() =>
      modelOf(
        joined(
          field(1, joined(repeated(field(1, 'x'), 300_000), field(2, 'y'), field(4, 'Sum'))),
          graphMessage({ inputs: [X], outputs: [value('y', [1, 3, 8, 8])] }),
        ),
      ),
    ),
    exit: 0,
    code: null,
  },
  {
    name: '50,000 nodes with one output',
    make: inspecting(() =>
      modelOf(
        joined(repeated(field(1, nodeMessage(node('Relu', ['x'], ['y']))), 50_000), graphMessage({ inputs: [X] })),
      ),
    ),
    exit: 3,
    code: 'FEATX_GRAPH_DUPLICATE',
  },
  {
    name: '*a*a…*b against names of 64 KiB',
    make: globbing(`${'*a'.repeat(30_000)}*b`),
    exit: 2,
    code: 'FEATX_RESOLVE',
  },
  {
    name: '*aaa…b* against names of 64 KiB',
    isTwin: true,
    make: globbing(`*${'a'.repeat(60_000)}b*`),
    exit: 2,
    code: 'FEATX_RESOLVE',
  },
  {
    name: '*baaa…* against names of 64 KiB',
    isTwin: true,
    make: globbing(`*b${'a'.repeat(60_000)}*`),
    exit: 2,
    code: 'FEATX_RESOLVE',
  },
  {
    name: '30,000 names that nobody has',
    make: (folder) => {
      writeFileSync(
        join(folder, 'bomb.onnx'),
        typedModel(
          Array.from({ length: 2_000 }, (_, index) =>
            node('Relu', [index === 0 ? 'x' : `t${index - 1}`], [`t${index}`]),
          ),
          ['t1999'],
        ),
      );
      return [
        'extract',
        'bomb.onnx',
        ...Array.from({ length: 30_000 }, (_, index) => `--tensor=none${index}`),
        '--dry-run',
        '--json',
      ];
    },
    exit: 2,
    code: 'FEATX_RESOLVE',
  },
  {
    name: 'a glob for everything 2,000 times',
    make: (folder) => {
      writeFileSync(
        join(folder, 'bomb.onnx'),
        typedModel(
          Array.from({ length: 2_000 }, (_, index) =>
            node('Relu', [index === 0 ? 'x' : `t${index - 1}`], [`t${index}`]),
          ),
          ['t1999'],
        ),
      );
      return ['extract', 'bomb.onnx', ...Array.from({ length: 2_000 }, () => '--tensor=t*'), '--dry-run', '--json'];
    },
    exit: 2,
    code: 'FEATX_USAGE',
  },
  {
    name: '10 million numbers in an attribute',
    make: inspecting(() =>
      modelOf(
        joined(
          field(
            1,
            joined(
              nodeMessage(node('Relu', ['x'], ['y'])),
              field(5, joined(field(1, 'list'), repeated(field(8, new Uint8Array(1_000_000)), 10))),
            ),
          ),
          graphMessage({ inputs: [X], outputs: [value('y', [1, 3, 8, 8])] }),
        ),
      ),
    ),
    exit: 0,
    code: null,
  },
  {
    name: '50,000 empty attributes',
    make: inspecting(() =>
      modelOf(
        joined(
          field(1, joined(nodeMessage(node('Relu', ['x'], ['y'])), repeated(Uint8Array.of(0x2a, 0), 50_000))),
          graphMessage({ inputs: [X], outputs: [value('y', [1, 3, 8, 8])] }),
        ),
      ),
    ),
    exit: 0,
    code: null,
  },
  {
    name: 'a tensor of 2^40 x 2^40',
    make: inspecting(() =>
      modelOf(
        joined(
          field(5, tensorMessage({ name: 'w', dims: [2 ** 40, 2 ** 40], data: [1] })),
          graphMessage({ nodes: [node('Relu', ['w'], ['y'])], outputs: [value('y')] }),
        ),
      ),
    ),
    exit: 3,
    code: 'FEATX_GRAPH_DIMS',
  },
  { name: '4,000 tensors that are one range', make: sharing, exit: 0, code: null },
  { name: 'a metadata value of 100 MB', make: hugeMetadata, exit: 0, code: null },
  {
    name: '100,000 metadata entries',
    make: inspecting(() =>
      joined(
        typedModel([node('Relu', ['x'], ['y'])], ['y']),
        repeated(field(14, joined(field(1, 'key'), field(2, 'value'))), 100_000),
      ),
    ),
    exit: 0,
    code: null,
  },
  {
    name: 'JSON: a million arrays inside each other',
    make: batching('['.repeat(1_000_000)),
    exit: 2,
    code: 'FEATX_CONFIG',
  },
  {
    name: 'JSON: 100,000 things wrong',
    make: batching(`{"models":[${Array.from({ length: 100_000 }, () => '0').join()}]}`),
    exit: 2,
    code: 'FEATX_CONFIG',
  },
  {
    name: 'JSON: 50,000 unknown keys',
    isTwin: true,
    make: batching(`{${Array.from({ length: 50_000 }, (_, index) => `"modeks${index}":0`).join()}}`),
    exit: 2,
    code: 'FEATX_CONFIG',
  },
  {
    name: 'JSON: a FeatureInfo a million deep',
    make: (folder) => {
      writeFileSync(join(folder, 'model.onnx'), typedModel([node('Relu', ['x'], ['y'])], ['y']));
      writeFileSync(join(folder, 'bomb.json'), `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`);
      return ['inspect', 'model.onnx', '--features', 'bomb.json', '--json'];
    },
    exit: 2,
    code: 'FEATX_USAGE',
  },
  {
    name: 'a .npy of 8 TiB in 128 bytes',
    make: feeding('bomb.npy', () => npyHead('(11453246122, 3, 8, 8)')),
    exit: 3,
    code: 'FEATX_TENSOR_FORMAT',
  },
  {
    name: 'a .npz of 128 MB that says 768 bytes',
    make: feeding('bomb.npz', () => zip('x.npy', joined(npyHead('(1, 3, 8, 8)'), new Uint8Array(2 ** 27)), 896)),
    exit: 3,
    code: 'FEATX_TENSOR_FORMAT',
  },
  {
    name: 'a .npz of 128 MB that says so, for an array of 768 bytes',
    isTwin: true,
    make: feeding('bomb.npz', () => zip('x.npy', joined(npyHead('(1, 3, 8, 8)'), new Uint8Array(2 ** 27)))),
    exit: 3,
    code: 'FEATX_TENSOR_FORMAT',
  },
  {
    name: 'a picture of 60,000 x 60,000',
    make: feeding('bomb.png', () => png(60_000, 60_000)),
    exit: 5,
    code: 'FEATX_LIMIT_TENSOR',
  },
];

/** What a tiny model costs with the same build: for comparison. */
export const HARMLESS: Bomb = {
  name: 'no bomb',
  make: inspecting(() =>
    encodeModel({
      graph: {
        nodes: [node('Relu', ['x'], ['y'])],
        initializers: [weights('w', [2], 1)],
        inputs: [X],
        outputs: [value('y', [1, 3, 8, 8])],
      },
    }),
  ),
  exit: 0,
  code: null,
};
