// A graph of ResNet-50's size and shape with seeded weights of moderate gain, as PyTorch's exporter writes it: norms
// folded, module names kept.
import { int, ints, message, text, varint, writeChunks } from './wire.mjs';

const FLOAT = 1;
const INT64 = 7;
const BLOCKS = [3, 4, 6, 3];
const EXPANSION = 4;

const dim = (value) => message(1, typeof value === 'number' ? int(1, value) : text(2, value));
const valueInfo = (number, name, shape) =>
  message(number, [...text(1, name), ...message(2, message(1, [...int(1, FLOAT), ...message(2, shape.flatMap(dim))]))]);
/** An attribute of whole numbers. */
export const intsAttribute = (name, values) => message(5, [...text(1, name), ...ints(8, values), ...int(20, 7)]);
/** An attribute of one whole number. */
export const intAttribute = (name, value) => message(5, [...text(1, name), ...int(3, value), ...int(20, 2)]);
const windowOf = (kernel, stride) =>
  [
    intsAttribute('kernel_shape', [kernel, kernel]),
    intsAttribute('strides', [stride, stride]),
    intsAttribute(
      'pads',
      Array.from({ length: 4 }, () => (kernel - 1) / 2),
    ),
  ].flat();

/** Uniform values in [-scale, scale), the same for the same seed. */
function seeded(count, scale, seed) {
  const values = new Float32Array(count);
  for (let at = 0, state = seed * 2_654_435_761 + 1; at < count; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    values[at] = (state / 2 ** 31) * scale;
  }
  return Buffer.from(values.buffer);
}

/** Nodes and weights as they are added; each weight has a seed of its own. */
export class Graph {
  nodes = [];
  initializers = [];

  weight(name, dims, scale) {
    const values = seeded(
      dims.reduce((product, value) => product * value, 1),
      scale,
      this.initializers.length,
    );
    this.initializers.push(
      ...message(5, [
        ...ints(1, dims),
        ...int(2, FLOAT),
        ...text(8, name),
        Buffer.concat([varint(9 * 8 + 2), varint(values.length)]),
        values,
      ]),
    );
    return name;
  }

  /** Shapes, axes and other whole numbers. */
  integers(name, values) {
    this.initializers.push(
      ...message(5, [...ints(1, [values.length]), ...int(2, INT64), ...text(8, name), ...ints(7, values)]),
    );
    return name;
  }

  add(opType, path, inputs, attributes = [], output = `${path}/${opType}_output_0`) {
    this.nodes.push(
      ...message(1, [
        ...inputs.flatMap((input) => text(1, input)),
        ...text(2, output),
        ...text(3, `${path}/${opType}`),
        ...text(4, opType),
        ...attributes,
      ]),
    );
    return output;
  }

  conv(path, module, input, [from, to], kernel, stride, gain = 1) {
    const scale = gain * Math.sqrt(6 / (from * kernel * kernel));
    return this.add(
      'Conv',
      path,
      [
        input,
        this.weight(`${module}.weight`, [to, from, kernel, kernel], scale),
        this.weight(`${module}.bias`, [to], 0.1),
      ],
      windowOf(kernel, stride),
    );
  }

  bottleneck(stage, block, input, [from, width], stride) {
    const module = `layer${stage}.${block}`;
    const path = `/layer${stage}/${module}`;
    const to = width * EXPANSION;
    const first = this.add('Relu', `${path}/act1`, [
      this.conv(`${path}/conv1`, `${module}.conv1`, input, [from, width], 1, 1),
    ]);
    const second = this.add('Relu', `${path}/act2`, [
      this.conv(`${path}/conv2`, `${module}.conv2`, first, [width, width], 3, stride),
    ]);
    const third = this.conv(`${path}/conv3`, `${module}.conv3`, second, [width, to], 1, 1, 0.3);
    const shortcut =
      block === 0
        ? this.conv(`${path}/downsample/downsample.0`, `${module}.downsample.0`, input, [from, to], 1, stride, 0.5)
        : input;
    return this.add('Relu', `${path}/act3`, [this.add('Add', path, [third, shortcut])]);
  }
}

/** Writes the model: `input` [batch, 3, 224, 224] to `output` [batch, 1000], 102 MB. */
export function resnet50(path) {
  const graph = new Graph();
  let tensor = graph.add('Relu', '/act1', [graph.conv('/conv1', 'conv1', 'input', [3, 64], 7, 2)]);
  tensor = graph.add('MaxPool', '/maxpool', [tensor], windowOf(3, 2));
  let channels = 64;
  for (const [stage, count] of BLOCKS.entries()) {
    const width = 64 * 2 ** stage;
    for (let block = 0; block < count; block++) {
      tensor = graph.bottleneck(stage + 1, block, tensor, [channels, width], block === 0 && stage > 0 ? 2 : 1);
      channels = width * EXPANSION;
    }
  }
  tensor = graph.add('Flatten', '/global_pool/flatten', [
    graph.add('GlobalAveragePool', '/global_pool/pool', [tensor]),
  ]);
  const inputs = [tensor, graph.weight('fc.weight', [1000, channels], 0.02), graph.weight('fc.bias', [1000], 0.02)];
  graph.nodes.push(
    ...message(1, [
      ...inputs.flatMap((input) => text(1, input)),
      ...text(2, 'output'),
      ...text(3, '/fc/Gemm'),
      ...text(4, 'Gemm'),
      ...intAttribute('transB', 1),
    ]),
  );
  return writeModel(path, graph);
}

/** Writes a graph from `input` [batch, 3, 224, 224] to `output` [batch, 1000]. */
export function writeModel(path, graph) {
  const content = [
    ...graph.nodes,
    ...text(2, 'main_graph'),
    ...graph.initializers,
    ...valueInfo(11, 'input', ['batch', 3, 224, 224]),
    ...valueInfo(12, 'output', ['batch', 1000]),
  ];
  const size = writeChunks(
    path,
    [
      ...int(1, 8),
      ...text(2, 'pytorch'),
      ...text(3, '2.13.0'),
      ...message(7, content),
      ...message(8, [...text(1, ''), ...int(2, 17)]),
    ],
    { sparse: false },
  );
  return { path, size };
}
