import { PRESETS } from './presets.js';
import type { Recipe } from './recipe.js';

/** What an image processor of transformers does with what its file leaves out. */
export interface ProcessorClass {
  /** What a plain number as `size` means. */
  readonly plain: 'shortest' | 'squash';
  readonly recipe: Recipe;
  /** Whether the centre is cropped by default, and to what. */
  readonly crop: number | null;
  readonly flips?: boolean;
  /** What becomes of the shortest side in front of the crop. */
  readonly rule?: 'convnext' | 'levit' | 'poolformer';
  readonly cropPct?: number;
}

const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const BASE: Recipe = { ...PRESETS.siglip, size: null };
const OPENAI: Recipe = { ...PRESETS.clip, size: null };
const IMAGENET: Recipe = { ...BASE, mean: PRESETS.imagenet.mean, std: PRESETS.imagenet.std };
const LINEAR = { interpolation: 'bilinear' } as const;
const cropped = (recipe: Recipe, crop: number): ProcessorClass => ({ plain: 'shortest', recipe, crop });
const squashed = (recipe: Recipe): ProcessorClass => ({ plain: 'squash', recipe, crop: null });

/**
 * The image processors whose pictures are one fixed recipe, by their names without `ImageProcessor` and the like. Those
 * that cut pictures into patches or tiles, or choose a size for each, are not here.
 * @see https://github.com/huggingface/transformers/tree/main/src/transformers/models (image_processing_pil_*.py)
 */
const PROCESSORS: { readonly [name: string]: ProcessorClass } = {
  CLIP: cropped(OPENAI, 224),
  ChineseCLIP: cropped(OPENAI, 224),
  Bit: cropped(OPENAI, 224),
  AltCLIP: cropped(OPENAI, 224),
  Blip: squashed(OPENAI),
  Siglip: squashed({ ...BASE, ...HALF }),
  ViT: squashed({ ...BASE, ...HALF, ...LINEAR }),
  DeiT: { plain: 'squash', recipe: { ...BASE, ...HALF }, crop: 224 },
  Beit: squashed({ ...BASE, ...HALF }),
  ConvNext: {
    plain: 'shortest',
    recipe: { ...BASE, ...HALF, ...LINEAR },
    crop: null,
    rule: 'convnext',
    cropPct: 224 / 256,
  },
  MobileNetV1: cropped({ ...BASE, ...HALF, ...LINEAR }, 224),
  MobileNetV2: cropped({ ...BASE, ...HALF, ...LINEAR }, 224),
  MobileViT: { plain: 'shortest', recipe: { ...BASE, mean: null, std: null, ...LINEAR }, crop: 256, flips: true },
  EfficientNet: squashed({ ...BASE, ...HALF, interpolation: 'nearest' }),
  Levit: { plain: 'shortest', recipe: IMAGENET, crop: 224, rule: 'levit' },
  PoolFormer: { plain: 'shortest', recipe: IMAGENET, crop: 224, rule: 'poolformer', cropPct: 0.9 },
  Pvt: squashed({ ...IMAGENET, ...LINEAR }),
  Segformer: squashed({ ...IMAGENET, ...LINEAR }),
  DINOv3ViT: squashed({ ...IMAGENET, ...LINEAR }),
  RTDetr: squashed({ ...BASE, mean: null, std: null, ...LINEAR }),
};

/** The class that a file names; undefined for any that is not in the table. */
export function processorNamed(name: string): ProcessorClass | undefined {
  const base = name.replace(/(?:ImageProcessor(?:Fast|Pil)?|FeatureExtractor)$/, '');
  return Object.hasOwn(PROCESSORS, base) ? PROCESSORS[base] : undefined;
}

/**
 * Pillow's filters by their numbers.
 * @see https://pillow.readthedocs.io/en/stable/reference/Image.html#resampling-filters
 */
export const FILTER_NUMBERS = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
