import { openModel } from '../open.js';
import { executionRows, viewGraph } from '../onnx/graph.js';
import { encodeModel } from '../testing/model-builder.js';
import { nodePaths, pythonStrings, type NamingStyle } from './names.js';
import { NO_PATH } from './names/path-tree.js';

test('Python list literals', () => {
  expect(pythonStrings(`['', 'stages', "it's", 'a\\'b']`)).toEqual(['', 'stages', "it's", "a'b"]);
  expect(pythonStrings('')).toEqual([]);
  expect(pythonStrings("['unterminated")).toEqual(['unterminated']);
});

interface Named {
  readonly name?: string;
  readonly output: string;
  readonly scopes?: string;
  readonly classes?: string;
}

/** A chain of Relus with these names. */
async function pathsOf(
  nodes: readonly Named[],
): Promise<{ style: NamingStyle; paths: (string | null)[]; classes: Map<string, string> }> {
  const model = await openModel(
    encodeModel({
      graph: {
        inputs: [{ name: 'x', type: { tensor: 'float32', shape: [1, 3, 8, 8] } }],
        outputs: [{ name: nodes[nodes.length - 1].output }],
        nodes: nodes.map(({ name, output, scopes, classes }, at) => ({
          op: 'Relu',
          name,
          inputs: [at === 0 ? 'x' : nodes[at - 1].output],
          outputs: [output],
          metadata:
            scopes === undefined
              ? undefined
              : [
                  ['pkg.torch.onnx.name_scopes', scopes],
                  ...(classes === undefined ? [] : [['pkg.torch.onnx.class_hierarchy', classes] as const]),
                ],
        })),
      },
    }),
  );
  const view = viewGraph(model);
  const found = nodePaths(view, { columns: view.columns, rows: executionRows(view) });
  return {
    style: found.style,
    paths: model.graph.nodes.map((_node, at) => {
      const path = found.places[at];
      return path === NO_PATH ? null : found.paths.textOf(path);
    }),
    classes: new Map(found.classes),
  };
}

test("dynamo's metadata names modules and classes; a node without it has no path", async () => {
  const { style, paths, classes } = await pathsOf([
    {
      output: 'a',
      scopes: "['', 'act1', 'relu']",
      classes: "['timm.models.resnet.ResNet', 'torch.nn.ReLU', 'aten.relu']",
    },
    { output: 'b', scopes: "['', 'layer1', 'layer1.0', 'relu_1']" },
    { output: 'c' },
  ]);
  expect([style, paths]).toEqual(['dynamo', ['act1', 'layer1.0', null]]);
  expect([...classes]).toEqual([
    ['', 'timm.models.resnet.ResNet'],
    ['act1', 'torch.nn.ReLU'],
  ]);
});

test('TorchScript scopes are read from the tensor before the node, and a second call belongs to the same module', async () => {
  const { style, paths } = await pathsOf([
    { name: 'fused', output: '/layer1/layer1.0/relu/Relu_output_0' },
    { name: '/layer1/layer1.0/relu_1/Relu', output: '/layer1/layer1.0/relu_1/Relu_output_0' },
    { name: '/layer1/conv_1/Relu', output: '/layer1/conv_1/Relu_output_0' },
    { name: '/Relu', output: 'renamed' },
  ]);
  expect([style, paths]).toEqual(['torchscript', ['layer1.0.relu', 'layer1.0.relu', 'layer1.conv_1', '']]);
});

test.each([
  ['layer1/layer1.0/conv1', 'layer1.0.conv1'],
  ['stages/stages.0/blocks/blocks.1/conv', 'stages.0.blocks.1.conv'],
  ['stages.0/stages.0.1/act', 'stages.0.1.act'],
  ['features/denseblock1/denselayer1/conv1', 'features.denseblock1.denselayer1.conv1'],
  ['stem/stem.0', 'stem.0'],
  ['stem/stem/stem.0/conv', 'stem.stem.0.conv'],
  ['block/blocks.1', 'block.blocks.1'],
  ['0/0.1', '0.0.1'],
])('TorchScript scope %p is the module %p', async (scope, path) => {
  const { paths } = await pathsOf([{ output: `/${scope}/Relu_output_0` }]);
  expect(paths).toEqual([path]);
});

test('a leading slash without scopes is no module path (Keras 3)', async () => {
  expect(
    (
      await pathsOf([
        { name: '/Conv', output: '/Conv_output_0' },
        { name: '/Relu', output: '/Relu_output_0' },
      ])
    ).style,
  ).toBe('none');
});

test('TensorFlow names are paths of layers', async () => {
  expect(
    await pathsOf([
      { name: 'resnet50/conv1_conv/Conv2D', output: 'resnet50/conv1_conv/BiasAdd:0' },
      { name: 'resnet50/conv1_relu/Relu', output: 'resnet50/conv1_relu/Relu:0' },
    ]),
  ).toMatchObject({
    style: 'path',
    paths: ['resnet50/conv1_conv', 'resnet50/conv1_relu'],
  });
});

test('MXNet names carry their stage', async () => {
  expect(
    await pathsOf([
      { name: 'resnetv17_stage1_conv0_fwd', output: 'resnetv17_stage1_conv0_fwd' },
      { name: 'resnetv17_stage2_relu0_fwd', output: 'resnetv17_stage2_relu0_fwd' },
    ]),
  ).toMatchObject({
    style: 'underscore',
    paths: ['stage1', 'stage2'],
  });
});

test('numbers say nothing', async () => {
  expect(
    (
      await pathsOf([
        { name: 'Relu_0', output: '126' },
        { name: 'Relu_1', output: '127' },
      ])
    ).style,
  ).toBe('none');
});
