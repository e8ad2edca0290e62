import * as ort from 'onnxruntime-node';
import type { Layout } from '../features/feature.js';
import { on } from '../testing/cutting.js';
import { cut, tapOf, type Bench } from '../testing/equivalence.js';
import { node, tensor, value, type DimSpec, type ModelSpec } from '../testing/model-spec.js';
import { seededFloats } from '../testing/random.js';
import type { Tap } from './tap.js';

const LAYOUTS: readonly Layout[] = ['NCHW', 'NHWC', 'NLC', 'NCL'];
const [BATCH, CHANNELS, HEIGHT, WIDTH, STRIDE] = [2, 5, 3, 4, 2];

type ImageLayout = 'NCHW' | 'NHWC';
type Symbolic = 'static' | 'batch' | 'batch, height and width';

interface Case {
  readonly from: Layout;
  readonly prefix: number;
  readonly opset: number;
  readonly symbolic: Symbolic;
  readonly image: ImageLayout;
}

/** Sizes of the axes of a layout, in order; `tokens` counts the prefix. */
function shapeOf(layout: Layout, n: DimSpec, h: DimSpec, w: DimSpec, tokens: DimSpec): DimSpec[] {
  const sizes: Record<string, DimSpec> = { N: n, C: CHANNELS, H: h, W: w, L: tokens };
  return layout.split('').map((axis) => sizes[axis]);
}

/** A feature `f` that depends on the image `x` and has the values of the input `given`. */
function modelOf({ from, prefix, opset, symbolic, image }: Case): ModelSpec {
  const isSymbolic = symbolic === 'batch, height and width';
  const n: DimSpec = symbolic === 'static' ? BATCH : 'N';
  const [h, w]: DimSpec[] = isSymbolic ? ['H', 'W'] : [HEIGHT * STRIDE, WIDTH * STRIDE];
  const feature = isSymbolic
    ? shapeOf(from, n, 'h', 'w', 'L')
    : shapeOf(from, n, HEIGHT, WIDTH, HEIGHT * WIDTH + prefix);
  return {
    irVersion: opset < 10 ? 4 : 8,
    opset,
    graph: {
      nodes: [
        node('ReduceMean', ['x'], ['mean'], { keepdims: { int: 0 } }),
        node('Mul', ['mean', 'nothing'], ['zero']),
        node('Add', ['given', 'zero'], ['f']),
        node('Relu', ['f'], ['y']),
      ],
      initializers: [tensor('nothing', [], [0])],
      inputs: [value('x', image === 'NCHW' ? [n, 3, h, w] : [n, h, w, 3]), value('given', feature)],
      outputs: [value('y', null)],
      valueInfo: [value('f', feature)],
    },
  };
}

function tapFor({ view }: Bench, { from, prefix }: Case): Tap {
  return {
    ...tapOf(view, 'f', 0),
    layout: from,
    numChs: CHANNELS,
    reduction: STRIDE,
    prefixTokens: prefix,
    grid: from.length === 3 ? [HEIGHT, WIDTH] : null,
  };
}

