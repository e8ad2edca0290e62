import { isVector } from '../features/facts.js';
import type { Dim } from '../onnx/records.js';
import { escapeText } from './escape.js';
import type { TensorRecord } from './records.js';

/** `[batch, 64, 56, ?]`; `?` alone is an unknown rank. */
export function shapeText(shape: readonly Dim[] | null | undefined): string {
  if (shape == null) return '?';
  return `[${shape.map((dim) => (dim === null ? '?' : typeof dim === 'number' ? String(dim) : escapeText(dim))).join(', ')}]`;
}

/** `16`; `?` if nobody knows, `-` for a vector, which has none. */
export function strideText(reduction: number | null, shape: readonly Dim[] | null | undefined): string {
  if (reduction !== null) return String(reduction);
  return isVector(shape) ? '-' : '?';
}

/** `3`, `neck:0` of a group, `-` for what was selected by name. */
export function indexText({ index, group }: { readonly index: number | null; readonly group?: string }): string {
  if (index === null) return '-';
  return group === undefined ? String(index) : `${escapeText(group)}:${index}`;
}

/** `float32`, or the kind of a value that is not a tensor; `?` where nobody knows. */
export function kindText({ dtype, type }: Pick<TensorRecord, 'dtype' | 'type'>): string {
  return escapeText(type ?? dtype ?? '?');
}
