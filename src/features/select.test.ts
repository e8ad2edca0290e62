import { readFileSync } from 'node:fs';
import { viewGraph, type GraphView } from '../onnx/graph.js';
import type { InferredTypes } from '../onnx/types.js';
import { openModel } from '../open.js';
import { inferTypes } from '../runtime/types.js';
import type { Resolution } from './feature.js';
import { neededTensors } from './needed.js';
import { resolveFeatures } from './resolve.js';
import { selectFeatures } from './select.js';
import type { NamedSelector, SelectOptions, Selection } from './selectors.js';

interface Opened {
  readonly view: GraphView;
  readonly types: InferredTypes;
  readonly resolution: Resolution;
}

const opened = new Map<string, Promise<Opened>>();

async function open(file: string): Promise<Opened> {
  const view = viewGraph(await openModel(readFileSync(`fixtures/zoo/${file}`)));
  const types = await inferTypes(view, neededTensors(view), { isolate: false });
  return { view, types, resolution: resolveFeatures(view, types) };
}

async function select(file: string, options: SelectOptions): Promise<readonly Selection[]> {
  const known = opened.get(file) ?? open(file);
  opened.set(file, known);
  const { view, types, resolution } = await known;
  return selectFeatures(view, types, resolution, options);
}

const named = (by: NamedSelector['by'], ...names: string[]): SelectOptions => ({
  select: names.map((name) => ({ by, name })),
});
const modules = (file: string, ...names: string[]): Promise<readonly Selection[]> =>
  select(file, named('module', ...names));
const RESNET = 'resnet18.ts.onnx';

