// A graph of ViT-B/16's size and shape with seeded weights: patches, 12 blocks of attention and two layers, no class
// token.
import { Graph, intAttribute, intsAttribute, writeModel } from './resnet.mjs';

const [WIDTH, HEADS, BLOCKS, TOKENS, PATCH] = [768, 12, 12, 196, 16];

/** Writes the model: `input` [batch, 3, 224, 224] to `output` [batch, 1000], 343 MB. */
export function vitBase(path) {
  const graph = new Graph();
  const linear = (place, module, input, [from, to]) => {
    const scale = Math.sqrt(3 / from);
    const product = graph.add('MatMul', place, [input, graph.weight(`${module}.weight`, [from, to], scale)]);
    return graph.add('Add', place, [graph.weight(`${module}.bias`, [to], 0.02), product]);
  };
  const norm = (place, module, input) =>
    graph.add(
      'LayerNormalization',
      place,
      [input, graph.weight(`${module}.weight`, [WIDTH], 1), graph.weight(`${module}.bias`, [WIDTH], 0.02)],
      intAttribute('axis', 2),
    );
  const split = graph.integers('split', [0, TOKENS, HEADS, WIDTH / HEADS]);
  const joined = graph.integers('joined', [0, TOKENS, WIDTH]);
  const heads = (place, input, order) =>
    graph.add('Transpose', place, [graph.add('Reshape', place, [input, split])], intsAttribute('perm', order));
  const attention = (place, module, input) => {
    const part = (name) => linear(`${place}/${name}`, `${module}.${name}`, input, [WIDTH, WIDTH]);
    const [query, key, value] = ['q', 'k', 'v'].map(part);
    const scores = graph.add('MatMul', `${place}/scores`, [
      heads(`${place}/q/heads`, query, [0, 2, 1, 3]),
      heads(`${place}/k/heads`, key, [0, 2, 3, 1]),
    ]);
    const scaled = graph.add('Mul', `${place}/scores`, [scores, graph.weight(`${module}.scale`, [1], 0.125)]);
    const weights = graph.add('Softmax', place, [scaled], intAttribute('axis', 3));
    const mixed = graph.add('MatMul', `${place}/mixed`, [weights, heads(`${place}/v/heads`, value, [0, 2, 1, 3])]);
    const back = graph.add('Transpose', `${place}/mixed`, [mixed], intsAttribute('perm', [0, 2, 1, 3]));
    return linear(`${place}/proj`, `${module}.proj`, graph.add('Reshape', `${place}/mixed`, [back, joined]), [
      WIDTH,
      WIDTH,
    ]);
  };

  const patches = graph.add(
    'Conv',
    '/patch_embed/proj',
    ['input', graph.weight('patch_embed.proj.weight', [WIDTH, 3, PATCH, PATCH], 0.06)],
    intsAttribute('strides', [PATCH, PATCH]),
  );
  const flat = graph.add('Reshape', '/patch_embed', [patches, graph.integers('flat', [0, WIDTH, TOKENS])]);
  let tokens = graph.add('Transpose', '/patch_embed', [flat], intsAttribute('perm', [0, 2, 1]));
  tokens = graph.add('Add', '/pos_embed', [tokens, graph.weight('pos_embed', [1, TOKENS, WIDTH], 0.02)]);
  for (let block = 0; block < BLOCKS; block++) {
    const [place, module] = [`/blocks.${block}`, `blocks.${block}`];
    const attended = attention(`${place}/attn`, `${module}.attn`, norm(`${place}/norm1`, `${module}.norm1`, tokens));
    const middle = graph.add('Add', `${place}/residual1`, [tokens, attended]);
    const wide = linear(`${place}/mlp/fc1`, `${module}.mlp.fc1`, norm(`${place}/norm2`, `${module}.norm2`, middle), [
      WIDTH,
      4 * WIDTH,
    ]);
    const narrow = linear(`${place}/mlp/fc2`, `${module}.mlp.fc2`, graph.add('Relu', `${place}/mlp/act`, [wide]), [
      4 * WIDTH,
      WIDTH,
    ]);
    tokens = graph.add('Add', `${place}/residual2`, [middle, narrow]);
  }
  const pooled = graph.add(
    'ReduceMean',
    '/pool',
    [norm('/norm', 'norm', tokens)],
    [...intsAttribute('axes', [1]), ...intAttribute('keepdims', 0)],
  );
  const logits = graph.add('MatMul', '/head', [pooled, graph.weight('head.weight', [WIDTH, 1000], 0.02)]);
  graph.add('Add', '/head', [logits, graph.weight('head.bias', [1000], 0.02)], [], 'output');
  return writeModel(path, graph);
}
