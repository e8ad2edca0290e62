import type { Columns } from '../onnx/columns.js';

/** The operators of a graph as small numbers: what many nodes are asked is answered once for each operator. */
export interface Operators {
  /** What each number stands for. */
  readonly kinds: readonly Operator[];
  /** The number of the operator of each row. */
  readonly codes: Int32Array;
}

/** A type of nodes. */
export interface Operator {
  readonly opType: string;
  readonly domain: string;
}

const known = new WeakMap<Columns, Operators>();

/** The operators of a graph; found once. */
export function operatorsOf(columns: Columns): Operators {
  let operators = known.get(columns);
  if (operators === undefined) known.set(columns, (operators = numbered(columns)));
  return operators;
}

function numbered({ nodes }: Columns): Operators {
  const kinds: Operator[] = [];
  const codes = new Int32Array(nodes.length);
  const own = new Map<string, number>();
  const foreign = new Map<string, number>();
  for (let row = 0; row < codes.length; row++) {
    const { opType, domain } = nodes[row];
    const numbers = domain === '' ? own : foreign;
    const key = domain === '' ? opType : `${domain}\0${opType}`;
    let code = numbers.get(key);
    if (code === undefined) numbers.set(key, (code = kinds.push({ opType, domain }) - 1));
    codes[row] = code;
  }
  return { kinds, codes };
}

/** By the number of an operator: 1 for those of which something holds. */
export function codesThat(columns: Columns, holds: (operator: Operator) => boolean): Uint8Array {
  return Uint8Array.from(operatorsOf(columns).kinds, (kind) => (holds(kind) ? 1 : 0));
}

/** Whether something holds of the operator of a row; it is asked once for each operator. */
export function rowTest(columns: Columns, holds: (operator: Operator) => boolean): (row: number) => boolean {
  const { codes } = operatorsOf(columns);
  const marks = codesThat(columns, holds);
  return (row) => marks[codes[row]] === 1;
}

/** Whether a graph has an operator of one of some types, of whatever domain. */
export function hasAny(columns: Columns, types: ReadonlySet<string>): boolean {
  return operatorsOf(columns).kinds.some(({ opType }) => types.has(opType));
}

/** Whether the operator of a row is one of some, of whatever domain. */
export function isOneOf(columns: Columns, types: ReadonlySet<string>): (row: number) => boolean {
  return rowTest(columns, ({ opType }) => types.has(opType));
}
