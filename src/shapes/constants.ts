import { DataType, TensorField } from '../onnx/schema.js';
import { bitsOf } from '../onnx/types.js';
import { plainValues } from '../onnx/tensor-data.js';
import type { OnnxModel, Tensor } from '../onnx/records.js';
import { tensorsOf } from '../onnx/walk.js';
import { Cursor, WireType, type ByteRange } from '../wire/fields.js';
import { isInteger, MOST_VALUES, tensorInfo, type Scalar, type TensorInfo } from './info.js';

/** Values of the small tensors of a file: dims, axes, pads, scales, conditions. */

const VALUED = new Set<number>([DataType.bool, DataType.float, DataType.double, DataType.float16]);

const VARINT_FIELDS = new Set<number>([TensorField.int32Data, TensorField.int64Data, TensorField.uint64Data]);

/** Types and small values of the tensors of a model. */
export class Constants {
  private readonly known = new Map<Tensor, TensorInfo>();

  private constructor(
    private readonly model: OnnxModel,
    private readonly read: ReadonlyMap<Tensor, Uint8Array>,
  ) {}

  /** Reads the small tensors of integers that are not in memory with the graph. */
  static async of(model: OnnxModel): Promise<Constants> {
    const read = new Map<Tensor, Uint8Array>();
    for (const tensor of tensorsOf(model)) {
      const range = isInteger(tensor.dataType) && isSmall(tensor) ? plainValues(tensor) : null;
      if (range !== null && model.resident(range) === null) read.set(tensor, await model.read(range));
    }
    return new Constants(model, read);
  }

  /** What a tensor of the file is. */
  infoOf(tensor: Tensor): TensorInfo {
    let info = this.known.get(tensor);
    if (info === undefined) {
      const value =
        (isInteger(tensor.dataType) || VALUED.has(tensor.dataType)) && isSmall(tensor) ? this.valuesOf(tensor) : null;
      this.known.set(tensor, (info = tensorInfo(tensor.dataType, tensor.dims, value)));
    }
    return info;
  }

  private valuesOf(tensor: Tensor): readonly Scalar[] | null {
    const range = plainValues(tensor);
    const values = range === null ? this.listed(tensor) : rawValues(this.bytesOf(tensor, range), tensor.dataType);
    return values?.length === countOf(tensor) ? values : null;
  }

  private bytesOf(tensor: Tensor, range: ByteRange): Uint8Array | null {
    return this.read.get(tensor) ?? this.model.resident(range);
  }

  /** Values that are varints, packed or one by one. */
  private listed({ payloads, dataType }: Tensor): readonly Scalar[] | null {
    const values: Scalar[] = [];
    for (const { start, end, contiguous, fieldNumber } of payloads) {
      const bytes = this.model.resident({ start, end });
      if (bytes === null || !VARINT_FIELDS.has(fieldNumber)) return null;
      const cursor = new Cursor();
      cursor.bytes = bytes;
      cursor.base = start;
      cursor.position = start;
      while (cursor.position < end) {
        if (!contiguous && (cursor.tag(end) & 7) !== WireType.varint) return null;
        cursor.varint64(end);
        values.push(Number(fieldNumber === TensorField.int32Data ? cursor.int32() : cursor.int64()));
      }
    }
    return dataType === DataType.float16 || values.length === 0 ? null : values;
  }
}

function countOf({ dims }: Tensor): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

function isSmall(tensor: Tensor): boolean {
  return tensor.external === null && countOf(tensor) <= MOST_VALUES;
}

/** Values of `raw_data` or of a packed field of floats. */
function rawValues(bytes: Uint8Array | null, dataType: number): readonly Scalar[] | null {
  const size = (bitsOf(dataType) ?? 0) / 8;
  const read = READERS[dataType];
  if (bytes === null || read === undefined || size < 1) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: number[] = [];
  for (let at = 0; at + size <= bytes.length; at += size) values.push(read(view, at));
  return values;
}

const READERS: { readonly [dataType: number]: (view: DataView, at: number) => number } = {
  [DataType.float]: (view, at) => view.getFloat32(at, true),
  [DataType.double]: (view, at) => view.getFloat64(at, true),
  [DataType.uint8]: (view, at) => view.getUint8(at),
  [DataType.int8]: (view, at) => view.getInt8(at),
  [DataType.bool]: (view, at) => view.getUint8(at),
  [DataType.uint16]: (view, at) => view.getUint16(at, true),
  [DataType.int16]: (view, at) => view.getInt16(at, true),
  [DataType.uint32]: (view, at) => view.getUint32(at, true),
  [DataType.int32]: (view, at) => view.getInt32(at, true),
  [DataType.int64]: (view, at) => Number(view.getBigInt64(at, true)),
  [DataType.uint64]: (view, at) => Number(view.getBigUint64(at, true)),
};
