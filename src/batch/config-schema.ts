import type { OptionSet } from '../options/row.js';
import type { Schema } from '../options/schema.js';
import { optionsOf } from '../options/table.js';

/**
 * What `featx.config.json` may hold: the one description of it. The published `schema/featx.config.schema.json` is this
 * record as JSON, and `parseConfig` validates against it.
 * @see https://json-schema.org/draft/2020-12
 */

const text = (description: string): Schema => ({ type: 'string', minLength: 1, description });
const OUTPUT = text(
  "Where the cut goes, relative to this file: {name} is the model's name without .onnx, {dir} its directory, {rel} its directory below the fixed part of the pattern. Default: {dir}/{name}.features.onnx",
);

/** What the objects in `options` are. */
const OBJECTS: { readonly [object: string]: string } = {
  limits: 'What a model may cost',
  pixels: 'What is computed of pixels in front of the input that takes pictures',
};

const OPTIONS: Schema = {
  type: 'object',
  description: 'What is cut out and how; the flags of featx extract under the same names.',
  additionalProperties: false,
  properties: properties('cut'),
};

const FEATURE: Schema = {
  type: 'object',
  additionalProperties: true,
  required: ['index'],
  properties: {
    index: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'Index into the FeatureInfo' },
  },
};

/** The JSON Schema of featx.config.json, which `schema/` publishes. */
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
    ...properties('batch'),
  },
};

/** What a config may say of the options of a set, by its keys. */
function properties(set: OptionSet): { readonly [key: string]: Schema } {
  const found: { [key: string]: Schema } = {};
  for (const [, row] of optionsOf(set)) {
    const { config, kind, schema = {}, description = sentence(row.help ?? '') } = row;
    if (config === undefined || kind.schema === undefined) continue;
    const [object, inner] = config.split('.');
    const own: Schema = { ...kind.schema, ...schema, description };
    found[object] =
      inner === undefined
        ? own
        : {
            type: 'object',
            additionalProperties: false,
            description: OBJECTS[object],
            properties: { ...found[object]?.properties, [inner]: own },
          };
  }
  return found;
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
