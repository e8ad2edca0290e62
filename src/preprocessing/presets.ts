import type { PresetName } from '../options/choices.js';
import type { Recipe } from './recipe.js';

/** @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/constants.py */
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const OPENAI = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] } as const;
const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const AS_SCALED = { mean: null, std: null } as const;

/** What timm does where a model says nothing else. */
const TIMM: Recipe = {
  size: [224, 224],
  resize: null,
  fit: 'shortest',
  interpolation: 'bicubic',
  antialias: true,
  crop: 0.875,
  cropRounding: 'even',
  scale: 1 / 255,
  ...IMAGENET,
  channels: 'rgb',
  orientation: 'ignore',
  fill: [0],
};

/** What the image processors of transformers have in common. */
const TRANSFORMERS: Recipe = { ...TIMM, crop: 1, cropRounding: 'down', orientation: 'apply' };

/**
 * The ways to prepare pictures that have a name. `crop` counts where a model's input has another size than `size`.
 * @see https://github.com/huggingface/pytorch-image-models/blob/main/timm/data/transforms_factory.py
 * @see https://github.com/pytorch/vision/blob/main/torchvision/transforms/_presets.py
 * @see https://github.com/huggingface/transformers/tree/main/src/transformers/models (image_processing_*.py)
 * @see https://github.com/ultralytics/ultralytics/blob/main/ultralytics/data/augment.py (LetterBox)
 * @see https://github.com/deepinsight/insightface/blob/master/python-package/insightface/model_zoo/arcface_onnx.py
 */
export const PRESETS: { readonly [Name in PresetName]: Recipe } = {
  imagenet: TIMM,
  torchvision: { ...TIMM, resize: 256, crop: 224 / 256, interpolation: 'bilinear' },
  'torchvision-v2': { ...TIMM, resize: 232, crop: 224 / 232, interpolation: 'bilinear' },
  inception: { ...TIMM, size: [299, 299], ...HALF },
  clip: { ...TRANSFORMERS, ...OPENAI },
  siglip: { ...TRANSFORMERS, ...HALF, fit: 'squash' },
  dinov2: { ...TRANSFORMERS, resize: 256, crop: 224 / 256 },
  dinov3: { ...TRANSFORMERS, fit: 'squash', interpolation: 'bilinear' },
  yolo: {
    ...TIMM,
    ...AS_SCALED,
    size: [640, 640],
    fit: 'letterbox',
    interpolation: 'bilinear',
    antialias: false,
    crop: 1,
    orientation: 'apply',
    fill: [114],
  },
  arcface: {
    ...TIMM,
    ...HALF,
    size: [112, 112],
    fit: 'squash',
    interpolation: 'bilinear',
    antialias: false,
    crop: 1,
    orientation: 'apply',
  },
  unit: { ...TIMM, ...AS_SCALED, size: null, crop: 1 },
  raw: { ...TIMM, ...AS_SCALED, size: null, crop: 1, scale: 1 },
};
