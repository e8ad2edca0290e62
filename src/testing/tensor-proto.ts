import type { TensorValue } from '../onnx/tensor-value.js';
import { valueBytes } from '../tensors/tensor.js';
import { tensorProtoLayout } from '../tensors/tensor-proto.js';

/** A file of one numeric TensorProto, as the writer of files lays it out. */
export function tensorProtoFile(tensor: TensorValue, key: string): Uint8Array {
  const layout = tensorProtoLayout({ key, dtype: tensor.dtype, shape: tensor.shape });
  const file = new Uint8Array(layout.size);
  file.set(valueBytes(tensor), layout.offsets[0]);
  for (const { position, bytes } of layout.frame([])) file.set(bytes, position);
  return file;
}
