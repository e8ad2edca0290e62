import type { TensorValue } from '../onnx/tensor-value.js';
import { readFile } from 'node:fs/promises';
import { ModelFormatError, PolicyError, RuntimeError, UsageError } from '../errors.js';
import { readTensors } from './array-file.js';
import { decodePicture, loadSharp, pictureTensor, preprocessingFor, resizedSize, type ImageInput } from './image.js';
import { DEFAULT_TENSOR_LIMITS } from './limits.js';
import { INTERPOLATIONS, resizeAndCrop, type Picture } from './resample.js';

const path = (name: string): string => new URL(`../../fixtures/tensors/${name}`, import.meta.url).pathname;
const bytesOf = (name: string): Promise<Uint8Array> => readFile(path(name));
const decode = async (name: string): Promise<Picture> => decodePicture(await bytesOf(name), name);
const anySize: ImageInput = { name: 'input', dtype: 'float32', shape: ['batch', 3, 'height', 'width'] };

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
    expect(resizedSize({ width: 451, height: 300 }, { height: 224, width: 224, crop: 0.875 })).toEqual({
      width: 384,
      height: 256,
    });
    expect(resizedSize({ width: 300, height: 451 }, { height: 224, width: 224, crop: 0.875 })).toEqual({
      width: 256,
      height: 384,
    });
    expect(resizedSize({ width: 451, height: 300 }, { height: 224, width: 320, crop: 0.9 })).toEqual({
      width: 373,
      height: 248,
    });
    expect(resizedSize({ width: 10, height: 10 }, { height: 5, width: 4, crop: 1 })).toEqual({ width: 5, height: 5 });
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
    [{ ...anySize, shape: [1, 1, 28, 28] }, {}, /a picture has/],
    [{ ...anySize, shape: [1, 128] }, {}, /a picture has/],
    [{ ...anySize, dtype: 'int64' }, {}, /becomes float32 or float16/],
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
