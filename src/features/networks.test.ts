import { Net } from '../testing/net.js';
import type { Resolution } from './feature.js';

/** Names that say nothing: the shape of the graph decides. */
const anonymous = (): ((name: string) => string) => {
  const names = new Map<string, string>();
  return (name) => {
    if (name === '' || name === 'image' || /^(weight|constant|scalar)_/.test(name)) return name;
    const known = names.get(name) ?? `t${names.size}`;
    names.set(name, known);
    return known;
  };
};
const tensors = ({ features }: Pick<Resolution, 'features'>): readonly (string | null)[] =>
  features.map(({ tensor }) => tensor);
const group = ({ groups }: Resolution, name: string): readonly (string | null)[] | undefined =>
  groups.find((one) => one.name === name)?.features.map(({ tensor }) => tensor);

/** A feature pyramid over the maps of a backbone, a head of two convolutions and two branches on each of its levels. */
function detector(net: Net, maps: readonly string[]): { readonly neck: readonly string[]; readonly outputs: string[] } {
  const widths = [16, 32, 64];
  const inner = maps.map((map, at) => net.conv(`lateral${at}`, map, [widths[at], 24], 1, 1));
  for (const at of [1, 0]) inner[at] = net.op('Add', `sum${at}`, [inner[at], net.up(`up${at}`, inner[at + 1])]);
  const neck = inner.map((map, at) => net.conv(`smooth${at}`, map, [24, 24]));
  const outputs = neck.flatMap((map, at) =>
    ['box', 'score'].map((name) => {
      const hidden = net.op('Relu', `${name}${at}/act`, [net.conv(`${name}${at}/conv`, map, [24, 24])]);
      const last = net.conv(`${name}${at}/out`, hidden, [24, 4]);
      const moved = net.op('Transpose', `${name}${at}`, [last], { perm: { ints: [0, 2, 3, 1] } });
      return net.op('Reshape', `${name}${at}`, [moved, net.constant([1, -1, 4])]);
    }),
  );
  return { neck, outputs: [net.op('Concat', 'all', outputs, { axis: { int: 1 } })] };
}

