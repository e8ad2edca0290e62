import { Net } from '../testing/net.js';
import type { Resolution } from './feature.js';

const tensors = ({ features }: Resolution): readonly (string | null)[] => features.map(({ tensor }) => tensor);
const places = ({ features }: Resolution): readonly string[] =>
  features.map(({ numChs, reduction }) => `${numChs}@${reduction}`);

/** What `conv` makes of the image, at four strides: convolution and activation. */
function chain(conv: (from: string, widths: readonly [number, number]) => string): readonly string[] {
  const maps: string[] = [];
  for (const widths of [
    [3, 8],
    [8, 16],
    [16, 32],
  ] as const)
    maps.push(conv(maps.at(-1) ?? 'image', widths));
  return maps;
}

test('weights in Constant nodes are weights', async () => {
  const net = new Net();
  const maps = chain((from, [into, out]) => {
    const dims = [out, into, 3, 3];
    const data = Array.from({ length: out * into * 9 }, () => 0.1);
    const weight = net.op('Constant', '', [], { value: { tensor: { dims, data } } });
    const strides = { strides: { ints: [2, 2] }, kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] } };
    return net.op('Relu', '', [net.op('Conv', '', [from, weight], strides)]);
  });
  const { resolution } = await net.resolve([maps[2]]);
  expect(tensors(resolution)).toEqual(maps);
  expect(places(resolution)).toEqual(['8@2', '16@4', '32@8']);
});

test('a convolution of floats whose output is quantised ends in the activation that was folded into it', async () => {
  const net = new Net();
  const scale = net.scalar(0.5, 'float32');
  const zero = net.scalar(0, 'uint8');
  const weight = net.weight([8, 3, 3, 3]);
  const made = net.op('Conv', '', ['image', weight], { strides: { ints: [2, 2] }, kernel_shape: { ints: [3, 3] } });
  const codes = net.op('QuantizeLinear', '', [made, scale, zero]);
  const { resolution } = await net.resolve([codes]);
  expect(tensors(resolution)).toEqual([made]);
});

test('what a dynamic quantiser writes for a convolution is the convolution', async () => {
  const net = new Net();
  const maps = chain((from, [into, out]) => {
    const quantized = net.op('DynamicQuantizeLinear', '', [from]);
    const name = quantized.replace(/_output_0$/, '');
    const node = net.nodes[net.nodes.length - 1];
    net.nodes[net.nodes.length - 1] = { ...node, outputs: [quantized, `${name}_scale`, `${name}_zero`] };
    const weight = net.weight([out, into, 3, 3], 'int8');
    const product = net.op('ConvInteger', '', [quantized, weight, `${name}_zero`], {
      strides: { ints: [2, 2] },
      kernel_shape: { ints: [3, 3] },
      pads: { ints: [1, 1, 1, 1] },
    });
    const float = net.op('Cast', '', [product], { to: { int: 1 } });
    const scale = net.op('Mul', '', [`${name}_scale`, net.constant([0.1], 'float32')]);
    return net.op('Relu', '', [net.op('Mul', '', [float, scale])]);
  });
  const { resolution } = await net.resolve([maps[2]]);
  expect(tensors(resolution)).toEqual(maps);
  expect(places(resolution)).toEqual(['8@2', '16@4', '32@8']);
});

test('codes that nothing dequantises come with their scale and zero point', async () => {
  const net = new Net();
  const scale = net.scalar(0.5, 'float32');
  const zero = net.scalar(0, 'uint8');
  let codes = net.op('QuantizeLinear', '', ['image', scale, zero]);
  const maps: string[] = [];
  for (const [into, out] of [
    [3, 8],
    [8, 16],
  ]) {
    const weight = net.weight([out, into, 3, 3], 'int8');
    const one = net.scalar(0.25, 'float32');
    const shift = net.scalar(0, 'int8');
    codes = net.op('QLinearConv', '', [codes, scale, zero, weight, one, shift, scale, zero], {
      strides: { ints: [2, 2] },
      kernel_shape: { ints: [3, 3] },
      pads: { ints: [1, 1, 1, 1] },
    });
    maps.push(codes);
  }
  const { resolution } = await net.resolve([net.op('DequantizeLinear', '', [codes, scale, zero])]);
  const [first, last] = resolution.features;
  expect([first.tensor, first.numChs, first.codes]).toMatchObject([maps[0], 8, { scale: 0.5, zeroPoint: 0 }]);
  // The last one is dequantised by the file itself.
  expect([last.numChs, last.codes ?? null, last.dtype]).toEqual([16, null, 'float32']);
});

test('what was fused into a convolution is taken apart, and a value that is gone is null', async () => {
  const net = new Net();
  const fused = (
    from: string,
    widths: readonly [number, number],
    stride: number,
    added: readonly string[] = [],
  ): string =>
    net.fused('FusedConv', [from, net.weight([widths[1], widths[0], 3, 3]), net.weight([widths[1]]), ...added], {
      activation: { string: 'Relu' },
      strides: { ints: [stride, stride] },
      kernel_shape: { ints: [3, 3] },
      pads: { ints: [1, 1, 1, 1] },
    });
  const one = fused('image', [3, 8], 2);
  const two = fused(fused(one, [8, 8], 1), [8, 8], 1, [one]);
  const three = fused(two, [8, 16], 2);
  const four = fused(fused(three, [16, 16], 1), [16, 16], 1, [three]);
  const { resolution } = await net.resolve([four]);
  expect(tensors(resolution)).toEqual([two, four]);
  expect(resolution.features.map(({ confidence }) => confidence)).toEqual(['high', 'high']);
});

test('a Transpose on either side of every convolution is no change of layout', async () => {
  const net = new Net([1, 64, 64, 3]);
  const maps = chain((from, [into, out]) => {
    const first = net.op('Transpose', '', [from], { perm: { ints: [0, 3, 1, 2] } });
    const conv = net.conv('', first, [into, out], 2);
    const last = net.op('Transpose', '', [conv], { perm: { ints: [0, 2, 3, 1] } });
    return net.op('Relu', '', [net.op('Add', '', [last, net.weight([out])])]);
  });
  const { resolution } = await net.resolve([maps[2]], (name) => name.replace(/\//g, '.'));
  expect(tensors(resolution)).toEqual(maps.map((name) => name.replace(/\//g, '.')));
  expect(resolution.features.map(({ layout, numChs }) => [layout, numChs])).toEqual([
    ['NHWC', 8],
    ['NHWC', 16],
    ['NHWC', 32],
  ]);
});
