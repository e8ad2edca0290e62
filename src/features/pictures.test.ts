import { Net } from '../testing/net.js';

const strides = async (net: Net, picture: string): Promise<readonly (number | null)[]> => {
  const maps = net.trunk('', picture);
  const pooled = net.op('GlobalAveragePool', '', [maps[3]]);
  return (await net.resolve([pooled])).resolution.features.map(({ reduction }) => reduction);
};
const toSizes = (net: Net, from: string, sizes: string): string =>
  net.op('Resize', 'prepare', [from, '', '', sizes], { mode: { string: 'linear' } });
const dims = (net: Net, from: string, start: number, end: number): string =>
  net.op('Slice', 'prepare', [net.op('Shape', 'prepare', [from]), net.constant([start]), net.constant([end])]);

const FROM_THE_MAP = [2, 4, 8, 16];
const FROM_THE_PICTURE = [4, 8, 16, 32];

describe('strides are those of the map that a network brings its picture to', () => {
  test.each<readonly [string, readonly (number | string)[]]>([
    ['of any size', [3, 'h', 'w']],
    ['of one size and another ratio', [3, 480, 640]],
  ])('a picture %s, without a batch axis', async (_what, shape) => {
    const net = new Net(shape);
    const batch = net.op('Unsqueeze', 'prepare', ['image', net.constant([0])]);
    const resized = toSizes(net, batch, net.constant([1, 3, 64, 64]));
    const scaled = net.op('Div', 'prepare', [resized, net.scalar(255, 'float32')]);
    expect(await strides(net, scaled)).toEqual(FROM_THE_MAP);
  });

  test('sizes that take the batch alone from the input', async () => {
    const net = new Net(['n', 3, 'h', 'w']);
    const sizes = net.op('Concat', 'prepare', [dims(net, 'image', 0, 2), net.constant([64, 64])], { axis: { int: 0 } });
    expect(await strides(net, toSizes(net, 'image', sizes))).toEqual(FROM_THE_MAP);
  });

  test('a small picture is made larger, which is no decoder', async () => {
    const net = new Net([1, 3, 32, 32]);
    expect(await strides(net, toSizes(net, 'image', net.constant([1, 3, 64, 64])))).toEqual(FROM_THE_MAP);
  });
});

describe('strides are those of the picture', () => {
  test('behind a Resize by factors', async () => {
    const net = new Net([1, 3, 128, 128]);
    const half = net.op('Resize', 'prepare', ['image', '', net.constant([1, 1, 0.5, 0.5], 'float32')]);
    expect(await strides(net, half)).toEqual(FROM_THE_PICTURE);
  });

  test('behind sizes that are a share of its own', async () => {
    const net = new Net([1, 3, 'h', 'w']);
    const half = net.op('Div', 'prepare', [dims(net, 'image', 2, 4), net.constant([2])]);
    const sizes = net.op('Concat', 'prepare', [net.constant([1, 3]), half], { axis: { int: 0 } });
    expect(await strides(net, toSizes(net, 'image', sizes))).toEqual(FROM_THE_PICTURE);
  });

  test('behind a pool', async () => {
    const net = new Net([1, 3, 128, 128]);
    const pool = net.op('AveragePool', 'prepare', ['image'], {
      kernel_shape: { ints: [2, 2] },
      strides: { ints: [2, 2] },
    });
    expect(await strides(net, pool)).toEqual(FROM_THE_PICTURE);
  });

  test('behind a Resize that is one of several ways on from it', async () => {
    const net = new Net([1, 3, 64, 64]);
    const maps = net.trunk('fine');
    const coarse = net.trunk('coarse', toSizes(net, 'image', net.constant([1, 3, 32, 32])));
    const joined = net.op('Concat', '', [maps[3], coarse[2]], { axis: { int: 1 } });
    const last = net.op('Relu', 'last', [net.conv('last', joined, [96, 128], 2)]);
    const { resolution } = await net.resolve([net.op('GlobalAveragePool', '', [last])]);
    expect(resolution.features.at(-1)).toMatchObject({ tensor: last, reduction: 32 });
  });
});
