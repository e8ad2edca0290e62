import { isRecord } from '../options/schema.js';
import { Fields, notUnderstood } from './config-fields.js';
import { PRESETS } from './presets.js';
import type { Recipe } from './recipe.js';
import { yamlEntry, YamlFault, type Yaml } from './yaml.js';

/** Preprocessing as a list of steps: Paddle's `inference.yml`, mmdeploy's `pipeline.json`. */

/** OpenCV's bilinear resizing, on pixels from 0 to 255. */
const OPENCV: Recipe = {
  ...PRESETS.raw,
  interpolation: 'bilinear',
  antialias: false,
  orientation: 'apply',
};

/** What a step does to what is known before it. */
type Step = (fields: Fields, before: Recipe) => Recipe;

const same: Step = (_fields, before) => before;

type Pair = readonly [height: number, width: number];

/** A side, or both; `order` says which comes first. */
function pairOf(fields: Fields, key: string, order: 'height first' | 'width first'): Pair | null {
  const value = fields.raw(key);
  if (value === undefined || value === null) return null;
  const isSide = (side: unknown): side is number => typeof side === 'number' && Number.isInteger(side) && side > 0;
  if (isSide(value)) return [value, value];
  if (!Array.isArray(value) || value.length !== 2 || !value.every(isSide)) return fields.wrong(key, 'one or two sides');
  const [first, second] = value as [number, number];
  return order === 'height first' ? [first, second] : [second, first];
}

function squashed(before: Recipe, size: Pair): Recipe {
  return { ...before, size, resize: null, fit: 'squash', crop: 1 };
}

function shortest(before: Recipe, side: number): Recipe {
  return { ...before, size: [side, side], resize: side, fit: 'shortest', crop: 1 };
}

function cropped(fields: Fields, before: Recipe, key: string, order: 'height first' | 'width first'): Recipe {
  const size = pairOf(fields, key, order);
  if (size === null) return fields.wrong(key, 'one or two sides');
  if (before.fit === 'squash' && String(before.size) === String(size)) return before;
  if (typeof before.resize !== 'number') return fields.wrong(key, 'a crop behind a resize of the shortest side');
  return { ...before, size, crop: Math.min(1, Math.min(...size) / before.resize) };
}

/** A number that YAML writers leave as a text: `1./255.`. */
function scaleOf(fields: Fields, otherwise: number): number {
  const value = fields.raw('scale');
  const [, above, below = '1'] = typeof value === 'string' ? (/^([\d.]+)(?:\s*\/\s*([\d.]+))?$/.exec(value) ?? []) : [];
  return above === undefined ? fields.number('scale', otherwise) : Number(above) / Number(below);
}

/** @see https://github.com/PaddlePaddle/PaddleX and PaddleClas, ppcls/data/preprocess/ops/operators.py */
const PADDLE: { readonly [name: string]: Step } = {
  DecodeImage: (fields, before) => {
    const mode = fields.choice('img_mode', ['RGB', 'BGR'], fields.flag('to_rgb', true) ? 'RGB' : 'BGR');
    return { ...before, channels: mode === 'BGR' ? 'bgr' : 'rgb' };
  },
  ResizeImage: (fields, before) => {
    if (fields.has('interpolation') && fields.text('interpolation', '') !== 'bilinear')
      return fields.wrong('interpolation', 'bilinear');
    if (fields.has('resize_short')) return shortest(before, fields.number('resize_short', 0));
    const size = pairOf(fields, 'size', 'width first');
    return size === null ? fields.wrong('size', 'a size, and there is no resize_short') : squashed(before, size);
  },
  CropImage: (fields, before) => cropped(fields, before, 'size', 'width first'),
  Resize: (fields, before) => {
    if (fields.flag('keep_ratio', true))
      return fields.wrong('keep_ratio', 'false: pictures would have sizes of their own');
    if (fields.number('interp', 1) !== 1) return fields.wrong('interp', '1 (OpenCV has other filters than Pillow)');
    const size = pairOf(fields, 'target_size', 'height first');
    return size === null ? fields.wrong('target_size', '[height, width]') : squashed(before, size);
  },
  NormalizeImage: (fields, before) => {
    const isPlain = fields.text('norm_type', 'mean_std') === 'none';
    return {
      ...before,
      scale: fields.flag('is_scale', true) ? scaleOf(fields, 1 / 255) : 1,
      mean: isPlain ? null : fields.channels('mean', PRESETS.imagenet.mean),
      std: isPlain ? null : fields.channels('std', PRESETS.imagenet.std),
    };
  },
  ToCHWImage: same,
  Permute: same,
  KeepKeys: same,
};

