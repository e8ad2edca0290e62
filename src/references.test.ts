import type { TensorValue } from './onnx/tensor-value.js';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract } from './extract.js';
import { FeatureDictNet, FeatureHookNet, FeatureListNet, type NetOptions } from './nets.js';
import { run } from './run.js';
import { readTensors } from './tensors/array-file.js';
import { deviation } from './testing/deviation.js';

/**
 * Whole backbones with what timm's own `features_only=True` network returned for them in PyTorch; `npm run
 * check:models` names another folder.
 */
const FOLDER = process.env.FEATX_REFERENCES ?? 'fixtures/timm';
const NAMES = readdirSync(FOLDER).flatMap((file) =>
  file.endsWith('.reference.npz') ? [file.slice(0, -'.reference.npz'.length)] : [],
);
const ALL = NAMES.flatMap((name) => ['ts', 'dy'].map((exporter) => [name, exporter] as const)).filter(
  ([name, exporter]) => existsSync(join(FOLDER, `${name}.${exporter}.onnx`)),
);
/** The exporters in turns; all of a folder that is named. */
const MODELS = ALL.filter(
  (_each, index) => process.env.FEATX_REFERENCES !== undefined || index % 4 === 0 || index % 4 === 3,
);
/** Of the feature's standard deviation. */
const TOLERANCE = 2e-5;

const folder = mkdtempSync(join(tmpdir(), 'featx-references-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function referenceOf(
  name: string,
): Promise<{ readonly input: TensorValue; readonly features: readonly TensorValue[] }> {
  const arrays = await readTensors(join(FOLDER, `${name}.reference.npz`));
  const features = [...arrays.keys()]
    .filter((key) => key.startsWith('feature_'))
    .map((_key, index) => arrayOf(arrays, `feature_${index}`));
  return { input: arrayOf(arrays, 'input'), features };
}

function arrayOf(arrays: ReadonlyMap<string, TensorValue>, key: string): TensorValue {
  const value = arrays.get(key);
  if (value === undefined) throw new Error(`no array ${key}`);
  return value;
}

function expectClose(got: Iterable<TensorValue>, wanted: readonly TensorValue[]): void {
  const deviations = [...got].map((value, index) => deviation(value, wanted[index]));
  expect(deviations).toHaveLength(wanted.length);
  expect(Math.max(...deviations)).toBeLessThan(TOLERANCE);
}

test('there are references to compare with', () => {
  expect(MODELS.length).toBeGreaterThanOrEqual(2);
});

describe.each(MODELS)('%s.%s', (name, exporter) => {
  const path = join(FOLDER, `${name}.${exporter}.onnx`);
  // timm's features_only returns tokens as maps; the graph holds them as tokens.
  const asMaps: Pick<NetOptions, 'outputFmt'> = { outputFmt: 'NCHW' };

  test('run writes what timm returns', async () => {
    const { features } = await referenceOf(name);
    const output = join(folder, `${name}.${exporter}.npz`);
    const report = await run(path, { inputs: [join(FOLDER, `${name}.reference.npz`)], output, ...asMaps });
    expect(report.features.map(({ index, shape }) => [index, shape])).toEqual(
      features.map(({ shape }, index) => [index, shape]),
    );
    expectClose((await readTensors(output)).values(), features);
  });

  test('the three nets return what timm returns', async () => {
    const { input, features } = await referenceOf(name);
    await using dict = await FeatureDictNet.create(path, asMaps);
    const byIndex = await dict.forward(input);
    expect([...byIndex.keys()]).toEqual(features.map((_feature, index) => String(index)));
    expectClose(byIndex.values(), features);
    await using list = await FeatureListNet.create(path, asMaps);
    expectClose(await list.forward(input), features);
    await using hook = await FeatureHookNet.create(path, { ...asMaps, returnDict: true });
    const byName = await hook.forward(input);
    expectClose(byName.values(), features);
    expect(hook.featureInfo.channels()).toEqual(features.map(({ shape }) => shape[1]));
  });

  test('an extracted model computes the bits of the whole one with the optimiser off', async () => {
    const { input } = await referenceOf(name);
    const output = join(folder, `${name}.${exporter}.onnx`);
    await extract(path, output);
    await using whole = await FeatureHookNet.create(path, { optimization: 'disabled', prepacking: false });
    await using part = await FeatureListNet.create(output, { optimization: 'disabled', prepacking: false });
    const [wanted, got] = [await whole.forward(input), await part.forward(input)];
    expect(got).toEqual([...wanted.values()]);
  });
});
