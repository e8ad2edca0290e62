import { FITS, INTERPOLATIONS, PRESET_NAMES, type Interpolation } from '../options/choices.js';
import { isRecord } from '../options/schema.js';
import { parseJson } from '../wire/json.js';
import { Fields, notUnderstood } from './config-fields.js';
import { FILTER_NUMBERS, processorNamed, type ProcessorClass } from './image-processors.js';
import { recipeOfMmdeploy, recipeOfPaddle } from './pipelines.js';
import { PRESETS } from './presets.js';
import type { Recipe } from './recipe.js';
import { usable } from './usable.js';

/**
 * What a JSON file says of pictures: transformers' `preprocessor_config.json` or `processor_config.json`, timm's and
 * open_clip's configs, Paddle's `inference.yml`, mmdeploy's `pipeline.json`; null if it says nothing of them.
 * @param mayBeOurs whether it may also be a recipe in featx's own words
 * @throws UsageError naming the file and the field that is not understood
 */
export function recipeOfFile(path: string, text: string, mayBeOurs = false): Recipe | null {
  const recipe = said(path, text, mayBeOurs);
  return recipe === null ? null : usable(path, recipe);
}

function said(path: string, text: string, mayBeOurs: boolean): Recipe | null {
  if (/\.ya?ml$/i.test(path)) return recipeOfPaddle(path, text);
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    // The reason would quote the file, which may be a link to any other.
    throw notUnderstood(path, 'it is not JSON');
  }
  if (!isRecord(parsed)) throw notUnderstood(path, 'it is not an object');
  if (isRecord(parsed.pipeline)) return recipeOfMmdeploy(path, parsed);
  if (isRecord(parsed.image_processor))
    return ofTransformers(new Fields(parsed.image_processor, path, 'image_processor.'));
  if (isRecord(parsed.preprocess_cfg))
    return ofOpenClip(new Fields(parsed.preprocess_cfg, path, 'preprocess_cfg.'), parsed.model_cfg);
  if (isRecord(parsed.pretrained_cfg)) return ofTimm(new Fields(parsed.pretrained_cfg, path, 'pretrained_cfg.'));
  if (PROCESSOR_KEYS.some((key) => parsed[key] !== undefined)) return ofTransformers(new Fields(parsed, path));
  return mayBeOurs && OWN_KEYS.some((key) => parsed[key] !== undefined) ? ofFeatx(new Fields(parsed, path)) : null;
}

const PROCESSOR_KEYS = ['image_processor_type', 'image_mean', 'do_resize', 'do_center_crop', 'do_normalize'];
const OWN_KEYS = ['preset', 'fit', 'interpolation', 'mean', 'std', 'scale', 'channels'];

type Pair = readonly [height: number, width: number];

/** @see https://huggingface.co/docs/transformers/main_classes/image_processor */
function ofTransformers(fields: Fields): Recipe {
  const key = fields.has('image_processor_type') ? 'image_processor_type' : 'feature_extractor_type';
  const name = fields.text(key, '');
  const known = processorNamed(name);
  if (known === undefined) {
    if (name !== '') return fields.wrong(key, 'an image processor that featx knows');
    throw notUnderstood(fields.path, 'it has no image_processor_type, which decides what size means');
  }
  if (fields.flag('do_pad', false)) return fields.wrong('do_pad', 'false: padding by hand is not one recipe');
  if (fields.flag('rescale_offset', false)) return fields.wrong('rescale_offset', 'false');
  const scale = fields.flag('do_rescale', true) ? fields.number('rescale_factor', 1 / 255) : 1;
  const isNormal = fields.flag('do_normalize', known.recipe.mean !== null);
  const fallback = known.recipe.mean === null ? PRESETS.inception : known.recipe;
  return {
    ...known.recipe,
    ...sizesOf(fields, known),
    interpolation: filterOf(fields, known.recipe.interpolation),
    scale,
    mean: isNormal ? fields.channels('image_mean', fallback.mean) : null,
    std: isNormal ? fields.channels('image_std', fallback.std) : null,
    channels: fields.flag('do_flip_channel_order', known.flips === true) ? 'bgr' : 'rgb',
  };
}

function filterOf(fields: Fields, otherwise: Interpolation): Interpolation {
  if (!fields.has('resample')) return otherwise;
  const value = fields.raw('resample');
  return typeof value === 'number' && FILTER_NUMBERS[value] !== undefined
    ? FILTER_NUMBERS[value]
    : fields.wrong('resample', 'the number of a filter of Pillow, from 0 to 5');
}

/** What `size`, `crop_size` and the class make of a picture. */
function sizesOf(
  fields: Fields,
  { plain, crop: croppedTo, rule, cropPct }: ProcessorClass,
): Pick<Recipe, 'size' | 'resize' | 'fit' | 'crop'> {
  const size = fields.flag('do_resize', true) ? sizeOf(fields, 'size', plain) : null;
  const isCropped = fields.flag('do_center_crop', croppedTo !== null);
  const crop = isCropped ? (pairOf(fields, 'crop_size') ?? square(croppedTo ?? 224)) : null;
  if (typeof size === 'number' && rule !== undefined) {
    const share = fields.number('crop_pct', cropPct ?? 1);
    if (rule === 'convnext' && size >= 384) return { size: square(size), resize: null, fit: 'squash', crop: 1 };
    const resize = rule === 'levit' ? Math.trunc((256 / 224) * size) : Math.trunc(size / share);
    return { size: crop ?? square(size), resize, fit: 'shortest', crop: (crop?.[0] ?? size) / resize };
  }
  if (size === null) {
    if (crop === null) return { size: null, resize: null, fit: 'shortest', crop: 1 };
    return fields.wrong('do_resize', 'true: a crop of pictures of their own size is not one recipe');
  }
  if (typeof size === 'number') {
    const to = crop ?? square(size);
    return { size: to, resize: size, fit: 'shortest', crop: Math.min(1, Math.min(...to) / size) };
  }
  return { size: crop ?? size, resize: size, fit: 'squash', crop: crop === null ? 1 : Math.min(1, crop[0] / size[0]) };
}

