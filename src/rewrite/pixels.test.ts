import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { extract } from '../extract.js';
import { extractBytes, type ExtractBytesOptions } from '../in-memory.js';
import { indexModel } from '../onnx/model.js';
import { viewGraph } from '../onnx/graph.js';
import type { MapLayout, PixelChannels } from '../options/choices.js';
import { run as runFeatures } from '../run.js';
import { readArrays } from '../tensors/in-memory.js';
import { float32ToHalf } from '../tensors/float16.js';
import { resizeAndCrop } from '../tensors/resample.js';
import { verifyViews } from '../verify.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, weights, type DimSpec } from '../testing/model-spec.js';

const [MEAN, STD] = [
  [0.485, 0.456, 0.406],
  [0.229, 0.224, 0.225],
];
/** Every value of a channel, each channel in an order of its own. */
const pixel = (channel: number, at: number): number => (at * [1, 3, 7][channel] + channel) % 256;

interface Taking {
  readonly layout?: MapLayout;
  readonly dtype?: 'float32' | 'float16';
  readonly opset?: number;
  readonly sides?: readonly DimSpec[];
}

/** A model that gives what it takes: `y` is `x`. */
function mirror({ layout = 'NCHW', dtype = 'float32', opset = 13, sides = [16, 16] }: Taking = {}): Uint8Array {
  const shape = layout === 'NCHW' ? ['batch', 3, ...sides] : ['batch', ...sides, 3];
  return encodeModel({
    irVersion: opset < 10 ? 4 : 8,
    opset,
    graph: {
      nodes: [node('Identity', ['x'], ['y'])],
      inputs: [value('x', shape, dtype)],
      outputs: [value('y', shape, dtype)],
    },
  });
}

async function given(model: Uint8Array, options: ExtractBytesOptions): Promise<Uint8Array> {
  return (await extractBytes(model, { select: [{ by: 'tensor', name: 'y' }], ...options })).bytes;
}

async function run(bytes: Uint8Array, name: string, data: Uint8Array, dims: readonly number[]): Promise<ort.Tensor> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 });
  try {
    return (await session.run({ [name]: new ort.Tensor('uint8', data, dims) }))[session.outputNames[0]];
  } finally {
    await session.release();
  }
}

/** Pixels of one picture in a layout and with channels in an order; alpha is 9. */
function laid(
  layout: MapLayout,
  channels: PixelChannels,
  size: number,
  at: (channel: number, place: number) => number,
) {
  const depth = channels.length;
  const data = new Uint8Array(size * depth);
  for (let place = 0; place < size; place++)
    for (let channel = 0; channel < depth; channel++) {
      const of = 'rgb'.indexOf(channels.charAt(channel));
      data[layout === 'NCHW' ? channel * size + place : place * depth + channel] = of < 0 ? 9 : at(of, place);
    }
  return data;
}

const normalized = (channel: number, level: number): number =>
  Math.fround(Math.fround(Math.fround(level / 255) - Math.fround(MEAN[channel])) / Math.fround(STD[channel]));

