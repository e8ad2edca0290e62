// Models of known structure and any size: convolution networks as an exporter writes them, with module names and, where
// asked for, the complete value_info.
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { int, ints, message, payload, text, writeChunks } from './wire.mjs';

const FLOAT = 1;
const SIDE = 224;

const dim = (value) => message(1, typeof value === 'number' ? int(1, value) : text(2, value));
const valueInfo = (number, name, shape) =>
  message(number, [...text(1, name), ...message(2, message(1, [...int(1, FLOAT), ...message(2, shape.flatMap(dim))]))]);
const intsAttribute = (name, values) => message(5, [...text(1, name), ...ints(8, values), ...int(20, 7)]);
const intAttribute = (name, value) => message(5, [...text(1, name), ...int(3, value), ...int(20, 2)]);

function node(opType, name, inputs, output, attributes = []) {
  return message(1, [
    ...inputs.flatMap((input) => text(1, input)),
    ...text(2, output),
    ...text(3, name),
    ...text(4, opType),
    ...attributes,
  ]);
}

function external(key, value) {
  return message(13, [...text(1, key), ...text(2, String(value))]);
}

/** Collects the lists of a graph and lays out its sidecar. */
class Builder {
  nodes = [];
  initializers = [];
  infos = [];
  sidecarBytes = 0;
  weightBytes = 0;

  constructor(sidecar) {
    this.sidecar = sidecar;
  }

  weight(name, dims) {
    const size = dims.reduce((product, value) => product * value, 4);
    this.weightBytes += size;
    const header = [...ints(1, dims), ...int(2, FLOAT), ...text(8, name)];
    if (this.sidecar === null || size <= 1024) this.initializers.push(...message(5, [...header, ...payload(9, size)]));
    else {
      const offset = this.sidecarBytes;
      this.sidecarBytes = Math.ceil((offset + size) / 4096) * 4096;
      this.initializers.push(
        ...message(5, [
          ...header,
          ...external('location', this.sidecar),
          ...external('offset', offset),
          ...external('length', size),
          ...int(14, 1),
        ]),
      );
    }
    return name;
  }

  add(opType, path, inputs, shape, attributes) {
    const name = `/${path}/${opType}`;
    const output = `${name}_output_0`;
    this.nodes.push(...node(opType, name, inputs, output, attributes));
    this.infos.push(...valueInfo(13, output, shape));
    return output;
  }

  /** Writes the model; returns its size. */
  write(path, { output, shape, hasValueInfo, sparse, side = SIDE }) {
    const graph = [
      ...this.nodes,
      ...text(2, 'main_graph'),
      ...this.initializers,
      ...valueInfo(11, 'input', ['batch', 3, side, side]),
      ...valueInfo(12, output, shape),
      ...(hasValueInfo ? this.infos : []),
    ];
    if (this.sidecar !== null) {
      const file = openSync(join(dirname(path), this.sidecar), 'w');
      ftruncateSync(file, this.sidecarBytes);
      closeSync(file);
    }
    return writeChunks(
      path,
      [
        ...int(1, 8),
        ...text(2, 'pytorch'),
        ...text(3, '2.13.0'),
        ...message(7, graph),
        ...message(8, [...text(1, ''), ...int(2, 17)]),
      ],
      { sparse },
    );
  }
}

const conv = (kernel, stride) =>
  [
    intsAttribute('dilations', [1, 1]),
    intAttribute('group', 1),
    intsAttribute('kernel_shape', [kernel, kernel]),
    intsAttribute('pads', [0, 0, 0, 0].fill((kernel - 1) / 2)),
    intsAttribute('strides', [stride, stride]),
  ].flat();

/** Layers behind which the map is halved: the first feature ends at 10 % of the depth. */
const HALVED_AT = [5, 15, 25, 35];

/**
 * 50 convolutions of 3x3 over `channels` channels, each with its norm and its activation, behind a stem: 153 nodes.
 * `side`: of the pictures it takes. `sidecar`: the name of the file for the weights, a hole from end to end; null keeps
 * them inline.
 */
export function layered(
  path,
  { channels, sidecar = null, hasValueInfo = true, sparse = false, side: inputSide = SIDE },
) {
  const builder = new Builder(sidecar);
  let side = inputSide / 2;
  let tensor = block(builder, 'stem', 'input', { from: 3, channels, side, stride: 2, kernel: 3 });
  for (let layer = 0; layer < 50; layer++) {
    const stride = HALVED_AT.includes(layer) ? 2 : 1;
    side /= stride;
    tensor = block(builder, `layers/layers.${layer}`, tensor, { from: channels, channels, side, stride, kernel: 3 });
  }
  const size = builder.write(path, {
    output: tensor,
    shape: ['batch', channels, side, side],
    hasValueInfo,
    sparse,
    side: inputSide,
  });
  return { path, size, weightBytes: builder.weightBytes };
}

function block(builder, path, input, { from, channels, side, stride, kernel }) {
  const shape = ['batch', channels, side, side];
  const dotted = path.split('/').at(-1);
  const convolved = builder.add(
    'Conv',
    `${path}/conv`,
    [input, builder.weight(`${dotted}.conv.weight`, [channels, from, kernel, kernel])],
    shape,
    conv(kernel, stride),
  );
  const parameters = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
    builder.weight(`${dotted}.bn.${name}`, [channels]),
  );
  const normed = builder.add('BatchNormalization', `${path}/bn`, [convolved, ...parameters], shape);
  return builder.add('Relu', `${path}/act`, [normed], shape);
}

/**
 * A small model of three nodes per layer, a convolution, an activation and an addition, and two initializers per layer.
 */
