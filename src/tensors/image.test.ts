import type { TensorValue } from '../onnx/tensor-value.js';
import { readFile } from 'node:fs/promises';
import { ModelFormatError, PolicyError, RuntimeError, UsageError } from '../errors.js';
import { readTensors } from './array-file.js';
import { resizedSize } from './fit-picture.js';
import { decodePicture, loadSharp } from './image.js';
import { pictureTensor } from './picture-tensor.js';
import { DEFAULT_TENSOR_LIMITS } from './limits.js';
import type { ImageInput } from '../preprocessing/input.js';
import { PRESETS } from '../preprocessing/presets.js';
import type { Preprocessing } from '../preprocessing/recipe.js';
import { settled, type ImageOptions } from '../preprocessing/settle.js';
import { INTERPOLATIONS, resizeAndCrop, type Picture } from './resample.js';

const path = (name: string): string => new URL(`../../fixtures/tensors/${name}`, import.meta.url).pathname;
const bytesOf = (name: string): Promise<Uint8Array> => readFile(path(name));
const decode = async (name: string): Promise<Picture> => decodePicture(await bytesOf(name), name);
const anySize: ImageInput = { name: 'input', dtype: 'float32', shape: ['batch', 3, 'height', 'width'] };

/** What becomes of pictures where nothing is known of a model. */
const preprocessingFor = (input: ImageInput, options: ImageOptions = {}): Preprocessing =>
  settled(
    input,
    { recipe: PRESETS.imagenet, source: 'assumed', path: null, preset: 'imagenet', warnings: [] },
    options,
  );

let expected: ReadonlyMap<string, TensorValue>;
beforeAll(async () => {
  expected = await readTensors(path('picture.expected.npz'));
});

describe('decoding', () => {
  test.each([
    'picture.png',
    'picture.jpg',
    'picture.webp',
    'picture-gray.png',
    'picture-alpha.png',
    'picture-palette.png',
    'picture-cmyk.jpg',
    'picture-16bit.png',
  ])('%s has the pixels Pillow reads', async (name) => {
    const { data, width, height } = await decode(name);
    const [stem, extension] = name.replace('picture', '').split('.');
    const golden = expected.get(`decoded_${stem}${extension}`);
    expect(golden?.shape).toEqual([height, width, 3]);
    expect(Buffer.from(data).equals(Buffer.from(golden?.data as Uint8Array))).toBe(true);
  });

  test('cut and foreign files are malformed, and too many pixels over a limit', async () => {
    const jpg = await bytesOf('picture.jpg');
    await expect(decodePicture(jpg.subarray(0, 700), 'cut.jpg')).rejects.toBeInstanceOf(ModelFormatError);
    await expect(decodePicture(Buffer.from('no picture at all'), 'a.jpg')).rejects.toThrow(/a\.jpg cannot be decoded/);
    await expect(decodePicture(jpg, 'a.jpg', { ...DEFAULT_TENSOR_LIMITS, pixels: 550 })).rejects.toBeInstanceOf(
      PolicyError,
    );
  });

  test('what is animated is refused: as WebP, and as PNG by the chunk that says so', async () => {
    const { default: sharp } = await import('sharp');
    const [first, second] = await Promise.all(
      ['red', 'blue'].map((background) =>
        sharp({ create: { width: 8, height: 8, channels: 3, background } })
          .png()
          .toBuffer(),
      ),
    );
    const frames = sharp([first, second], { join: { animated: true } });
    const animated = { name: 'ModelFormatError', code: 'FEATX_TENSOR_ANIMATED' };
    await expect(decodePicture(await frames.webp().toBuffer(), 'a.webp')).rejects.toMatchObject(animated);
    const png = Buffer.from(await bytesOf('picture.png'));
    const control = Buffer.concat([Buffer.from([0, 0, 0, 8]), Buffer.from('acTL'), Buffer.alloc(12)]);
    const afterHeader = 8 + 25;
    const moving = Buffer.concat([png.subarray(0, afterHeader), control, png.subarray(afterHeader)]);
    await expect(decodePicture(moving, 'a.png')).rejects.toMatchObject(animated);
  });

  test('without sharp the error says how to install it', async () => {
    const missing = '@featx/not-there';
    const failure = loadSharp(() => import(missing));
    await expect(failure).rejects.toBeInstanceOf(RuntimeError);
    await expect(failure).rejects.toMatchObject({
      code: 'FEATX_RUNTIME_SHARP',
      hint: expect.stringContaining('npm install -E sharp'),
    });
  });
});

