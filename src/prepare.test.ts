import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from './extract.js';
import { inspect } from './inspect.js';
import { prepare } from './prepare.js';
import { FeatureRunner } from './runner.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-prepare-'));
afterAll(() => rmSync(folder, { recursive: true }));

const said = ({ dtype, shape }: { readonly dtype: string | null; readonly shape: unknown }): unknown => ({
  dtype,
  shape,
});

describe('inspect, extract and run say the same of a tensor', () => {
  test.each([
    ['timm/test_resnet.ts.onnx', 'fc.weight', 'float32', [1000, 96]],
    ['timm/test_resnet.ts.onnx', 'input', 'float32', ['batch', 3, 96, 96]],
    ['models/11-sparse-initializer.onnx', 'sparse_weight', 'float32', [3, 3]],
  ])('%s: %s', async (file, name, dtype, shape) => {
    const path = join('fixtures', file);
    const options = { select: [{ by: 'tensor', name }], isolate: false } as const;
    const { selected = [] } = await inspect(path, options);
    const { features } = await extract(path, join(folder, 'never.onnx'), { ...options, dryRun: true });
    await using runner = await FeatureRunner.open(path, options);
    expect(selected.map(said)).toEqual([{ dtype, shape }]);
    expect(features.map(said)).toEqual([{ dtype, shape }]);
    expect(runner.features.map(({ tap, shape: shown }) => said({ ...tap, shape: shown }))).toEqual([{ dtype, shape }]);
  });
});

test('an original that is missing is an error, and a warning for who only lists features', async () => {
  const [model, cut] = ['model.onnx', 'cut.onnx'].map((name) => join(folder, name));
  copyFileSync('fixtures/timm/test_resnet.ts.onnx', model);
  await extract(model, cut, { out: [0], weights: 'reference', isolate: false });
  rmSync(model);
  await expect(prepare(cut, { isolate: false })).rejects.toMatchObject({ code: 'FEATX_IO_NOT_FOUND' });
  await using prepared = await prepare(cut, { isolate: false, isListing: true, mayLackOriginal: true });
  expect(prepared.warnings).toContain('this model points into model.onnx, which is missing');
  expect(prepared.selections).toEqual([]);
});

test('what resolvers miss matters to who lists features or takes them by index, not to who names tensors', async () => {
  const path = 'fixtures/models/11-sparse-initializer.onnx';
  const named = [{ by: 'tensor', name: 'y' }] as const;
  const warningsOf = async (options: Parameters<typeof prepare>[1]): Promise<readonly string[]> => {
    await using prepared = await prepare(path, { isolate: false, select: named, ...options });
    const missed = prepared.resolution.warnings;
    expect(missed.length).toBeGreaterThan(0);
    return prepared.warnings.filter((warning) => missed.includes(warning));
  };
  expect(await warningsOf({})).toEqual([]);
  expect(await warningsOf({ isListing: true })).not.toEqual([]);
});
