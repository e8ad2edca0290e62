import { ResolveError, UnsupportedModelError, UsageError } from '../errors.js';
import type { Cast, Concat } from '../options/choices.js';
import type { Pool } from '../options/steps.js';
import { option } from '../options/words.js';
import type { Layout } from '../features/feature.js';
import type { NewTensor } from '../onnx/encode.js';
import { DataType } from '../onnx/schema.js';
import { joinedOnOneGrid } from './grid.js';
import { NodeBuilder } from './nodes.js';
import {
  asInt8,
  channelAxis,
  flattened,
  INT8_SCALE,
  INT8_SINCE,
  isVector,
  LEAST_OPSET,
  normalized,
  POOL_RECIPES,
  pooled,
  projected,
  type ProjectionNames,
} from './recipes.js';
import type { Projection, StepRecord, Steps, StepValue } from './steps.js';
import type { BuiltTap } from './tap.js';

/** What the steps behind features need of the graph they go into. */
export interface StepContext {
  readonly opset: number;
  readonly steps: Steps;
  fresh(base: string): string;
  /** Adds a tensor to the result. */
  add(tensor: NewTensor): void;
  warn(message: string): void;
}

/**
 * Features with what is to be computed of each before it leaves; with `concat` they are one.
 * @throws ResolveError where an axis is not known; UnsupportedModelError where an opset has no operator for it
 */
export function withSteps(taps: readonly BuiltTap[], context: StepContext): readonly BuiltTap[] {
  const { steps } = context;
  if (context.opset < LEAST_OPSET) throw tooOld(context.opset, LEAST_OPSET, 'no broadcasting by position');
  const names = steps.project === null ? null : addProjection(steps.project, context);
  const stepped = taps.map((tap) => each(tap, context, names));
  const joined = steps.concat === null ? stepped : [concatenated(stepped, steps.concat, context)];
  const { cast } = steps;
  return cast === null ? joined : joined.map((tap) => castTap(tap, cast, context));
}

function each(tap: BuiltTap, context: StepContext, names: ProjectionNames | null): BuiltTap {
  const { pool, flatten, project, normalize, concat } = stepsFor(tap, context);
  if (pool === null && !flatten && project === null && !normalize && concat === null) return tap;
  const label = labelOf(tap);
  const builder = new NodeBuilder(context.opset, (base) => context.fresh(base));
  const records: StepRecord[] = [];
  let value = asFloat32(builder, tap, label);
  if (pool !== null && !isVector(value)) {
    value = pooled(builder, value, pool, layoutFor(value, pool, label, context.opset));
    records.push(poolRecord(pool));
  }
  if (flatten && !isVector(value)) {
    value = flattened(builder, value);
    records.push({ step: 'flatten' });
  }
  if (project !== null && names !== null) {
    const axis = axisFor(value, label, option('project'));
    assertChannels(value, axis, project, label);
    value = projected(builder, value, axis, project, names);
    records.push({ step: 'project', rows: project.rows, columns: project.columns, mean: project.mean !== null });
  }
  if (normalize) {
    value = normalized(builder, value, axisFor(value, label, option('normalize')));
    records.push({ step: 'normalize' });
  }
  return withValue(tap, builder, value, records);
}

/** What is to be computed of a feature: not again what was computed of it when the model was cut. */
function stepsFor(tap: BuiltTap, context: StepContext): Steps {
  const { steps } = context;
  const done = new Set(tap.tap.done?.map(({ step }) => step));
  if (done.size === 0) return steps;
  const again = Object.entries(steps).flatMap(([name, step]) => (step && done.has(name) ? [name] : []));
  for (const name of again)
    context.warn(`${labelOf(tap)}: the cut was made with ${option(name as keyof Steps)}, which is not done again`);
  return {
    ...steps,
    ...(done.has('pool') ? { pool: null } : {}),
    ...(done.has('project') ? { project: null } : {}),
    ...(done.has('normalize') ? { normalize: false } : {}),
  };
}