describe('all 768 values are those of PyTorch', () => {
  const cases = (['NHWC', 'NCHW'] as const).flatMap((from) =>
    (['rgb', 'bgr', 'rgba', 'bgra'] as const).map((channels, index) => ({
      from,
      channels,
      to: (['NCHW', 'NHWC'] as const)[index % 2],
      opset: [8, 13][index >> 1],
    })),
  );
  test.each(cases)('$from $channels to $to at opset $opset', async ({ from, channels, to, opset }) => {
    const bytes = await given(mirror({ layout: to, opset }), {
      pixels: { layout: `${from.toLowerCase()},${channels}`, preprocess: 'imagenet' },
    });
    const depth = channels.length;
    const dims = from === 'NCHW' ? [1, depth, 16, 16] : [1, 16, 16, depth];
    const { data } = await run(bytes, 'pixels', laid(from, channels, 256, pixel), dims);
    const want = Float32Array.from({ length: 768 }, (_, at) => {
      const [channel, place] = to === 'NCHW' ? [Math.floor(at / 256), at % 256] : [at % 3, Math.floor(at / 3)];
      return normalized(channel, pixel(channel, place));
    });
    expect(data).toEqual(want);
  });

  test('a float16 network is given them rounded once', async () => {
    const bytes = await given(mirror({ dtype: 'float16' }), { pixels: { mean: MEAN, std: STD } });
    const got = await run(bytes, 'pixels', laid('NHWC', 'rgb', 256, pixel), [1, 16, 16, 3]);
    const want = Float32Array.from({ length: 768 }, (_, at) =>
      normalized(Math.floor(at / 256), pixel(Math.floor(at / 256), at % 256)),
    );
    expect(new Uint16Array((got.data as Uint16Array).slice().buffer)).toEqual(float32ToHalf(want));
  });

  test.each([
    [{ scale: 1 / 255 }, (level: number) => level / 255],
    [{ scale: 1 }, (level: number) => level],
    [{ scale: 0.5, mean: [3] }, (level: number) => level * 0.5 - 3],
    [{ scale: 1, std: [4] }, (level: number) => level / 4],
    [{ preprocess: 'raw' as const }, (level: number) => level],
  ])('%j', async (numbers, of) => {
    const bytes = await given(mirror(), { pixels: { layout: 'nchw', ...numbers } });
    const { data } = await run(
      bytes,
      'pixels',
      laid('NCHW', 'rgb', 256, (_c, at) => at),
      [1, 3, 16, 16],
    );
    expect((data as Float32Array).slice(0, 256)).toEqual(Float32Array.from({ length: 256 }, (_, at) => of(at)));
  });
});

describe("pictures of any size are resized as Pillow does, and the centre is run's", () => {
  const wave = (channel: number, x: number, y: number): number =>
    Math.round(127 + 90 * Math.sin(x / (2 + channel)) * Math.cos(y / 3) + ((x * 7 + y * 13 + channel * 5) % 37));
  test.each([
    ['bicubic', 'imagenet', 41, [70, 53]],
    ['bicubic', 'clip', 40, [47, 90]],
    ['bilinear', 'torchvision', 35, [50, 47]],
    ['bilinear', 'torchvision', [39, 45], [64, 80]],
  ] as const)('%s, %s, to %j', async (interpolation, preprocess, resize, [height, width]) => {
    const bytes = await given(mirror({ opset: 18, sides: [32, 32] }), {
      pixels: { preprocess, scale: 1, mean: [0], std: [1], resize },
    });
    const picture = Uint8Array.from({ length: height * width * 3 }, (_, at) =>
      Math.min(255, wave(at % 3, Math.floor(at / 3) % width, Math.floor(at / 3 / width))),
    );
    const { data, dims } = await run(bytes, 'pixels', picture, [1, height, width, 3]);
    expect(dims).toEqual([1, 3, 32, 32]);
    const short = Math.min(height, width);
    const size =
      typeof resize === 'number'
        ? { height: Math.trunc((resize * height) / short), width: Math.trunc((resize * width) / short) }
        : { height: resize[0], width: resize[1] };
    const half = (rest: number): number =>
      preprocess === 'clip' || rest % 2 === 0 || (rest - 1) % 4 === 0 ? Math.floor(rest / 2) : Math.ceil(rest / 2);
    const box = { left: half(size.width - 32), top: half(size.height - 32), width: 32, height: 32 };
    const want = resizeAndCrop({ data: picture, width, height }, size, box, interpolation).data;
    const differences = Array.from(data as Float32Array, (level, at) =>
      Math.abs(level - want[(at % 1024) * 3 + Math.floor(at / 1024)]),
    );
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
    expect(differences.filter((difference) => difference === 0).length).toBeGreaterThanOrEqual(0.99 * 3072);
  });
});