describe('by index', () => {
  test('all by default; --out in its order, negatives from the end, duplicates kept', async () => {
    expect((await select(RESNET, {})).map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
    expect((await select(RESNET, { out: [3, -5, 3] })).map(({ index, tensors }) => [index, tensors])).toEqual([
      [3, ['/layer3/layer3.1/act2/Relu_output_0']],
      [0, ['/act1/Relu_output_0']],
      [3, ['/layer3/layer3.1/act2/Relu_output_0']],
    ]);
  });

  test('the last n', async () => {
    expect(
      (await select(RESNET, { last: 2 })).map(({ index, module, numChs, reduction, layout }) => [
        index,
        module,
        numChs,
        reduction,
        layout,
      ]),
    ).toEqual([
      [3, 'layer3', 256, 16, 'NCHW'],
      [4, 'layer4', 512, 32, 'NCHW'],
    ]);
  });

  test('out of range names the range', async () => {
    await expect(select(RESNET, { out: [5, 7] })).rejects.toMatchObject({
      name: 'ResolveError',
      message: 'feature indices 5, 7 are out of range: the model has 5 features',
    });
  });

  test('indices, names and the embedding in one list, in its order', async () => {
    const mixed = await select(RESNET, {
      select: [
        { by: 'module', name: 'layer1' },
        { by: 'embedding' },
        { by: 'index', indices: [-1, 0] },
        { by: 'tensor', name: 'input' },
      ],
    });
    expect(mixed.map(({ by, index, module, key }) => [by, index, module, key])).toEqual([
      ['module', null, 'layer1', undefined],
      ['embedding', null, null, 'embedding'],
      ['index', 4, 'layer4', '4'],
      ['index', 0, 'act1', '0'],
      ['tensor', null, null, undefined],
    ]);
  });

  test('a group that is not there is an error that names those that are', async () => {
    await expect(select(RESNET, { select: [{ by: 'index', group: 'neck', indices: [0] }] })).rejects.toMatchObject({
      code: 'FEATX_RESOLVE_GROUP',
      message: "the model has no group 'neck'",
    });
  });

  test('an embedding of another role is an error that names those that are', async () => {
    await expect(select(RESNET, { embedding: 'class-token' })).rejects.toMatchObject({
      code: 'FEATX_RESOLVE_EMBEDDING',
      message: expect.stringMatching(/no embedding of role class-token; it has '.*' \(pooled\)/),
    });
  });

  test('--last with --out is refused', async () => {
    await expect(select(RESNET, { out: [1], last: 1 })).rejects.toMatchObject({ name: 'UsageError' });
  });

  test('a model without features says how to name tensors', async () => {
    await expect(select('none_mlp.onnx', { out: [0] })).rejects.toMatchObject({
      name: 'ResolveError',
      hint: expect.stringContaining("by: 'tensor'"),
    });
  });
});

describe('by module', () => {
  test('in the order given; an exact name wins over a glob; wildcards stay inside one atom', async () => {
    expect((await modules(RESNET, 'layer2', 'layer1.0.act1', 'layer*')).map(({ module }) => module)).toEqual([
      'layer2',
      'layer1.0.act1',
      'layer1',
      'layer2',
      'layer3',
      'layer4',
    ]);
  });

  test('forward_pre of tensors alone means nothing', async () => {
    const options: SelectOptions = { ...named('tensor', 'input'), hookType: 'forward_pre' };
    await expect(select(RESNET, options)).rejects.toMatchObject({ code: 'FEATX_USAGE_HOOK_TYPE' });
  });

  test('forward_pre is the first tensor read inside and made outside', async () => {
    const [pre] = await select(RESNET, { ...named('module', 'layer2'), hookType: 'forward_pre' });
    expect(pre).toMatchObject({
      hookType: 'forward_pre',
      tensors: ['/layer1/layer1.1/act2/Relu_output_0'],
      numChs: 64,
    });
  });

  test('every bad name is in one error, with the nearest names', async () => {
    await expect(modules(RESNET, 'layer9', 'layer1', 'lyaer2')).rejects.toMatchObject({
      name: 'ResolveError',
      message: expect.stringMatching(/'layer9' \(nearest: layer\d.*'lyaer2' \(nearest: layer/),
    });
  });

  test('a graph without names says so', async () => {
    await expect(modules('resnet18.anon.onnx', 'layer1')).rejects.toMatchObject({
      message: expect.stringContaining('carries no module names'),
      hint: expect.stringContaining("by: 'tensor'"),
    });
  });

  test('the sum is the last output of a dual path; its outputs by number, and all of them concatenated', async () => {
    const [first, second] = await modules('dpn48b.ts.onnx', 'features.conv2_3#0', 'features.conv2_3#1');
    expect(first.tensors).not.toEqual(second.tensors);
    const joined = { tensors: ['/features/conv3_1/Concat_output_0'], numChs: 144 };
    expect((await select('dpn48b.ts.onnx', { out: [1], featureConcat: true }))[0]).toMatchObject({
      ...joined,
      index: 1,
    });
    expect(
      (await select('dpn48b.ts.onnx', { ...named('module', 'features.conv2_3'), featureConcat: true }))[0],
    ).toMatchObject({ ...joined, index: null });
    await expect(modules('dpn48b.ts.onnx', 'features.conv2_3#9')).rejects.toMatchObject({
      message: expect.stringMatching(/has \d outputs, so output 9 does not exist/),
    });
  });

  test('a call by number', async () => {
    expect((await modules(RESNET, 'layer1.0.act1@1'))[0].tensors).toEqual(['/layer1/layer1.0/act1/Relu_output_0']);
    await expect(modules(RESNET, 'layer1.0.act1@2')).rejects.toMatchObject({
      message: expect.stringContaining('has 1 call'),
      hint: 'calls count from 1: 1 to 1',
    });
  });

  test('a folded convolution is refused, and taken after the fold where that is allowed', async () => {
    await expect(modules('ghostnet_050.ts.onnx', 'conv_stem')).rejects.toMatchObject({
      name: 'ResolveError',
      hint: expect.stringContaining('`allowFolded: true`'),
    });
    expect(
      (await select('ghostnet_050.ts.onnx', { ...named('module', 'conv_stem'), allowFolded: true }))[0].tensors,
    ).toEqual(['/conv_stem/Conv_output_0']);
  });

  test("dynamo leaves a folded convolution's parameters and no node", async () => {
    await expect(modules('resnet18.dy.onnx', 'conv1')).rejects.toMatchObject({
      message: expect.stringContaining("folded 'conv1' away"),
    });
    expect((await select('resnet18.dy.onnx', { ...named('module', 'conv1'), allowFolded: true }))[0].tensors).toEqual([
      'getitem',
    ]);
  });

  test('a name that timm declares and the network does not have', async () => {
    expect(
      (await modules('twins_pcpvt_small.ts.onnx', 'block.1', 'blocks.1')).map(({ module, tensors }) => [
        module,
        tensors.length,
      ]),
    ).toEqual([
      ['block.1', 1],
      ['blocks.1', 1],
    ]);
    expect((await modules('resnext26ts.ts.onnx', 'final_conv'))[0]).toMatchObject({
      module: 'final_conv',
      reduction: 32,
    });
  });

  test('flattened names are accepted and reported', async () => {
    const flat = { flattenSequential: true };
    expect(
      (await select('resnet18.dy.onnx', { ...named('module', 'layer1_0', 'layer1.1', 'layer1'), ...flat })).map(
        ({ module }) => module,
      ),
    ).toEqual(['layer1_0', 'layer1_1', 'layer1']);
    await expect(modules('resnet18.dy.onnx', 'layer1_0')).rejects.toMatchObject({ name: 'ResolveError' });
  });
});

describe('by tensor and node', () => {
  test('exact names, inputs, and globs that cross slashes', async () => {
    expect(
      (await select(RESNET, named('tensor', '/layer1/layer1.0/act1/Relu_output_0', 'input'))).map(
        ({ tensors, numChs, reduction }) => [tensors[0], numChs, reduction],
      ),
    ).toEqual([
      ['/layer1/layer1.0/act1/Relu_output_0', 64, 4],
      ['input', 3, 1],
    ]);
    expect(await select(RESNET, named('tensor', '/layer4/*Relu_output_?'))).toHaveLength(4);
  });

  test('a node stands for its first output', async () => {
    expect((await select(RESNET, named('node', '/maxpool/MaxPool')))[0]).toMatchObject({
      index: null,
      module: null,
      by: 'node',
      tensors: ['/maxpool/MaxPool_output_0'],
      reduction: 4,
    });
  });

  test('outputs called by their modules where that is asked for', async () => {
    const byModules = await select(RESNET, { ...named('module', 'layer1', 'layer2#0'), nameBy: 'module' });
    expect(byModules.map(({ name }) => name)).toEqual(['layer1', 'layer2#0']);
    expect((await select(RESNET, named('module', 'layer1'))).map(({ name }) => name)).toEqual([undefined]);
  });

  test('missing ones are named together', async () => {
    await expect(
      select(RESNET, {
        select: [
          { by: 'tensor', name: '/layr1' },
          { by: 'node', name: 'no*' },
        ],
      }),
    ).rejects.toMatchObject({ message: expect.stringMatching(/no tensor is named '\/layr1'.*no node matches 'no\*'/) });
  });
});

describe('the embedding', () => {
  test('alone, and beside features', async () => {
    expect(
      (await select(RESNET, { embedding: true })).map(({ tensors, numChs, by }) => [tensors[0], numChs, by]),
    ).toEqual([['/global_pool/flatten/Flatten_output_0', 512, 'embedding']]);
    expect((await select(RESNET, { embedding: true, out: [4] })).map(({ by }) => by)).toEqual(['index', 'embedding']);
  });

  test('where there is none', async () => {
    await expect(select('none_espcn_x2.onnx', { embedding: true })).rejects.toMatchObject({ name: 'ResolveError' });
  });
});
