import { viewGraph } from '../onnx/graph.js';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import type { AttributeSpec } from '../testing/model-spec.js';
import { inferTypes } from '../runtime/types.js';
import { neededTensors } from './needed.js';
import { resolveFeatures } from './resolve.js';
import { selectFeatures } from './select.js';

/** A convolution [out, in, 3, 3] and what reads it; parameters keep their names unless `folded`. */
interface Layer {
  readonly op?: string;
  readonly name?: string;
  readonly reads: readonly string[];
  readonly makes: string;
  /** Name of the weight; a layer without one has no parameters. */
  readonly weight?: string;
  readonly stride?: number;
  readonly scopes?: string;
}

const CHANNELS = 4;

function attributesOf(op: string, stride: number): Readonly<Record<string, AttributeSpec>> {
  if (op === 'Conv')
    return { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] }, strides: { ints: [stride, stride] } };
  return op === 'AveragePool' ? { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } } : {};
}

/** A network of square maps with as many channels everywhere. */
async function network(layers: readonly Layer[], outputs: readonly string[]) {
  const weights = [...new Set(layers.flatMap(({ weight }) => weight ?? []))];
  const bytes = encodeModel({
    graph: {
      inputs: [{ name: 'x', type: { tensor: 'float32', shape: [1, CHANNELS, 32, 32] } }],
      outputs: outputs.map((name) => ({ name })),
      initializers: weights.map((name) => ({ name, dims: [CHANNELS, CHANNELS, 3, 3] })),
      nodes: layers.map(({ op = 'Conv', name, reads, makes, weight, stride = 1, scopes }) => ({
        op,
        name,
        inputs: weight === undefined ? [...reads] : [...reads, weight],
        outputs: [makes],
        attributes: attributesOf(op, stride),
        metadata: scopes === undefined ? undefined : [['pkg.torch.onnx.name_scopes', scopes]],
      })),
    },
  });
  const view = viewGraph(await openModel(bytes));
  const types = await inferTypes(view, neededTensors(view), { isolate: false });
  const resolution = resolveFeatures(view, types);
  return {
    resolution,
    module: (...names: readonly string[]): readonly string[] =>
      selectFeatures(view, types, resolution, {
        select: names.map((name) => ({ by: 'module', name })),
      }).flatMap(({ tensors }) => tensors),
  };
}

describe("TorchScript's scopes", () => {
  /** A head that is called on two maps; its parent `rpn` never is. */
  const detector = [
    { name: '/body/conv/Conv', reads: ['x'], makes: '/body/conv/Conv_output_0', weight: 'body.conv.weight', stride: 2 },
    {
      name: '/fpn/conv/Conv',
      reads: ['/body/conv/Conv_output_0'],
      makes: '/fpn/conv/Conv_output_0',
      weight: 'fpn.conv.weight',
      stride: 2,
    },
    {
      name: '/head/conv/Conv',
      reads: ['/body/conv/Conv_output_0'],
      makes: '/head/conv/Conv_output_0',
      weight: 'rpn.head.conv.weight',
    },
    { op: 'Relu', name: '/head/Relu', reads: ['/head/conv/Conv_output_0'], makes: '/head/Relu_output_0' },
    { name: '/head/cls/Conv', reads: ['/head/Relu_output_0'], makes: 'first', weight: 'rpn.head.cls.weight' },
    {
      name: '/head/conv_1/Conv',
      reads: ['/fpn/conv/Conv_output_0'],
      makes: '/head/conv_1/Conv_output_0',
      weight: 'rpn.head.conv.weight',
    },
    { op: 'Relu', name: '/head/Relu_1', reads: ['/head/conv_1/Conv_output_0'], makes: '/head/Relu_1_output_0' },
    { name: '/head/cls_1/Conv', reads: ['/head/Relu_1_output_0'], makes: 'second', weight: 'rpn.head.cls.weight' },
  ] satisfies readonly Layer[];

  test('calls are told apart by their suffix, and parents that were never called by the parameters inside them', async () => {
    const { module } = await network(detector, ['first', 'second']);
    expect(module('rpn.head.cls@1', 'rpn.head.cls@2', 'rpn.head.conv@1', 'rpn.head.cls')).toEqual([
      'first',
      'second',
      '/head/conv/Conv_output_0',
      'second',
    ]);
    expect(() => module('rpn.head.cls@3')).toThrow('has 2 calls');
  });

  test('a scope with parameters of its own is a module of its own, whatever its suffix', async () => {
    const apart = detector.map((layer) =>
      layer.name.startsWith('/head/conv_1') ? { ...layer, weight: 'rpn.head.conv_1.weight' } : layer,
    );
    const { module } = await network(apart, ['first', 'second']);
    expect(module('rpn.head.conv', 'rpn.head.conv_1')).toEqual([
      '/head/conv/Conv_output_0',
      '/head/conv_1/Conv_output_0',
    ]);
    expect(() => module('rpn.head.conv@2')).toThrow('has 1 call');
  });

  test('calls right behind each other are two, with and without a weight', async () => {
    const { module } = await network(
      [
        { name: '/a/Conv', reads: ['x'], makes: '/a/Conv_output_0', weight: 'a.weight', stride: 2 },
        { op: 'AveragePool', name: '/pool/AveragePool', reads: ['x'], makes: '/pool/AveragePool_output_0' },
        { op: 'AveragePool', name: '/pool_1/AveragePool', reads: ['/a/Conv_output_0'], makes: 'last' },
      ],
      ['/pool/AveragePool_output_0', 'last'],
    );
    expect(module('pool@1', 'pool@2')).toEqual(['/pool/AveragePool_output_0', 'last']);
  });

  test('nodes that were appended without a path lie in no module', async () => {
    const { module } = await network(
      [
        { name: '/a/Conv', reads: ['x'], makes: '/a/Conv_output_0', weight: 'a.weight', stride: 2 },
        { name: '/b/Conv', reads: ['/a/Conv_output_0'], makes: 'logits', weight: 'b.weight', stride: 2 },
        { op: 'Softmax', reads: ['logits'], makes: 'probs' },
        { reads: ['/a/Conv_output_0'], makes: 'map', weight: 'added' },
      ],
      ['probs', 'map'],
    );
    expect(module('a', 'b')).toEqual(['/a/Conv_output_0', 'logits']);
  });

  test('a module that is not there is not said to be folded away where it is elsewhere', async () => {
    const { module } = await network(detector, ['first', 'second']);
    expect(() => module('net.body.conv')).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("no module is named 'net.body.conv'"),
        hint: expect.stringContaining("the graph calls it 'body.conv'"),
      }),
    );
    expect(() => module('nothing.like.it')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('listModules') }),
    );
  });
});