describe('in a network', () => {
  const conv = { pads: { ints: [1, 1, 1, 1] }, kernel_shape: { ints: [3, 3] } };
  /** A padded convolution: a mean folded into it would be wrong at the borders. */
  const padded = (opset = 17): Uint8Array =>
    encodeModel({
      opset,
      graph: {
        nodes: [node('Conv', ['x', 'w'], ['c'], conv), node('Relu', ['c'], ['y'])],
        initializers: [weights('w', [4, 3, 3, 3], 1)],
        inputs: [value('ids', [1, 2]), value('x', ['batch', 3, 8, 'w'])],
        outputs: [value('y', ['batch', 4, 8, 'w'])],
      },
    });
  const view = async (bytes: Uint8Array): Promise<ReturnType<typeof viewGraph>> => viewGraph(await indexModel(bytes));

  test.each([
    [17, {}],
    [18, { resize: [12, 12] as const }],
  ])('verify compares bit for bit behind it (opset %d)', async (opset, more) => {
    const { bytes, report } = await extractBytes(padded(opset), {
      select: [{ by: 'tensor', name: 'y' }],
      pixels: { layout: 'nhwc', preprocess: 'imagenet', ...more },
    });
    expect(report.preprocess).toMatchObject({ input: 'pixels', tensor: 'x', channels: 'rgb', from: 'imagenet' });
    const { equal, features } = await verifyViews(await view(padded(opset)), await view(bytes), {
      inputShapes: { x: [2, 3, 8, 8] },
    });
    expect([equal, features[0].bit_equal]).toEqual([true, true]);
  });

  test('the input takes its place among the others, and a cut of the cut remembers it', async () => {
    const { bytes } = await extractBytes(padded(), {
      mode: 'hook',
      select: [{ by: 'tensor', name: 'c' }],
      pixels: { layout: 'nchw,bgr', scale: 1 / 255 },
      inMap: { x: 'picture' },
    });
    const cut = await indexModel(bytes);
    expect(cut.graph.inputs.map(({ name, type }) => [name, type?.kind === 'tensor' && type.elemType])).toEqual([
      ['ids', 1],
      ['picture', 2],
    ]);
    const again = await indexModel((await extractBytes(bytes, { select: [{ by: 'tensor', name: 'c' }] })).bytes);
    const entry = again.metadata.find(({ key }) => key === 'featx.feature_info');
    const info = JSON.parse(entry === undefined ? '' : await again.text(entry.value)) as { preprocess: unknown };
    expect(info.preprocess).toEqual([
      expect.objectContaining({ input: 'picture', tensor: 'x', channels: 'bgr', layout: 'NCHW', from: 'flags' }),
    ]);
  });
});

test.each([
  ['nothing says how', { layout: 'nhwc' }, {}, /nothing says how pixels become/],
  ['an opset that cannot resize so', { scale: 1, resize: 20 }, { opset: 17 }, /opset 17.*Pillow/],
  ['a crop larger than what is resized to', { scale: 1, resize: 15 }, { opset: 18 }, /15 x 15.*16 x 16/],
  ['filters that no operator has', { preprocess: 'yolo', resize: 20 }, { opset: 18 }, /without antialiasing/],
  ['a deviation of 0', { std: [0] }, {}, /above 0/],
  ['an input of one channel', { scale: 1 }, { sides: [16, 16], layout: 'gray' }, /no input takes pictures/],
] as const)('%s: refused', async (_what, pixels, { layout, ...taking }: Record<string, unknown>, message) => {
  const model =
    layout === 'gray'
      ? encodeModel({
          graph: { nodes: [node('Identity', ['x'], ['y'])], inputs: [value('x', [1, 1, 8, 8])], outputs: [value('y')] },
        })
      : mirror(taking);
  await expect(given(model, { pixels })).rejects.toThrow(message);
});

const CAT = 'fixtures/tensors/picture.png';

