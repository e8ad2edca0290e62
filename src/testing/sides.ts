import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Chain } from '../chain.js';
import { fingerprint } from '../onnx/fingerprint.js';
import { viewGraph, type GraphView } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import type { TensorValue } from '../onnx/tensor-value.js';
import { randomTensor } from '../tensors/random.js';
import { Sides, type Compared, type VerifyRunOptions } from '../verify-runs.js';
import { encodeModel, tensorMessage } from './model-builder.js';
import { node, tensor, value, type DataType, type DimSpec, type GraphSpec } from './model-spec.js';

/** Small models and cuts of them, side by side. */

/** With a domain that nobody knows the operators of. */
export function modelBytes(graph: GraphSpec): Uint8Array {
  return encodeModel({
    graph,
    irVersion: 10,
    opset: [
      ['', 21],
      ['nobody', 1],
    ],
  });
}

export async function viewOf(graph: GraphSpec): Promise<GraphView> {
  return viewGraph(await indexModel(modelBytes(graph)));
}

/** A model that gives what it is given: `y` is the input. */
export function mirror(shape: readonly DimSpec[] | null, type: DataType = 'float32', input = 'x'): GraphSpec {
  return {
    inputs: [value(input, shape, type)],
    outputs: [value('y', null, null)],
    nodes: [node('Identity', [input], ['y'])],
  };
}

export function floats(shape: readonly number[], ...values: number[]): TensorValue {
  return { dtype: 'float32', shape, data: Float32Array.from(values) };
}

/** What an input is fed with if nothing else is there. */
export function drawn(name: string, shape: readonly number[], dtype = 'float32', seed = 0): TensorValue {
  return randomTensor(dtype, shape, seed, name);
}

/** The bytes of a `.pb` file. */
export function valuesFile(dims: readonly number[], values: readonly number[], type: DataType = 'float32'): Uint8Array {
  return tensorMessage(tensor('x', dims, values, type));
}

/** A model and its cut, of which `y` is compared. */
export async function sidesOf(
  model: GraphSpec,
  cut: GraphSpec = model,
  more: Partial<Omit<Compared, 'model' | 'cut'>> = {},
  options: VerifyRunOptions = {},
): Promise<Sides> {
  const nothing = { entering: new Map(), names: new Map() };
  return Sides.of(
    { model: await viewOf(model), cut: await viewOf(cut), tensors: ['y'], outputs: ['y'], ...nothing, ...more },
    { isolate: false, ...options },
  );
}

/** Writes parts of a model and their manifest. @param parts their graphs, and where their inputs come from */
export async function splitInto(
  folder: string,
  model: GraphSpec,
  parts: readonly { readonly graph: GraphSpec; readonly inputs: readonly ('model' | number)[] }[],
): Promise<Chain> {
  const namesOf = (values: GraphSpec['inputs'] = []): string[] => values.map(({ name }) => String(name));
  const records = parts.map(({ graph, inputs }, index) => {
    const bytes = modelBytes(graph);
    const file = `part${index}.onnx`;
    writeFileSync(join(folder, file), bytes);
    return {
      file,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      inputs: namesOf(graph.inputs).map((name, at) => ({ name, from: inputs[at] })),
      outputs: namesOf(graph.outputs),
      nodes: 1,
      weights_bytes: 0,
      size_bytes: bytes.length,
    };
  });
  const whole = modelBytes(model);
  const manifest = {
    schema: 1 as const,
    model: { file: null, size_bytes: whole.length, fingerprint: await fingerprint(await indexModel(whole)) },
    outputs: namesOf(model.outputs),
    parts: records,
    cuts: [],
    shared_weights: { count: 0, bytes: 0 },
  };
  const path = join(folder, 'parts.split.json');
  writeFileSync(path, JSON.stringify(manifest));
  return { path, manifest };
}
