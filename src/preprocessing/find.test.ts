import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunReport } from '../report/run-records.js';
import { run, type RunOptions } from '../run.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, type Entries, type NodeSpec } from '../testing/model-spec.js';
import { FeatureDictNet } from '../nets.js';
import { readPictures } from '../tensors/in-memory.js';
import { recipeOfFile } from './configs.js';
import { ultralyticsRecipe } from './ultralytics.js';

let root: string;
let folders = 0;
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), 'featx-recipes-'))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const PICTURE = join('fixtures', 'preprocess', 'tall.png');

interface Model {
  readonly metadata?: Entries;
  readonly files?: { readonly [name: string]: unknown };
  readonly folder?: string;
  readonly nodes?: readonly NodeSpec[];
  readonly shape?: readonly (number | string | null)[];
}

/** A model in a folder of its own, with files beside it, run over a picture. */
async function ran(
  { metadata, files = {}, folder = '.', nodes, shape = ['n', 3, 'h', 'w'] }: Model,
  options: Partial<RunOptions> = {},
): Promise<RunReport> {
  const home = join(root, String(folders++));
  mkdirSync(join(home, folder), { recursive: true });
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(home, name), typeof content === 'string' ? content : JSON.stringify(content));
  const path = join(home, folder, 'model.onnx');
  writeFileSync(
    path,
    encodeModel({
      metadata,
      graph: {
        inputs: [value('x', shape)],
        outputs: [value('y', null)],
        nodes: nodes ?? [node('GlobalAveragePool', ['x'], ['y'])],
        initializers: [
          tensor('mean', [1, 3, 1, 1], [123, 117, 104]),
          tensor('factor', [], [1 / 58]),
          tensor('unit', [1], [0.5]),
        ],
      },
    }),
  );
  return run(path, { inputs: [PICTURE], select: [{ by: 'tensor', name: 'y' }], ...options });
}

const CLIP = { image_processor_type: 'CLIPImageProcessor', size: 224, do_resize: true, resample: 3 };

