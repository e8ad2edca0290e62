import type { ThriftRecord } from './thrift.js';

/** A column of a table: values, or lists inside each other. */
export interface ColumnSpec {
  readonly key: string;
  readonly dtype: string;
  /** How many lists are around a value. */
  readonly axes: number;
  /** Whether there may be nothing in the place of a value. */
  readonly isOptional: boolean;
}

/** Numbers of the format's own types, of what they mean, and of how often a value may be there. */
const PHYSICAL = { BOOLEAN: 0, INT32: 1, INT64: 2, FLOAT: 4, DOUBLE: 5, BYTE_ARRAY: 6 } as const;
const CONVERTED = {
  UTF8: 0,
  LIST: 3,
  UINT_8: 11,
  UINT_16: 12,
  UINT_32: 13,
  UINT_64: 14,
  INT_8: 15,
  INT_16: 16,
} as const;
const REPETITION = { required: 0, optional: 1, repeated: 2 } as const;

interface ColumnType {
  readonly physical: keyof typeof PHYSICAL;
  readonly converted?: keyof typeof CONVERTED;
}

/** How a dtype stands in a column. float16 and bfloat16 are widened: few readers know them. */
const TYPES: { readonly [dtype: string]: ColumnType } = {
  float32: { physical: 'FLOAT' },
  float16: { physical: 'FLOAT' },
  bfloat16: { physical: 'FLOAT' },
  float64: { physical: 'DOUBLE' },
  bool: { physical: 'BOOLEAN' },
  int8: { physical: 'INT32', converted: 'INT_8' },
  int16: { physical: 'INT32', converted: 'INT_16' },
  int32: { physical: 'INT32' },
  int64: { physical: 'INT64' },
  uint8: { physical: 'INT32', converted: 'UINT_8' },
  uint16: { physical: 'INT32', converted: 'UINT_16' },
  uint32: { physical: 'INT32', converted: 'UINT_32' },
  uint64: { physical: 'INT64', converted: 'UINT_64' },
  string: { physical: 'BYTE_ARRAY', converted: 'UTF8' },
};

/** The number of the type that the values of a dtype have. */
export function physicalType(dtype: string): number {
  return PHYSICAL[TYPES[dtype].physical];
}

/** The names from a column to its values. */
export function pathOf({ key, axes }: ColumnSpec): string[] {
  return [key, ...Array.from({ length: axes }, () => ['list', 'element']).flat()];
}

/** The tree of a table, each element in front of those inside it. */
export function schemaOf(columns: readonly ColumnSpec[]): ThriftRecord[] {
  const root = element('features', { children: columns.length });
  return [root, ...columns.flatMap(columnElements)];
}

/** @see https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists */
function columnElements({ key, dtype, axes, isOptional }: ColumnSpec): ThriftRecord[] {
  const lists = Array.from({ length: axes }, (_, depth) => [
    element(depth === 0 ? key : 'element', { children: 1, repetition: 'required', converted: 'LIST' }),
    element('list', { children: 1, repetition: 'repeated' }),
  ]).flat();
  const repetition = isOptional ? 'optional' : 'required';
  return [...lists, element(axes === 0 ? key : 'element', { ...TYPES[dtype], repetition })];
}

interface ElementFacts extends Partial<ColumnType> {
  readonly children?: number;
  readonly repetition?: keyof typeof REPETITION;
}

function element(name: string, { physical, repetition, children, converted }: ElementFacts): ThriftRecord {
  return {
    record: [
      [1, physical && { i32: PHYSICAL[physical] }],
      [3, repetition && { i32: REPETITION[repetition] }],
      [4, { text: name }],
      [5, children === undefined ? undefined : { i32: children }],
      [6, converted && { i32: CONVERTED[converted] }],
    ],
  };
}
