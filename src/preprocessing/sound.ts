import { UsageError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { option } from '../options/words.js';
import { parseJson } from '../wire/json.js';
import { Fields } from './config-fields.js';
import type { TextFile } from './find.js';

/** How sound is prepared for a network of waveforms, and who says so. */
export interface SoundRecipe {
  /** Samples a second; null: nobody says it, and samples go in as they are. */
  readonly rate: number | null;
  /** Whether each clip gets a mean of 0 and a deviation of 1. */
  readonly normalize: boolean;
  readonly source: 'flags' | 'file' | 'assumed';
  readonly path: string | null;
}

/** A file of sound for an input, what it has, and how it is prepared. */
export interface HeardFile {
  readonly input: string;
  readonly recipe: SoundRecipe;
  readonly facts: { readonly rate: number; readonly channels: number };
}

/** What nobody says anything of. */
export const SOUND_AS_IT_IS: SoundRecipe = { rate: null, normalize: false, source: 'assumed', path: null };

/** Whose clips are normalised if their file does not say otherwise. */
const NORMALISES = 'Wav2Vec2FeatureExtractor';

/**
 * What the files beside a model say of sound: transformers' `preprocessor_config.json`, or the part of
 * `processor_config.json` that is about it.
 * @param asked the rate that the caller names
 * @throws UsageError for networks that take spectrograms, and for files that are not understood
 * @see https://github.com/huggingface/transformers/blob/main/src/transformers/models/wav2vec2/feature_extraction_wav2vec2.py
 */
export function soundRecipe(files: readonly TextFile[], asked?: number): SoundRecipe {
  for (const { path, text } of files) {
    const fields = soundFields(path, text);
    if (fields === null) continue;
    if (fields.has('num_mel_bins') || fields.number('feature_size', 1) > 1)
      throw new UsageError(`${path} says that the model takes spectrograms, which featx does not compute of sound`, {
        code: 'FEATX_USAGE_SOUND',
        path,
        hint: `make them as it says, and give them as .npy arrays with ${option('inputs')}`,
      });
    const type = fields.text('feature_extractor_type', '');
    const rate = fields.number('sampling_rate', 0);
    return {
      rate: asked ?? (rate > 0 ? rate : null),
      normalize: fields.flag('do_normalize', type === NORMALISES),
      source: 'file',
      path,
    };
  }
  return asked === undefined ? SOUND_AS_IT_IS : { ...SOUND_AS_IT_IS, rate: asked, source: 'flags' };
}

function soundFields(path: string, text: string): Fields | null {
  let said: unknown;
  try {
    said = parseJson(text);
  } catch {
    // What is not JSON says nothing of sound; where it is about pictures, they are refused.
    return null;
  }
  if (!isRecord(said)) return null;
  const own = isRecord(said.feature_extractor) ? said.feature_extractor : said;
  return own.sampling_rate === undefined ? null : new Fields(own, path);
}
