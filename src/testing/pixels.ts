import * as ort from 'onnxruntime-node';
import { extractBytes, type ExtractBytesOptions } from '../in-memory.js';
import { encodeModel } from './model-builder.js';
import { node, value } from './model-spec.js';

/** What a cut gives a network that takes [N, 3, H, W] of pixels [H, W, 3]. */
export async function preparedPixels(
  pixels: NonNullable<ExtractBytesOptions['pixels']>,
  opset: number,
  [height, width]: readonly [number, number],
  picture: { readonly data: Uint8Array; readonly shape: readonly number[] },
  optimization: 'disabled' | 'all' = 'disabled',
): Promise<Float32Array> {
  const shape = ['batch', 3, height, width];
  const model = encodeModel({
    opset,
    graph: { nodes: [node('Identity', ['x'], ['y'])], inputs: [value('x', shape)], outputs: [value('y', shape)] },
  });
  const { bytes } = await extractBytes(model, { select: [{ by: 'tensor', name: 'y' }], pixels });
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: optimization,
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  try {
    const { y } = await session.run({ pixels: new ort.Tensor('uint8', picture.data, [1, ...picture.shape]) });
    return y.data as Float32Array;
  } finally {
    await session.release();
  }
}