describe('run', () => {
  test.each(['bgr'] as const)('gives a cut of %s pixels what it gave the network', async (channels) => {
    const model = mirror({ sides: [32, 32] });
    const select = [{ by: 'tensor', name: 'y' }] as const;
    const bytes = await given(model, {
      pixels: { layout: `nhwc,${channels}`, preprocess: 'imagenet' },
      outMap: ['y0'],
    });
    const folder = mkdtempSync(join(tmpdir(), 'featx-pixels-'));
    try {
      const [whole, cut] = [join(folder, 'whole.npy'), join(folder, 'cut.npy')];
      await runFeatures(model, {
        select,
        isolate: false,
        inputs: [CAT],
        output: whole,
        image: { preprocess: 'imagenet' },
      });
      const report = await runFeatures(bytes, { isolate: false, inputs: [CAT], output: cut });
      expect(report.preprocessing).toMatchObject([{ source: 'metadata', channels, mean: null, std: null }]);
      const values = async (path: string) => (await readArrays(path)).get('')?.data;
      expect(await values(cut)).toEqual(await values(whole));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('a file says how pixels are prepared, inside a cut or by whoever runs it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'featx-pixels-'));
  try {
    const [model, config] = [join(folder, 'm.onnx'), join(folder, 'preprocessor_config.json')];
    writeFileSync(model, mirror());
    const said = {
      image_processor_type: 'CLIPImageProcessor',
      do_normalize: true,
      image_mean: [0.1, 0.2, 0.3],
      image_std: [0.4, 0.5, 0.6],
      do_rescale: true,
      rescale_factor: 1 / 255,
      size: { shortest_edge: 16 },
      do_resize: true,
    };
    writeFileSync(config, JSON.stringify(said));
    const select = [{ by: 'tensor', name: 'y' }] as const;
    const inside = await extract(model, join(folder, 'inside.onnx'), { select, pixels: { layout: 'nhwc' } });
    const means = { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
    expect(inside.preprocess).toMatchObject({ ...means, from: 'preprocessor_config.json' });
    expect(inside.preprocessing).toMatchObject([{ input: 'pixels', source: 'file', crop_rounding: 'down', scale: 1 }]);
    const carried = await extract(model, join(folder, 'carried.onnx'), { select, inMap: { x: 'z' } });
    expect(carried).not.toHaveProperty('preprocess');
    expect(carried.preprocessing).toMatchObject([{ input: 'z', source: 'file', ...means }]);
    const named = await extract(model, join(folder, 'named.onnx'), { select, pixels: { preprocess: 'clip' } });
    expect(named.preprocessing).toMatchObject([{ input: 'x', source: 'flags', preset: 'clip' }]);
    const of = async (file: string) => {
      const output = join(folder, 'out.npy');
      const { preprocessing } = await runFeatures(file, { isolate: false, inputs: [CAT], output });
      return { ...preprocessing[0], values: (await readArrays(output)).get('')?.data };
    };
    const output = join(folder, 'out.npy');
    await runFeatures(model, { isolate: false, inputs: [CAT], select, output });
    const whole = (await readArrays(output)).get('')?.data;
    rmSync(config);
    const again = await extract(join(folder, 'carried.onnx'), join(folder, 'again.onnx'));
    expect(again.preprocessing).toMatchObject([{ input: 'z', source: 'metadata' }]);
    expect(await of(join(folder, 'carried.onnx'))).toMatchObject({ source: 'metadata', ...means, values: whole });
    expect(await of(join(folder, 'again.onnx'))).toMatchObject({ source: 'metadata', ...means, values: whole });
    expect(await of(join(folder, 'inside.onnx'))).toMatchObject({ source: 'metadata', mean: null, values: whole });
    expect(await of(join(folder, 'named.onnx'))).toMatchObject({ source: 'metadata', preset: 'clip' });

    writeFileSync(config, '{"image_processor_type":"Unheard"}');
    const unread = await extract(model, join(folder, 'unread.onnx'), { select });
    expect(unread.warnings).toEqual([expect.stringMatching(/does not say how pictures are prepared.*Unheard/)]);
    await expect(extract(model, null, { select, pixels: { layout: 'nhwc' } })).rejects.toThrow(/Unheard/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
