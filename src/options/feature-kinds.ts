import { UsageError } from '../errors.js';
import { EMBEDDING_ROLES, type EmbeddingRole } from './choices.js';
import { isByName, isCount, isListOf, mapOf, type ByName, type Kind } from './kinds.js';
import { isRecord } from './schema.js';
import { parseIndices, parseInputShape } from './values.js';

const LARGEST_INDEX = 100_000;

/** Indices into the FeatureInfo: `1,2,3`, `0-3`, `-1`. */
export const INDICES: Kind<readonly number[]> = {
  allowed: 'a list of whole numbers',
  accepts: isListOf((index) => Number.isInteger(index)),
  parse: parseIndices,
  add: (_flag, before, next) => [...before, ...next],
  schema: {
    type: 'array',
    minItems: 1,
    items: { type: 'integer', minimum: -LARGEST_INDEX, maximum: LARGEST_INDEX },
  },
};

/** One index into the FeatureInfo. */
export const INDEX: Kind<number> = {
  allowed: 'a whole number',
  accepts: (value): value is number => Number.isInteger(value),
  parse: (flag, text) => {
    const indices = parseIndices(flag, text);
    if (indices.length !== 1) throw new UsageError(`${flag} takes one index, not '${text}'`);
    return indices[0];
  },
};

/** A feature by name; `name` is exact or a glob. */
export interface NamedSelector {
  readonly by: 'module' | 'tensor' | 'node';
  readonly name: string;
}

/** Features by index, negatives from the end: of the FeatureInfo, or of a group beside it. */
export interface IndexSelector {
  readonly by: 'index';
  readonly group?: string;
  readonly indices: readonly number[];
}

/** The model's embedding, or the one that has a role. */
export interface EmbeddingSelector {
  readonly by: 'embedding';
  readonly role?: EmbeddingRole;
}

/** One wish of a selection. */
export type Selector =
  | NamedSelector
  | IndexSelector
  | EmbeddingSelector
  /** The last `count` of the FeatureInfo. */
  | { readonly by: 'last'; readonly count: number };

/** A way of selecting in a config: `{ "module": "layer1" }`. */
export type ConfigSelector = { readonly [By in NamedSelector['by']]?: string };

const WAYS = ['module', 'tensor', 'node'] as const;

/** What to select, in the order wanted. */
export const SELECTORS: Kind<readonly Selector[], readonly ConfigSelector[]> = {
  allowed:
    "a list of { by: 'module', 'tensor' or 'node', name }, { by: 'index', indices }, { by: 'last', count } or { by: 'embedding' }",
  accepts: isListOf(isSelector),
  schema: {
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 1,
      properties: {
        module: { type: 'string', minLength: 1, description: 'A module by path or glob' },
        tensor: { type: 'string', minLength: 1, description: 'A tensor by name or glob' },
        node: { type: 'string', minLength: 1, description: 'A node by name or glob' },
      },
    },
  },
  fromConfig: (select) =>
    select.flatMap((entry) => WAYS.flatMap((by) => (entry[by] === undefined ? [] : [{ by, name: entry[by] }]))),
};

function isSelector(entry: unknown): boolean {
  if (!isRecord(entry)) return false;
  const { by, name, group, indices, count: last, role } = entry;
  if (WAYS.some((way) => way === by)) return typeof name === 'string' && name !== '';
  if (by === 'index') return INDICES.accepts(indices) && (group === undefined || typeof group === 'string');
  if (by === 'last') return isCount(last);
  return by === 'embedding' && (role === undefined || isRole(role));
}

function isRole(value: unknown): value is EmbeddingRole {
  return EMBEDDING_ROLES.some((role) => role === value);
}

/** Whether the embedding is wanted, or the role of the one that is. */
export const EMBEDDING: Kind<boolean | EmbeddingRole, boolean> = {
  allowed: `true, false, or one of ${EMBEDDING_ROLES.join(', ')}`,
  accepts: (value): value is boolean | EmbeddingRole => typeof value === 'boolean' || isRole(value),
  schema: { type: 'boolean' },
};

/** Sizes by input name; `''` names the only input. */
export const SHAPES: Kind<ByName<readonly number[]>, { readonly [input: string]: readonly number[] }> = {
  allowed: 'a Map or an object from the names of inputs to lists of sizes, whole numbers from 1 on',
  accepts: isByName(isListOf((size) => Number.isSafeInteger(size) && Number(size) >= 1)),
  parse: (flag, text) => {
    const { name, shape } = parseInputShape(flag, text);
    return new Map([[name, shape]]);
  },
  add: (flag, before, next) => {
    const [known, added] = [mapOf(before), mapOf(next)];
    for (const name of added.keys())
      if (known.has(name))
        throw new UsageError(`${flag} is given twice for ${name === '' ? 'the input' : `'${name}'`}`);
    return new Map([...known, ...added]);
  },
  spell: (shapes) => [...mapOf(shapes)].map(([name, shape]) => `${name === '' ? '' : `${name}:`}${shape.join(',')}`),
  schema: {
    type: 'object',
    properties: {},
    additionalProperties: {
      type: 'array',
      items: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 },
      description: 'Sizes, such as [1, 3, 224, 224]',
    },
  },
};

/** timm's FeatureInfo: in a config, also the path of one. */
export const ENTRIES: Kind<readonly FeatureEntry[], string | readonly FeatureEntry[]> = {
  allowed: 'a list of { num_chs, reduction, module }',
  accepts: isListOf(isRecord),
  schema: {
    type: ['string', 'array'],
    minLength: 1,
    minItems: 1,
    items: {
      type: 'object',
      additionalProperties: true,
      required: ['num_chs', 'reduction', 'module'],
      properties: {},
    },
  },
};

/** timm's dict of one feature, in timm's spelling. Null is unknown, which timm has no word for. */
export interface FeatureEntry {
  readonly num_chs: number | null;
  readonly reduction: number | null;
  readonly module: string | null;
  readonly [key: string]: unknown;
}
