import type { Preprocessing } from '../preprocessing/recipe.js';
import { escapeText } from './escape.js';
import type { PreprocessingRecord } from './run-records.js';

/** How pictures became an input, in the contract's spelling. */
export function preprocessingRecord(input: string, how: Preprocessing): PreprocessingRecord {
  const { source, path, preset, height, width, resize, fit, interpolation, antialias, crop, cropRounding } = how;
  const { scale, mean, std, channels, orientation, fill, dtype, layout, depth } = how;
  return {
    input,
    source,
    path,
    preset,
    height,
    width,
    resize,
    fit,
    interpolation,
    antialias,
    crop,
    crop_rounding: cropRounding,
    scale,
    mean,
    std,
    channels: depth === 1 ? 'grey' : channels,
    orientation,
    fill,
    dtype,
    layout,
  };
}

/** `pictures for x: clip (preprocessor_config.json): shortest side 224 bicubic, crop 224 x 224, 0..1, mean …`. */
export function preprocessingText(record: PreprocessingRecord): string {
  const { input, source, path, preset, dtype, layout, channels, orientation } = record;
  const by = path === null ? WORDS[source] : path;
  const name = preset === null ? by : `${preset} (${by})`;
  const parts = [
    sizeText(record),
    valuesText(record),
    ...(channels === 'rgb' ? [] : [channels]),
    ...(orientation === 'apply' ? ['EXIF orientation applied'] : []),
    `${dtype} ${layout}`,
  ];
  return `pictures for ${escapeText(input)}: ${escapeText(name ?? source)}: ${parts.join(', ')}`;
}

const WORDS: { readonly [source: string]: string } = {
  flags: 'asked for',
  metadata: "the model's metadata",
  graph: 'the graph does the rest',
  assumed: 'assumed',
};

function sizeText({ height, width, resize, fit, interpolation, antialias, fill }: PreprocessingRecord): string {
  if (height === null && width === null) return 'at their own size';
  const filter = antialias || interpolation === 'nearest' ? interpolation : `${interpolation} as OpenCV`;
  const to = `${height ?? 'any height'} x ${width ?? 'any width'}`;
  if (resize === null) return height === null || width === null ? `resized to ${to} ${filter}` : `of ${to} as they are`;
  const target = typeof resize === 'number' ? String(resize) : resize.join(' x ');
  switch (fit) {
    case 'shortest':
      return `${typeof resize === 'number' ? 'shortest side' : 'covering'} ${target} ${filter}, crop ${to}`;
    case 'squash':
      return `squashed to ${target} ${filter}${target === to ? '' : `, crop ${to}`}`;
    default:
      return `${fit} ${to} ${filter}, filled with ${fill.join(', ')}`;
  }
}

function valuesText({ dtype, scale, mean, std }: PreprocessingRecord): string {
  const whole = Number((scale * 255).toPrecision(6));
  const range = dtype === 'uint8' || scale === 1 ? '0..255' : `0..${whole}`;
  const list = (values: readonly number[]): string =>
    values.every((value) => value === values[0]) ? String(values[0]) : values.join(', ');
  return `${range}${mean === null ? '' : `, mean ${list(mean)}`}${std === null ? '' : `, std ${list(std)}`}`;
}
