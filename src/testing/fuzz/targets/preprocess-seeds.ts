import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonWords } from '../mutate-json.js';

/** What files and metadata that say how inputs are prepared start from. */
export interface PreprocessSeeds {
  readonly json: readonly Json[];
  readonly yaml: readonly string[];
  readonly metadata: readonly Json[];
  readonly stored: readonly Json[];
  /** The files beside a model of texts, by name. */
  readonly tokenizers: readonly { readonly [name: string]: Json }[];
}

const NUMBERS = [0, 1, -1, 0.5, -0.5, 1e-320, 1e300, -0, 2, 3, 16_384, 16_385, 2 ** 31, 2 ** 53];
const TEXTS =
  'x __proto__ constructor RGB BGR bilinear bicubic squash shortest pad 1./255. 1/0 1./ . CLIPImageProcessor toStringImageProcessor short long 640 0 -1 Left Right \\p{L} (a+)+$ ( [UNK]';
const ODD_TEXTS = ['', '[640, 480]', 'a'.repeat(300), '\ud800', '\0', '\ufeff'];
const OTHERS: readonly Json[] = [
  null,
  true,
  false,
  [],
  {},
  [[]],
  [0],
  [0, 0, 0],
  [1, 1, 1],
  [1, 2],
  [1, 2, 3, 4],
  [-1, 2],
  [224, -1],
  { height: 8, width: 9 },
  { height: 0, width: 1 },
  { shortest_edge: 8 },
  { shortest_edge: 8, longest_edge: 9 },
  { type: 'Resize' },
];
const KEYS = [
  '__proto__ constructor toString type size crop_size crop_pct do_resize do_center_crop do_rescale rescale_factor',
  'do_normalize image_mean image_std resample image_processor_type feature_extractor_type do_pad pretrained_cfg',
  'preprocess_cfg model_cfg vision_cfg image_size image_processor pipeline tasks transforms mean std scale fit fill',
  'fill_color preset height width resize interpolation input_size crop_mode resize_mode sampling_rate feature_size',
  'num_mel_bins feature_extractor stride names imgsz task description inputs model vocab merges normalizer',
  'pre_tokenizer post_processor padding truncation strategy pad_id pad_token pad_to_multiple_of Fixed max_length',
  'model_max_length max_seq_length added_tokens content id pattern Regex pooling_mode pooling_mode_mean_tokens',
];

/** What is put into these files. */
export const PREPROCESS_WORDS: JsonWords = {
  values: [...NUMBERS, ...TEXTS.split(' '), ...ODD_TEXTS, ...OTHERS],
  keys: ['', ...KEYS.flatMap((line) => line.split(' '))],
};

const JSONS: readonly Json[] = [
  {
    image_processor_type: 'CLIPImageProcessor',
    do_resize: true,
    size: { shortest_edge: 24 },
    do_center_crop: true,
    crop_size: { height: 20, width: 20 },
    resample: 3,
    do_rescale: true,
    rescale_factor: 0.00392156862745098,
    do_normalize: true,
    image_mean: [0.48, 0.45, 0.4],
    image_std: [0.26, 0.26, 0.27],
  },
  {
    image_processor_type: 'ConvNextImageProcessor',
    size: { shortest_edge: 32 },
    crop_pct: 0.875,
    image_mean: [0.5, 0.5, 0.5],
  },
  { image_processor_type: 'LevitImageProcessor', size: { shortest_edge: 32 }, crop_size: 28, resample: 2 },
  { feature_extractor_type: 'ViTFeatureExtractor', size: 24, do_resize: true, image_std: [0.5, 0.5, 0.5] },
  { image_processor: { image_processor_type: 'SiglipImageProcessor', size: { height: 24, width: 30 } } },
  { feature_extractor_type: 'Wav2Vec2FeatureExtractor', sampling_rate: 16_000, do_normalize: true, feature_size: 1 },
  { feature_extractor: { sampling_rate: 8000, do_normalize: false } },
  {
    architecture: 'resnet18',
    pretrained_cfg: {
      input_size: [3, 32, 40],
      interpolation: 'bicubic',
      crop_pct: 0.95,
      crop_mode: 'border',
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
    },
  },
  {
    model_cfg: { vision_cfg: { image_size: [24, 28] } },
    preprocess_cfg: {
      mean: [0.48, 0.45, 0.4],
      std: [0.26, 0.26, 0.27],
      interpolation: 'bilinear',
      resize_mode: 'longest',
      fill_color: 0,
    },
  },
  {
    pipeline: {
      tasks: [
        {
          transforms: [
            { type: 'LoadImageFromFile' },
            { type: 'ResizeEdge', scale: 32, edge: 'short' },
            { type: 'CenterCrop', crop_size: 24 },
            { type: 'Resize', size: [32, -1] },
            { type: 'Normalize', mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], to_rgb: false },
            { type: 'PackInputs' },
          ],
        },
        { module: 'Net' },
      ],
    },
  },
  { pipeline: { tasks: [{ transforms: [{ type: 'Resize', scale: [40, 30], keep_ratio: false }] }] } },
  {
    preset: 'unit',
    height: 24,
    width: 30,
    resize: [32, 40],
    fit: 'squash',
    interpolation: 'lanczos',
    antialias: true,
    crop: 0.8,
    crop_rounding: 'even',
    scale: 0.00392156862745098,
    mean: [0.5],
    std: [0.5],
    channels: 'bgr',
    orientation: 'ignore',
    fill: [114],
  },
];

