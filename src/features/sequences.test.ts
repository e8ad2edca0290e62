import { TokenNet } from '../testing/token-net.js';
import type { Resolution } from './feature.js';

const tensors = ({ features }: Resolution): readonly (string | null)[] => features.map(({ tensor }) => tensor);
const modules = ({ features }: Resolution): readonly (string | null)[] => features.map(({ module }) => module);
const anonymous = (names: readonly string[]): readonly string[] =>
  names.map((name) => name.replace(/^.*_(\d+)_output_0$/, 't$1'));

describe('blocks', () => {
  test('norms behind the sums: a block ends with its last norm', async () => {
    const net = new TokenNet();
    let at = net.norm(
      'embeddings/norm',
      net.lookup('embeddings', net.input('input_ids', ['batch', 'length'], 'int64')),
    );
    const ends = [0, 1, 2].map((index) => (at = net.postNorm(`encoder/layer.${index}`, at)));
    const resolution = await net.resolve([at]);
    expect(tensors(resolution)).toEqual(ends);
    expect(modules(resolution)).toEqual(['encoder.layer.0', 'encoder.layer.1', 'encoder.layer.2']);
    expect(resolution.features[1]).toMatchObject({ index: 1, numChs: 16, reduction: 1, layout: 'NLC' });
    const unnamed = await net.resolve([at], false);
    expect(tensors(unnamed)).toEqual(anonymous(ends));
    expect(modules(unnamed)).toEqual([null, null, null]);
  });

  test('norms in front of the branches: a block ends with its last sum, and the final norm is none', async () => {
    const net = new TokenNet();
    let at = net.lookup('wte', net.input('input_ids', ['batch', 'length'], 'int64'));
    const ends = [0, 1].map((index) => (at = net.preNorm(`h.${index}`, at)));
    const logits = net.linear('lm_head', net.norm('ln_f', at), [16, 99]);
    expect(tensors(await net.resolve([logits]))).toEqual(ends);
    expect(tensors(await net.resolve([logits], false))).toEqual(anonymous(ends));
  });

  test('a first block without a norm of its own, which the embeddings have, is a block', async () => {
    const net = new TokenNet();
    const ids = net.input('input_ids', ['batch', 'length'], 'int64');
    let at = net.norm('embeddings/norm', net.lookup('embeddings', ids));
    at = net.add('layers.0', at, net.attend('layers.0/attn', at));
    at = net.add('layers.0', at, net.feed('layers.0/mlp', net.norm('layers.0/norm2', at)));
    const ends = [at, ...[1, 2].map((index) => (at = net.preNorm(`layers.${index}`, at)))];
    const hidden = net.norm('final_norm', at);
    expect(tensors(await net.resolve([hidden]))).toEqual(ends);
    expect(tensors(await net.resolve([hidden], false))).toEqual(anonymous(ends));
  });

  test('one block is no row', async () => {
    const net = new TokenNet();
    const at = net.preNorm('h.0', net.lookup('wte', net.input('input_ids', ['batch', 'length'], 'int64')));
    const { features, warnings } = await net.resolve([net.linear('head', at, [16, 99])]);
    expect(features).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining("select from its groups with `out: 'attention:0'`")]);
  });

  test('an encoder is the FeatureInfo, its decoder a group: self and cross attention are one block', async () => {
    const net = new TokenNet();
    let at = net.lookup('encoder/embed', net.input('input_ids', ['batch', 'source'], 'int64'));
    const encoder = [0, 1, 2].map((index) => (at = net.postNorm(`encoder/layers.${index}`, at)));
    let to = net.lookup('decoder/embed', net.input('decoder_input_ids', ['batch', 'target'], 'int64'));
    const decoder = [0, 1].map((index) => (to = net.postNorm(`decoder/layers.${index}`, to, at)));
    const resolution = await net.resolve([to]);
    expect(tensors(resolution)).toEqual(encoder);
    const group = resolution.groups.find(({ name }) => name === 'decoder');
    expect(group?.features.map(({ tensor }) => tensor)).toEqual(decoder);
    const attention = resolution.groups.find(({ name }) => name === 'attention');
    expect(attention?.features).toHaveLength(3 + 2 * 2);
  });

  test('a cache is not a picture, and a mask made of the ids hides no block', async () => {
    const net = new TokenNet();
    const ids = net.input('input_ids', ['batch', 'length'], 'int64');
    const past = net.input('past_key_values.0.key', ['batch', 4, 'past', 16]);
    const mask = net.op('Cast', 'mask', [ids], { to: { int: 1 } });
    let at = net.lookup('wte', ids);
    const ends = [0, 1, 2].map((index) => {
      const heavy = net.op('Mul', `h.${index}`, [at, net.op('Unsqueeze', `h.${index}`, [mask, net.integers(2)])]);
      return (at = net.add(`h.${index}`, at, net.preNorm(`h.${index}/inner`, heavy)));
    });
    const resolution = await net.resolve([at, net.op('Relu', 'cache', [past])]);
    expect(tensors(resolution)).toEqual(ends);
  });

  test('behind convolutions over a waveform the reduction is their stride', async () => {
    const net = new TokenNet();
    const wave = net.input('input_values', ['batch', 1, 800]);
    const first = net.op('Relu', 'conv', [net.conv('conv/0', wave, [1, 16], 5)]);
    const second = net.op('Relu', 'conv', [net.conv('conv/1', first, [16, 16], 4)]);
    let at = net.op('Transpose', 'conv', [second], { perm: { ints: [0, 2, 1] } });
    const ends = [0, 1, 2].map((index) => (at = net.preNorm(`layers.${index}`, at)));
    const resolution = await net.resolve([at]);
    expect(tensors(resolution)).toEqual(ends);
    expect(resolution.features[0]).toMatchObject({ reduction: 20, layout: 'NLC', numChs: 16, module: 'layers.0' });
  });
});

