import { option } from '../options/words.js';
import { ResolveError } from '../errors.js';
import type { Dim } from '../onnx/records.js';
import type { NewNode } from '../onnx/encode.js';
import { permutation, PLACE_AXES, type Layout, type TensorFacts } from '../features/feature.js';
import type { MapLayout } from '../options/choices.js';
import { NodeBuilder } from './nodes.js';

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
  if (facts.prefixTokens > 0) chain.dropPrefix(PLACE_AXES[layout][0], facts.prefixTokens);
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
  private readonly builder: NodeBuilder;

  constructor(
    public tensor: string,
    public shape: readonly Dim[] | null,
    private readonly context: LayoutContext,
  ) {
    this.builder = new NodeBuilder(context.opset, (base) => context.fresh(base));
  }

  get nodes(): readonly NewNode[] {
    return this.builder.nodes;
  }

  permute(from: Layout, to: Layout): void {
    if (from === to) return;
    const perm = permutation(from, to);
    this.tensor = this.builder.transpose(this.tensor, perm);
    this.shape = permuted(this.shape, perm);
  }

  dropPrefix(axis: number, count: number): void {
    this.tensor = this.builder.slice(this.tensor, axis, count);
    this.shape = withoutFirst(this.shape, axis, count);
  }

  /** [N, C, H, W] -> [N, C, H*W] */
  flatten(): void {
    const { shape } = this;
    const [height, width] = shape?.slice(2) ?? [];
    const length = typeof height === 'number' && typeof width === 'number' ? height * width : null;
    this.reshape(this.builder.ints([0, 0, -1]), shape === null ? null : [shape[0], shape[1], length]);
  }

  /** [N, C, L] -> [N, C, H, W] */
  unflatten(facts: TensorFacts, label: string): void {
    const { shape, builder } = this;
    const { image } = this.context;
    const axes = image === null ? [] : PLACE_AXES[image.layout];
    const imageShape = image?.shape ?? null;
    const isStatic =
      imageShape === null
        ? isGridOf(facts.grid, shape?.[2])
        : axes.every((axis) => typeof imageShape[axis] === 'number');
    if (facts.grid === null || (!isStatic && (facts.reduction === null || image === null))) {
      throw new ResolveError(`${label} cannot leave as a map: the grid of its tokens is not known`, {
        code: 'FEATX_RESOLVE_LAYOUT',
        hint: 'ask for NLC or NCL',
      });
    }
    if (isStatic || image === null) {
      const [height, width] = facts.grid;
      this.reshape(builder.ints([0, 0, height, width]), shape === null ? null : [shape[0], shape[1], height, width]);
      return;
    }
    const sizes = builder.op('Shape', [image.name]);
    const pixels = builder.op('Gather', [sizes, builder.ints(axes)], [{ name: 'axis', int: 0 }]);
    const grid = builder.op('Div', [pixels, builder.ints([facts.reduction ?? 1])]);
    const target = builder.concat([builder.ints([0, 0]), grid], 0);
    this.reshape(target, shape === null ? null : [shape[0], shape[1], null, null]);
  }

  private reshape(target: string, shape: readonly Dim[] | null): void {
    this.tensor = this.builder.op('Reshape', [this.tensor, target]);
    this.shape = shape;
  }
}

/** A shape with its axes in another order. */
export function permuted(shape: readonly Dim[] | null, perm: readonly number[]): readonly Dim[] | null {
  return shape?.map((_dim, axis) => shape[perm[axis]]) ?? null;
}

/** A shape of which the first entries of an axis are gone. */
export function withoutFirst(shape: readonly Dim[] | null, axis: number, count: number): readonly Dim[] | null {
  return shape?.map((dim, at) => (at !== axis ? dim : typeof dim === 'number' ? dim - count : null)) ?? null;
}
