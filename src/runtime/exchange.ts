import { type TensorValue, bfloat16ToFloat32 } from '../onnx/tensor-value.js';
import { RuntimeError, UsageError } from '../errors.js';
import { shown } from '../options/check.js';
import { isRecord } from '../options/schema.js';
import type { Dim } from '../onnx/records.js';
import { elementCount } from '../onnx/types.js';
import { printable } from '../wire/text.js';
import type { Port } from './session-plan.js';
import { ARRAYS } from './runtime-tensor.js';
import type { SessionValue } from './session.js';

/**
 * Feeds by the session's own names and dtypes. The runtime ignores what it does not know and names only the first thing
 * that is wrong.
 * @throws UsageError naming every feed that is missing, unknown or does not fit
 */
export function checkFeeds(
  ports: readonly Port[],
  values: readonly SessionValue[],
  feeds: ReadonlyMap<string, TensorValue>,
  subject: string,
): Map<string, TensorValue> {
  const byAlias = new Map(values.map((value) => [value.name, value]));
  const byName = new Map(ports.map((port) => [port.name, port]));
  const ready = new Map<string, TensorValue>();
  const wrong: string[] = [];
  for (const [name, tensor] of feeds) {
    const port = byName.get(name);
    const value = port === undefined ? undefined : byAlias.get(port.alias);
    if (port === undefined) {
      wrong.push(`'${printable(name)}' is not an input`);
      continue;
    }
    const fault = notTensor(tensor);
    if (fault !== null) {
      wrong.push(`'${printable(name)}' ${fault}`);
      continue;
    }
    const fed = carried(tensor, port, value?.dtype ?? null);
    const problem =
      fed === null ? `wants ${port.dtype ?? value?.dtype}, not ${tensor.dtype}` : misfit(fed, value?.shape ?? []);
    if (fed === null || problem !== null) wrong.push(`'${printable(name)}' ${problem}`);
    else ready.set(port.alias, fed);
  }
  for (const { name } of ports.filter((port) => !feeds.has(port.name))) wrong.push(`'${printable(name)}' is not given`);
  if (wrong.length === 0) return ready;
  const wanted = ports.map(
    ({ name, alias, dtype }) =>
      `${printable(name)} (${dtype ?? byAlias.get(alias)?.dtype} [${(byAlias.get(alias)?.shape ?? []).map((dim) => dim ?? '?').join(', ')}])`,
  );
  throw new UsageError(`the inputs do not fit ${subject}: ${wrong.join('; ')}`, {
    code: 'FEATX_USAGE_FEEDS',
    hint: `its inputs are ${wanted.join(', ') || 'none'}`,
  });
}

/** What keeps a value from being a tensor: its parts, or an array of another type than its dtype has. */
function notTensor(value: unknown): string | null {
  if (!isRecord(value)) return `is ${shown(value)}, not { dtype, shape, data }`;
  const { dtype, shape, data } = value;
  if (typeof dtype !== 'string') return `has the dtype ${shown(dtype)}, not a text such as 'float32'`;
  if (!Array.isArray(shape)) return `has the shape ${shown(shape)}, not a list of sizes`;
  if (dtype === 'string') return Array.isArray(data) ? null : `holds ${shown(data)}, not a list of texts`;
  const wanted = dtype === 'bfloat16' ? Uint16Array : ARRAYS.get(dtype);
  if (wanted === undefined || data instanceof wanted) return null;
  return `holds ${shown(data)}, not a ${wanted.name}, which ${dtype} takes`;
}

/** The tensor in the dtype in which it travels, or null where it is of another. */
function carried(tensor: TensorValue, { dtype }: Port, carrier: string | null): TensorValue | null {
  if (tensor.dtype === carrier) return tensor;
  if (
    tensor.dtype === 'bfloat16' &&
    dtype === 'bfloat16' &&
    carrier === 'float32' &&
    tensor.data instanceof Uint16Array
  )
    return { dtype: 'float32', shape: tensor.shape, data: bfloat16ToFloat32(tensor.data) };
  return null;
}

function misfit({ shape, data, dtype }: TensorValue, declared: readonly Dim[]): string | null {
  const count = elementCount(shape);
  if (count === null) return `has the shape [${shape.join(', ')}], which is none`;
  if (count !== data.length)
    return `holds ${data.length} values of ${dtype} and its shape [${shape.join(', ')}] takes ${count}`;
  // An empty shape is also what the runtime says of an unknown rank.
  if (declared.length === 0) return null;
  const fits =
    declared.length === shape.length && declared.every((dim, axis) => typeof dim !== 'number' || dim === shape[axis]);
  return fits
    ? null
    : `has the shape [${shape.join(', ')}] and must have [${declared.map((dim) => dim ?? '?').join(', ')}]`;
}

/**
 * Results by the caller's names, as many and of the sizes that were asked for.
 * @throws RuntimeError where the runtime gave something else
 */
export function checkResults(
  ports: readonly Port[],
  results: ReadonlyMap<string, TensorValue>,
  subject: string,
): Map<string, TensorValue> {
  const named = new Map<string, TensorValue>();
  for (const { name, alias } of ports) {
    const tensor = results.get(alias);
    if (tensor === undefined || tensor.data.length !== elementCount(tensor.shape)) {
      const what =
        tensor === undefined
          ? 'did not return it'
          : `returned ${tensor.data.length} values for the shape [${tensor.shape.join(', ')}]`;
      throw new RuntimeError(`ONNX Runtime was asked for '${printable(name)}' of ${subject} and ${what}`, {
        code: 'FEATX_RUNTIME_RESULT',
      });
    }
    named.set(name, tensor);
  }
  return named;
}
