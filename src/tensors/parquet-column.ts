import type { TensorValue } from '../onnx/tensor-value.js';
import { encodeText } from '../wire/text.js';
import { toFloat32 } from './convert.js';
import { GrowingBytes } from './growing-bytes.js';
import { Levels, levelsOf } from './parquet-levels.js';
import { pathOf, physicalType, type ColumnSpec } from './parquet-schema.js';
import { isStrings, valueBytes } from './tensor.js';
import { writeRecord, type ThriftRecord } from './thrift.js';

const ENCODING = { PLAIN: 0, RLE: 3 } as const;
const CODEC_NONE = 0;
const DATA_PAGE = 0;

/** Values of one column until they are written as one page. */
export class ParquetColumn {
  private readonly values = new GrowingBytes();
  private readonly repetition: Levels;
  private readonly definition: Levels;
  private count = 0;

  constructor(private readonly spec: ColumnSpec) {
    this.repetition = new Levels(spec.axes);
    this.definition = new Levels(spec.isOptional ? 1 : spec.axes);
  }

  /** Bytes that wait to be written. */
  get bytes(): number {
    return this.values.length + this.repetition.bytes + this.definition.bytes;
  }

  /** Takes the values of entries, which have one shape. */
  append(tensor: TensorValue, shape: readonly number[], rows: number): void {
    const levels = levelsOf(shape);
    for (let row = 0; row < rows; row++) {
      this.repetition.append(levels.repetition);
      this.definition.append(levels.definition);
    }
    this.count += levels.repetition.length * rows;
    if (isStrings(tensor.data)) for (const text of tensor.data) this.text(text);
    else this.values.append(plainBytes(tensor));
  }

  /** Takes texts, one a row, in the place of which there may be nothing. */
  appendTexts(texts: readonly (string | null)[]): void {
    this.definition.append(Uint8Array.from(texts, (text) => (text === null ? 0 : 1)));
    this.count += texts.length;
    for (const text of texts) if (text !== null) this.text(text);
  }

  private text(text: string): void {
    const bytes = encodeText(text);
    this.values.uint32(bytes.length);
    this.values.append(bytes);
  }

  /** Appends a page of what waits. @returns what the footer says of it, which begins at `start` in the file */
  write(into: GrowingBytes, start: number): ThriftRecord {
    const page = new GrowingBytes(this.bytes + 64);
    this.repetition.write(page);
    this.definition.write(page);
    const { dtype } = this.spec;
    page.append(dtype === 'bool' ? packedBits(this.values.view) : this.values.view);
    const before = into.length;
    writeRecord(into, {
      record: [
        [1, { i32: DATA_PAGE }],
        [2, { i32: page.length }],
        [3, { i32: page.length }],
        [
          5,
          {
            record: [
              [1, { i32: this.count }],
              [2, { i32: ENCODING.PLAIN }],
              [3, { i32: ENCODING.RLE }],
              [4, { i32: ENCODING.RLE }],
            ],
          },
        ],
      ],
    });
    into.append(page.view);
    const size = into.length - before;
    const record = this.record(start + before, size);
    this.values.clear();
    this.repetition.clear();
    this.definition.clear();
    this.count = 0;
    return record;
  }

  private record(start: number, size: number): ThriftRecord {
    const facts: ThriftRecord = {
      record: [
        [1, { i32: physicalType(this.spec.dtype) }],
        [2, { list: [{ i32: ENCODING.PLAIN }, { i32: ENCODING.RLE }] }],
        [3, { list: pathOf(this.spec).map((text) => ({ text })) }],
        [4, { i32: CODEC_NONE }],
        [5, { i64: this.count }],
        [6, { i64: size }],
        [7, { i64: size }],
        [9, { i64: start }],
      ],
    };
    return {
      record: [
        [2, { i64: start }],
        [3, facts],
      ],
    };
  }
}

/** Values as a column has them: floats of at least 32 bits, integers of 32 or 64, yes and no as a byte each. */
function plainBytes(tensor: TensorValue): Uint8Array {
  const { dtype, data } = tensor;
  if (dtype === 'float16' || dtype === 'bfloat16')
    return valueBytes({ dtype: 'float32', shape: [], data: toFloat32(tensor) });
  const isNarrow =
    data instanceof Int8Array ||
    data instanceof Uint8Array ||
    data instanceof Int16Array ||
    data instanceof Uint16Array;
  return isNarrow && dtype !== 'bool'
    ? valueBytes({ dtype: 'int32', shape: [], data: Int32Array.from(data) })
    : valueBytes(tensor);
}

/** Eight values a byte, the first in the lowest bit. */
function packedBits(values: Uint8Array): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8));
  for (let at = 0; at < values.length; at++) if (values[at] !== 0) bits[at >> 3] |= 1 << (at & 7);
  return bits;
}
