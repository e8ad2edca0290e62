import { neededTensors } from '../features/needed.js';
import { resolveFeatures } from '../features/resolve.js';
import type { Resolution } from '../features/feature.js';
import { selectFeatures } from '../features/select.js';
import type { Selection } from '../features/selectors.js';
import { viewGraph } from '../onnx/graph.js';
import { openModel } from '../open.js';
import { inferTypes } from '../runtime/types.js';
import { encodeModel } from './model-builder.js';
import type { AttributeSpec, NodeSpec, TensorSpec } from './model-spec.js';

/** Writes networks as PyTorch's TorchScript exporter would, with weights that are elsewhere. */
export class Net {
  readonly nodes: NodeSpec[] = [];
  /** Domains of operators beside ONNX's own. */
  readonly domains = new Set<string>();
  readonly initializers: TensorSpec[] = [];
  private readonly used = new Set<string>();

  constructor(readonly input: readonly (number | string)[] = [1, 3, 64, 64]) {}

  op(op: string, scope: string, inputs: readonly string[], attributes: Record<string, AttributeSpec> = {}): string {
    const path = scope === '' ? '' : `/${scope}`;
    let name = `${path}/${op}`;
    for (let again = 1; this.used.has(name); again++) name = `${path}/${op}_${again}`;
    this.used.add(name);
    this.nodes.push({ op, name, inputs, outputs: [`${name}_output_0`], attributes });
    return `${name}_output_0`;
  }

  weight(dims: readonly number[], type: 'float32' | 'int8' = 'float32'): string {
    const name = `weight_${this.initializers.length}`;
    this.initializers.push({ name, dims, type, external: [['location', 'weights.bin']] });
    return name;
  }

  scalar(value: number, type: 'float32' | 'uint8' | 'int8'): string {
    const name = `scalar_${this.initializers.length}`;
    this.initializers.push({ name, dims: [], type, data: [value] });
    return name;
  }

  /** An operator of ONNX Runtime's own. */
  fused(op: string, inputs: readonly string[], attributes: Record<string, AttributeSpec> = {}): string {
    this.domains.add('com.microsoft');
    const made = this.op(op, '', inputs, attributes);
    const node = this.nodes.at(-1);
    if (node !== undefined) this.nodes[this.nodes.length - 1] = { ...node, domain: 'com.microsoft' };
    return made;
  }

  constant(values: readonly number[], type: 'int64' | 'float32' = 'int64'): string {
    const name = `constant_${this.initializers.length}`;
    this.initializers.push({ name, dims: [values.length], type, data: values });
    return name;
  }

  conv(scope: string, from: string, widths: readonly [number, number], stride = 1, kernel = 3): string {
    const pad = (kernel - 1) / 2;
    return this.op('Conv', scope, [from, this.weight([widths[1], widths[0], kernel, kernel])], {
      strides: { ints: [stride, stride] },
      kernel_shape: { ints: [kernel, kernel] },
      pads: { ints: [pad, pad, pad, pad] },
    });
  }

  depthwise(scope: string, from: string, width: number, stride = 1): string {
    return this.op('Conv', scope, [from, this.weight([width, 1, 3, 3])], {
      strides: { ints: [stride, stride] },
      kernel_shape: { ints: [3, 3] },
      pads: { ints: [1, 1, 1, 1] },
      group: { int: width },
    });
  }

  /** conv - relu - conv, added to the input or its projection, activated. */
  block(scope: string, from: string, widths: readonly [number, number], stride = 1): string {
    const inner = this.conv(
      `${scope}/conv2`,
      this.op('Relu', `${scope}/act1`, [this.conv(`${scope}/conv1`, from, widths, stride)]),
      [widths[1], widths[1]],
    );
    const skip =
      stride === 1 && widths[0] === widths[1] ? from : this.conv(`${scope}/downsample`, from, widths, stride, 1);
    return this.op('Relu', `${scope}/act2`, [this.op('Add', scope, [inner, skip])]);
  }

  up(scope: string, from: string): string {
    return this.op('Resize', scope, [from, '', this.constant([1, 1, 2, 2], 'float32')], {
      mode: { string: 'nearest' },
    });
  }

  /** Stem at stride 2 and three stages at 4, 8, 16. */
  trunk(prefix: string, from = 'image'): readonly string[] {
    const at = (name: string): string => (prefix === '' ? name : `${prefix}/${name}`);
    const stem = this.op('Relu', at('act1'), [this.conv(at('conv1'), from, [3, 8], 2)]);
    const one = this.block(at('layer1/layer1.0'), stem, [8, 16], 2);
    const two = this.block(at('layer2/layer2.0'), one, [16, 32], 2);
    return [stem, one, two, this.block(at('layer3/layer3.0'), two, [32, 64], 2)];
  }

  /** Two streams of four strided convolutions that share nothing but the image, and what their vectors become. */
  towers(): { readonly streams: readonly (readonly string[])[]; readonly output: string } {
    const stream = (name: string, activation: string, width: number): readonly string[] => {
      const maps: string[] = [];
      for (const at of [0, 1, 2, 3]) {
        const before = maps.at(-1) ?? 'image';
        const conv = this.conv(`${name}${at}`, before, [at === 0 ? 3 : width, width], 2);
        maps.push(this.op(activation, `${name}${at}`, [conv]));
      }
      return maps;
    };
    const streams = [stream('a', 'Relu', 16), stream('b', 'Tanh', 8)];
    const vector = (from: string): string => this.op('Flatten', '', [this.op('GlobalAveragePool', '', [from])]);
    const head = (from: string, width: number): string =>
      this.op('MatMul', '', [vector(from), this.weight([width, 4])]);
    return { streams, output: this.op('Mul', '', [head(streams[0][3], 16), head(streams[1][3], 8)]) };
  }

  /** The bytes of its file. */
  encode(outputs: readonly string[], rename: (name: string) => string = (name) => name): Uint8Array {
    const nodes = this.nodes.map((node) => ({
      ...node,
      name: rename(String(node.name)),
      inputs: node.inputs?.map((name) => rename(String(name))),
      outputs: node.outputs?.map((name) => rename(String(name))),
    }));
    const graph = {
      nodes,
      initializers: this.initializers,
      inputs: [{ name: 'image', type: { tensor: 'float32' as const, shape: this.input } }],
      outputs: outputs.map((name) => ({ name: rename(name), type: { tensor: 'float32' as const } })),
    };
    const opset = ['', ...this.domains].map((domain): [string, number] => [domain, domain === '' ? 17 : 1]);
    return encodeModel({ graph, opset });
  }

  async resolve(
    outputs: readonly string[],
    rename?: (name: string) => string,
  ): Promise<{ readonly resolution: Resolution; readonly select: (module: string) => readonly Selection[] }> {
    const view = viewGraph(await openModel(this.encode(outputs, rename)));
    const types = await inferTypes(view, neededTensors(view), { isolate: false });
    const resolution = resolveFeatures(view, types);
    return {
      resolution,
      select: (module) => selectFeatures(view, types, resolution, { select: [{ by: 'module', name: module }] }),
    };
  }
}
