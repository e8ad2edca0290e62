import { UsageError } from '../errors.js';
import { EMBEDDING_ROLES, type EmbeddingRole } from './choices.js';
import { mapOf, type ByName } from './by-name.js';
import { isByName, isCount, isListOf, NAME, type Kind } from './kinds.js';
import { isRecord, type Schema } from './schema.js';
import { parseCount, parseIndices, parseInputShape } from './values.js';

const LARGEST_INDEX = 100_000;

/** Indices into the FeatureInfo, and in text also into groups: `[2, 3]`, `'0-3,neck:0-2'`, `[2, 'neck:0']`. */
export type Indices = string | readonly (number | string)[];

const isIndexList = isListOf<number>(Number.isInteger);
const isIndexItems = isListOf<number | string>((item) => Number.isInteger(item) || isFilled(item));

const INDICES_SCHEMA: Schema = {
  type: ['array', 'string'],
  minItems: 1,
  minLength: 1,
  items: { type: ['integer', 'string'], minimum: -LARGEST_INDEX, maximum: LARGEST_INDEX, minLength: 1 },
};

/** What `out` may be. */
export const INDICES: Kind<Indices> = {
  allowed: "a list of whole numbers, or of texts such as '0-3' and 'neck:0-2', or one such text",
  accepts: (value): value is Indices =>
    (isFilled(value) || isIndexItems(value)) && isReadable(() => indexSelectors('out', value)),
  schema: INDICES_SCHEMA,
  fromConfig: (out: Indices) => {
    numberedSelectors(out);
    return out;
  },
};

/** One feature: its index in the FeatureInfo, or `neck:0`. */
export const INDEX: Kind<number | string> = {
  allowed: "a whole number, or one of a group as in 'neck:0'",
  accepts: (value): value is number | string =>
    Number.isInteger(value) || (isFilled(value) && isReadable(() => oneFeature('explain', value))),
  parse: (flag, text) => {
    const { group, indices } = oneFeature(flag, text);
    return group === undefined ? indices[0] : text;
  },
};

/** A feature by name; `name` is exact or a glob. */
export interface NamedSelector {
  readonly by: 'module' | 'tensor' | 'node';
  readonly name: string;
}

/**
 * Features by index, negatives from the end: of the FeatureInfo, or of a group beside it. A group without indices is an
 * error that says what has its name.
 */
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

/** A way of selecting in a config: `{ "module": "layer1" }`, `{ "out": "2,3,neck:0-2" }`, `{ "embedding": "any" }`. */
export type ConfigSelector = { readonly [By in NamedSelector['by']]?: string } & {
  readonly out?: Indices;
  readonly last?: number;
  readonly embedding?: 'any' | EmbeddingRole;
};

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
        out: {
          ...INDICES_SCHEMA,
          description: 'Indices into the FeatureInfo, or in text also of groups: "2,3,neck:0-2"',
        },
        last: { type: 'integer', minimum: 1, description: 'The last n features' },
        embedding: {
          type: 'string',
          enum: ['any', ...EMBEDDING_ROLES],
          description: 'The embedding (any), or the one of a role',
        },
      },
    },
  },
  fromConfig: (select) =>
    select.flatMap(({ out, last, embedding, ...entry }): readonly Selector[] => [
      ...WAYS.flatMap((by) => (entry[by] === undefined ? [] : [{ by, name: entry[by] }])),
      ...(out === undefined ? [] : numberedSelectors(out)),
      ...(last === undefined ? [] : [{ by: 'last', count: last } as const]),
      ...(embedding === undefined
        ? []
        : [{ by: 'embedding', ...(embedding === 'any' ? {} : { role: embedding }) } as const]),
    ]),
};

/** Flags that select by the order of the command line, by what they say. */
export type Selects = NamedSelector['by'] | 'index' | 'last' | 'embedding';

/** What a use of each flag adds to the selection. */
export const SELECTS: { readonly [S in Selects]: (flag: string, text: string) => readonly Selector[] } = {
  module: named('module'),
  tensor: named('tensor'),
  node: named('node'),
  index: (flag, text) => parseSelections(flag, text),
  last: (flag, text) => [{ by: 'last', count: parseCount(flag, text, 1) }],
  embedding: (flag, text) => {
    if (text !== '' && !isRole(text))
      throw new UsageError(`${flag} takes one of ${EMBEDDING_ROLES.join(', ')}, not '${text}'`);
    return [text === '' ? { by: 'embedding' } : { by: 'embedding', role: text }];
  },
};