describe.each(['named', 'anonymous'])('%s', (kind) => {
  const rename = (): ((name: string) => string) => (kind === 'named' ? (name) => name : anonymous());

  test('a detector: the backbone ends in front of its laterals, and the neck is what the heads read', async () => {
    const net = new Net();
    const maps = net.trunk('backbone');
    const { neck, outputs } = detector(net, maps.slice(1));
    const names = rename();
    const { resolution } = await net.resolve(outputs, names);
    expect(tensors(resolution)).toEqual(maps.map(names));
    expect(group(resolution, 'neck')).toEqual(neck.map(names));
  });

  test('one convolution for both branches of a head (RPN) is the head at every level, also where a pool reads the neck too', async () => {
    const net = new Net();
    const maps = net.trunk('backbone').slice(1);
    const inner = maps.map((map, at) => net.conv(`fpn/lateral${at}`, map, [[16, 32, 64][at], 24], 1, 1));
    for (const at of [1, 0])
      inner[at] = net.op('Add', `fpn/sum${at}`, [inner[at], net.up(`fpn/up${at}`, inner[at + 1])]);
    const neck = inner.map((map, at) => net.conv(`fpn/smooth${at}`, map, [24, 24]));
    const pooled = net.op('MaxPool', 'fpn/pool', [neck[2]], {
      kernel_shape: { ints: [1, 1] },
      strides: { ints: [2, 2] },
    });
    const outputs = [...neck, pooled].flatMap((map, at) => {
      const hidden = net.op('Relu', `rpn${at}/act`, [net.conv(`rpn${at}/conv`, map, [24, 24])]);
      return ['box', 'score'].map((name) => {
        const moved = net.op('Transpose', `${name}${at}`, [net.conv(`${name}${at}/out`, hidden, [24, 4], 1, 1)], {
          perm: { ints: [0, 2, 3, 1] },
        });
        return net.op('Reshape', `${name}${at}`, [moved, net.constant([1, -1, 4])]);
      });
    });
    const names = rename();
    const { resolution } = await net.resolve([net.op('Concat', 'all', outputs, { axis: { int: 1 } })], names);
    expect(group(resolution, 'neck')).toEqual(neck.map(names));
  });

  test('a head that projects the tokens of every level (SegFormer): the last level ends in front of it too', async () => {
    const net = new Net();
    const maps = net.trunk('encoder').slice(1);
    const project = (map: string, at: number): string => {
      const size = 16 >> at;
      const rows = net.op('Reshape', `head/${at}`, [map, net.constant([1, 16 << at, size * size])]);
      const tokens = net.op('Transpose', `head/${at}`, [rows], { perm: { ints: [0, 2, 1] } });
      const linear = net.op('MatMul', `head/${at}/proj`, [tokens, net.weight([16 << at, 24])]);
      const back = net.op('Transpose', `head/${at}`, [linear], { perm: { ints: [0, 2, 1] } });
      return net.op('Reshape', `head/${at}`, [back, net.constant([1, 24, size, size])]);
    };
    const [fine, ...coarse] = maps.map(project);
    const raised = coarse.map((map, at) => {
      let up = map;
      for (let step = 0; step <= at; step++) up = net.up(`head/up${at}`, up);
      return up;
    });
    const fused = net.op('Relu', 'head/fuse', [
      net.conv('head/fuse', net.op('Concat', 'head', [...raised, fine], { axis: { int: 1 } }), [72, 24], 1, 1),
    ]);
    const names = rename();
    const { resolution } = await net.resolve([net.conv('head/out', fused, [24, 5], 1, 1)], names);
    expect(tensors(resolution).slice(1)).toEqual(maps.map(names));
  });

  test('levels that meet going up and again going down, through separable convolutions with norms (CSP-PAN)', async () => {
    const net = new Net();
    const act = (scope: string, from: string): string => net.op('Relu', scope, [from]);
    const separable = (scope: string, from: string, stride: number): string =>
      act(
        scope,
        net.conv(
          `${scope}/point`,
          act(`${scope}/depth`, net.depthwise(`${scope}/depth`, from, 24, stride)),
          [24, 24],
          1,
          1,
        ),
      );
    const join = (scope: string, maps: readonly string[]): string =>
      act(scope, net.conv(scope, net.op('Concat', scope, maps, { axis: { int: 1 } }), [48, 24], 1, 1));
    const inner = net
      .trunk('backbone')
      .slice(1)
      .map((map, at) => act(`lateral${at}`, net.conv(`lateral${at}`, map, [[16, 32, 64][at], 24], 1, 1)));
    const up = [...inner];
    for (const at of [1, 0]) up[at] = join(`up${at}`, [net.up(`up${at}`, up[at + 1]), inner[at]]);
    const neck = [up[0]];
    for (const at of [1, 2]) neck.push(join(`down${at}`, [separable(`down${at}`, neck[at - 1], 2), up[at]]));
    neck.push(net.op('Add', 'top', [separable('top/a', inner[2], 2), separable('top/b', neck[2], 2)]));
    const heads = neck.map((map, at) =>
      net.conv(`head${at}`, separable(`head${at}/1`, separable(`head${at}/0`, map, 1), 1), [24, 12], 1, 1),
    );
    const names = rename();
    const { resolution } = await net.resolve(heads, names);
    expect(group(resolution, 'neck')).toEqual(neck.map(names));
  });

  test('heads on the backbone itself (SSD): levels of plain convolutions count, and there is no neck', async () => {
    const net = new Net();
    const maps = [...net.trunk('')];
    maps.push(net.op('Relu', 'extra/act', [net.conv('extra/conv', maps[3], [64, 64], 2)]));
    const heads = maps.slice(2).map((map, at) => {
      const head = net.conv(`head${at}`, map, [at === 0 ? 32 : 64, 4]);
      const moved = net.op('Transpose', `head${at}`, [head], { perm: { ints: [0, 2, 3, 1] } });
      return net.op('Reshape', `head${at}`, [moved, net.constant([1, -1, 4])]);
    });
    const names = rename();
    const { resolution } = await net.resolve([net.op('Concat', 'boxes', heads, { axis: { int: 1 } })], names);
    expect(tensors(resolution)).toEqual(maps.map(names));
    expect(resolution.groups).toEqual([]);
  });

  test('a shuffle of channels (ShuffleNet) belongs to the block in front of it', async () => {
    const net = new Net();
    let from = net.op('Relu', 'stem', [net.conv('stem', 'image', [3, 8], 2)]);
    const ends = [from];
    for (const [stage, width, side] of [
      [1, 16, 16],
      [2, 32, 8],
      [3, 64, 4],
    ]) {
      const branches = [0, 1].map((branch) => {
        const scope = `stage${stage}/branch${branch}`;
        return net.op('Relu', scope, [net.conv(scope, from, [width / 2, width / 2], 2)]);
      });
      const joined = net.op('Concat', `stage${stage}`, branches, { axis: { int: 1 } });
      const apart = net.op('Reshape', `stage${stage}`, [joined, net.constant([1, 2, width / 2, side, side])]);
      const mixed = net.op('Transpose', `stage${stage}`, [apart], { perm: { ints: [0, 2, 1, 3, 4] } });
      from = net.op('Reshape', `stage${stage}`, [mixed, net.constant([1, width, side, side])]);
      ends.push(from);
    }
    const last = net.op('Relu', 'conv5', [net.conv('conv5', from, [64, 128], 1, 1)]);
    const pooled = net.op('Flatten', 'pool', [net.op('GlobalAveragePool', 'pool', [last])]);
    const names = rename();
    const { resolution } = await net.resolve([net.op('Gemm', 'fc', [pooled, net.weight([128, 10])])], names);
    expect(tensors(resolution)).toEqual(ends.map(names));
  });

  test('an auxiliary head is a light branch: the backbone goes on behind it', async () => {
    const net = new Net();
    const maps = [...net.trunk('')];
    const further = net.block('layer3/layer3.2', net.block('layer3/layer3.1', maps[3], [64, 64]), [64, 64]);
    const last = net.block('layer3/layer3.3', further, [64, 64]);
    const head = (name: string, from: string): string => {
      const hidden = net.op('Relu', `${name}/act`, [net.conv(`${name}/conv`, from, [64, 16])]);
      return net.up(`${name}/up`, net.conv(`${name}/out`, hidden, [16, 2], 1, 1));
    };
    const names = rename();
    const { resolution } = await net.resolve([head('main', last), head('aux', maps[3])], names);
    expect(tensors(resolution)).toEqual([...maps.slice(0, 3), last].map(names));
  });

  test('a U-Net: the encoder are the features, the decoder is a group, coarsest first', async () => {
    const net = new Net();
    const encoder = net.trunk('encoder');
    const widths = [8, 16, 32, 64];
    let value = encoder[3];
    const decoder: string[] = [];
    for (const at of [2, 1, 0]) {
      const joined = net.op('Concat', `decoder/d${at}`, [net.up(`decoder/d${at}`, value), encoder[at]], {
        axis: { int: 1 },
      });
      const into = widths[at] + widths[at + 1];
      value = net.op('Relu', `decoder/d${at}/act`, [net.conv(`decoder/d${at}/conv`, joined, [into, widths[at]])]);
      decoder.push(value);
    }
    const names = rename();
    const { resolution } = await net.resolve([net.conv('head', value, [8, 1], 1, 1)], names);
    expect(tensors(resolution)).toEqual(encoder.map(names));
    expect(group(resolution, 'decoder')).toEqual(decoder.map(names));
  });

  test('scores that are a map before they are pooled belong to the head', async () => {
    const net = new Net();
    const maps = net.trunk('');
    const scores = net.conv('classifier', maps[3], [64, 10], 1, 1);
    const names = rename();
    const { resolution } = await net.resolve(
      [net.op('Flatten', 'flat', [net.op('GlobalAveragePool', 'pool', [scores])])],
      names,
    );
    if (kind === 'anonymous') expect(tensors(resolution)).toEqual(maps.map(names));
    else expect(tensors(resolution).slice(0, 3)).toEqual(maps.slice(0, 3).map(names));
  });
});