describe("dynamo's scopes", () => {
  const at = (path: string, op: string): string => `['', '${path}', '${op}']`;

  test('equal nodes of a layer without parameters are a call each; a shared weight is read once a call', async () => {
    const { module } = await network(
      [
        { name: 'n0', reads: ['x'], makes: 'a', weight: 'a.weight', stride: 2, scopes: at('a', 'conv2d') },
        { name: 'n1', reads: ['a'], makes: 'b', weight: 'b.weight', scopes: at('b', 'conv2d_1') },
        { name: 'n2', reads: ['b'], makes: 'c', weight: 'b.weight', scopes: at('b', 'conv2d_2') },
        { op: 'AveragePool', name: 'n3', reads: ['a'], makes: 'd', scopes: at('pool', 'avg') },
        { op: 'AveragePool', name: 'n4', reads: ['c'], makes: 'e', scopes: at('pool', 'avg_1') },
      ],
      ['d', 'e'],
    );
    expect(module('b@1', 'b@2', 'pool@1', 'pool@2')).toEqual(['b', 'c', 'd', 'e']);
  });

  test('one call is one call where a tool put nodes of others between', async () => {
    const { module } = await network(
      [
        { name: 'n0', reads: ['x'], makes: 'a', weight: 'block.0.weight', scopes: `['', 'block', 'block.0', 'c']` },
        { name: 'n1', reads: ['x'], makes: 'o', weight: 'other.weight', scopes: at('other', 'c') },
        { name: 'n2', reads: ['a'], makes: 'b', weight: 'block.1.weight', scopes: `['', 'block', 'block.1', 'c']` },
        { op: 'Add', name: 'n3', reads: ['b', 'o'], makes: 'y', scopes: `['', 'add']` },
      ],
      ['y'],
    );
    expect(module('block@1')).toEqual(['b']);
    expect(() => module('block@2')).toThrow('has 1 call');
  });

  test('a loop inside one call is one call', async () => {
    const looped = [
      { name: 'n0', reads: ['x'], makes: 'a', weight: 'a.weight', stride: 2, scopes: at('a', 'c') },
      { name: 'n1', reads: ['a'], makes: 'b', weight: 'b.weight', stride: 2, scopes: at('b', 'c') },
      { name: 'n2', reads: ['a'], makes: 'c', weight: 'head.cls.weight', scopes: `['', 'head', 'head.cls', 'c']` },
      { name: 'n3', reads: ['b'], makes: 'd', weight: 'head.cls.weight', scopes: `['', 'head', 'head.cls', 'c']` },
      { name: 'n4', reads: ['a'], makes: 'e', weight: 'head.box.weight', scopes: `['', 'head', 'head.box', 'c']` },
      { name: 'n5', reads: ['b'], makes: 'f', weight: 'head.box.weight', scopes: `['', 'head', 'head.box', 'c']` },
    ] satisfies readonly Layer[];
    const { module } = await network(looped, ['c', 'd', 'e', 'f']);
    expect(module('head.cls@1', 'head.cls@2', 'head.box@2', 'head#3')).toEqual(['c', 'd', 'f', 'f']);
    expect(() => module('head@2')).toThrow('has 1 call');
  });

  test('names hold though most nodes lost them, as long as layers carry them', async () => {
    const { module } = await network(
      [
        { name: 'n0', reads: ['x'], makes: 'a', weight: 'a.weight', stride: 2, scopes: at('a', 'conv2d') },
        { op: 'Identity', reads: ['a'], makes: 'b' },
        { op: 'Identity', reads: ['b'], makes: 'c' },
        { op: 'Identity', reads: ['c'], makes: 'd' },
        { name: 'n4', reads: ['d'], makes: 'e', weight: 'e.weight', scopes: at('e', 'conv2d_1') },
      ],
      ['e'],
    );
    expect(module('a', 'e')).toEqual(['a', 'e']);
  });
});