describe('resizing', () => {
  test.each(INTERPOLATIONS.flatMap((name) => [['down', name, 20, 13] as const, ['up', name, 37, 40] as const]))(
    '%s, %s is Pillow to the bit',
    async (direction, interpolation, width, height) => {
      const { data } = resizeAndCrop(
        await decode('picture.png'),
        { width, height },
        { left: 0, top: 0, width, height },
        interpolation,
      );
      expect(
        Buffer.from(data).equals(Buffer.from(expected.get(`${direction}_${interpolation}`)?.data as Uint8Array)),
      ).toBe(true);
    },
  );

  test.each(INTERPOLATIONS)(
    'a crop of the %s result is the same as resizing no more than the crop',
    async (interpolation) => {
      const picture = await decode('picture.png');
      const whole = resizeAndCrop(
        picture,
        { width: 20, height: 19 },
        { left: 0, top: 0, width: 20, height: 19 },
        interpolation,
      );
      const part = resizeAndCrop(
        picture,
        { width: 20, height: 19 },
        { left: 5, top: 3, width: 7, height: 11 },
        interpolation,
      );
      for (let row = 0; row < 11; row++) {
        const from = ((row + 3) * 20 + 5) * 3;
        expect([...part.data.subarray(row * 21, row * 21 + 21)]).toEqual([...whole.data.subarray(from, from + 21)]);
      }
    },
  );
});

describe("timm's preprocessing", () => {
  test('float32 and float16 values are those of timm and PyTorch', async () => {
    const picture = await decode('picture.png');
    const single = pictureTensor(picture, preprocessingFor(anySize, { size: 12 }));
    expect(single).toEqual(expected.get('timm_float32'));
    expect(pictureTensor(picture, preprocessingFor({ ...anySize, dtype: 'float16' }, { size: 12 }))).toEqual(
      expected.get('timm_float16'),
    );
  });

  test('[N, H, W, 3] inputs get the same values with the channels last', async () => {
    const picture = await decode('picture.png');
    const first = pictureTensor(picture, preprocessingFor(anySize, { size: 12 }));
    const last = pictureTensor(picture, preprocessingFor({ ...anySize, shape: [1, 12, 12, 3] }));
    expect(last.shape).toEqual([1, 12, 12, 3]);
    for (let pixel = 0; pixel < 144; pixel++)
      for (let channel = 0; channel < 3; channel++)
        expect(last.data[pixel * 3 + channel]).toBe(first.data[channel * 144 + pixel]);
  });

  test('the short side is resized, halves are rounded as Python does', () => {
    expect(resizedSize({ width: 451, height: 300 }, { fit: 'shortest', resize: 256 })).toEqual({
      width: 384,
      height: 256,
    });
    expect(resizedSize({ width: 300, height: 451 }, { fit: 'shortest', resize: 256 })).toEqual({
      width: 256,
      height: 384,
    });
    expect(resizedSize({ width: 451, height: 300 }, { fit: 'shortest', resize: [248, 355] })).toEqual({
      width: 373,
      height: 248,
    });
    expect(resizedSize({ width: 10, height: 10 }, { fit: 'shortest', resize: [5, 4] })).toEqual({
      width: 5,
      height: 5,
    });
  });

  test('the size comes from the option, then the model, then timm', () => {
    expect(preprocessingFor({ ...anySize, shape: [1, 3, 192, 256] })).toMatchObject({
      height: 192,
      width: 256,
      crop: 0.875,
      interpolation: 'bicubic',
      layout: 'NCHW',
    });
    expect(preprocessingFor(anySize)).toMatchObject({ height: 224, width: 224 });
    expect(preprocessingFor(anySize, { size: [96, 128], mean: [0.5], std: [0.25] })).toMatchObject({
      height: 96,
      width: 128,
      mean: [0.5, 0.5, 0.5],
      std: [0.25, 0.25, 0.25],
    });
  });

  test.each([
    [{ ...anySize, shape: [1, 3, 224, 224] }, { size: 192 }, /takes pictures of 224 x 224/],
    [{ ...anySize, shape: [1, 2, 28, 28] }, {}, /a picture has/],
    [{ ...anySize, shape: [1, 128] }, {}, /a picture has/],
    [{ ...anySize, dtype: 'int64' }, {}, /becomes float32, float16 or uint8/],
    [anySize, { crop: 0 }, /crop is 0/],
    [anySize, { crop: NaN }, /crop is NaN/],
    [anySize, { size: 0 }, /lies between 1/],
    [anySize, { size: 1.5 }, /lies between 1/],
    [anySize, { std: [0.2, 0, 0.2] }, /above 0/],
    [anySize, { mean: [0.5, 0.5] }, /one or three numbers/],
  ])('%j with %j is refused', (input, options, message) => {
    expect(() => preprocessingFor(input, options)).toThrow(message);
    expect(() => preprocessingFor(input, options)).toThrow(UsageError);
  });
});

