import { join } from 'node:path';
import { readTensors } from './array-file.js';
import { readPictures } from './in-memory.js';

/** What timm, torchvision, transformers and OpenCV make of three pictures; scripts/preprocess/golden.py wrote it. */
const FOLDER = join('fixtures', 'preprocess');

test('presets are the libraries that they come from, to the bit: alpha, turned by a camera, tall', async () => {
  const expected = await readTensors(join(FOLDER, 'expected.npz'));
  expect(expected.size).toBe(27);
  for (const [key, golden] of expected) {
    const [preprocess, picture] = key.split('|');
    const input = { name: 'x', dtype: 'uint8', shape: [1, 3, 32, 32] };
    const made = await readPictures([join(FOLDER, picture)], input, { preprocess });
    expect([key, Buffer.from(made.data as Uint8Array).equals(Buffer.from(golden.data as Uint8Array))]).toEqual([
      key,
      true,
    ]);
  }
});

test('values are scaled and normalised in the order of the channels that the input takes', async () => {
  const picture = join(FOLDER, 'alpha.png');
  const input = { name: 'x', dtype: 'float32', shape: [1, 3, 32, 32] };
  const raw = await readPictures([picture], input, { preprocess: 'raw' });
  const plane = 32 * 32;
  const unit = await readPictures([picture], input, { preprocess: 'unit', channels: 'bgr', mean: [0.1, 0.2, 0.3] });
  for (let at = 0; at < plane; at++) expect(unit.data[at]).toBeCloseTo(Number(raw.data[2 * plane + at]) / 255 - 0.1, 6);
  const grey = await readPictures([picture], { ...input, shape: [1, 1, 32, 32] }, { preprocess: 'raw' });
  expect(grey.shape).toEqual([1, 1, 32, 32]);
  const luma = [0.299, 0.587, 0.114].reduce(
    (sum, share, channel) => sum + share * Number(raw.data[channel * plane + 5]),
    0,
  );
  expect(Math.abs(Number(grey.data[5]) - luma)).toBeLessThan(2);
});

test('none takes a picture of the right size alone', async () => {
  const input = { name: 'x', dtype: 'float32', shape: [1, 3, 41, 53] };
  const made = await readPictures([join(FOLDER, 'alpha.png')], input, { preprocess: 'none' });
  expect([made.shape, Math.max(...(made.data as Float32Array))]).toEqual([[1, 3, 41, 53], expect.any(Number)]);
  await expect(readPictures([join(FOLDER, 'tall.png')], input, { preprocess: 'none' })).rejects.toThrow(
    /53 x 97 is not resized, and the input takes 53 x 41/,
  );
});

test.each([
  [{ mean: [127.5] }, /mean is 127.5, as of pixels from 0 to 255/, '`image.mean: [0.5]`'],
  [{ mean: [0.5], std: [127.5] }, /std is 127.5, as of pixels/, '`image.std: [0.5]`'],
  [{ preprocess: 'clipp' }, /there is no way to prepare pictures called 'clipp'/, 'did you mean clip?'],
  [{ preprocess: './not-there.json' }, /not-there.json/, ''],
])('%j is refused with a proposal', async (options, message, hint) => {
  const input = { name: 'x', dtype: 'float32', shape: [1, 3, 32, 32] };
  const failure = readPictures([join(FOLDER, 'tall.png')], input, options);
  await expect(failure).rejects.toThrow(message);
  if (hint !== '') await expect(failure).rejects.toMatchObject({ hint: expect.stringContaining(hint) });
  await expect(readPictures([join(FOLDER, 'tall.png')], input, { scale: 1, mean: [127.5] })).resolves.toBeDefined();
});
