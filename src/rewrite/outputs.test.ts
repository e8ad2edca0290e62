import { cutTensors, on } from '../testing/cutting.js';
import { node, value, type ModelSpec } from '../testing/model-spec.js';

/** Names that a result may bear, and what may leave under another name than its own. */

const CHAIN: ModelSpec = {
  graph: {
    nodes: [node('Relu', ['x'], ['r']), node('Neg', ['r'], ['y'])],
    inputs: [value('x', [2])],
    outputs: [value('y', [2])],
  },
};

test.each([
  ['the longest that is read back', 'a'.repeat(65_536), null],
  ['one byte more', 'a'.repeat(65_537), /the output name 'a{40}…' takes 65537 bytes, more than the 65536/],
  ['its bytes, not its characters', 'é'.repeat(40_000), /takes 80000 bytes/],
  ['half of a pair', 'a\ud800b', /holds half of a surrogate pair/],
  ['the other half, which is no byte', 'a\udd00', /holds half of a surrogate pair/],
  ['a whole pair', 'a😀', null],
  ['a byte that is not UTF-8', 'a\udce9', null],
])('%s', async (_what, name, message) => {
  const cutting = on(CHAIN, (bench) => cutTensors(bench, ['r'], { outMap: [name] }));
  if (message === null) await expect(cutting).resolves.toBeDefined();
  else
    await expect(cutting).rejects.toMatchObject({
      code: 'FEATX_USAGE_OUT_MAP',
      message: expect.stringMatching(message),
    });
});

test.each([
  ['float16', 13, true],
  ['bfloat16', 13, true],
  ['float8e4m3fn', 18, false],
  ['float8e4m3fn', 19, true],
  ['float8e5m2fnuz', 18, false],
  ['int4', 21, false],
  ['uint4', 25, false],
  ['float4e2m1', 23, false],
] as const)('%s of opset %i leaves under another name: %p', async (dtype, opset, expected) => {
  const spec: ModelSpec = {
    opset,
    graph: {
      nodes: [node('Relu', ['x'], ['q']), node('Neg', ['q'], ['y'])],
      inputs: [value('x', [4], dtype)],
      outputs: [value('y', [4], dtype)],
      valueInfo: [value('q', [4], dtype)],
    },
  };
  await expect(on(spec, (bench) => cutTensors(bench, ['q'], { mode: 'list' }))).resolves.toBeDefined();
  const renamed = on(spec, (bench) => cutTensors(bench, ['q'], { outMap: ['z'] }));
  if (expected) await expect(renamed).resolves.toBeDefined();
  else await expect(renamed).rejects.toMatchObject({ code: 'FEATX_USAGE_ALIAS' });
});