/** The shortest side, or height and width. */
function sizeOf(fields: Fields, key: string, plain: ProcessorClass['plain']): number | Pair | null {
  const value = fields.raw(key);
  if (value === undefined || value === null) return 224;
  if (isSide(value)) return plain === 'shortest' ? value : square(value);
  if (isRecord(value) && isSide(value.shortest_edge) && value.longest_edge === undefined) return value.shortest_edge;
  return pairOf(fields, key) ?? fields.wrong(key, 'a number, { shortest_edge } or { height, width }');
}

function pairOf(fields: Fields, key: string): Pair | null {
  const value = fields.raw(key);
  if (value === undefined || value === null) return null;
  if (isSide(value)) return square(value);
  if (Array.isArray(value) && value.length === 2 && value.every(isSide)) return [Number(value[0]), Number(value[1])];
  if (isRecord(value) && isSide(value.height) && isSide(value.width)) return [value.height, value.width];
  return fields.wrong(key, 'a number or { height, width }');
}

function square(side: number): Pair {
  return [side, side];
}

function isSide(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}

const TIMM_MODES = { center: 'shortest', squash: 'squash', border: 'pad' } as const;

/** @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/transforms_factory.py */
function ofTimm(fields: Fields): Recipe {
  const base = PRESETS.imagenet;
  const input = fields.raw('input_size');
  const isSize = Array.isArray(input) && input.length === 3 && input.every(isSide);
  if (input !== undefined && !isSize) return fields.wrong('input_size', '[channels, height, width]');
  const mean = fields.channels('mean', base.mean);
  const mode = fields.choice('crop_mode', ['center', 'squash', 'border'], 'center');
  return {
    ...base,
    size: isSize ? [Number(input[1]), Number(input[2])] : base.size,
    interpolation: fields.choice('interpolation', INTERPOLATIONS, base.interpolation),
    crop: fields.number('crop_pct', base.crop),
    fit: TIMM_MODES[mode],
    mean,
    std: fields.channels('std', base.std),
    fill: mode === 'border' && mean !== null ? mean.map((value) => Math.round(255 * value)) : [0],
  };
}

const OPEN_CLIP_MODES = { shortest: 'shortest', squash: 'squash', longest: 'pad' } as const;

/** @see https://github.com/mlfoundations/open_clip/blob/main/src/open_clip/transform.py (image_transform) */
function ofOpenClip(fields: Fields, model: unknown): Recipe {
  const base: Recipe = { ...PRESETS.imagenet, mean: PRESETS.clip.mean, std: PRESETS.clip.std, crop: 1 };
  const vision = isRecord(model) && isRecord(model.vision_cfg) ? model.vision_cfg : {};
  const size = pairOf(new Fields(vision, fields.path, 'model_cfg.vision_cfg.'), 'image_size') ?? pairOf(fields, 'size');
  const fill = fields.channels('fill_color', [0]) ?? [0];
  return {
    ...base,
    size: size ?? base.size,
    interpolation: fields.choice('interpolation', ['bicubic', 'bilinear'], 'bicubic'),
    fit: OPEN_CLIP_MODES[fields.choice('resize_mode', ['shortest', 'longest', 'squash'], 'shortest')],
    mean: fields.channels('mean', base.mean),
    std: fields.channels('std', base.std),
    fill,
  };
}

/** A recipe in the words of a report. @throws UsageError naming the field that is not understood */
export function recipeInWords(record: { readonly [key: string]: unknown }, path: string): Recipe {
  return usable(path, ofFeatx(new Fields(record, path)));
}

/** A recipe in the words of a report: a preset, and what is different. */
function ofFeatx(fields: Fields): Recipe {
  const base = PRESETS[fields.choice('preset', PRESET_NAMES, 'unit')];
  const named = fields.has('height') || fields.has('width');
  const size: Recipe['size'] = named
    ? [fields.number('height', 0), fields.number('width', 0)]
    : (pairOf(fields, 'size') ?? base.size);
  return {
    ...base,
    size,
    resize: fields.has('resize') ? sizeOf(fields, 'resize', 'shortest') : base.resize,
    fit: fields.choice('fit', FITS, base.fit),
    interpolation: fields.choice('interpolation', INTERPOLATIONS, base.interpolation),
    antialias: fields.flag('antialias', base.antialias),
    crop: fields.number('crop', base.crop),
    cropRounding: fields.choice('crop_rounding', ['even', 'down'], base.cropRounding),
    scale: fields.number('scale', base.scale),
    mean: fields.channels('mean', fields.raw('mean') === null ? null : base.mean),
    std: fields.channels('std', fields.raw('std') === null ? null : base.std),
    channels: fields.choice('channels', ['rgb', 'bgr'], base.channels),
    orientation: fields.choice('orientation', ['apply', 'ignore'], base.orientation),
    fill: fields.channels('fill', base.fill) ?? base.fill,
  };
}
