import type { TensorValue } from '../onnx/tensor-value.js';
import { named, option } from '../options/words.js';
import { UsageError } from '../errors.js';
import type { ImageInput } from '../preprocessing/input.js';
import type { HeardFile, SoundRecipe } from '../preprocessing/sound.js';
import { convert } from './convert.js';
import { isOneEntry } from './input-entries.js';
import type { InputItem } from './input-item.js';
import type { SourceAccess } from './lazy-array.js';
import { resampled } from './resample-sound.js';
import { readWave, readWaveHeader } from './wave.js';

/** What to tell of sound that nobody says a rate of. */
export function soundWarnings(files: readonly HeardFile[]): readonly string[] {
  const rates = new Set(files.flatMap(({ recipe, facts }) => (recipe.rate === null ? [facts.rate] : [])));
  return rates.size === 0
    ? []
    : [
        `nothing with the model says how many samples a second it takes: sound of ${[...rates].join(', ')} Hz goes in as it is; say it with ${option('sampleRate', 16_000)}`,
      ];
}

/** As an entry of an input: `[batch, samples]`, `[batch, 1, samples]` or `[samples]`. */
interface Place {
  /** Axes in front of the samples. */
  readonly front: readonly number[];
  readonly isAlone: boolean;
  /** Samples that the model fixes. */
  readonly length: number | null;
}

/** Whether an input can take samples. */
export function takesSound(input: ImageInput): boolean {
  return placeOf(input) !== null;
}

function placeOf(input: ImageInput): Place | null {
  const { dtype, shape } = input;
  if (shape === null || (dtype !== 'float32' && dtype !== 'float16') || shape.length < 1 || shape.length > 3)
    return null;
  if (shape.length === 3 && shape[1] !== 1) return null;
  const last = shape[shape.length - 1];
  const length = typeof last === 'number' ? last : null;
  if (shape.length === 1 || (shape.length === 2 && isOneEntry(input)))
    return { front: shape.length === 1 ? [] : [1], isAlone: true, length };
  return { front: shape.length === 2 ? [1] : [1, 1], isAlone: false, length };
}

/**
 * A .wav file as an entry: its channels averaged, at the rate that the model's files say, normalised if they say so.
 * @throws UsageError if the input takes no samples, or another number of them; ModelFormatError, UnsupportedModelError
 */
export async function soundItem(
  access: SourceAccess,
  input: ImageInput,
  recipe: SoundRecipe,
): Promise<{ readonly item: InputItem; readonly facts: HeardFile['facts'] }> {
  const place = placeOf(input);
  if (place === null)
    throw new UsageError(
      `${access.name} is sound, and input ${named(input.name)} takes no samples: it has the shape [${(input.shape ?? []).map((dim) => dim ?? '?').join(', ')}]`,
      {
        code: 'FEATX_USAGE_SOUND',
        path: access.name,
        hint: `samples go into float32 or float16 [batch, samples], [batch, 1, samples] or [samples]; spectrograms are given as .npy with ${option('inputs')}`,
      },
    );
  const header = await access.use((source) => readWaveHeader(source, access.name));
  const { rate } = recipe;
  const length = rate === null ? header.length : Math.ceil((header.length * rate) / header.rate);
  if (place.length !== null && place.length !== length)
    throw new UsageError(`${access.name} has ${length} samples, and input ${named(input.name)} takes ${place.length}`, {
      code: 'FEATX_USAGE_SOUND',
      path: access.name,
      hint: 'cut it, or fill it up, to that length',
    });
  const shape = [...place.front, length];
  const read = async (): Promise<TensorValue> => {
    const own = await access.use((source) => readWave(source, header));
    const samples = rate === null ? own : resampled(own, header.rate, rate);
    const data = Float32Array.from(recipe.normalize ? normalised(samples) : samples);
    return convert({ dtype: 'float32', shape: place.isAlone ? [1, ...shape] : shape, data }, input.dtype ?? 'float32');
  };
  const rest = place.isAlone ? shape : [...shape.slice(1, -1), place.length];
  return {
    item: {
      file: access.name,
      rows: 1,
      isEndless: false,
      rest,
      isAlone: place.isAlone,
      picture: null,
      samples: length,
      read,
    },
    facts: { rate: header.rate, channels: header.channels },
  };
}

/** Whether an input asks which samples count, as transformers calls it. */
export function takesSampleMask({ name, dtype, shape }: ImageInput): boolean {
  return name === 'attention_mask' && (dtype === 'int64' || dtype === 'int32') && shape?.length === 2;
}

/** Ones for all samples of a clip. */
export function sampleMask({ rest }: InputItem, samples: number, { dtype }: ImageInput): InputItem {
  return {
    file: null,
    rows: 1,
    isEndless: false,
    rest: rest?.slice(-1) ?? null,
    isAlone: false,
    picture: null,
    read: async () =>
      convert({ dtype: 'int32', shape: [1, samples], data: new Int32Array(samples).fill(1) }, dtype ?? 'int64'),
  };
}

/** As transformers normalises a clip. */
function normalised(samples: Float64Array): Float64Array {
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const variance = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / samples.length;
  const deviation = Math.sqrt(variance + 1e-7);
  return samples.map((sample) => (sample - mean) / deviation);
}