/** Values by batch, channel, row and column, in any layout; prefix tokens hold what no map has. */
function arranged(
  layout: Layout,
  prefix: number,
  at: (n: number, c: number, h: number, w: number) => number,
): { data: Float32Array; dims: readonly number[] } {
  const dims = shapeOf(layout, BATCH, HEIGHT, WIDTH, HEIGHT * WIDTH + prefix).map(Number);
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(-1000);
  const strides = dims.map((_dim, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  for (let n = 0; n < BATCH; n++)
    for (let c = 0; c < CHANNELS; c++)
      for (let h = 0; h < HEIGHT; h++)
        for (let w = 0; w < WIDTH; w++) {
          const place: Record<string, number> = { N: n, C: c, H: h, W: w, L: prefix + h * WIDTH + w };
          data[layout.split('').reduce((sum, axis, index) => sum + place[axis] * strides[index], 0)] = at(n, c, h, w);
        }
  return { data, dims };
}

const VALUES = seededFloats(BATCH * CHANNELS * HEIGHT * WIDTH, 5);
const valueAt = (n: number, c: number, h: number, w: number): number =>
  VALUES[((n * CHANNELS + c) * HEIGHT + h) * WIDTH + w];

async function run(path: string, { from, prefix, image }: Case): Promise<ort.Tensor> {
  const session = await ort.InferenceSession.create(path, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  try {
    const given = arranged(from, prefix, valueAt);
    const picture =
      image === 'NCHW' ? [BATCH, 3, HEIGHT * STRIDE, WIDTH * STRIDE] : [BATCH, HEIGHT * STRIDE, WIDTH * STRIDE, 3];
    const feeds = {
      x: new ort.Tensor(
        'float32',
        seededFloats(
          picture.reduce((product, dim) => product * dim, 1),
          6,
        ),
        picture,
      ),
      given: new ort.Tensor('float32', given.data, given.dims),
    };
    return (await session.run(feeds))['0'];
  } finally {
    await session.release();
  }
}

const cases: readonly Case[] = LAYOUTS.flatMap((from) =>
  [0, 2]
    .filter((prefix) => prefix === 0 || from.length === 3)
    .flatMap((prefix) =>
      [9, 17].flatMap((opset) =>
        (['static', 'batch', 'batch, height and width'] as const).flatMap((symbolic) =>
          (['NCHW', 'NHWC'] as const).map((image) => ({ from, prefix, opset, symbolic, image })),
        ),
      ),
    ),
);

describe.each(LAYOUTS)('from %s', (from) => {
  test.each(LAYOUTS)('to %s', async (to) => {
    for (const each of cases.filter((candidate) => candidate.from === from)) {
      await on(modelOf(each), async (bench) => {
        const { path, plan } = await cut(bench, [tapFor(bench, each)], { outputFmt: to });
        const got = await run(path, each);
        const want = arranged(to, 0, valueAt);
        expect({ ...each, dims: got.dims, data: got.data }).toEqual({ ...each, ...want });
        const [{ shape, layout }] = plan.outputs;
        expect({
          ...each,
          layout,
          shape: shape?.map((dim, axis) => (typeof dim === 'number' ? dim : want.dims[axis])),
        }).toEqual({ ...each, layout: to, shape: want.dims });
        const isOwn = from === to && each.prefix === 0;
        expect(plan.edit.outputs?.[0].borrow === null).toBe(!isOwn);
        // A nominal number is never written: what is symbolic in the file stays open.
        if (each.symbolic !== 'static') expect(typeof shape?.[0]).toBe('string');
        if (each.symbolic === 'batch, height and width')
          expect(shape?.filter((dim) => typeof dim === 'number')).toEqual([CHANNELS]);
      });
    }
  });
});

describe('what is not known', () => {
  const tokens: Case = { from: 'NLC', prefix: 1, opset: 17, symbolic: 'batch, height and width', image: 'NCHW' };
  const refused = async (source: ModelSpec, more: (tap: Tap) => Partial<Tap>, outputFmt: Layout): Promise<unknown> =>
    on(source, async (bench) =>
      cut(bench, [{ ...tapFor(bench, tokens), ...more(tapFor(bench, tokens)) }], { outputFmt }).catch(
        (error: unknown) => error,
      ),
    );

  test('a layout is not guessed', async () => {
    expect(await refused(modelOf(tokens), () => ({ layout: null }), 'NCHW')).toMatchObject({
      name: 'ResolveError',
      code: 'FEATX_RESOLVE_LAYOUT',
      message: "feature 0 cannot leave as NCHW: the layout of 'f' is not known",
    });
    expect(await refused(modelOf(tokens), () => ({ layout: null, index: null }), 'NLC')).toMatchObject({
      message: expect.stringContaining("'f' cannot leave as NLC"),
    });
  });

  test.each([
    ['a grid', { grid: null }],
    ['the stride to symbolic sides', { reduction: null }],
  ])('%s is not guessed', async (_what, missing) => {
    expect(await refused(modelOf(tokens), () => missing, 'NHWC')).toMatchObject({
      name: 'ResolveError',
      code: 'FEATX_RESOLVE_LAYOUT',
      hint: 'ask for NLC or NCL',
    });
  });

  /** Tokens without an image: only their own number can prove a grid. */
  const textual = (count: DimSpec): ModelSpec => ({
    graph: {
      nodes: [node('Relu', ['given'], ['f']), node('Neg', ['f'], ['y'])],
      inputs: [value('given', [1, count, CHANNELS])],
      outputs: [value('y', null)],
      valueInfo: [value('f', [1, count, CHANNELS])],
    },
  });

  test('without an image a nominal grid proves nothing, the number of tokens does', async () => {
    expect(await refused(textual('L'), () => ({ prefixTokens: 0 }), 'NCHW')).toMatchObject({
      code: 'FEATX_RESOLVE_LAYOUT',
    });
    expect(await refused(textual(13), () => ({ prefixTokens: 0 }), 'NCHW')).toMatchObject({
      code: 'FEATX_RESOLVE_LAYOUT',
    });
    await on(textual(13), async (bench) => {
      const { plan } = await cut(bench, [tapFor(bench, tokens)], { outputFmt: 'NHWC' });
      expect(plan.outputs[0].shape).toEqual([1, HEIGHT, WIDTH, CHANNELS]);
    });
  });

  test('another image than the one the tokens come from is not measured', async () => {
    const spec = modelOf(tokens);
    const inputs = [value('other', ['N', 3, 'H2', 'W2']), ...(spec.graph.inputs ?? [])];
    await on(
      {
        ...spec,
        graph: { ...spec.graph, inputs, nodes: [...(spec.graph.nodes ?? []), node('Neg', ['other'], ['unrelated'])] },
      },
      async (bench) => {
        const { plan, path } = await cut(bench, [tapFor(bench, tokens)], { outputFmt: 'NCHW' });
        expect(plan.edit.addNodes.find(({ opType }) => opType === 'Shape')?.inputs).toEqual(['x']);
        expect((await run(path, tokens)).dims).toEqual([BATCH, CHANNELS, HEIGHT, WIDTH]);
      },
    );
  });

  test('an unknown shape leaves the shape of the output open', async () => {
    const spec = modelOf({ ...tokens, symbolic: 'batch', prefix: 0 });
    await on({ ...spec, graph: { ...spec.graph, valueInfo: [value('f', null)] } }, async (bench) => {
      for (const to of LAYOUTS) {
        const { plan, path } = await cut(bench, [{ ...tapFor(bench, { ...tokens, prefix: 0 }) }], { outputFmt: to });
        expect(plan.outputs[0].shape).toBeNull();
        expect((await run(path, { ...tokens, prefix: 0 })).data).toEqual(arranged(to, 0, valueAt).data);
      }
    });
    const map: Case = { from: 'NCHW', prefix: 0, opset: 17, symbolic: 'batch', image: 'NCHW' };
    const maps = modelOf(map);
    await on({ ...maps, graph: { ...maps.graph, valueInfo: [value('f', null)] } }, async (bench) => {
      for (const to of ['NLC', 'NHWC'] as const)
        expect((await cut(bench, [tapFor(bench, map)], { outputFmt: to })).plan.outputs[0].shape).toBeNull();
    });
  });

  test('several outputs are concatenated before they are converted', async () => {
    const spec = modelOf({ ...tokens, from: 'NCHW', prefix: 0, symbolic: 'static' });
    await on(spec, async (bench) => {
      const twice: Tap = {
        ...tapFor(bench, { ...tokens, from: 'NCHW', prefix: 0 }),
        tensors: ['f', 'y'],
        shape: [BATCH, CHANNELS * 2, HEIGHT, WIDTH],
      };
      const { plan } = await cut(bench, [twice], { outputFmt: 'NHWC' });
      expect(plan.edit.addNodes.map(({ opType }) => opType)).toEqual(['Concat', 'Transpose', 'Identity']);
    });
  });

  test('the names of new tensors are free', async () => {
    const spec = modelOf({ ...tokens, symbolic: 'static' });
    const nodes = [
      ...(spec.graph.nodes ?? []).slice(0, 2),
      node('Add', ['given', 'zero'], ['featx/Slice']),
      node('Identity', ['featx/Slice'], ['f'], {}, { name: 'featx/Constant' }),
      node('Relu', ['f'], ['y']),
    ];
    await on({ ...spec, graph: { ...spec.graph, nodes } }, async (bench) => {
      const { path, plan } = await cut(bench, [tapFor(bench, tokens)], { outputFmt: 'NCHW' });
      expect((await run(path, tokens)).data).toEqual(arranged('NCHW', 0, valueAt).data);
      expect(plan.edit.addNodes.flatMap(({ outputs }) => outputs)).not.toContain('featx/Slice');
    });
  });
});
