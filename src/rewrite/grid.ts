import { ResolveError, UnsupportedModelError } from '../errors.js';
import type { Concat } from '../options/choices.js';
import { permutation, type Layout } from '../features/feature.js';
import { option } from '../options/words.js';
import type { Dim } from '../onnx/records.js';
import { permuted } from './layout.js';
import type { NodeBuilder } from './nodes.js';
import { channelAxis, isVector, withoutPrefix } from './recipes.js';
import type { StepValue } from './steps.js';

/** One of several features that become one. */
export interface Part extends StepValue {
  readonly label: string;
  readonly reduction: number | null;
}

/** Resize takes sizes, and knows where pixels lie, from here on. */
const RESIZE_SINCE = 11;

/**
 * Features along their channels: vectors and tokens as they are, maps on the grid of the finest, as PyTorch's
 * interpolate without align_corners.
 * @throws ResolveError where they cannot stand side by side; UnsupportedModelError
 */
export function joinedOnOneGrid(
  b: NodeBuilder,
  parts: readonly Part[],
  how: Concat,
): { readonly value: StepValue; readonly isResized: boolean } {
  if (parts.every(isVector)) return { value: joined(b, parts, 1), isResized: false };
  if (parts.every(({ layout }) => layout?.includes('L'))) return { value: joinedTokens(b, parts), isResized: false };
  const other = parts.find(({ layout }) => layout !== 'NCHW' && layout !== 'NHWC');
  if (other !== undefined)
    throw new ResolveError(
      `${option('concat')}: ${other.label} is ${kindOf(other)}, and ${parts[0] === other ? parts[1].label : parts[0].label} is ${kindOf(parts[0] === other ? parts[1] : parts[0])}`,
      {
        code: 'FEATX_RESOLVE_LAYOUT',
        hint: `pool all of them (${option('pool', 'avg')}), or let all leave as maps (${option('outputFmt', 'NCHW')})`,
      },
    );
  const isLast = parts.every(({ layout }) => layout === 'NHWC');
  const maps = parts.map((part) =>
    part.layout === 'NHWC' ? { ...part, ...inLayout(b, part, 'NHWC', 'NCHW'), layout: 'NCHW' as const } : part,
  );
  const finest = maps.reduce((best, part) => (isFiner(part, best) ? part : best));
  const isEqual = (part: Part): boolean =>
    part === finest || [2, 3].every((axis) => isSame(part.shape?.[axis], finest.shape?.[axis]));
  const isResized = !maps.every(isEqual);
  if (isResized && b.opset < RESIZE_SINCE)
    throw new UnsupportedModelError(
      `the model is of opset ${b.opset}, whose Resize takes no sizes; opset ${RESIZE_SINCE} has such`,
      { code: 'FEATX_OPSET', hint: `pool the maps before (${option('pool', 'avg')}): featx never raises an opset` },
    );
  const value = joined(
    b,
    maps.map((part) => (isEqual(part) ? part : resized(b, part, finest, how))),
    1,
  );
  return { value: isLast ? { ...value, ...inLayout(b, value, 'NCHW', 'NHWC'), layout: 'NHWC' } : value, isResized };
}

function kindOf(part: StepValue): string {
  return isVector(part) ? 'a vector' : part.layout === null ? 'of an unknown layout' : `of layout ${part.layout}`;
}

function inLayout(
  b: NodeBuilder,
  { tensor, shape }: StepValue,
  from: Layout,
  to: Layout,
): Pick<StepValue, 'tensor' | 'shape'> {
  const perm = permutation(from, to);
  return { tensor: b.transpose(tensor, perm), shape: permuted(shape, perm) };
}

function isSame(a: Dim | undefined, b: Dim | undefined): boolean {
  return a != null && a === b;
}

/** The finer grid: by stride, else by the sizes that are known. */
function isFiner(a: Part, b: Part): boolean {
  if (a.reduction !== null && b.reduction !== null) return a.reduction < b.reduction;
  const [height, than] = [a.shape?.[2], b.shape?.[2]];
  return typeof height === 'number' && typeof than === 'number' && height > than;
}

function joinedTokens(b: NodeBuilder, parts: readonly Part[]): StepValue {
  const [first, ...others] = parts.map((part) => ({ ...part, ...withoutPrefix(b, part) }));
  for (const part of others) {
    const [length, its] = [first, part].map(({ shape, layout }) => shape?.[layout?.indexOf('L') ?? 1]);
    const differs = typeof length === 'number' && typeof its === 'number' && length !== its;
    if (part.layout === first.layout && !differs) continue;
    throw new ResolveError(
      `${option('concat')}: ${first.label} has ${String(length)} tokens (${first.layout}), and ${part.label} has ${String(its)} (${part.layout})`,
      {
        code: 'FEATX_RESOLVE_LAYOUT',
        hint: `let them leave as maps (${option('outputFmt', 'NCHW')}), which are brought to one grid`,
      },
    );
  }
  return joined(b, [first, ...others], channelAxis(first) ?? 2);
}

function joined(b: NodeBuilder, parts: readonly StepValue[], axis: number): StepValue {
  const [first] = parts;
  const widths = parts.map(({ shape, channels }) => shape?.[axis] ?? channels);
  const width = widths.every((dim) => typeof dim === 'number')
    ? widths.reduce<number>((sum, dim) => sum + Number(dim), 0)
    : null;
  return {
    ...first,
    tensor:
      parts.length === 1
        ? first.tensor
        : b.concat(
            parts.map(({ tensor }) => tensor),
            axis,
          ),
    shape:
      first.shape?.map((dim, at) =>
        at === axis ? width : (parts.find(({ shape }) => shape?.[at] != null)?.shape?.[at] ?? dim),
      ) ?? null,
    channels: width,
  };
}

/** A map on the grid of another. */
function resized(b: NodeBuilder, part: Part, to: Part, how: Concat): StepValue {
  const target = to.shape?.slice(2) ?? [];
  const isFixed = target.length === 2 && target.every((dim) => typeof dim === 'number');
  const grid = isFixed ? b.ints(target.map(Number)) : b.sizes(to.tensor, 2, 4);
  const sizes = b.concat([b.sizes(part.tensor, 0, 2), grid], 0);
  const none = b.op('Constant', [], [{ name: 'value', tensor: { name: '', dims: [0], float32: [] } }]);
  const modes =
    how === 'linear'
      ? { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }
      : { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  return {
    ...part,
    // Before opset 13 neither the region of interest nor the scales may be left out.
    tensor: b.op(
      'Resize',
      [part.tensor, ...(b.opset < 13 ? [none, none] : ['', '']), sizes],
      Object.entries(modes as { readonly [name: string]: string }).map(([name, string]) => ({ name, string })),
    ),
    shape: [part.shape?.[0] ?? null, part.shape?.[1] ?? part.channels, ...(isFixed ? target : [null, null])],
  };
}