describe('who says how pictures are prepared', () => {
  test("nobody: ImageNet's are assumed, with a warning, unless mean and deviation are given", async () => {
    const { preprocessing, warnings } = await ran({});
    expect(preprocessing).toMatchObject([
      { source: 'assumed', preset: 'imagenet', height: 224, resize: 256, fit: 'shortest', interpolation: 'bicubic' },
    ]);
    expect(warnings).toEqual([expect.stringContaining('assumed imagenet: nothing with the model says')]);
    const given = await ran({}, { image: { mean: [0.5], std: [0.5] } });
    expect(given).toMatchObject({ warnings: [], preprocessing: [{ source: 'flags', mean: [0.5, 0.5, 0.5] }] });
    await expect(ran({}, { strict: true })).rejects.toMatchObject({ code: 'FEATX_STRICT' });
  });

  test.each<readonly [string, string, object]>([
    [
      'inference.yml',
      `Global:
  model_name: PP-LCNet
PreProcess:
  transform_ops:
  - ResizeImage:
      resize_short: 256
  - CropImage:
      size: 224
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
PostProcess:
  Topk: {topk: 5}
`,
      {
        height: 224,
        resize: 256,
        fit: 'shortest',
        antialias: false,
        crop_rounding: 'down',
        scale: 1 / 255,
        channels: 'rgb',
      },
    ],
    [
      'infer_cfg.yml',
      `mode: paddle
Preprocess:
- interp: 1
  keep_ratio: false
  target_size:
  - 320
  - 480
  type: Resize
- mean:
  - 0.0
  norm_type: none
  std: [1.0]
  type: NormalizeImage
- type: Permute
label_list:
- "it's: [odd"
`,
      { height: 320, width: 480, fit: 'squash', mean: null, std: null, scale: 1 / 255 },
    ],
    [
      'pipeline.json',
      JSON.stringify({
        pipeline: {
          tasks: [
            {
              transforms: [
                { type: 'LoadImageFromFile' },
                { type: 'ResizeEdge', scale: 256, edge: 'short' },
                { type: 'CenterCrop', crop_size: 224 },
                { type: 'Normalize', mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375], to_rgb: false },
                { type: 'PackInputs' },
              ],
            },
            { module: 'Net' },
          ],
        },
      }),
      { resize: 256, scale: 1, mean: [123.675, 116.28, 103.53], channels: 'bgr', interpolation: 'bilinear' },
    ],
  ])('%s beside the model', async (name, text, wanted) => {
    const { preprocessing, warnings } = await ran({ files: { [name]: text } });
    expect(preprocessing).toMatchObject([{ source: 'file', path: expect.stringContaining(name), ...wanted }]);
    expect(warnings).toEqual([]);
  });

  test.each<readonly [string, string, RegExp]>([
    [
      'inference.yml',
      'PreProcess:\n  transform_ops:\n  - RecResizeImg:\n      image_shape: [3, 48, 320]\n',
      /its step RecResizeImg is none of/,
    ],
    ['infer_cfg.yml', 'Preprocess:\n- type: Resize\n  keep_ratio: true\n', /Resize\.keep_ratio is true, not false/],
    ['infer_cfg.yml', 'Preprocess:\n- type: Resize\n  interp: 2\n  keep_ratio: false\n', /Resize\.interp is 2, not 1/],
    ['inference.yml', 'PreProcess: &anchor\n  transform_ops: []\n', /is not a plain value/],
    [
      'inference.yml',
      'PreProcess:\n  transform_ops:\n  - ResizeImage:\n      size: 256\n  - CropImage:\n      size: 224\n',
      /CropImage\.size is 224, not a crop behind a resize of the shortest side/,
    ],
    [
      'inference.yml',
      'PreProcess:\n  transform_ops:\n  - ResizeImage:\n      resize_short: 256\n  - CropImage:\n      scale: 1\n',
      /CropImage\.size/,
    ],
    [
      'pipeline.json',
      '{"pipeline":{"tasks":[{"transforms":[{"type":"TopDownAffine"}]}]}}',
      /its step TopDownAffine is none of/,
    ],
    [
      'inference.yml',
      'PreProcess:\n  transform_ops:\n  - ResizeImage:\n      resize_short: 0\n  - CropImage:\n      size: 2\n',
      /a side of pictures is 0; it lies between 1 and 16384/,
    ],
    ['preprocessor_config.json', JSON.stringify({ ...CLIP, image_mean: 1e300 }), /a mean of 1e\+300 .* infinite/],
    [
      'preprocessor_config.json',
      JSON.stringify({ ...CLIP, image_std: [1, 0, 1] }),
      /a deviation is 0; it lies above 0/,
    ],
    [
      'preprocessor_config.json',
      JSON.stringify({ ...CLIP, rescale_factor: 0 }),
      /multiplied by 0, which must lie above/,
    ],
    ['config.json', '{"pretrained_cfg":{"crop_pct":1.5}}', /the share that a crop keeps is 1.5/],
    ['config.json', '{"pretrained_cfg":{"crop_mode":"border","mean":2}}', /filled up with 510/],
  ])('%s that is not understood is an error', async (name, text, message) => {
    await expect(ran({ files: { [name]: text } })).rejects.toThrow(message);
  });

  test('pixels from 0 to 255 are asked for without any mean of ImageNet', async () => {
    expect(await ran({}, { image: { scale: 1, mean: [123], channels: 'bgr' } })).toMatchObject({
      warnings: [],
      preprocessing: [{ source: 'flags', scale: 1, mean: [123, 123, 123], std: null, channels: 'bgr' }],
    });
  });

  test('a net prepares pictures as a run does', async () => {
    const path = join(root, 'net', 'model.onnx');
    mkdirSync(join(root, 'net'));
    writeFileSync(join(root, 'net', 'preprocessor_config.json'), JSON.stringify(CLIP));
    writeFileSync(
      path,
      encodeModel({
        graph: {
          inputs: [value('x', ['n', 3, 'h', 'w'])],
          outputs: [value('y', null)],
          nodes: [node('Neg', ['x'], ['y'])],
        },
      }),
    );
    const net = await FeatureDictNet.create(path, { select: [{ by: 'tensor', name: 'y' }] });
    try {
      const made = await net.readPictures([PICTURE]);
      const input = { name: 'x', dtype: 'float32', shape: [1, 3, 224, 224] };
      expect(made).toEqual(await readPictures([PICTURE], input, { preprocess: 'clip' }));
      expect(net.warnings).toEqual([]);
      await expect(net.readPictures([PICTURE], { input: 'z' })).rejects.toThrow("no input 'z'");
    } finally {
      await net.dispose();
    }
  });

  test('a name, before all that lies with the model', async () => {
    const { preprocessing, warnings } = await ran(
      { files: { 'preprocessor_config.json': CLIP } },
      { image: { preprocess: 'siglip', crop: 0.9 } },
    );
    expect(warnings).toEqual([]);
    expect(preprocessing).toMatchObject([
      { source: 'flags', preset: 'siglip', path: null, fit: 'squash', resize: [248, 248], crop: 0.9 },
    ]);
  });

  test("the model's metadata, before files", async () => {
    const { preprocessing } = await ran({
      metadata: [
        ['stride', '32'],
        ['names', "{0: 'person'}"],
        ['imgsz', '[96, 64]'],
        ['task', 'detect'],
      ],
      files: { 'preprocessor_config.json': CLIP },
    });
    expect(preprocessing).toMatchObject([
      { source: 'metadata', preset: 'yolo', height: 96, width: 64, fit: 'letterbox', fill: [114], mean: null },
    ]);
  });

  test('a file beside it, or above the folder onnx', async () => {
    for (const folder of ['.', 'onnx']) {
      const { preprocessing, warnings } = await ran({ folder, files: { 'preprocessor_config.json': CLIP } });
      expect(warnings).toEqual([]);
      expect(preprocessing).toMatchObject([
        {
          source: 'file',
          preset: 'clip',
          path: expect.stringMatching(/preprocessor_config\.json$/),
          crop_rounding: 'down',
        },
      ]);
    }
  });

  test('a size that the model fixes wins, and two files that disagree are told', async () => {
    const { preprocessing, warnings } = await ran({
      shape: [1, 3, 96, 96],
      files: {
        'preprocessor_config.json': CLIP,
        'config.json': {
          pretrained_cfg: { input_size: [3, 224, 224], crop_pct: 0.95, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
        },
      },
    });
    expect(preprocessing).toMatchObject([{ preset: 'clip', height: 96, resize: 96 }]);
    expect(warnings).toEqual([
      expect.stringMatching(/config\.json says another way .* than .*preprocessor_config\.json/),
    ]);
  });

  test('a file that is not understood is an error that names it and the field', async () => {
    for (const [content, field] of [
      [{ ...CLIP, image_processor_type: 'DetrImageProcessor' }, 'image_processor_type'],
      [{ size: 224, do_resize: true }, 'image_processor_type'],
      [{ ...CLIP, resample: 9 }, 'resample'],
      [{ ...CLIP, size: { longest_edge: 5 } }, 'size'],
      ['{', 'not JSON'],
    ] as const)
      await expect(ran({ files: { 'preprocessor_config.json': content } })).rejects.toMatchObject({
        name: 'UsageError',
        code: 'FEATX_USAGE_PREPROCESS',
        message: expect.stringContaining(field),
      });
  });

  test('the graph: pixels from 0 to 255, or values from 0 to 1, if it normalises them itself', async () => {
    const raw = [node('Sub', ['x', 'mean'], ['s']), node('Mul', ['s', 'factor'], ['m']), node('Relu', ['m'], ['y'])];
    expect(await ran({ nodes: raw })).toMatchObject({
      warnings: [],
      preprocessing: [{ source: 'graph', preset: 'raw', scale: 1, mean: null, std: null }],
    });
    const unit = [node('Sub', ['x', 'unit'], ['s']), node('Div', ['s', 'unit'], ['m']), node('Relu', ['m'], ['y'])];
    expect(await ran({ nodes: unit })).toMatchObject({ preprocessing: [{ source: 'graph', preset: 'unit' }] });
    const twice = await ran({ nodes: raw, files: { 'preprocessor_config.json': CLIP } });
    expect(twice.preprocessing).toMatchObject([{ source: 'file', scale: 1, mean: null }]);
    expect(twice.warnings).toEqual([expect.stringContaining('the network normalises pictures itself')]);
  });

  test('a report says what another run can be told', async () => {
    const { preprocessing } = await ran({ files: { 'preprocessor_config.json': CLIP } });
    const file = join(root, 'again.json');
    writeFileSync(file, JSON.stringify(preprocessing[0]));
    const again = await ran({}, { image: { preprocess: file } });
    const { path: _path, source: _source, ...same } = preprocessing[0];
    expect(again.preprocessing).toMatchObject([{ ...same, source: 'file', path: file }]);
  });
});

