import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diff } from '../diff.js';
import { indexModel } from '../onnx/model.js';
import { DataType } from '../onnx/schema.js';
import { plainValues } from '../onnx/tensor-data.js';
import { report } from '../report-features.js';
import { npyHeader } from '../tensors/npy.js';

/** What numpy and torch make of the same features; `scripts/measures/golden.py` writes it. */
interface Golden {
  readonly tensor: string;
  readonly cosine: number;
  readonly cka: number;
  readonly relative_error: number;
  readonly largest_difference: number;
  readonly explained: readonly number[];
  readonly zeros_share: number;
  readonly min: number;
  readonly max: number;
}

const MODEL = join('fixtures', 'timm', 'test_resnet.ts.onnx');
const SHAPE = [2, 3, 96, 96];

let folder: string;
let golden: readonly Golden[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'featx-golden-'));
  golden = JSON.parse(await readFile(join('fixtures', 'measures', 'golden.json'), 'utf8')) as readonly Golden[];
  const values = Float32Array.from({ length: SHAPE.reduce((a, b) => a * b) }, (_, at) => ((at * 7919) % 257) / 128 - 1);
  await writeFile(join(folder, 'x.npy'), Buffer.concat([npyHeader('float32', SHAPE, 'x'), Buffer.from(values.buffer)]));
  await writeFile(join(folder, 'b.onnx'), await withCoarseWeights(await readFile(MODEL)));
});
afterAll(() => rm(folder, { recursive: true }));

/** A model with the mantissas of its weights cut to four bits. */
async function withCoarseWeights(bytes: Buffer): Promise<Buffer> {
  const { graph } = await indexModel(new Uint8Array(bytes));
  for (const tensor of graph.initializers) {
    const range = tensor.dataType === DataType.float ? plainValues(tensor) : null;
    if (range === null) continue;
    for (let at = range.start; at < range.end; at += 4) {
      bytes[at] = 0;
      bytes[at + 1] = 0;
      bytes[at + 2] &= 0xf8;
    }
  }
  return bytes;
}

const WITHIN = 1e-5;

test("the numbers of a diff are numpy's and torch's", async () => {
  const compared = await diff(MODEL, join(folder, 'b.onnx'), { inputs: [join(folder, 'x.npy')] });
  const features = compared.features ?? [];
  expect(features).toHaveLength(golden.length);
  for (const [at, expected] of golden.entries())
    for (const key of ['cosine', 'cka', 'relative_error', 'largest_difference'] as const)
      expect(Math.abs((features[at][key] ?? NaN) - expected[key])).toBeLessThan(WITHIN);
});

test("the numbers of a report are numpy's and torch's", async () => {
  const { features } = await report(MODEL, { inputs: [join(folder, 'x.npy')], output: join(folder, 'r.html') });
  expect(features.map(({ tensor }) => tensor)).toEqual(golden.map(({ tensor }) => tensor));
  for (const [at, { explained, ...expected }] of golden.entries()) {
    for (const [part, share] of explained.entries())
      expect(Math.abs(features[at].explained[part] - share)).toBeLessThan(WITHIN);
    for (const key of ['zeros_share', 'min', 'max'] as const)
      expect(Math.abs(features[at][key] - expected[key])).toBeLessThan(WITHIN);
  }
});
