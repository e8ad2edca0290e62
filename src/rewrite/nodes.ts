import type { NewAttribute, NewNode } from '../onnx/encode.js';
import { dataTypeOf } from '../onnx/types.js';

/**
 * The opset from which an operator takes as inputs what it took as attributes before.
 * @see https://github.com/onnx/onnx/blob/main/docs/Changelog.md
 */
const INPUTS_SINCE = {
  Slice: 10,
  Clip: 11,
  ReduceSum: 13,
  Squeeze: 13,
  Unsqueeze: 13,
  ReduceL2: 18,
  ReduceMax: 18,
  ReduceMean: 18,
} as const;

/** The largest end that Slice takes: up to the end of the axis, however long. */
const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** Builds nodes of the standard's operators in the form that an opset has. */
export class NodeBuilder {
  readonly nodes: NewNode[] = [];

  constructor(
    /** Version of the default domain. */
    readonly opset: number,
    /** Gives names that nothing has. */
    readonly fresh: (base: string) => string,
  ) {}

  /** A node of one output; returns its tensor. */
  op(opType: string, inputs: readonly string[], attributes: readonly NewAttribute[] = [], output?: string): string {
    const made = output ?? this.fresh(`featx/${opType}`);
    const name = output === undefined ? made : this.fresh(`featx/${opType}`);
    this.nodes.push({ opType, name, inputs, outputs: [made], attributes });
    return made;
  }

  /** int64 numbers; one axis, or a scalar. */
  ints(values: readonly number[] | number): string {
    const [dims, int64] = typeof values === 'number' ? [[], [values]] : [[values.length], values];
    return this.op('Constant', [], [{ name: 'value', tensor: { name: '', dims, int64 } }]);
  }

  /** float32 numbers; a scalar if no dims are given. */
  floats(values: readonly number[], dims: readonly number[] = []): string {
    return this.op('Constant', [], [{ name: 'value', tensor: { name: '', dims, float32: values } }]);
  }

  cast(from: string, dtype: string, output?: string): string {
    return this.op('Cast', [from], [{ name: 'to', int: dataTypeOf(dtype) }], output);
  }

  transpose(from: string, perm: readonly number[], output?: string): string {
    return this.op('Transpose', [from], [{ name: 'perm', ints: perm }], output);
  }

  reduce(
    opType: 'ReduceMean' | 'ReduceMax' | 'ReduceSum' | 'ReduceL2',
    from: string,
    axes: readonly number[],
    keepDims = false,
  ): string {
    const keep = { name: 'keepdims', int: keepDims ? 1 : 0 };
    return this.opset < INPUTS_SINCE[opType]
      ? this.op(opType, [from], [{ name: 'axes', ints: axes }, keep])
      : this.op(opType, [from, this.ints(axes)], [keep]);
  }

  /** Removes or adds axes of size 1. */
  reshape(opType: 'Squeeze' | 'Unsqueeze', from: string, axes: readonly number[], output?: string): string {
    return this.opset < INPUTS_SINCE[opType]
      ? this.op(opType, [from], [{ name: 'axes', ints: axes }], output)
      : this.op(opType, [from, this.ints(axes)], [], output);
  }

  /** Entries from `start` on, up to `end`; negative ones count from the end. */
  slice(from: string, axis: number, start: number, end = TO_THE_END): string {
    const bounds = { axes: [axis], starts: [start], ends: [end] };
    if (this.opset < INPUTS_SINCE.Slice)
      return this.op(
        'Slice',
        [from],
        Object.entries(bounds).map(([name, ints]) => ({ name, ints })),
      );
    return this.op('Slice', [from, this.ints(bounds.starts), this.ints(bounds.ends), this.ints(bounds.axes)]);
  }

  /** float32 values from `min` on, up to `max`. */
  clip(from: string, min: number, max?: number): string {
    if (this.opset >= INPUTS_SINCE.Clip)
      return this.op('Clip', [from, this.floats([min]), ...(max === undefined ? [] : [this.floats([max])])]);
    const upper = max === undefined ? [] : [{ name: 'max', float: max }];
    return this.op('Clip', [from], [{ name: 'min', float: min }, ...upper]);
  }

  concat(parts: readonly string[], axis: number): string {
    return this.op('Concat', parts, [{ name: 'axis', int: axis }]);
  }

  /** Some sizes of a tensor, as int64. */
  sizes(from: string, first: number, end: number): string {
    return this.slice(this.op('Shape', [from]), 0, first, end);
  }

  /** float32 zeros, one of them. */
  zero(): string {
    return this.floats([0]);
  }
}
