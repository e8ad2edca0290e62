import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { configJobs, parseConfig, readConfig } from './config.js';
import { CONFIG_SCHEMA } from './config-schema.js';
import { cutOptions, decodeOptions, encodeOptions } from './options.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'featx-config-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function errorOf(config: unknown): UsageError {
  try {
    parseConfig(typeof config === 'string' ? config : JSON.stringify(config));
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test('the published schema is the one that is validated against', () => {
  expect(JSON.parse(readFileSync('schema/featx.config.schema.json', 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(CONFIG_SCHEMA)),
  );
});

test('the schema knows every option of the config and nothing else', () => {
  const everything = {
    $schema: './schema.json',
    models: [
      'a.onnx',
      {
        model: 'b/*.onnx',
        output: 'out/{rel}/{name}.onnx',
        options: { out: [0, -1] },
        feature_info: [{ index: 0, module: null }],
      },
    ],
    exclude: ['x/**'],
    output: '{dir}/{name}.f.onnx',
    options: {
      select: [{ module: 'layer1' }, { tensor: 't*' }, { node: 'n' }, { out: '2,neck:0-1' }, { embedding: 'pooled' }],
      features: [{ num_chs: 64, reduction: 2, module: 'act1' }],
      hook_type: 'forward_pre',
      embedding: true,
      codes: true,
      name_by: 'module',
      input_shape: { '': [1, 3, 224, 224] },
      include_head: true,
      allow_folded: false,
      flatten_sequential: true,
      feature_concat: true,
      mode: 'hook',
      rewrite: true,
      keep_outputs: true,
      order: 'exec',
      out_map: ['p2'],
      output_fmt: 'NHWC',
      from: ['layer1', 2, 'module:layer2'],
      keep_inputs: true,
      in_map: { layer1: 'maps' },
      pixels: { layout: 'nchw,bgr', preprocess: 'clip', mean: [0.5], std: [1, 2, 3], scale: 1, resize: [256, 300] },
      pool: 'gem:2.5',
      flatten: true,
      project: 'w.npy,mean.npy',
      normalize: true,
      concat: 'nearest',
      cast: 'float16',
      dim: { batch: 1, 'input:2': 224 },
      rename_dim: { height: 'h' },
      free_batch: 'n',
      weights: 'external',
      align: 65536,
      follow: true,
      strict: true,
      strict_external: true,
      verify: true,
      limits: { index_bytes: 1, depth: 2, name_bytes: 3, functions: 4, calls: 5, expansion: 6 },
    },
    jobs: 2,
    timeout_seconds: 1.5,
    memory_bytes: 1,
    fail_fast: true,
    check: 'content',
  };
  expect(parseConfig(JSON.stringify(everything))).toEqual(everything);
  const { properties = {} } = CONFIG_SCHEMA;
  expect(Object.keys(everything).sort()).toEqual(Object.keys(properties).sort());
  expect([...Object.keys(everything.options), 'out', 'last'].sort()).toEqual(
    Object.keys(properties.options.properties ?? {}).sort(),
  );
});

test('every error is named at once, with its path', () => {
  const { message, code, field } = errorOf({
    models: ['', { output: 'x', model: 3 }, 7],
    optoins: {},
    jobs: 0,
    options: {
      out: [1.5, true],
      mode: 'dikt',
      input_shape: { 'a b': [0] },
      select: [{ module: 'a', tensor: 'b' }],
      align: 'x',
    },
    check: null,
    memory_bytes: 1e300,
  });
  expect(code).toBe('FEATX_CONFIG');
  expect(field).toBe('$.models[0]');
  for (const part of [
    '$.models[0] is empty',
    '$.models[1].model is 3, not a string',
    '$.models[2] is 7, not a string or an object',
    '$.optoins is not a known key; did you mean options?',
    '$.jobs is 0; the least is 1',
    '$.options.out[0] is 1.5, not a whole number',
    '$.options.out[1] is true, not a whole number or a string',
    '$.options.mode is "dikt", not one of dict, list, hook',
    '$.options.input_shape["a b"][0] is 0; the least is 1',
    '$.options.select[0] has 2 keys',
    '$.options.align is "x", not a whole number',
    '$.check is null, not a string',
    '$.memory_bytes is',
  ])
    expect(message).toContain(part);
  expect(message).toContain('13 errors');
});

test('what a schema allows and an option cannot be is refused with the rest', () => {
  const { message, field } = errorOf({
    models: ['a', { model: 'b', options: { pool: 'middle' } }],
    options: { free_batch: 'a,b' },
  });
  expect(field).toBe('$.options.free_batch');
  expect(message).toContain('$.options.free_batch is not true, false, or a name');
  expect(message).toContain('$.models[1].options.pool is not understood: pool takes avg');
});

test('hostile keys are names like any other', () => {
  for (const key of ['__proto__', 'constructor', 'toString'])
    expect(errorOf(`{"models":["a"],"${key}":{}}`).message).toContain(key);
  expect(parseConfig('{"models":["a"],"options":{"input_shape":{"__proto__":[1]}}}').options?.input_shape).toEqual(
    JSON.parse('{"__proto__":[1]}'),
  );
});

test.each([
  [{ models: ['a'], options: { out: [1], last: 2 } }, '$.options has out and last'],
  [{ models: [{ model: 'a', options: { rewrite: true } }] }, '$.models[0].options has rewrite'],
  [{ models: ['a'], output: '{nmae}.onnx' }, '{nmae}'],
  [{ models: ['a'], output: 'out/' }, 'names no file'],
  [{ models: ['a'], output: '{name' }, 'brace'],
  [{ models: [] }, '$.models is empty'],
  [{}, '$ lacks models'],
  [[], '$ is an array, not an object'],
  ['{"models":', 'not JSON'],
])('%j is refused', (config, message) => expect(errorOf(config).message).toContain(message));

test('a model of its own options replaces how features are selected and keeps the rest', async () => {
  mkdirSync(join(folder, 'models'));
  for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, 'models', `${name}.onnx`), '');
  writeFileSync(join(folder, 'info.json'), '[{"num_chs": 8, "reduction": 2, "module": "stem"}]');
  const config = {
    models: [
      'models/a.onnx',
      { model: 'models/b.onnx', options: { select: [{ tensor: 't' }], features: 'info.json' } },
      { model: 'models/*.onnx', output: 'all/{name}.onnx' },
    ],
    exclude: ['models/c*'],
    output: 'cut/{dir}/{name}.onnx',
    options: { last: 2, mode: 'list' },
  };
  writeFileSync(join(folder, 'featx.config.json'), JSON.stringify(config));
  const { jobs } = await configJobs(await readConfig(join(folder, 'featx.config.json')));
  expect(jobs.map(({ input, output }) => [input, output])).toEqual([
    ['models/a.onnx', 'cut/models/a.onnx'],
    ['models/b.onnx', 'cut/models/b.onnx'],
    ['models/a.onnx', 'all/a.onnx'],
    ['models/b.onnx', 'all/b.onnx'],
  ]);
  expect(jobs[1].options).toMatchObject({
    mode: 'list',
    select: [{ by: 'tensor', name: 't' }],
    features: [{ num_chs: 8, reduction: 2, module: 'stem' }],
  });
  expect(jobs[1].options).not.toHaveProperty('last');
});

test('options survive the way to a worker, and the order of keys does not matter', () => {
  const options = {
    out: [1, -1],
    inputShapes: new Map([
      ['b', [1, 2]],
      ['a', [3]],
    ]),
    includeHead: true,
    features: [{ num_chs: 1, reduction: 1, module: 'm' }],
    limits: { depth: 5 },
    last: undefined,
  };
  expect(decodeOptions(encodeOptions(options))).toEqual({
    extract: {
      out: [1, -1],
      inputShapes: { a: [3], b: [1, 2] },
      limits: { depth: 5 },
      features: [{ num_chs: 1, reduction: 1, module: 'm' }],
      includeHead: true,
    },
    verify: false,
  });
  expect(encodeOptions({ mode: 'dict', out: [1] })).toBe(encodeOptions({ out: [1], mode: 'dict', last: undefined }));
});

test('`out` is indices, or text as its flag has it; a group without indices is refused with the rest of the config', () => {
  for (const out of [[1, -1], '2,neck:0-2', [2, 'neck:0']]) {
    const { options = {} } = parseConfig(JSON.stringify({ models: ['a.onnx'], options: { out } }));
    expect(cutOptions(options, undefined)).toEqual({ out });
  }
  expect(() => cutOptions({ out: 'neck' }, undefined)).toThrow("out cannot read 'neck' as indices");
});