test.each([1, 2])('patches of a picture: %i blocks by their numbers, layers inside a block are none', async (count) => {
  const net = new TokenNet();
  const sizes = { strides: { ints: [8, 8] }, kernel_shape: { ints: [8, 8] } };
  const image = net.input('image', ['batch', 3, 32, 32]);
  const map = net.op('Conv', 'patch', [image, net.weight(16, 3, 8, 8)], sizes);
  const rows = net.op('Reshape', 'patch', [map, net.integers(0, 16, 16)]);
  let at = net.op('Transpose', 'patch', [rows], { perm: { ints: [0, 2, 1] } });
  const ends = Array.from({ length: count }, (_, index) => (at = net.preNorm(`encoder/layers.${index}`, at)));
  const resolution = await net.resolve([net.op('ReduceMean', 'pool', [net.norm('post', at)], { axes: { ints: [1] } })]);
  expect(tensors(resolution)).toEqual(ends);
  if (count > 1) expect(modules(resolution)).toEqual(['encoder.layers.0', 'encoder.layers.1']);
});

test('one-dimensional convolutions alone: the end of each stride', async () => {
  const net = new TokenNet();
  const block = (scope: string, from: string, sizes: readonly [number, number]): string => {
    const inner = net.op('Relu', `${scope}/act1`, [net.conv(`${scope}/conv1`, from, sizes, 2)]);
    const sum = net.add(
      scope,
      net.conv(`${scope}/conv2`, inner, [sizes[1], sizes[1]]),
      net.conv(`${scope}/skip`, from, sizes, 2),
    );
    return net.op('Relu', `${scope}/act2`, [sum]);
  };
  const stem = net.op('Relu', 'act', [net.conv('conv', net.input('ecg', ['batch', 12, 512]), [12, 16], 2)]);
  const one = block('layer1/layer1.0', stem, [16, 32]);
  const two = block('layer2/layer2.0', one, [32, 64]);
  const { features } = await net.resolve([
    net.linear('fc', net.op('ReduceMean', 'pool', [two], { axes: { ints: [-1] }, keepdims: { int: 0 } }), [64, 5]),
  ]);
  expect(features.map(({ tensor, numChs, reduction, layout }) => [tensor, numChs, reduction, layout])).toEqual([
    [stem, 16, 2, 'NCL'],
    [one, 32, 4, 'NCL'],
    [two, 64, 8, 'NCL'],
  ]);
});
