import { option } from '../options/words.js';
import { ResolveError } from '../errors.js';
import type { Dim } from '../onnx/records.js';
import type { NewAttribute, NewNode } from '../onnx/encode.js';
import type { Layout, TensorFacts } from '../features/feature.js';
import type { MapLayout } from '../options/choices.js';

/** What the inserted nodes need to know of the graph they go into. */
export interface LayoutContext {
  /** Version of the default domain: Slice takes its bounds as inputs from 10 on. */
  readonly opset: number;
  /**
   * The image input whose height and width, over the feature's stride, are the grid of its tokens; null where there is
   * none.
   */
  readonly image: {
    readonly name: string;
    readonly shape: readonly Dim[] | null;
    readonly layout: MapLayout;
  } | null;
  fresh(base: string): string;
}

/** The nodes that bring a tensor into another layout, and what comes out of them. */
export interface Conversion {
  readonly nodes: readonly NewNode[];
  readonly tensor: string;
  readonly shape: readonly Dim[] | null;
}

const INT64_MAX = Number.MAX_SAFE_INTEGER;
const PERMUTATIONS: { readonly [way: string]: readonly number[] } = {
  'NCHW>NHWC': [0, 2, 3, 1],
  'NHWC>NCHW': [0, 3, 1, 2],
  'NCL>NLC': [0, 2, 1],
  'NLC>NCL': [0, 2, 1],
};

/**
 * The nodes that bring a feature from its own layout into another; prefix tokens (class token, registers) are sliced
 * off.
 * @throws ResolveError where the feature's layout, or the grid of its tokens, is unknown
 */
export function convertLayout(
  tensor: string,
  facts: TensorFacts,
  target: Layout,
  context: LayoutContext,
  label: string,
): Conversion {
  const { layout } = facts;
  if (layout === null)
    throw new ResolveError(`${label} cannot leave as ${target}: the layout of '${tensor}' is not known`, {
      code: 'FEATX_RESOLVE_LAYOUT',
      hint: `leave out ${option('outputFmt')}, or select a feature that inspect shows with a layout`,
    });
  const chain = new Chain(tensor, facts.shape, context);
  if (facts.prefixTokens > 0) chain.dropPrefix(layout === 'NCL' ? 2 : 1, facts.prefixTokens);
  if (isFeatureMap(layout) === isFeatureMap(target)) chain.permute(layout, target);
  else if (isFeatureMap(layout)) {
    chain.permute(layout, 'NCHW');
    chain.flatten();
    chain.permute('NCL', target);
  } else {
    chain.permute(layout, 'NCL');
    chain.unflatten(facts, label);
    chain.permute('NCHW', target);
  }
  return chain;
}

function isFeatureMap(layout: Layout): boolean {
  return layout.length === 4;
}

/** Whether a known number of tokens proves a grid that may be a nominal one. */
function isGridOf(grid: TensorFacts['grid'], tokens: Dim | undefined): boolean {
  return grid !== null && grid[0] * grid[1] === tokens;
}

/** Nodes one after the other; `tensor` and `shape` are those of the last. */
class Chain implements Conversion {
  readonly nodes: NewNode[] = [];

  constructor(
    public tensor: string,
    public shape: readonly Dim[] | null,
    private readonly context: LayoutContext,
  ) {}

  permute(from: Layout, to: Layout): void {
    if (from === to) return;
    const perm = PERMUTATIONS[`${from}>${to}`];
    const { shape } = this;
    this.append(
      'Transpose',
      [],
      [{ name: 'perm', ints: perm }],
      shape === null ? null : perm.map((axis) => shape[axis]),
    );
  }

  dropPrefix(axis: number, count: number): void {
    const shape =
      this.shape?.map((dim, index) => (index !== axis ? dim : typeof dim === 'number' ? dim - count : null)) ?? null;
    if (this.context.opset < 10) {
      this.append(
        'Slice',
        [],
        [
          { name: 'axes', ints: [axis] },
          { name: 'starts', ints: [count] },
          { name: 'ends', ints: [INT64_MAX] },
        ],
        shape,
      );
    } else this.append('Slice', [this.constant([count]), this.constant([INT64_MAX]), this.constant([axis])], [], shape);
  }

  /** [N, C, H, W] -> [N, C, H*W] */
  flatten(): void {
    const { shape } = this;
    const [height, width] = shape?.slice(2) ?? [];
    const length = typeof height === 'number' && typeof width === 'number' ? height * width : null;
    this.append('Reshape', [this.constant([0, 0, -1])], [], shape === null ? null : [shape[0], shape[1], length]);
  }

  /** [N, C, L] -> [N, C, H, W] */
  unflatten(facts: TensorFacts, label: string): void {
    const { shape } = this;
    const { image } = this.context;
    const spatial =
      image?.shape === null || image === null
        ? null
        : image.layout === 'NCHW'
          ? image.shape.slice(2)
          : image.shape.slice(1, 3);
    const isStatic = spatial?.every((dim) => typeof dim === 'number') ?? isGridOf(facts.grid, shape?.[2]);
    if (facts.grid === null || (!isStatic && (facts.reduction === null || image === null))) {
      throw new ResolveError(`${label} cannot leave as a map: the grid of its tokens is not known`, {
        code: 'FEATX_RESOLVE_LAYOUT',
        hint: 'ask for NLC or NCL',
      });
    }
    if (isStatic || image === null) {
      const [height, width] = facts.grid;
      this.append(
        'Reshape',
        [this.constant([0, 0, height, width])],
        [],
        shape === null ? null : [shape[0], shape[1], height, width],
      );
      return;
    }
    const sizes = this.node('Shape', [image.name], []);
    const first = image.layout === 'NCHW' ? 2 : 1;
    const pixels = this.node('Gather', [sizes, this.constant([first, first + 1])], [{ name: 'axis', int: 0 }]);
    const grid = this.node('Div', [pixels, this.constant([facts.reduction ?? 1])], []);
    const target = this.node('Concat', [this.constant([0, 0]), grid], [{ name: 'axis', int: 0 }]);
    this.append('Reshape', [target], [], shape === null ? null : [shape[0], shape[1], null, null]);
  }

  private append(
    opType: string,
    inputs: readonly string[],
    attributes: readonly NewAttribute[],
    shape: readonly Dim[] | null,
  ): void {
    this.tensor = this.node(opType, [this.tensor, ...inputs], attributes);
    this.shape = shape;
  }

  private constant(values: readonly number[]): string {
    return this.node('Constant', [], [{ name: 'value', tensor: { name: '', dims: [values.length], int64: values } }]);
  }

  private node(opType: string, inputs: readonly string[], attributes: readonly NewAttribute[]): string {
    const output = this.context.fresh(`featx/${opType}`);
    this.nodes.push({ opType, name: output, inputs, outputs: [output], attributes });
    return output;
  }
}
