import type { Analysis } from './analysis.js';
import type { Dim } from '../onnx/records.js';
import { LAYOUTS } from '../options/choices.js';
import { CHANNEL_AXIS, type Layout, type TensorFacts } from './feature.js';
import type { Geometry } from './geometry.js';

/**
 * What a tensor is as a feature: shape and dtype as proven, channels, stride and layout by its place on the main path.
 * Of a vector an entry, `[N, C]`, the last axis is the channels wherever it stands, and it has no stride of its own.
 */
export function factsOf({ types, geometry }: Analysis, tensor: string): TensorFacts {
  const type = types.types.get(tensor);
  const place = geometry.get(tensor);
  return {
    numChs: place?.channels || channelsOfVector(type?.shape),
    reduction: place === undefined || place.pooled ? null : place.stride,
    dtype: type?.dtype ?? null,
    shape: type?.shape ?? null,
    // The order of axes is a guess where not even their number is known.
    layout: (type?.shape ?? types.nominal.get(tensor)?.shape) == null ? null : layoutOf(place),
    prefixTokens: place?.prefix ?? 0,
    grid: place?.axes?.includes('L') && place.shuffles % 2 === 0 ? place.grid : null,
  };
}

/** Whether a shape is that of one vector for each entry. */
export function isVector(shape: readonly Dim[] | null | undefined): shape is readonly Dim[] {
  return shape?.length === 2;
}

function channelsOfVector(shape: readonly Dim[] | null | undefined): number | null {
  const width = isVector(shape) ? shape[1] : null;
  return typeof width === 'number' && width > 0 ? width : null;
}

/** The facts of several tensors that leave as one, concatenated on axis 1. */
export function concatenatedFacts(analysis: Analysis, tensors: readonly string[]): TensorFacts {
  const all = tensors.map((tensor) => factsOf(analysis, tensor));
  const [first] = all;
  if (all.length === 1) return first;
  const widths = all.map(({ shape }) => shape?.[1] ?? null);
  const sum = widths.every((width) => typeof width === 'number')
    ? widths.reduce((total, width) => total + Number(width), 0)
    : null;
  const channels = all.map(({ numChs }) => numChs);
  const onChannels = first.layout !== null && CHANNEL_AXIS[first.layout] === 1;
  return {
    ...first,
    numChs:
      onChannels && channels.every((width) => width !== null)
        ? channels.reduce((total, width) => total + width, 0)
        : first.numChs,
    shape: first.shape === null ? null : first.shape.map((dim, axis) => (axis === 1 ? sum : dim)),
  };
}

function layoutOf(place: Geometry | undefined): Layout | null {
  if (place?.pooled) return null;
  const axes = place?.axes?.join('');
  return LAYOUTS.find((layout) => layout === axes) ?? null;
}
