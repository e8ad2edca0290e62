import type { Schema } from './validate.js';

/**
 * What `featx.config.json` may hold: the one description of it. The published `schema/featx.config.schema.json` is this record as JSON, and
 * `parseConfig` validates against it.
 * @see https://json-schema.org/draft/2020-12
 */

const text = (description: string): Schema => ({ type: 'string', minLength: 1, description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const count = (description: string, minimum: number): Schema => ({
  type: 'integer',
  minimum,
  maximum: Number.MAX_SAFE_INTEGER,
  description,
});
const choice = (description: string, values: readonly string[]): Schema => ({
  type: 'string',
  enum: values,
  description,
});

const OUTPUT = text(
  "Where the cut goes, relative to this file: {name} is the model's name without .onnx, {dir} its directory, {rel} its directory below the fixed part of the pattern. Default: {dir}/{name}.features.onnx",
);

const LAYOUTS = ['NCHW', 'NHWC', 'NLC', 'NCL'] as const;

const OPTIONS: Schema = {
  type: 'object',
  description: 'What is cut out and how; the flags of featx extract under the same names.',
  additionalProperties: false,
  properties: {
    out: {
      type: 'array',
      minItems: 1,
      items: { type: 'integer', minimum: -100_000, maximum: 100_000 },
      description: 'out_indices into the FeatureInfo; negatives count from the end. Default: all',
    },
    last: count('The last n features, instead of out', 1),
    select: {
      type: 'array',
      minItems: 1,
      description: 'Features by name, in this order, instead of out and last',
      items: {
        type: 'object',
        additionalProperties: false,
        minProperties: 1,
        maxProperties: 1,
        properties: {
          module: text('A module by path or glob'),
          tensor: text('A tensor by name or glob'),
          node: text('A node by name or glob'),
        },
      },
    },
    features: {
      type: ['string', 'array'],
      minLength: 1,
      minItems: 1,
      description: "timm's FeatureInfo, or a path of one, to use instead of recovering one",
      items: {
        type: 'object',
        additionalProperties: true,
        required: ['num_chs', 'reduction', 'module'],
        properties: {},
      },
    },
    hook_type: choice("A module's output (default) or its input", ['forward', 'forward_pre']),
    embedding: flag('Also the pooled vector that enters the classifier; alone where nothing else is selected'),
    input_shape: {
      type: 'object',
      description: 'Numbers for symbolic input dims, by input name; "" names the only input',
      properties: {},
      additionalProperties: {
        type: 'array',
        items: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 },
        description: 'Sizes, such as [1, 3, 224, 224]',
      },
    },
    include_head: flag('Count the unit behind the trunk as a feature too'),
    allow_folded: flag('Accept the value after a module that the exporter folded away'),
    flatten_sequential: flag('Module names with the first Sequential level flattened: features_1'),
    feature_concat: flag('Concatenate the outputs of a module on axis 1 instead of taking the first'),
    mode: choice(
      'dict (default): pruned, outputs named by index; list: pruned, outputs named as their tensors; hook: added to the outputs',
      ['dict', 'list', 'hook'],
    ),
    rewrite: flag('Hook mode: drop what the features do not need'),
    keep_outputs: flag('The original outputs follow the features'),
    order: choice('Outputs in the order asked for (default) or as the network computes them', ['out', 'exec']),
    out_map: { type: 'array', minItems: 1, items: text('A name'), description: 'Names of the outputs' },
    output_fmt: choice('Layout in which every feature leaves', LAYOUTS),
    weights: choice('Where the weights of the cut live. Default: keep', ['keep', 'embed', 'external', 'reference']),
    align: count('Bytes at which tensors in a sidecar start', 1),
    follow: flag('Where the output is a symbolic link, replace what it points to'),
    verify: flag('Run the model and the cut on the same input before the cut appears, and refuse it where they differ'),
    strict: flag('Treat warnings as errors'),
    strict_external: flag('Refuse external data that has several hard links'),
    limits: {
      type: 'object',
      additionalProperties: false,
      description: 'What a model may cost',
      properties: {
        index_bytes: count('Memory for the graph without its weights', 1),
        depth: count('Messages inside messages', 1),
        name_bytes: count('Length of one name', 1),
        functions: count('Model-local functions', 1),
        calls: count('Functions calling functions, one inside the other', 1),
        expansion: count('Nodes that calls of functions stand for', 1),
      },
    },
  },
};

const FEATURE: Schema = {
  type: 'object',
  additionalProperties: true,
  required: ['index'],
  properties: { index: count('Index into the FeatureInfo', 0) },
};

export const CONFIG_SCHEMA: Schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'featx.config.json',
  description:
    'Which models featx batch cuts features out of, how, and where the cuts go. Paths are relative to the directory of this file.',
  type: 'object',
  additionalProperties: false,
  required: ['models'],
  properties: {
    $schema: text('This schema, for editors'),
    models: {
      type: 'array',
      minItems: 1,
      description:
        'Models by path, folder or glob (* and ? within a name, ** any folders), each with what differs from the rest',
      items: {
        type: ['string', 'object'],
        minLength: 1,
        additionalProperties: false,
        required: ['model'],
        properties: {
          model: text('Path, folder or glob'),
          output: OUTPUT,
          options: OPTIONS,
          feature_info: {
            type: 'array',
            items: FEATURE,
            description: 'The features that featx init found; for the reader, not used',
          },
        },
      },
    },
    exclude: {
      type: 'array',
      items: text('Path or glob'),
      description: 'Models that a glob or folder finds and that are left out',
    },
    output: OUTPUT,
    options: OPTIONS,
    jobs: { type: 'integer', minimum: 1, maximum: 1024, description: 'Items worked on at the same time' },
    timeout_seconds: {
      type: 'number',
      minimum: 0.001,
      maximum: 1_000_000,
      description: 'Time that an item may take without making progress',
    },
    memory_bytes: count('Resident memory that the work on an item may take', 1),
    fail_fast: flag('Start no other item once one has failed'),
    check: choice('How an unchanged item is recognized: by what the file system says (default), or by hashing always', [
      'stat',
      'content',
    ]),
  },
};
