import { ModelFormatError } from '../errors.js';
import type { Tensor, TensorPayload } from './records.js';
import { DataType, TensorField } from './schema.js';
import { bitsOf, byteLength, dtypeWord, elementCount, tensorBytes } from './types.js';

/** Element size of the packed fields whose bytes are the values themselves, little endian. */
const PLAIN_FIELDS: { readonly [fieldNumber: number]: number } = {
  [TensorField.floatData]: 4,
  [TensorField.rawData]: 1,
  [TensorField.doubleData]: 8,
};

/**
 * Checks that a tensor can be what it says: known dtype, dims whose product is a number, one kind of values, as many
 * bytes as it takes.
 * @throws ModelFormatError `FEATX_GRAPH_DIMS`, `FEATX_GRAPH_DTYPE` or `FEATX_GRAPH_DATA`
 */
export function checkTensor(tensor: Tensor, path?: string): void {
  const { dims, dataType, payloads, place } = tensor;
  const wrong = (code: string, message: string): ModelFormatError =>
    new ModelFormatError(`${place} '${tensor.name}' ${message}`, {
      code,
      field: place,
      path,
      offset: tensor.parts[0].start,
    });
  if (elementCount(dims) === null || (bitsOf(dataType) !== null && tensorBytes(tensor) === null))
    throw wrong('FEATX_GRAPH_DIMS', `has the impossible dims [${dims.join(', ')}]`);
  if (dtypeWord(dataType) === null) throw wrong('FEATX_GRAPH_DTYPE', `has the unknown data_type ${dataType}`);
  if (tensor.external !== null) {
    if (dataType === DataType.string) throw wrong('FEATX_GRAPH_DATA', 'keeps strings in external data');
    return;
  }
  const fields = new Set(payloads.map(({ fieldNumber }) => fieldNumber));
  if (fields.size > 1)
    throw wrong(
      'FEATX_GRAPH_DATA',
      `has values in ${fields.size} fields (${[...fields].join(', ')}); only one may be set`,
    );
  const values = plainValues(tensor);
  if (values === null) {
    const least = leastBytes(tensor);
    if (least !== null && least.have < least.need)
      throw wrong(
        'FEATX_GRAPH_DATA',
        `has ${least.have} bytes of values, but its dims [${dims.join(', ')}] take at least ${least.need}`,
      );
    return;
  }
  if (dataType === DataType.string) throw wrong('FEATX_GRAPH_DATA', 'keeps strings in raw_data');
  const expected = tensorBytes(tensor);
  const bytes = values.end - values.start;
  if (expected !== null && bytes !== expected && !isHollow(tensor))
    throw wrong(
      'FEATX_GRAPH_DATA',
      `has ${bytes} bytes of values, but its dims [${dims.join(', ')}] and dtype ${dtypeWord(dataType)} take ${expected}`,
    );
}

/** Whether a tensor has dims and no values at all, as in graphs that are shared without their weights. */
export function isHollow({ external, payloads, dims }: Tensor): boolean {
  return external === null && (elementCount(dims) ?? 0) > 0 && payloads.every(({ start, end }) => start === end);
}

/**
 * Bytes of values that are encoded one by one, and how many they are at least; null if there are none. Two, four or
 * more values of less than a byte may share one.
 */
function leastBytes({ payloads, dims, dataType }: Tensor): { readonly have: number; readonly need: number } | null {
  if (payloads.length === 0) return null;
  const have = payloads.reduce((sum, { start, end }) => sum + end - start, 0);
  const bits = bitsOf(dataType) ?? 8;
  return { have, need: (bits < 8 ? byteLength(dataType, dims) : elementCount(dims)) ?? 0 };
}

/**
 * The one run of bytes that are the tensor's values as the runtime would map them, or null if they are encoded
 * otherwise.
 */
export function plainValues(tensor: Tensor): TensorPayload | null {
  const { payloads, dataType } = tensor;
  if (tensor.external !== null || payloads.length === 0) return null;
  // A scalar field that stands twice: the last one counts.
  const last = payloads[payloads.length - 1];
  if (last.fieldNumber === TensorField.rawData) return last;
  const size = PLAIN_FIELDS[last.fieldNumber];
  if (payloads.length > 1 || !last.contiguous || size === undefined) return null;
  const isNative =
    size * 8 === bitsOf(dataType) ||
    (size * 16 === bitsOf(dataType) && (dataType === DataType.complex64 || dataType === DataType.complex128));
  return isNative ? last : null;
}
