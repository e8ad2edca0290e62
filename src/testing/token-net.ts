import { resolveFeatures } from '../features/resolve.js';
import type { Resolution } from '../features/feature.js';
import { neededTensors } from '../features/needed.js';
import { viewGraph } from '../onnx/graph.js';
import { openModel } from '../open.js';
import { inferTypes } from '../runtime/types.js';
import { encodeModel } from './model-builder.js';
import type { AttributeSpec, NodeSpec, TensorSpec, ValueSpec } from './model-spec.js';

const WIDTH = 16;

/**
 * Writes networks over sequences and vectors as PyTorch's TorchScript exporter would, with weights that are elsewhere.
 */
export class TokenNet {
  readonly nodes: NodeSpec[] = [];
  readonly initializers: TensorSpec[] = [];
  readonly inputs: ValueSpec[] = [];

  input(name: string, shape: readonly (number | string)[], type: 'int64' | 'float32' = 'float32'): string {
    this.inputs.push({ name, type: { tensor: type, shape } });
    return name;
  }

  op(op: string, scope: string, inputs: readonly string[], attributes: Record<string, AttributeSpec> = {}): string {
    const name = `/${scope}/${op}_${this.nodes.length}`;
    this.nodes.push({ op, name, inputs, outputs: [`${name}_output_0`], attributes });
    return `${name}_output_0`;
  }

  weight(...dims: readonly number[]): string {
    const name = `weight_${this.initializers.length}`;
    this.initializers.push({ name, dims, external: [['location', 'weights.bin']] });
    return name;
  }

  integers(...data: readonly number[]): string {
    const name = `integers_${this.initializers.length}`;
    this.initializers.push({ name, dims: [data.length], type: 'int64', data });
    return name;
  }

  lookup(scope: string, ids: string, words = 99): string {
    return this.op('Gather', scope, [this.weight(words, WIDTH), ids]);
  }

  linear(scope: string, from: string, sizes: readonly [number, number] = [WIDTH, WIDTH]): string {
    return this.op('MatMul', scope, [from, this.weight(...sizes)]);
  }

  norm(scope: string, from: string): string {
    return this.op('LayerNormalization', scope, [from, this.weight(WIDTH), this.weight(WIDTH)], { axis: { int: -1 } });
  }

  /** One head; keys and values of `memory`. */
  attend(scope: string, from: string, memory = from): string {
    const keys = this.op('Transpose', scope, [this.linear(`${scope}/k`, memory)], { perm: { ints: [0, 2, 1] } });
    const weights = this.op('MatMul', scope, [this.linear(`${scope}/q`, from), keys]);
    const softmax = this.op('Softmax', scope, [weights], { axis: { int: -1 } });
    return this.linear(`${scope}/out`, this.op('MatMul', scope, [softmax, this.linear(`${scope}/v`, memory)]));
  }

  feed(scope: string, from: string): string {
    const inner = this.op('Relu', scope, [this.linear(`${scope}/fc1`, from, [WIDTH, 32])]);
    return this.linear(`${scope}/fc2`, inner, [32, WIDTH]);
  }

  add(scope: string, a: string, b: string): string {
    return this.op('Add', scope, [a, b]);
  }

  /** BERT's block: norms behind the sums; `memory` adds cross attention. */
  postNorm(scope: string, from: string, memory?: string): string {
    let at = this.norm(`${scope}/norm1`, this.add(scope, from, this.attend(`${scope}/attn`, from)));
    if (memory !== undefined)
      at = this.norm(`${scope}/norm2`, this.add(scope, at, this.attend(`${scope}/cross`, at, memory)));
    return this.norm(`${scope}/norm3`, this.add(scope, at, this.feed(`${scope}/mlp`, at)));
  }

  /** GPT's block: norms in front of the branches. */
  preNorm(scope: string, from: string): string {
    const at = this.add(scope, from, this.attend(`${scope}/attn`, this.norm(`${scope}/norm1`, from)));
    return this.add(scope, at, this.feed(`${scope}/mlp`, this.norm(`${scope}/norm2`, at)));
  }

  conv(scope: string, from: string, sizes: readonly [number, number], stride = 1): string {
    return this.op('Conv', scope, [from, this.weight(sizes[1], sizes[0], 3)], {
      strides: { ints: [stride] },
      pads: { ints: [1, 1] },
      kernel_shape: { ints: [3] },
    });
  }

  /** `isNamed: false`: under names that say nothing. */
  async resolve(outputs: readonly string[], isNamed = true): Promise<Resolution> {
    const given = new Set(this.inputs.map(({ name }) => name));
    const plain = (name: unknown): string =>
      isNamed || given.has(String(name)) ? String(name) : String(name).replace(/^.*_(\d+)_output_0$/, 't$1');
    const nodes = this.nodes.map((node) => ({
      ...node,
      name: isNamed ? node.name : '',
      inputs: node.inputs?.map(plain),
      outputs: node.outputs?.map(plain),
    }));
    const graph = {
      nodes,
      initializers: this.initializers,
      inputs: this.inputs,
      outputs: outputs.map((name) => ({ name: plain(name), type: { tensor: 'float32' as const } })),
    };
    const view = viewGraph(await openModel(encodeModel({ graph })));
    return resolveFeatures(view, await inferTypes(view, neededTensors(view), { isolate: false }));
  }
}
