/** How values travel through the binding, which knows fewer dtypes than ONNX Runtime. */

/** dtypes that ONNX Runtime's JavaScript API moves as they are. */
export const NATIVE_DTYPES = [
  'float32',
  'float64',
  'float16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
] as const;
const NATIVE: ReadonlySet<string> = new Set(NATIVE_DTYPES);

/**
 * What others travel as: a type that holds every value of theirs.
 * @see facts: a session with a bfloat16 or float8 output does not open, fetching an int4 ends the process
 */
const CARRIED = new Map<string, string>([
  ['bfloat16', 'float32'],
  ['float8e4m3fn', 'float32'],
  ['float8e4m3fnuz', 'float32'],
  ['float8e5m2', 'float32'],
  ['float8e5m2fnuz', 'float32'],
  ['float8e8m0', 'float32'],
  ['float4e2m1', 'float32'],
  ['int4', 'int8'],
  ['uint4', 'uint8'],
  ['int2', 'int8'],
  ['uint2', 'uint8'],
]);

/** The dtype a value has outside of the graph; null where it cannot leave it. */
export function carrierOf(dtype: string): string | null {
  return NATIVE.has(dtype) ? dtype : (CARRIED.get(dtype) ?? null);
}

/** Names that a JavaScript object or the binding cannot carry faithfully. */
export function isSafeName(name: string): boolean {
  return name !== '' && !(name in {}) && !/[\0\ud800-\udfff]/.test(name);
}