describe('pixels for a model that prepares pictures itself', () => {
  const pixels = (shape: ImageInput['shape']): ImageInput => ({ name: 'image', dtype: 'uint8', shape });
  const planes = ({ data }: Picture): readonly number[] =>
    [0, 1, 2].flatMap((channel) => [...data].filter((_value, at) => at % 3 === channel));

  test.each([
    ['CHW', [3, 'h', 'w']],
    ['NCHW', ['n', 3, 'h', 'w']],
  ])('as they are, of their own size, in planes: %s', async (layout, shape) => {
    const picture = await decode('picture.png');
    const to = preprocessingFor(pixels(shape));
    expect(to).toMatchObject({ layout, height: null, width: null, crop: 1, mean: null, std: null });
    const { dtype, shape: made, data } = pictureTensor(picture, to);
    expect([dtype, made]).toEqual(['uint8', [1, 3, picture.height, picture.width]]);
    expect(Buffer.from(data as Uint8Array).equals(Buffer.from(planes(picture)))).toBe(true);
  });

  test.each([
    ['HWC', ['h', 'w', 3]],
    ['NHWC', [1, null, null, 3]],
  ])('as they are, of their own size, pixel by pixel: %s', async (layout, shape) => {
    const picture = await decode('picture.png');
    const to = preprocessingFor(pixels(shape));
    expect(to.layout).toBe(layout);
    expect(pictureTensor(picture, to)).toEqual({
      dtype: 'uint8',
      shape: [1, picture.height, picture.width, 3],
      data: Uint8Array.from(picture.data),
    });
  });

  test('at the size that the model fixes, of one side or both, at the same ratio', async () => {
    const picture = { data: new Uint8Array(30 * 20 * 3).fill(7), width: 30, height: 20 };
    const shapeFor = (shape: ImageInput['shape']): readonly number[] =>
      pictureTensor(picture, preprocessingFor(pixels(shape))).shape;
    expect(shapeFor([3, 40, 'w'])).toEqual([1, 3, 40, 60]);
    expect(shapeFor(['h', 15, 3])).toEqual([1, 10, 15, 3]);
    const real = await decode('picture.png');
    const both = pictureTensor(real, preprocessingFor(pixels([3, 12, 12])));
    const size = resizedSize(real, { fit: 'shortest', resize: 12 });
    const box = { left: (size.width - 12) >> 1, top: (size.height - 12) >> 1, width: 12, height: 12 };
    expect([...both.data]).toEqual(planes(resizeAndCrop(real, size, box, 'bicubic')));
    const thin = { data: new Uint8Array(300 * 3), width: 300, height: 1 };
    expect(() => pictureTensor(thin, preprocessingFor(pixels([3, 224, 'w'])))).toThrow(/67200 x 224.*at most 16384/);
  });

  test('an input without a batch axis takes normalised pictures too', async () => {
    const picture = await decode('picture.png');
    const batched = pictureTensor(picture, preprocessingFor(anySize, { size: 12 }));
    const alone = preprocessingFor({ ...anySize, shape: [3, 'h', 'w'] }, { size: 12 });
    expect(alone.layout).toBe('CHW');
    expect(pictureTensor(picture, alone)).toEqual(batched);
    expect(preprocessingFor({ ...anySize, shape: ['h', 'w', 3] })).toMatchObject({ layout: 'HWC', height: 224 });
  });

  test.each([
    [['h', 'w', 3], { mean: [0] }, /uint8: it takes pixels from 0 to 255/],
    [[3, 'h', 'w'], { std: [1] }, /uint8: it takes pixels from 0 to 255/],
    [[3, 'h', 'w'], { crop: 0.5 }, /own size, which have no crop of 0.5/],
    [['n', 'l', 'c'], {}, /a picture has/],
    [[3, 40, 'w'], { size: 64 }, /takes pictures of 40 x w, not 64 x 64/],
  ])('%j with %j is refused', (shape, options, message) => {
    expect(() => preprocessingFor(pixels(shape), options)).toThrow(message);
  });
});
