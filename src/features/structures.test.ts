import { Net } from '../testing/net.js';
import type { Resolution } from './feature.js';

const shown = ({ features }: Resolution): readonly (readonly [string | null, string | null, number | null])[] =>
  features.map(({ module, tensor, reduction }) => [module, tensor, reduction]);
const pyramid = (names: readonly string[], prefix: string): readonly (readonly [string, string, number])[] =>
  ['act1', 'layer1', 'layer2', 'layer3'].map((name, at) => [prefix + name, names[at], 2 ** (at + 1)]);

test('a U-Net: the encoder is the FeatureInfo, the decoder is there by module', async () => {
  const net = new Net();
  const encoder = net.trunk('encoder');
  let value = encoder[3];
  let width = 64;
  for (const [at, skip] of [encoder[2], encoder[1], encoder[0]].entries()) {
    value = net.conv(
      `decoder/blocks.${at}/conv`,
      net.op('Concat', `decoder/blocks.${at}`, [net.up(`decoder/blocks.${at}/up`, value), skip], { axis: { int: 1 } }),
      [width + (32 >> at), 16],
    );
    width = 16;
  }
  const { resolution, select } = await net.resolve([net.conv('head', net.up('head/up', value), [16, 2])]);
  expect(shown(resolution)).toEqual(pyramid(encoder, 'encoder.'));
  expect(select('decoder.blocks.1')[0]).toMatchObject({ reduction: 4, numChs: 16 });
});

test('a detector with several heads on a feature pyramid: the trunk alone', async () => {
  const net = new Net();
  const trunk = net.trunk('backbone/body');
  let value = net.conv('backbone/fpn/inner.3', trunk[3], [64, 16], 1, 1);
  const maps = [value];
  for (const at of [2, 1])
    maps.push(
      (value = net.op('Add', `backbone/fpn/sum.${at}`, [
        net.conv(`backbone/fpn/inner.${at}`, trunk[at], [8 << at, 16], 1, 1),
        net.up(`backbone/fpn/up.${at}`, value),
      ])),
    );
  maps.push(net.conv('backbone/fpn/extra', trunk[3], [64, 16], 2));
  const heads = maps.map((map, at) => net.conv(`head/${at}`, map, [16, 9]));
  expect(shown((await net.resolve(heads)).resolution)).toEqual(pyramid(trunk, 'backbone.body.'));
});

test('a backbone that hands out its maps, with and without names', async () => {
  const net = new Net();
  const maps = net.trunk('');
  expect(shown((await net.resolve(maps)).resolution)).toEqual(pyramid(maps, ''));
  const numbers = new Map<string, string>();
  const rename = (name: string): string =>
    name === 'image' || !name.startsWith('/')
      ? name
      : (numbers.get(name) ?? (numbers.set(name, `t${numbers.size}`), numbers.get(name)) ?? name);
  const anonymous = await net.resolve(maps, rename);
  expect(shown(anonymous.resolution)).toEqual(maps.map((name, at) => [null, rename(name), 2 ** (at + 1)]));
});

test('an image with channels last, and layers named as TensorFlow names them', async () => {
  const net = new Net(['batch', 64, 64, 3]);
  const maps = net.trunk('', net.op('Transpose', '', ['image'], { perm: { ints: [0, 3, 1, 2] } }));
  const rename = (name: string): string => (name.startsWith('/') ? `model${name.replace(/_output_0$/, ':0')}` : name);
  const { resolution } = await net.resolve(maps, rename);
  expect(shown(resolution)).toEqual([
    ['model/act1', 'model/act1/Relu:0', 2],
    ...[1, 2, 3].map((at) => [`model/layer${at}/layer${at}.0/act2`, rename(maps[at]), 2 ** (at + 1)]),
  ]);
  expect(resolution.features[1].shape).toEqual(['batch', 16, 16, 16]);
});

test('a quantized network is tapped behind DequantizeLinear', async () => {
  const net = new Net();
  const quantized = (from: string): string => {
    const scale = net.constant([0.1], 'float32');
    const scalar = net.op('Squeeze', '', [scale]);
    return net.op('DequantizeLinear', '', [net.op('QuantizeLinear', '', [from, scalar]), scalar]);
  };
  let value = 'image';
  const wanted: string[] = [];
  for (const [at, widths] of (
    [
      [3, 8],
      [8, 16],
      [16, 32],
    ] as const
  ).entries()) {
    value = quantized(net.op('Relu', `layer${at}/act`, [net.conv(`layer${at}/conv`, value, widths, 2)]));
    wanted.push(value);
  }
  const { resolution } = await net.resolve([value]);
  expect(resolution.features.map(({ module, tensor }) => [module, tensor])).toEqual(
    wanted.map((tensor, at) => [`layer${at}`, tensor]),
  );
});