/** A tap that leaves as what some nodes make of it. */
function withValue(tap: BuiltTap, { nodes }: NodeBuilder, value: StepValue, records: readonly StepRecord[]): BuiltTap {
  const { tensor, shape, dtype, layout, prefixTokens, channels } = value;
  return {
    ...tap,
    nodes: [...tap.nodes, ...nodes],
    steps: [...tap.steps, ...records],
    own: tap.own && nodes.length === 0,
    tensor,
    shape,
    dtype,
    layout,
    prefixTokens,
    channels,
  };
}

function labelOf({ tap: { index, group, tensors } }: BuiltTap): string {
  return index === null ? `'${tensors[0]}'` : group == null ? `feature ${index}` : `feature ${group}:${index}`;
}

function valueOf({ tensor, shape, dtype, layout, prefixTokens, channels }: BuiltTap): StepValue {
  return { tensor, shape, dtype, layout, prefixTokens, channels };
}

const FLOATS = new Set(['float16', 'bfloat16', 'float64']);

/** In float32: a divisor of 1e-12 is 0 in float16, and a sum of squares soon more than it holds. */
function asFloat32(builder: NodeBuilder, tap: BuiltTap, label: string): StepValue {
  const value = valueOf(tap);
  if (value.dtype === 'float32') return value;
  if (value.dtype !== null && FLOATS.has(value.dtype))
    return { ...value, dtype: 'float32', tensor: builder.cast(value.tensor, 'float32') };
  throw new ResolveError(
    `${label} is of ${value.dtype === null ? 'an unknown dtype' : value.dtype}, and what is computed of it needs floats`,
    {
      code: 'FEATX_RESOLVE_DTYPE',
      hint: `leave out ${option('pool')}, ${option('project')}, ${option('normalize')} and ${option('concat')}, or take codes as numbers with ${option('codes', false)}`,
    },
  );
}

function layoutFor(value: StepValue, pool: Pool, label: string, opset: number): Layout {
  const { since, maskSince, lacks, ofTokens: always } = POOL_RECIPES[pool.kind];
  const ofTokens = always || pool.mask !== null;
  const least = pool.mask !== null ? (maskSince ?? since) : since;
  if (opset < least) throw tooOld(opset, least, `no ${lacks}`);
  const rank = value.shape?.length;
  const isMap = channelAxis(value) === 1 && rank === 4;
  // What is asked to be pooled as tokens is [entries, tokens, channels], as every exporter of transformers has it.
  const layout = value.layout ?? (isMap ? 'NCHW' : ofTokens && rank === 3 ? 'NLC' : null);
  if (layout === null)
    throw new ResolveError(`${label} cannot be pooled: the layout of '${value.tensor}' is not known`, {
      code: 'FEATX_RESOLVE_LAYOUT',
      hint: `select a feature that inspect shows with a layout, or flatten it with ${option('flatten', true)}`,
    });
  if (ofTokens && !layout.includes('L'))
    throw new ResolveError(`${label} is a map (${layout}), and ${option('pool', pool.kind)} takes tokens`, {
      code: 'FEATX_RESOLVE_LAYOUT',
      hint: `pool it with ${option('pool', 'avg')}, max or gem, or make it tokens with ${option('outputFmt', 'NLC')}`,
    });
  return layout;
}

function poolRecord({ kind, p, mask }: Pool): StepRecord {
  if (kind === 'gem') return { step: 'pool', kind, p };
  if (kind === 'mean' || kind === 'last') return { step: 'pool', kind, mask };
  return kind === 'max' && mask !== null ? { step: 'pool', kind, mask } : { step: 'pool', kind };
}

function axisFor(value: StepValue, label: string, what: string): number {
  const axis = channelAxis(value);
  if (axis !== null) return axis;
  throw new ResolveError(`${label}: which axis of '${value.tensor}' the channels are on is not known`, {
    code: 'FEATX_RESOLVE_LAYOUT',
    hint: `${what} works along the channels: select a feature that inspect shows with a layout, or make vectors of it with ${option('flatten', true)}`,
  });
}

