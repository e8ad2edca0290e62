import { nearestNames } from './nearest.js';

/** The part of JSON Schema that our schemas use. */
export interface Schema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type: SchemaType | readonly SchemaType[];
  readonly properties?: { readonly [key: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

type SchemaType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';

/** One thing that is wrong, and where: `$.models[3].options.out`. */
export interface Violation {
  readonly path: string;
  readonly message: string;
}

/** Violations that are named; a file that is something else altogether has as many as it has values. */
const MOST_VIOLATIONS = 100;

/**
 * The first hundred things in which a JSON value differs from what a schema allows, in document order, and how many
 * more there are.
 */
export function violations(value: unknown, schema: Schema, path = '$'): readonly Violation[] {
  const found: SchemaCheck = { list: [], more: 0 };
  check(value, schema, path, found);
  return found.more === 0 ? found.list : [...found.list, { path, message: `and ${found.more} more` }];
}

interface SchemaCheck {
  readonly list: Violation[];
  /** Violations that are counted only. */
  more: number;
}

function note(found: SchemaCheck, path: string, message: () => string): void {
  if (found.list.length < MOST_VIOLATIONS) found.list.push({ path, message: message() });
  else found.more++;
}

function check(value: unknown, schema: Schema, path: string, found: SchemaCheck): void {
  const wanted: readonly SchemaType[] = typeof schema.type === 'string' ? [schema.type] : schema.type;
  const wrong = (message: string): void => note(found, path, () => message);
  if (!wanted.some((type) => isOfType(value, type))) {
    wrong(`is ${nameOf(value)}, not ${wanted.map((type) => ARTICLES[type]).join(' or ')}`);
  } else if (Array.isArray(value)) checkArray(value, schema, path, found);
  else if (isRecord(value)) checkObject(value, schema, path, found);
  else if (typeof value === 'string') {
    if (value.length < (schema.minLength ?? 0)) wrong('is empty');
    if (schema.enum !== undefined && !schema.enum.includes(value))
      wrong(`is ${JSON.stringify(value)}, not one of ${schema.enum.join(', ')}`);
  } else if (typeof value === 'number') {
    if (schema.minimum !== undefined && value < schema.minimum) wrong(`is ${value}; the least is ${schema.minimum}`);
    if (schema.maximum !== undefined && value > schema.maximum) wrong(`is ${value}; the most is ${schema.maximum}`);
  }
}

function checkArray(
  value: readonly unknown[],
  { items, minItems = 0 }: Schema,
  path: string,
  found: SchemaCheck,
): void {
  if (value.length < minItems)
    note(found, path, () => (minItems === 1 ? 'is empty' : `has ${value.length} entries; the least is ${minItems}`));
  if (items !== undefined) value.forEach((entry, index) => check(entry, items, `${path}[${index}]`, found));
}

function checkObject(value: Readonly<Record<string, unknown>>, schema: Schema, path: string, found: SchemaCheck): void {
  const {
    properties = {},
    required = [],
    additionalProperties = true,
    minProperties = 0,
    maxProperties = Infinity,
  } = schema;
  const keys = Object.keys(value);
  const known = Object.keys(properties);
  for (const key of required) if (!Object.hasOwn(value, key)) note(found, path, () => `lacks ${key}`);
  if (keys.length < minProperties || keys.length > maxProperties)
    note(found, path, () => `has ${keys.length} keys; it takes one of ${known.join(', ')}`);
  for (const key of keys) {
    const inside = /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
    if (Object.hasOwn(properties, key)) check(value[key], properties[key], inside, found);
    else if (typeof additionalProperties === 'object') check(value[key], additionalProperties, inside, found);
    else if (!additionalProperties) note(found, inside, () => unknownKey(key, known));
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  const [nearest] = nearestNames(key, known, 1);
  return `is not a known key${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

/** Whether a value is an object that is not an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOfType(value: unknown, type: SchemaType): boolean {
  switch (type) {
    case 'object':
      return isRecord(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'string':
    case 'boolean':
      return typeof value === type;
  }
}

const ARTICLES: { readonly [type in SchemaType]: string } = {
  object: 'an object',
  array: 'an array',
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  // JSON has no word for some of what a program can give.
  const shown = typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? typeof value);
  return shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
}
