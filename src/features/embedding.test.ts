import { TokenNet } from '../testing/token-net.js';
import { undecided } from './embedding.js';

/** A pooled map of 64 channels. */
function pooled(net: TokenNet, input = 'wave'): string {
  const map = net.op('Relu', 'act', [net.conv('conv', net.input(input, ['batch', 1, 64]), [1, 64], 2)]);
  const pool = net.op('GlobalAveragePool', 'pool', [map]);
  return net.op('Flatten', 'flat', [pool], { axis: { int: 1 } });
}

const roles = async (net: TokenNet, ...outputs: string[]): Promise<readonly (readonly [string, string])[]> =>
  (await net.resolve(outputs)).embeddings.map(({ tensor, role }) => [tensor, role]);

test('what enters the scores', async () => {
  const net = new TokenNet();
  const vector = pooled(net);
  const resolution = await net.resolve([net.linear('fc', vector, [64, 10])]);
  expect(resolution.embedding).toMatchObject({ tensor: vector, role: 'pooled', numChs: 64 });
});

test('a pair of layers with fewer weights than the one that they replace is one', async () => {
  const net = new TokenNet();
  const vector = pooled(net);
  expect(await roles(net, net.linear('fc/b', net.linear('fc/a', vector, [64, 8]), [8, 10]))).toEqual([
    [vector, 'pooled'],
  ]);
});

test('a layer without an activation in front of the scores that is no such pair is a layer of its own', async () => {
  const net = new TokenNet();
  const hidden = net.linear('hidden', pooled(net), [64, 48]);
  expect((await roles(net, net.linear('fc', hidden, [48, 10])))[0]).toEqual([hidden, 'pooled']);
});

test('heads that share a vector, each behind a layer of its own', async () => {
  const net = new TokenNet();
  const vector = pooled(net);
  const head = (name: string): string =>
    net.linear(name, net.op('Relu', name, [net.linear(`${name}/hidden`, vector, [64, 20])]), [20, 3]);
  expect(await roles(net, head('yaw'), head('pitch'), net.linear('roll', vector, [64, 3]))).toEqual([
    [vector, 'pooled'],
  ]);
});

test('an output of unit length is the embedding itself', async () => {
  const net = new TokenNet();
  const vector = net.linear('fc', pooled(net), [64, 20]);
  const length = net.op('ReduceL2', 'norm', [vector], { axes: { ints: [1] }, keepdims: { int: 1 } });
  const output = net.op('Div', 'norm', [vector, length]);
  expect((await net.resolve([output])).embedding).toMatchObject({ tensor: output, role: 'output' });
});

test('an output as wide as no list of classes is the embedding, what enters its layer the second choice', async () => {
  const net = new TokenNet();
  const vector = pooled(net);
  const output = net.linear('last', vector, [64, 128]);
  expect(await roles(net, output)).toEqual([
    [output, 'output'],
    [vector, 'pooled'],
  ]);
});

test('the same width behind a Softmax, or made by a classifier, is scores', async () => {
  for (const scope of ['last', 'classifier']) {
    const net = new TokenNet();
    const vector = pooled(net);
    const scores = net.linear(scope, vector, [64, 128]);
    expect(await roles(net, scope === 'last' ? net.op('Softmax', 'act', [scores]) : scores)).toEqual([
      [vector, 'pooled'],
    ]);
  }
});

test('136 coordinates are no embedding', async () => {
  const net = new TokenNet();
  const vector = pooled(net);
  expect(await roles(net, net.linear('last', vector, [64, 136]))).toEqual([[vector, 'pooled']]);
});

test('the first token of a network without a head, by two roles', async () => {
  const net = new TokenNet();
  let at = net.lookup('embed', net.input('input_ids', ['batch', 12], 'int64'));
  for (const index of [0, 1]) at = net.preNorm(`layers.${index}`, at);
  const token = net.op('Gather', 'take', [net.norm('norm', at), net.integers(0)], { axis: { int: 1 } });
  const output = net.op('Squeeze', 'take', [token, net.integers(1)]);
  expect(await roles(net, output)).toEqual([
    [output, 'output'],
    [output, 'class-token'],
  ]);
});

test('two vectors that are compared are both projected, and neither is the embedding', async () => {
  const net = new TokenNet();
  const one = net.linear('image_projection', pooled(net, 'image'), [64, 24]);
  const two = net.linear('text_projection', pooled(net, 'text'), [64, 24]);
  const turned = net.op('Transpose', '', [two], { perm: { ints: [1, 0] } });
  const resolution = await net.resolve([net.op('MatMul', '', [one, turned])]);
  expect(resolution.embedding).toBeNull();
  expect(resolution.embeddings.map(({ tensor, role }) => [tensor, role])).toEqual([
    [one, 'projected'],
    [two, 'projected'],
  ]);
  expect(undecided(resolution)).toContain('several vectors may be the embedding');
});

test('hidden layers of a network over vectors are none', async () => {
  const net = new TokenNet();
  const hidden = net.op('Relu', 'act', [net.linear('1', net.input('x', ['batch', 96]), [96, 32])]);
  expect(await roles(net, net.linear('2', hidden, [32, 3]))).toEqual([]);
});

test('scores per token have none', async () => {
  const net = new TokenNet();
  const at = net.preNorm('h.0', net.lookup('wte', net.input('input_ids', ['batch', 12], 'int64')));
  expect(await roles(net, net.linear('head', at, [16, 9]))).toEqual([]);
});