/** @see https://github.com/open-mmlab/mmdeploy (docs/en/06-custom-ops, csrc/mmdeploy/preprocess/transform) */
const MMDEPLOY: { readonly [name: string]: Step } = {
  LoadImageFromFile: same,
  ResizeEdge: (fields, before) => {
    if (fields.text('edge', 'short') !== 'short') return fields.wrong('edge', 'short');
    return shortest(bilinear(fields, before), fields.number('scale', 0));
  },
  Resize: (fields, before) => {
    const key = fields.has('size') ? 'size' : 'scale';
    const value = fields.raw(key);
    if (Array.isArray(value) && value.length === 2 && value[1] === -1 && typeof value[0] === 'number')
      return shortest(bilinear(fields, before), value[0]);
    if (fields.flag('keep_ratio', false))
      return fields.wrong('keep_ratio', 'false: pictures would have sizes of their own');
    const size = pairOf(fields, key, key === 'size' ? 'height first' : 'width first');
    return size === null ? fields.wrong(key, 'a size') : squashed(bilinear(fields, before), size);
  },
  CenterCrop: (fields, before) => ({
    ...cropped(fields, before, 'crop_size', 'height first'),
    cropRounding: 'even',
  }),
  Normalize: (fields, before) => ({
    ...before,
    mean: fields.channels('mean', null),
    std: fields.channels('std', null),
    channels: fields.flag('to_rgb', true) ? 'rgb' : 'bgr',
  }),
  ImageToTensor: same,
  DefaultFormatBundle: same,
  PackInputs: same,
  Collect: same,
};

function bilinear(fields: Fields, before: Recipe): Recipe {
  return fields.text('interpolation', 'bilinear') === 'bilinear' ? before : fields.wrong('interpolation', 'bilinear');
}

/** A recipe from steps; a step that is not known would be one that is left out. */
function recipeOf(
  path: string,
  steps: readonly (readonly [name: string, record: unknown])[],
  known: { readonly [name: string]: Step },
  first: Recipe,
): Recipe {
  return steps.reduce((before, [name, record]) => {
    const step = Object.hasOwn(known, name) ? known[name] : undefined;
    if (step === undefined) throw notUnderstood(path, `its step ${name} is none of ${Object.keys(known).join(', ')}`);
    return step(new Fields(isRecord(record) ? record : {}, path, `${name}.`), before);
  }, first);
}

/**
 * What Paddle's `inference.yml` says of pictures; null if it says nothing of them.
 * @throws UsageError naming the step and the field that is not understood
 */
export function recipeOfPaddle(path: string, text: string): Recipe | null {
  let said: Yaml;
  try {
    said = yamlEntry(text, ['PreProcess', 'Preprocess']);
  } catch (error) {
    if (!(error instanceof YamlFault)) throw error;
    throw notUnderstood(path, error.message);
  }
  if (said === null) return null;
  const list: unknown = isRecord(said) ? said.transform_ops : said;
  if (Array.isArray(list) && list.length === 0) return null;
  if (!Array.isArray(list)) throw notUnderstood(path, 'its PreProcess is not a list of steps');
  const steps = list.map((step: unknown): readonly [string, unknown] => {
    if (!isRecord(step)) throw notUnderstood(path, 'a step of its PreProcess has no name');
    if (typeof step.type === 'string') return [step.type, step];
    const [entry] = Object.entries(step);
    return entry;
  });
  return recipeOf(path, steps, PADDLE, { ...OPENCV, cropRounding: 'down' });
}

/** What mmdeploy's `pipeline.json` says of pictures; null if it says nothing of them. @throws UsageError */
export function recipeOfMmdeploy(path: string, parsed: { readonly [key: string]: unknown }): Recipe | null {
  const tasks: unknown = isRecord(parsed.pipeline) ? parsed.pipeline.tasks : null;
  const list: readonly unknown[] = Array.isArray(tasks) ? tasks : [];
  const own = list.find((task) => isRecord(task) && Array.isArray(task.transforms));
  if (!isRecord(own) || !Array.isArray(own.transforms)) return null;
  const steps = own.transforms.map((step: unknown): readonly [string, unknown] => {
    if (!isRecord(step) || typeof step.type !== 'string') throw notUnderstood(path, 'a transform has no type');
    return [step.type, step];
  });
  return recipeOf(path, steps, MMDEPLOY, OPENCV);
}
