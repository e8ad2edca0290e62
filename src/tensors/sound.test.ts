import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type RunOptions } from '../run.js';
import type { RunReport } from '../report/run-records.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type DimSpec, type GraphSpec } from '../testing/model-spec.js';
import { BufferSource } from '../wire/source.js';
import { readArrays } from './in-memory.js';
import { openWriter } from './open-writer.js';
import { resampled } from './resample-sound.js';
import { readWave, readWaveHeader } from './wave.js';

/** What soundfile 0.14 and scipy 1.17 make of the same bytes (scripts/preprocess/sound.py). */
interface Golden {
  readonly files: readonly { readonly name: string; readonly wave: string; readonly mean: readonly number[] }[];
  readonly mono: readonly number[];
  readonly resampled: readonly { readonly from: number; readonly to: number; readonly samples: readonly number[] }[];
}
const golden: Golden = JSON.parse(readFileSync('fixtures/sound/soundfile.json', 'utf8'));
const bytesOf = (index: number): Uint8Array => new Uint8Array(Buffer.from(golden.files[index].wave, 'base64'));

const folder = mkdtempSync(join(tmpdir(), 'featx-sound-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(golden.files.map(({ name, mean }, index) => [name, mean, index] as const))(
  '%s is read as soundfile reads it',
  async (_name, mean, index) => {
    const source = new BufferSource(bytesOf(index));
    const header = await readWaveHeader(source, 'a.wav');
    expect(header).toMatchObject({ rate: 8000, channels: 2, length: mean.length });
    expect([...(await readWave(source, header))]).toEqual(mean);
  },
);

test.each(golden.resampled.map(({ from, to, samples }) => [from, to, samples] as const))(
  'from %i to %i Hz as scipy.signal.resample_poly',
  (from, to, samples) => {
    const made = resampled(Float64Array.from(golden.mono), from, to);
    expect(made).toHaveLength(samples.length);
    samples.forEach((sample, at) => expect(made[at]).toBeCloseTo(sample, 11));
  },
);

test.each<readonly [string, (bytes: Uint8Array) => Uint8Array, string]>([
  ['cut short', (bytes) => bytes.slice(0, 60), 'its samples end at byte'],
  ['of no samples', (bytes) => bytes.slice(0, 36), 'it has no samples'],
  ['of another coding', (bytes) => bytes.with(20, 6), 'its samples have the format 6 with 16 bits'],
  ['of no channels', (bytes) => bytes.with(22, 0), 'it has 0 channels'],
])('a file %s is an error', async (_what, change, message) => {
  await expect(readWaveHeader(new BufferSource(change(bytesOf(1))), 'a.wav')).rejects.toThrow(message);
});

/** A model that gives the samples that it takes. */
async function heard(
  shape: readonly DimSpec[],
  options: Partial<RunOptions> = {},
  config?: object,
  graph: Partial<GraphSpec> = {},
): Promise<{ readonly report: RunReport; readonly samples: readonly number[] }> {
  const home = mkdtempSync(join(folder, 'm'));
  const model = join(home, 'model.onnx');
  writeFileSync(
    model,
    encodeModel({
      graph: {
        inputs: [value('wave', shape)],
        outputs: [value('y', null)],
        nodes: [node('Identity', ['wave'], ['y'])],
        ...graph,
      },
    }),
  );
  if (config !== undefined) writeFileSync(join(home, 'preprocessor_config.json'), JSON.stringify(config));
  const files = ['a.wav', 'b.wav'].map((name) => join(home, name));
  files.forEach((file, at) => writeFileSync(file, bytesOf([1, 4][at])));
  const output = join(home, 'y.npy');
  const select = [{ by: 'tensor', name: 'y' }] as const;
  const report = await run(model, { inputs: files, output, select, isolate: false, ...options });
  const [{ data }] = (await readArrays(output)).values();
  return { report, samples: [...data].map(Number) };
}

const mean = golden.files[1].mean.map(Math.fround);

describe('in a run', () => {
  test.each<readonly [string, readonly DimSpec[], readonly number[]]>([
    ['[batch, samples]', ['batch', 'samples'], [2, 12]],
    ['[1, 1, samples]', [1, 1, 'n'], [2, 1, 12]],
    ['[samples]', ['samples'], [2, 12]],
    ['of a length that the model fixes', ['batch', 12], [2, 12]],
  ])('samples go into %s, a clip an entry', async (_name, shape, made) => {
    const { report, samples } = await heard(shape);
    expect(report.features[0].shape).toEqual(made);
    expect(samples.slice(0, 12)).toEqual(mean);
    expect(report.sound).toEqual([
      {
        input: 'wave',
        source: 'assumed',
        path: null,
        sampling_rate: null,
        normalize: false,
        files: 2,
        resampled: 0,
        averaged: 2,
      },
    ]);
    expect(report.warnings).toEqual([expect.stringMatching(/nothing with the model says.*sound of 8000 Hz/)]);
  });

  test('the rate is that of the files beside the model, or what is asked for, and clips are normalised as they say', async () => {
    const config = { feature_extractor_type: 'Wav2Vec2FeatureExtractor', sampling_rate: 16000, feature_size: 1 };
    const { report, samples } = await heard(['batch', 'samples'], {}, config);
    expect(report.sound).toMatchObject([{ source: 'file', sampling_rate: 16000, normalize: true, resampled: 2 }]);
    expect(report.features[0].shape).toEqual([2, 24]);
    const clip = samples.slice(0, 24);
    expect(clip.reduce((sum, sample) => sum + sample, 0) / 24).toBeCloseTo(0, 6);
    expect(clip.reduce((sum, sample) => sum + sample ** 2, 0) / 24).toBeCloseTo(1, 4);
    const asked = await heard(['batch', 'samples'], { sampleRate: 8000 });
    expect(asked.report).toMatchObject({ warnings: [], sound: [{ source: 'flags', resampled: 0 }] });
    expect(asked.samples.slice(0, 12)).toEqual(mean);
  });

  test('all samples count where the model asks for a mask and none is given', async () => {
    const masked: Partial<GraphSpec> = {
      inputs: [value('wave', ['batch', 'samples']), value('attention_mask', ['batch', 'samples'], 'int64')],
      nodes: [node('Cast', ['attention_mask'], ['mask'], { to: { int: 1 } }), node('Mul', ['wave', 'mask'], ['y'])],
    };
    const { report, samples } = await heard([], {}, undefined, masked);
    expect(report.features[0].shape).toEqual([2, 12]);
    expect(samples.slice(0, 12)).toEqual(mean);
    const none = join(folder, 'none.npy');
    await using writer = await openWriter(none, { totalRows: 2 });
    await writer.write(new Map([['x', { dtype: 'int64', shape: [2, 12], data: new BigInt64Array(24) }]]), 2);
    await writer.finish();
    const inputs = [...report.inputs, `attention_mask=${none}`];
    expect((await heard([], { inputs }, undefined, masked)).samples.every((sample) => sample === 0)).toBe(true);
  });

  test.each<readonly [string, readonly DimSpec[], object | undefined, RegExp]>([
    ['a spectrogram', ['batch', 80, 3000], undefined, /takes no samples/],
    ['another length', ['batch', 13], undefined, /has 12 samples, and input wave takes 13/],
    ['what its files call mel bins', ['batch', 'n'], { sampling_rate: 16000, feature_size: 80 }, /spectrograms/],
  ])('%s is refused', async (_name, shape, config, message) => {
    await expect(heard(shape, {}, config)).rejects.toThrow(message);
  });
});