/** Convolution, down and up again, added to where it began. */
function hourglass(net: Net, name: string, from: string, widths: readonly [number, number]): string {
  const entry = net.op('Relu', `${name}/in`, [net.conv(`${name}/in`, from, widths)]);
  const low = net.op('MaxPool', `${name}/pool`, [entry], {
    kernel_shape: { ints: [2, 2] },
    strides: { ints: [2, 2] },
  });
  const inner = net.op('Relu', `${name}/low`, [net.conv(`${name}/low`, low, [widths[1], widths[1]])]);
  const up = net.op('Relu', `${name}/out`, [net.conv(`${name}/out`, net.up(name, inner), [widths[1], widths[1]])]);
  return net.op('Add', name, [up, entry]);
}

test('blocks that go down and up again inside a level are blocks (U^2-Net)', async () => {
  const net = new Net();
  const pool = (from: string): string =>
    net.op('MaxPool', '', [from], { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } });
  const one = hourglass(net, 'one', 'image', [3, 16]);
  const two = hourglass(net, 'two', pool(one), [16, 16]);
  const three = hourglass(net, 'three', pool(two), [16, 16]);
  const joined = net.op('Concat', '', [net.up('', three), two], { axis: { int: 1 } });
  const names = anonymous();
  const { resolution } = await net.resolve([net.conv('', joined, [32, 1])], names);
  expect(tensors(resolution)).toEqual([one, two, three].map(names));
  expect(resolution.features.map(({ reduction }) => reduction)).toEqual([1, 2, 4]);
});

test('two streams that share nothing are two towers', async () => {
  const net = new Net();
  const { streams, output } = net.towers();
  const names = anonymous();
  const { resolution } = await net.resolve([output], names);
  expect(resolution.features).toEqual([]);
  expect(group(resolution, 'tower.0')).toEqual(streams[0].map(names));
  expect(group(resolution, 'tower.1')).toEqual(streams[1].map(names));
});