function assertChannels({ shape, channels }: StepValue, axis: number, { rows }: Projection, label: string): void {
  const width = shape?.[axis] ?? channels;
  if (width === rows) return;
  throw new UsageError(
    `${label} has ${typeof width === 'number' ? width : 'an unknown number of'} channels, and ${option('project')} has ${rows} rows`,
    {
      code: 'FEATX_USAGE_PROJECT',
      hint: 'it takes a matrix [channels, width]; the weight of a PyTorch Linear is its transpose',
    },
  );
}

function addProjection({ rows, columns, weights, mean }: Projection, context: StepContext): ProjectionNames {
  const tensor = (base: string, dims: readonly number[], values: Float32Array): string => {
    const name = context.fresh(base);
    context.add({ name, dims, dataType: DataType.float, bytes: bytesOf(values) });
    return name;
  };
  return {
    weights: tensor('featx/project', [rows, columns], weights),
    mean: mean === null ? null : tensor('featx/mean', [rows], mean),
  };
}

/** Little-endian, as `raw_data` is. */
function bytesOf(values: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.byteLength));
  for (const [index, value] of values.entries()) view.setFloat32(index * 4, value, true);
  return new Uint8Array(view.buffer);
}

/** Several features as one, along the channels. */
function concatenated(taps: readonly BuiltTap[], how: Concat, context: StepContext): BuiltTap {
  const [first] = taps;
  const builder = new NodeBuilder(context.opset, (base) => context.fresh(base));
  const values = taps.map((tap) => ({ ...valueOf(tap), label: labelOf(tap), reduction: tap.tap.reduction }));
  const { value, isResized } = joinedOnOneGrid(builder, values, how);
  const { tensors, dtype, shape } = first.tap;
  const tap = {
    index: null,
    module: null,
    name: 'concat',
    tensors: tensors.slice(0, 1),
    numChs: value.channels,
    reduction: value.layout === null ? null : smallest(taps.map(({ tap: { reduction } }) => reduction)),
    dtype,
    shape,
    layout: value.layout,
    prefixTokens: 0,
    grid: null,
  };
  const joined = withValue({ ...first, tap, nodes: taps.flatMap(({ nodes }) => nodes) }, builder, value, []);
  return { ...joined, parts: taps, steps: [{ step: 'concat', resize: isResized ? how : null }] };
}

function smallest(numbers: readonly (number | null)[]): number | null {
  const known = numbers.filter((number) => number !== null);
  return known.length === numbers.length && known.length > 0 ? Math.min(...known) : null;
}

function castTap(tap: BuiltTap, dtype: Cast, context: StepContext): BuiltTap {
  const builder = new NodeBuilder(context.opset, (base) => context.fresh(base));
  const label = tap.parts === undefined ? labelOf(tap) : 'the concatenation';
  if (dtype === 'float16') {
    if (tap.dtype === 'float16') return tap;
    const value = asFloat32(builder, tap, label);
    const cast = { ...value, dtype, tensor: builder.cast(value.tensor, dtype) };
    return withValue(tap, builder, cast, [{ step: 'cast', dtype }]);
  }
  if (context.opset < INT8_SINCE) throw tooOld(context.opset, INT8_SINCE, 'no Round');
  if (!context.steps.normalize)
    context.warn(
      `${label} leaves as int8, and ${option('normalize')} is not asked for: numbers beyond -1 and 1 become -127 and 127`,
    );
  const value = asFloat32(builder, tap, label);
  const codes = { ...value, dtype, tensor: asInt8(builder, value.tensor) };
  return withValue(tap, builder, codes, [{ step: 'cast', dtype, scale: INT8_SCALE, zero_point: 0 }]);
}

function tooOld(opset: number, least: number, lacks: string): UnsupportedModelError {
  return new UnsupportedModelError(`the model is of opset ${opset}, which has ${lacks}; opset ${least} has`, {
    code: 'FEATX_OPSET',
    hint: 'leave the step out, or convert the model to a later opset: featx never raises it',
  });
}