test('BatchNormalization that was not folded belongs to its convolution', async () => {
  const net = new Net();
  let value = 'image';
  const maps: string[] = [];
  for (const widths of [
    [3, 8],
    [8, 16],
    [16, 32],
  ] as const) {
    const norm = net.op('BatchNormalization', '', [
      net.conv('', value, widths, 2),
      ...Array.from({ length: 4 }, () => net.weight([widths[1]])),
    ]);
    maps.push((value = net.op('Relu', '', [norm])));
  }
  expect((await net.resolve([value])).resolution.features.map(({ tensor }) => tensor)).toEqual(maps);
});

describe('by shape alone', () => {
  const depthwise = (net: Net, from: string, width: number, stride = 1): string =>
    net.op('Conv', '', [from, net.weight([width, 1, 3, 3])], {
      strides: { ints: [stride, stride] },
      kernel_shape: { ints: [3, 3] },
      pads: { ints: [1, 1, 1, 1] },
      group: { int: width },
    });
  const relu = (net: Net, from: string): string => net.op('Relu', '', [from]);
  const feed = (net: Net, from: string, width: number): string =>
    net.op('Add', '', [
      from,
      net.conv('', relu(net, net.conv('', from, [width, 2 * width], 1, 1)), [2 * width, width], 1, 1),
    ]);
  const linear = (net: Net, from: string, widths: readonly [number, number]): string =>
    net.op('MatMul', '', [from, net.weight(widths)]);
  const tokenBlock = (net: Net, from: string, width: number): string =>
    net.op('Add', '', [from, linear(net, relu(net, linear(net, from, [width, 2 * width])), [2 * width, width])]);
  const tensors = async (net: Net, output: string): Promise<readonly (string | null)[]> =>
    (await net.resolve([output])).resolution.features.map(({ tensor }) => tensor);

  test('tokens that become a map again are a feature where they are one', async () => {
    const net = new Net();
    const wanted: string[] = [];
    let value = 'image';
    for (const [side, widths] of [
      [16, [3, 8]],
      [8, [8, 16]],
      [4, [16, 32]],
    ] as const) {
      const patches = net.op(
        'Conv',
        '',
        [value, net.weight([widths[1], widths[0], side === 16 ? 4 : 2, side === 16 ? 4 : 2])],
        { strides: { ints: side === 16 ? [4, 4] : [2, 2] } },
      );
      value = net.op('Transpose', '', [net.op('Reshape', '', [patches, net.constant([1, widths[1], side * side])])], {
        perm: { ints: [0, 2, 1] },
      });
      for (let block = 0; block < 2; block++) value = tokenBlock(net, value, widths[1]);
      value = net.op('Transpose', '', [net.op('Reshape', '', [value, net.constant([1, side, side, widths[1]])])], {
        perm: { ints: [0, 3, 1, 2] },
      });
      wanted.push(value);
    }
    expect(await tensors(net, net.op('GlobalAveragePool', '', [value]))).toEqual(wanted);
  });

  test('the widening in front of a strided convolution in groups belongs to the next block', async () => {
    const net = new Net();
    let value = relu(net, net.conv('', 'image', [3, 8], 2));
    const wanted = [value];
    for (const [from, to] of [
      [8, 16],
      [16, 24],
    ] as const) {
      const wide = relu(net, net.conv('', value, [from, 32], 1, 1));
      const strided = net.op('Conv', '', [wide, net.weight([32, 8, 3, 3])], {
        strides: { ints: [2, 2] },
        kernel_shape: { ints: [3, 3] },
        pads: { ints: [1, 1, 1, 1] },
        group: { int: 4 },
      });
      value = feed(net, net.conv('', relu(net, strided), [32, to], 1, 1), to);
      wanted.push(value);
    }
    expect((await tensors(net, net.op('GlobalAveragePool', '', [value]))).slice(0, 2)).toEqual(wanted.slice(0, 2));
  });

  test('so does one whose norm the exporter left', async () => {
    const net = new Net();
    const wanted: string[] = [];
    let value = 'image';
    for (const [from, to] of [
      [3, 8],
      [8, 16],
      [16, 32],
    ] as const) {
      const wide =
        from === 3
          ? value
          : relu(
              net,
              net.op('InstanceNormalization', '', [
                net.conv('', value, [from, 32], 1, 1),
                net.weight([32]),
                net.weight([32]),
              ]),
            );
      value = feed(
        net,
        net.conv(
          '',
          from === 3 ? relu(net, net.conv('', wide, [3, 8], 2)) : relu(net, depthwise(net, wide, 32, 2)),
          [from === 3 ? 8 : 32, to],
          1,
          1,
        ),
        to,
      );
      wanted.push(value);
    }
    expect((await tensors(net, net.op('GlobalAveragePool', '', [value]))).slice(0, 2)).toEqual(wanted.slice(0, 2));
  });

  test('convolutions that were trained in branches are one convolution', async () => {
    const net = new Net();
    const wanted: string[] = [];
    let value = 'image';
    for (const widths of [
      [3, 8],
      [8, 16],
      [16, 32],
    ] as const)
      wanted.push(
        (value = relu(net, net.op('Add', '', [net.conv('', value, widths, 2), net.conv('', value, widths, 2, 1)]))),
      );
    const { features } = (await net.resolve([net.op('GlobalAveragePool', '', [value])])).resolution;
    expect(features.map(({ tensor, confidence }) => [tensor, confidence])).toEqual(
      wanted.map((tensor) => [tensor, 'high']),
    );
  });

  test('residuals around a depthwise downsampling belong to the next stage', async () => {
    const net = new Net();
    const pair = (from: string, width: number): string =>
      feed(net, net.op('Add', '', [from, depthwise(net, from, width)]), width);
    let value = feed(net, relu(net, net.conv('', 'image', [3, 8], 2)), 8);
    const wanted: string[] = [];
    for (const [from, to] of [
      [8, 16],
      [16, 24],
    ] as const) {
      wanted.push(value);
      value = pair(value, from);
      value = net.conv(
        '',
        relu(net, depthwise(net, relu(net, net.conv('', value, [from, 4 * from], 1, 1)), 4 * from, 2)),
        [4 * from, to],
        1,
        1,
      );
      value = feed(net, net.op('Add', '', [value, depthwise(net, value, to)]), to);
    }
    expect((await tensors(net, net.op('GlobalAveragePool', '', [value]))).slice(0, 1)).toEqual(wanted.slice(0, 1));
  });

  test('a stage ends in the layout that it began with', async () => {
    const net = new Net();
    const wanted: string[] = [];
    let value = 'image';
    for (const [from, to] of [
      [3, 8],
      [8, 16],
      [16, 32],
    ] as const) {
      value = feed(net, net.conv('', value, [from, to], 2), to);
      value = tokenBlock(net, net.op('Transpose', '', [value], { perm: { ints: [0, 2, 3, 1] } }), to);
      value = net.op('Transpose', '', [value], { perm: { ints: [0, 3, 1, 2] } });
      wanted.push(value);
    }
    expect(await tensors(net, net.op('GlobalAveragePool', '', [value]))).toEqual(wanted);
  });

  test('blocks that work on tokens and hand on maps end in maps', async () => {
    const net = new Net();
    const wanted: string[] = [];
    const patches = net.op('Conv', '', ['image', net.weight([16, 3, 16, 16])], { strides: { ints: [16, 16] } });
    let value = net.op('Transpose', '', [patches], { perm: { ints: [0, 2, 3, 1] } });
    for (let block = 0; block < 4; block++) {
      value = net.op('Add', '', [value, linear(net, relu(net, linear(net, value, [16, 16])), [16, 16])]);
      value = net.op('Reshape', '', [
        tokenBlock(net, net.op('Reshape', '', [value, net.constant([1, 16, 16])]), 16),
        net.constant([1, 4, 4, 16]),
      ]);
      wanted.push(value);
    }
    expect(
      await tensors(net, net.op('ReduceMean', '', [value], { axes: { ints: [1, 2] }, keepdims: { int: 0 } })),
    ).toEqual(wanted);
  });
});

