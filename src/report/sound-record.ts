import type { HeardFile } from '../preprocessing/sound.js';
import { escapeText } from './escape.js';
import type { SoundRecord } from './run-records.js';

/** How files of sound became each input that took any. */
export function soundRecords(files: readonly HeardFile[]): readonly SoundRecord[] {
  return [...new Set(files.map(({ input }) => input))].map((input) => {
    const own = files.filter((file) => file.input === input);
    const { rate, normalize, source, path } = own[0].recipe;
    return {
      input,
      source,
      path,
      sampling_rate: rate,
      normalize,
      files: own.length,
      resampled: own.filter(({ facts }) => rate !== null && facts.rate !== rate).length,
      averaged: own.filter(({ facts }) => facts.channels > 1).length,
    };
  });
}

/** `sound for x: preprocessor_config.json: 16000 Hz, 3 of 5 files resampled, each normalised`. */
export function soundText({ input, path, source, sampling_rate: rate, ...how }: SoundRecord): string {
  const of = (count: number): string => `${count} of ${how.files} ${how.files === 1 ? 'file' : 'files'}`;
  const parts = [
    rate === null ? 'at the rate of the file' : `${rate} Hz`,
    ...(how.resampled === 0 ? [] : [`${of(how.resampled)} resampled`]),
    ...(how.averaged === 0 ? [] : [`channels of ${of(how.averaged)} averaged`]),
    ...(how.normalize ? ['each normalised'] : []),
  ];
  return `sound for ${escapeText(input)}: ${escapeText(path ?? (source === 'flags' ? 'asked for' : source))}: ${parts.join(', ')}`;
}