export function deep(path, { layers, hasValueInfo = true }) {
  const builder = new Builder(null);
  const channels = 8;
  let side = SIDE / 2;
  let tensor = block(builder, 'stem', 'input', { from: 3, channels, side, stride: 2, kernel: 3 });
  for (let layer = 0; layer < layers; layer++) {
    const halved = [0.5, 0.75].some((part) => Math.floor(layers * part) === layer);
    if (halved) side /= 2;
    const shape = ['batch', channels, side, side];
    const module = `layers/layers.${layer}`;
    const name = `layers.${layer}.conv`;
    const convolved = builder.add(
      'Conv',
      `${module}/conv`,
      [
        tensor,
        builder.weight(`${name}.weight`, [channels, channels, 1, 1]),
        builder.weight(`${name}.bias`, [channels]),
      ],
      shape,
      conv(1, halved ? 2 : 1),
    );
    const active = builder.add('Relu', `${module}/act`, [convolved], shape);
    tensor = builder.add('Add', module, [active, halved ? convolved : tensor], shape);
  }
  const size = builder.write(path, {
    output: tensor,
    shape: ['batch', channels, side, side],
    hasValueInfo,
    sparse: false,
  });
  return { path, size, weightBytes: builder.weightBytes, nodes: 3 * layers + 3 };
}

/** A small model of three elementwise nodes per layer, which share a scalar: all graph and no weights. */
export function plain(path, { layers, hasValueInfo = true }) {
  const builder = new Builder(null);
  const channels = 8;
  let side = SIDE / 2;
  let tensor = block(builder, 'stem', 'input', { from: 3, channels, side, stride: 2, kernel: 3 });
  const scale = builder.weight('scale', []);
  for (let layer = 0; layer < layers; layer++) {
    if ([0.5, 0.75].some((part) => Math.floor(layers * part) === layer)) {
      side /= 2;
      tensor = block(builder, `down/down.${side}`, tensor, { from: channels, channels, side, stride: 2, kernel: 3 });
    }
    const shape = ['batch', channels, side, side];
    const module = `layers/layers.${layer}`;
    const scaled = builder.add('Mul', module, [tensor, scale], shape);
    const active = builder.add('Relu', `${module}/act`, [scaled], shape);
    tensor = builder.add('Add', module, [active, tensor], shape);
  }
  const size = builder.write(path, {
    output: tensor,
    shape: ['batch', channels, side, side],
    hasValueInfo,
    sparse: false,
  });
  return { path, size, weightBytes: builder.weightBytes, nodes: 3 * layers + 9 };
}

/** Square matrices one behind the other, nothing else: the largest share of weights that a graph can have. */
export function matmuls(path, { layers = 40, width = 2560 } = {}) {
  const nodes = [];
  const weights = [];
  for (let layer = 0; layer < layers; layer++) {
    const name = `blocks.${layer}.weight`;
    nodes.push(
      ...node('MatMul', `/blocks.${layer}/MatMul`, [layer === 0 ? 'input' : `h${layer}`, name], `h${layer + 1}`),
    );
    weights.push(...initializer(name, [width, width]));
  }
  return writeGraph(path, [...nodes, ...text(2, 'main_graph'), ...weights], width, `h${layers}`);
}

/** Weights as those of vit_large_patch16_224 lie in a file of torch.onnx.export: vectors first, matrices behind. */
export function vitLarge(path) {
  const [blocks, width] = [24, 1024];
  const vectors = [
    'norm1.weight',
    'norm1.bias',
    'attn.qkv.bias',
    'attn.proj.bias',
    'norm2.weight',
    'norm2.bias',
    'mlp.fc1.bias',
    'mlp.fc2.bias',
  ];
  const lengths = { 'attn.qkv.bias': 3, 'mlp.fc1.bias': 4 };
  const matrices = [
    [1, 3],
    [1, 1],
    [1, 4],
    [4, 1],
  ];
  const nodes = [];
  const small = [
    ...initializer('cls_token', [1, 1, width]),
    ...initializer('pos_embed', [1, 197, width]),
    ...initializer('patch_embed.proj.weight', [width, 3, 16, 16]),
    ...initializer('patch_embed.proj.bias', [width]),
  ];
  const large = [];
  let tensor = 'input';
  for (let block = 0; block < blocks; block++) {
    for (const vector of vectors)
      small.push(...initializer(`blocks.${block}.${vector}`, [width * (lengths[vector] ?? 1)]));
    for (const [at, [rows, columns]] of matrices.entries()) {
      const name = `onnx::MatMul_${3000 + block * 17 + at}`;
      large.push(...initializer(name, [rows * width, columns * width]));
      const output = `/blocks.${block}/MatMul_${at}_output_0`;
      nodes.push(...node('MatMul', `/blocks.${block}/MatMul_${at}`, [tensor, name], output));
      tensor = output;
      for (let step = 0; step < 7; step++) {
        const next = `/blocks.${block}/Relu_${at}_${step}_output_0`;
        nodes.push(...node('Relu', `/blocks.${block}/Relu_${at}_${step}`, [tensor], next));
        tensor = next;
      }
    }
  }
  return writeGraph(path, [...nodes, ...text(2, 'main_graph'), ...small, ...large], width, tensor);
}

function initializer(name, dims) {
  const size = dims.reduce((product, value) => product * value, 4);
  return message(5, [...ints(1, dims), ...int(2, FLOAT), ...text(8, name), ...payload(9, size)]);
}

function writeGraph(path, graph, width, output) {
  const whole = [
    ...graph,
    ...valueInfo(11, 'input', ['batch', 197, width]),
    ...valueInfo(12, output, ['batch', 197, width]),
  ];
  return writeChunks(
    path,
    [...int(1, 8), ...text(2, 'pytorch'), ...message(7, whole), ...message(8, [...text(1, ''), ...int(2, 17)])],
    { sparse: true },
  );
}