test('a stem that goes on to a smaller map: its inner convolution is a feature where the family says so', async () => {
  const net = new Net();
  const act = (scope: string, from: string): string => net.op('Relu', `${scope}/act`, [from]);
  const inner = act(
    'stem/conv2',
    net.conv('stem/conv2/conv', act('stem/conv1', net.conv('stem/conv1/conv', 'image', [3, 8], 2)), [8, 16]),
  );
  let value = act('stem/conv3', net.conv('stem/conv3/conv', inner, [16, 32], 2));
  for (let stage = 0; stage < 3; stage++) {
    for (let block = 0; block < 2; block++) {
      const scope = `stages/stages.${stage}/stages.${stage}.${block}`;
      const strided = stage > 0 && block === 0 ? net.conv(`${scope}/shortcut`, value, [32, 32], 2, 1) : value;
      const narrow = act(`${scope}/conv1_1x1`, net.conv(`${scope}/conv1_1x1/conv`, value, [32, 8], 1, 1));
      value = act(
        scope,
        net.op('Add', scope, [
          strided,
          net.conv(`${scope}/conv2_kxk/conv`, narrow, [8, 32], stage > 0 && block === 0 ? 2 : 1),
        ]),
      );
    }
  }
  const { resolution } = await net.resolve([value]);
  expect(resolution.features.slice(0, 2).map(({ module, tensor, reduction }) => [module, tensor, reduction])).toEqual([
    ['stem.conv2', inner, 2],
    ['stages.0', expect.any(String), 4],
  ]);
});

test.each<readonly [string, readonly (number | string)[]]>([
  ['tokens', [1, 50, 16]],
  ['a table', [1, 20]],
  ['a scalar', []],
])('%s: no features, and a warning that says how to name tensors', async (_what, shape) => {
  const net = new Net(shape);
  const { resolution } = await net.resolve([net.op('Relu', '', ['image'])]);
  expect([resolution.features, resolution.embedding]).toEqual([[], null]);
  expect(resolution.warnings[0]).toContain("by: 'tensor'");
});
