import * as ort from 'onnxruntime-node';
import type { OnnxModel } from '../onnx/records.js';
import { seededFloats } from './random.js';

/** Values of every output of a model file, as raw bytes, with the optimiser off: what bit equality is about. */
export type Outputs = ReadonlyMap<string, Uint8Array>;

export type Feeds = Readonly<Record<string, ort.Tensor>>;

/** Inputs of a model with every symbolic dim 1: seeded floats, zeros for integers. */
export function feedsFor(model: OnnxModel, seed = 1): Feeds {
  const feeds: Record<string, ort.Tensor> = {};
  const initializers = new Set(model.graph.initializers.map(({ name }) => name));
  for (const { name, type } of model.graph.inputs) {
    if (initializers.has(name) || type?.kind !== 'tensor') continue;
    const dims = (type.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
    feeds[name] = tensorOf(type.elemType, dims, seed++);
  }
  return feeds;
}

function tensorOf(elemType: number, dims: readonly number[], seed: number): ort.Tensor {
  const count = dims.reduce((product, dim) => product * dim, 1);
  switch (elemType) {
    case 1:
      return new ort.Tensor('float32', seededFloats(count, seed), dims);
    case 2:
      return new ort.Tensor(
        'uint8',
        Uint8Array.from(seededFloats(count, seed, 127), (value) => value + 128),
        dims,
      );
    case 6:
      return new ort.Tensor('int32', new Int32Array(count), dims);
    case 7:
      return new ort.Tensor('int64', new BigInt64Array(count).fill(1n), dims);
    case 9:
      return new ort.Tensor('bool', new Uint8Array(count).fill(1), dims);
    case 10:
      return new ort.Tensor('float16', new Uint16Array(count).fill(0x3800), dims);
    case 11:
      return new ort.Tensor('float64', Float64Array.from(seededFloats(count, seed)), dims);
    default:
      throw new Error(`no test input for elem_type ${elemType}`);
  }
}

/** Runs a model file; inputs that it does not have are left out. */
export async function runFile(path: string, feeds: Feeds): Promise<Outputs> {
  const session = await ort.InferenceSession.create(path, {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 2,
  });
  try {
    const known = new Set(session.inputNames);
    const results = await session.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => known.has(name))));
    const outputs = new Map<string, Uint8Array>();
    for (const [name, tensor] of Object.entries(results)) {
      const data = tensor.data;
      outputs.set(
        name,
        ArrayBuffer.isView(data)
          ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
          : new TextEncoder().encode(JSON.stringify(data)),
      );
    }
    return outputs;
  } finally {
    await session.release();
  }
}