describe('names of parameters', () => {
  const block = (name: string, from: string, to: string, stride: number): readonly Layer[] => [
    { reads: [from], makes: `${to}1`, weight: `${name}.conv1.weight`, stride },
    { op: 'Relu', reads: [`${to}1`], makes: `${to}2` },
    { reads: [`${to}2`], makes: `${to}3`, weight: `${name}.conv2.weight` },
    ...(stride === 1 ? [] : [{ reads: [from], makes: `${to}4`, weight: `${name}.downsample.0.weight`, stride }]),
    { op: 'Add', reads: [`${to}3`, stride === 1 ? from : `${to}4`], makes: `${to}5` },
    { op: 'Relu', reads: [`${to}5`], makes: to },
  ];

  /** Two stages of two blocks in a graph that lost its scopes. */
  const layers: readonly Layer[] = [
    { reads: ['x'], makes: 's0', weight: 'conv1.weight', stride: 2 },
    { op: 'Relu', reads: ['s0'], makes: 's' },
    ...block('layer1.0', 's', 'a', 2),
    ...block('layer1.1', 'a', 'b', 1),
    ...block('layer2.0', 'b', 'c', 2),
    ...block('layer2.1', 'c', 'd', 1),
  ];

  test('they label what the shape shows, a stage by its outermost name; an activation behind a layer is not that layer', async () => {
    const { resolution } = await network(layers, ['d']);
    expect(resolution.features.map(({ tensor, module, resolvedBy }) => [tensor, module, resolvedBy])).toEqual([
      ['s', null, 'topology'],
      ['b', 'layer1', 'topology'],
      ['d', 'layer2', 'topology'],
    ]);
  });

  test('modules can be selected by them', async () => {
    const { module } = await network(layers, ['d']);
    expect(module('layer1.0', 'layer1', 'layer2.0.conv1', 'layer2.1')).toEqual(['a', 'b', 'c1', 'd']);
  });

  test('a sum lies where its operands meet, and a gate beside what it is made of', async () => {
    const { module } = await network(
      [
        { reads: ['x'], makes: 's', weight: 'stem.weight', stride: 2 },
        { reads: ['s'], makes: 'n', weight: 'blocks.0.norm.weight' },
        { reads: ['n'], makes: 'f1', weight: 'blocks.0.mlp.fc1.weight' },
        { op: 'Relu', reads: ['f1'], makes: 'f2' },
        { reads: ['f2'], makes: 'f3', weight: 'blocks.0.mlp.fc2.weight' },
        { op: 'Add', reads: ['s', 'f3'], makes: 'sum' },
        { reads: ['sum'], makes: 'c', weight: 'blocks.1.conv.weight' },
        { reads: ['c'], makes: 'e1', weight: 'blocks.1.se.reduce.weight' },
        { reads: ['e1'], makes: 'e2', weight: 'blocks.1.se.expand.weight' },
        { op: 'Sigmoid', reads: ['e2'], makes: 'e3' },
        { op: 'Mul', reads: ['c', 'e3'], makes: 'gated' },
        { reads: ['gated'], makes: 'p', weight: 'blocks.1.project.weight' },
        { op: 'Add', reads: ['sum', 'p'], makes: 'y' },
      ],
      ['y'],
    );
    expect(module('blocks.0.mlp', 'blocks.0', 'blocks.1.se', 'blocks.1.conv', 'blocks.1')).toEqual([
      'f3',
      'sum',
      'gated',
      'c',
      'y',
    ]);
  });

  test('a name that says more than a path is no module', async () => {
    const odd = layers.map((layer) =>
      layer.weight === undefined ? layer : { ...layer, weight: layer.weight.replaceAll('.', '/') },
    );
    const { resolution } = await network(odd, ['d']);
    expect(resolution.features.map(({ module }) => module)).toEqual([null, null, null]);
  });
});