test('the size that a plain number stands for depends on the image processor', () => {
  const sizeOf = (name: string, more = {}): unknown => {
    const recipe = recipeOfFile('p.json', JSON.stringify({ image_processor_type: name, size: 224, ...more }));
    return recipe === null ? null : [recipe.fit, recipe.resize, recipe.size];
  };
  expect(sizeOf('CLIPImageProcessor')).toEqual(['shortest', 224, [224, 224]]);
  expect(sizeOf('ViTFeatureExtractor')).toEqual(['squash', [224, 224], [224, 224]]);
  expect(sizeOf('ConvNextImageProcessor')).toEqual(['shortest', 256, [224, 224]]);
  expect(sizeOf('ConvNextImageProcessor', { size: 384 })).toEqual(['squash', null, [384, 384]]);
  expect(sizeOf('LevitImageProcessor')).toEqual(['shortest', 256, [224, 224]]);
  expect(sizeOf('DeiTImageProcessor', { size: 256, crop_size: 224 })).toEqual(['squash', [256, 256], [224, 224]]);
  expect(recipeOfFile('p.json', JSON.stringify({ image_processor_type: 'MobileViTImageProcessor' }))).toMatchObject({
    channels: 'bgr',
    mean: null,
  });
  expect(recipeOfFile('c.json', JSON.stringify({ model_type: 'vit', scale: 3 }))).toBeNull();
});

test.each<readonly [string, Entries, unknown]>([
  ['old', [], { fit: 'letterbox', size: [640, 640] }],
  [
    '8.0.71',
    [
      ['description', 'Ultralytics YOLOv8n model'],
      ['task', 'segment'],
      ['batch', '1'],
      ['imgsz', '[320, 640]'],
    ],
    { fit: 'letterbox', size: [320, 640] },
  ],
  [
    'classifiers',
    [
      ['task', 'classify'],
      ['imgsz', '[224, 224]'],
    ],
    { fit: 'shortest', crop: 1, antialias: true, mean: null },
  ],
  [
    'RT-DETR',
    [
      ['description', 'Ultralytics RT-DETR-l model'],
      ['task', 'detect'],
      ['imgsz', '640'],
    ],
    { fit: 'squash', size: [640, 640] },
  ],
])('ultralytics, %s', (_age, entries, recipe) => {
  const metadata = new Map(
    [['stride', '32'], ['names', "{0: 'a'}"], ...entries].map(([key, text]) => [String(key), String(text)]),
  );
  expect(ultralyticsRecipe(metadata)).toMatchObject(recipe as object);
  metadata.delete('names');
  expect(ultralyticsRecipe(metadata)).toBeNull();
});