const YAMLS: readonly string[] = [
  `Global:
  model_name: PP-LCNet
PreProcess:
  transform_ops:
  - DecodeImage:
      to_rgb: true
  - ResizeImage:
      resize_short: 32
  - CropImage:
      size: 24
  - NormalizeImage:
      channel_num: 3
      mean: [0.485, 0.456, 0.406]
      order: ''
      scale: 1./255.
      std:
      - 0.229
      - 0.224
      - 0.225
  - ToCHWImage: null
  - KeepKeys:
      keep_keys: [image]
PostProcess:
  name: x
`,
  `mode: paddle
Preprocess:
- interp: 1
  keep_ratio: false
  target_size: [24, 30]
  type: Resize
- mean: [0.0, 0.0, 0.0]
  norm_type: none
  std: [1.0, 1.0, 1.0]
  type: NormalizeImage
- type: Permute
label_list:
- person
`,
];

const METADATA: readonly Json[] = [
  { stride: '32', names: "{0: 'person'}", imgsz: '[64, 48]', task: 'detect', description: 'YOLO11n' },
  { stride: '32', names: '{}', imgsz: '[96, 96]', task: 'classify', description: 'RT-DETR' },
];

const OWN: Json = {
  input: 'x',
  size: [24, 30],
  resize: 32,
  fit: 'shortest',
  interpolation: 'bilinear',
  antialias: false,
  crop: 0.9,
  scale: 1,
  mean: [1, 2, 3],
  std: [4, 5, 6],
  channels: 'rgb',
  orientation: 'apply',
  fill: [1, 2, 3],
  crop_rounding: 'down',
};

/** Seeds of the fixtures of a repository. */
export function preprocessSeeds(root: string): PreprocessSeeds {
  const side: { readonly [name: string]: Json } = {
    'tokenizer_config.json': {
      model_max_length: 16,
      padding_side: 'left',
      truncation_side: 'left',
      pad_token: '[PAD]',
    },
    'sentence_bert_config.json': { max_seq_length: 12, do_lower_case: false },
    '1_Pooling/config.json': {
      word_embedding_dimension: 8,
      pooling_mode_mean_tokens: true,
      pooling_mode_cls_token: false,
    },
    'modules.json': [
      { idx: 0, type: 'sentence_transformers.models.Transformer' },
      { idx: 1, type: 'sentence_transformers.models.Pooling' },
      { idx: 2, type: 'sentence_transformers.models.Normalize' },
    ],
  };
  const tokenizers = ['bytebpe', 'unigram', 'wordpiece'].map((name) => ({
    ...side,
    'tokenizer.json': JSON.parse(readFileSync(join(root, 'fixtures', 'tokenizers', `${name}.json`), 'utf8')) as Json,
  }));
  return {
    json: JSONS,
    yaml: YAMLS,
    metadata: METADATA,
    stored: [{ schema: 1, inputs: [OWN] }],
    tokenizers,
  };
}