function named(by: NamedSelector['by']): (flag: string, text: string) => readonly Selector[] {
  return (flag, text) => [{ by, name: NAME.parse?.(flag, text) ?? text }];
}

/** A word that is no index: a group, or something else in the place of one. */
const NAME_ALONE = /^\s*[\p{L}_]/u;

/**
 * `2,3,neck:0-2`: indices into the FeatureInfo, and of groups beside it; what a group's name is followed by counts in
 * the group up to the next comma. A name alone has no indices: what the model has of it is said when it is known.
 * @throws UsageError naming every part that is neither
 */
function parseSelections(flag: string, text: string, example = '0-2'): readonly IndexSelector[] {
  const runs: { group: string | undefined; items: string[] }[] = [];
  for (const part of text.split(',')) {
    const colon = part.lastIndexOf(':');
    const isName = NAME_ALONE.test(part) && (colon < 0 || part.slice(colon + 1).trim() === '');
    const group = isName ? part.replace(/:\s*$/, '').trim() : colon < 0 ? undefined : part.slice(0, colon).trim();
    const items = isName ? [] : [part.slice(colon + 1)];
    const last = runs.at(-1);
    if (last !== undefined && last.group === group && last.items.length > 0 && !isName) last.items.push(...items);
    else runs.push({ group, items });
  }
  const wrong = runs.filter(({ group }) => group === '').flatMap(({ items }) => items.map((item) => `':${item}'`));
  if (wrong.length > 0)
    throw new UsageError(`${flag} names no group in ${wrong.join(', ')}`, {
      hint: `write the group in front of the colon, as in neck:${example}`,
    });
  const items = runs.flatMap((run) => run.items);
  const indices = items.length === 0 ? [] : parseIndices(flag, items.join(','));
  let at = 0;
  return runs.map(({ group, items: own }): IndexSelector => {
    const count = own.length === 0 ? 0 : parseIndices(flag, own.join(',')).length;
    at += count;
    const range = indices.slice(at - count, at);
    return group === undefined ? { by: 'index', indices: range } : { by: 'index', group, indices: range };
  });
}

/** What `out` says, as selectors. @throws UsageError naming every part that is neither an index nor of a group */
export function indexSelectors(name: string, out: Indices, example?: string): readonly IndexSelector[] {
  const items = typeof out === 'string' ? [out] : out;
  return items.every((item) => typeof item === 'number')
    ? [{ by: 'index', indices: items }]
    : parseSelections(name, items.join(','), example);
}

/** As `indexSelectors`, in a config, which is for many models: names alone mean nothing there. @throws UsageError */
function numberedSelectors(out: Indices): readonly IndexSelector[] {
  const selectors = indexSelectors('out', out);
  const names = selectors.flatMap(({ group, indices }) => (indices.length === 0 ? (group ?? []) : []));
  if (names.length === 0) return selectors;
  throw new UsageError(`out cannot read ${names.map((name) => `'${name}'`).join(', ')} as indices`, {
    hint: `say which features of a group: ${names.map((name) => `${name}:0-2`).join(', ')}; modules are selected with \`module\``,
  });
}

/** The one feature that is meant, its only index. @throws UsageError */
export function oneFeature(name: string, said: number | string): IndexSelector {
  const selectors = indexSelectors(name, [said], '0');
  if (selectors.length === 1 && selectors[0].indices.length === 1) return selectors[0];
  const alone = selectors.find(({ indices }) => indices.length === 0)?.group;
  throw new UsageError(`${name} takes one index, not '${said}'`, {
    hint: `give one, as in 3 or ${alone ?? 'neck'}:0`,
  });
}

function isReadable(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof UsageError) return false;
    throw error;
  }
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isSelector(entry: unknown): boolean {
  if (!isRecord(entry)) return false;
  const { by, name, group, indices, count: last, role } = entry;
  if (WAYS.some((way) => way === by)) return typeof name === 'string' && name !== '';
  if (by === 'index') return isIndexList(indices) && (group === undefined || typeof group === 'string');
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
