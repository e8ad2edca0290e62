import { isInitializer, type GraphView } from '../onnx/graph.js';
import type { Dim, OnnxModel } from '../onnx/records.js';
import type { NewNode } from '../onnx/encode.js';
import { dataTypeOf, type TensorTypes } from '../onnx/types.js';
import { keptFor } from './kept.js';
import type { GraphEdit } from './edit.js';
import { convertLayout, type LayoutContext } from './layout.js';
import type { NamePool } from './names.js';
import type { BuiltTap, PlanOptions, Tap } from './tap.js';

/** @throws ResolveError for a layout that cannot be had */
export function buildTap(
  view: GraphView,
  types: TensorTypes,
  tap: Tap,
  { outputFmt }: PlanOptions,
  names: NamePool,
): BuiltTap {
  const value = plainValue(types, tap, names);
  const nodes: NewNode[] = [...value.nodes];
  let { tensor, shape } = value;
  const { dtype } = value;
  if (tap.tensors.length > 1) {
    tensor = names.fresh('featx/Concat');
    nodes.push({
      opType: 'Concat',
      name: tensor,
      inputs: tap.tensors,
      outputs: [tensor],
      attributes: [{ name: 'axis', int: 1 }],
    });
    shape = concatenatedShape(tap.tensors.map((name) => types.get(name)?.shape ?? null));
  }
  if (outputFmt !== null && (outputFmt !== tap.layout || tap.prefixTokens > 0)) {
    const conversion = convertLayout(
      tensor,
      { ...tap, shape },
      outputFmt,
      layoutContext(view, types, tap, names),
      tap.index === null ? `'${tensor}'` : `feature ${tap.index}`,
    );
    return built(tap, {
      nodes: [...nodes, ...conversion.nodes],
      tensor: conversion.tensor,
      shape: conversion.shape,
      dtype,
      layout: outputFmt,
      prefixTokens: 0,
    });
  }
  return built(tap, { nodes, tensor, shape, dtype, layout: tap.layout, prefixTokens: tap.prefixTokens });
}

function built(
  tap: Tap,
  facts: Pick<BuiltTap, 'nodes' | 'tensor' | 'shape' | 'dtype' | 'layout' | 'prefixTokens'>,
): BuiltTap {
  const { nodes, tensor, layout, prefixTokens } = facts;
  const own = nodes.length === 0;
  return {
    ...facts,
    tap,
    own,
    channels: tap.numChs,
    before: { tensor, layout, prefixTokens, converted: !own },
    steps: [],
  };
}

/**
 * A tap's tensor as numbers in the order of a map: codes through their own scale and zero point, blocks of channels
 * through the operator with which ONNX Runtime leaves them.
 * @see https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/nchwc_transformer.cc
 */
function plainValue(
  types: TensorTypes,
  { tensors: [tensor], shape, dtype, codes, blocked, asValue = false, asFloat = false }: Tap,
  names: NamePool,
): Pick<BuiltTap, 'nodes' | 'tensor' | 'shape' | 'dtype'> {
  if (asValue && codes?.tensors !== undefined) {
    const output = names.fresh('featx/DequantizeLinear');
    const { scale, zeroPoint } = codes.tensors;
    const inputs = [tensor, scale, ...(zeroPoint === '' ? [] : [zeroPoint])];
    const node: NewNode = { opType: 'DequantizeLinear', name: output, inputs, outputs: [output] };
    return { nodes: [node], tensor: output, shape, dtype: types.get(scale)?.dtype ?? 'float32' };
  }
  if (asFloat) {
    const output = names.fresh('featx/Cast');
    const attributes = [{ name: 'to', int: dataTypeOf('float32') }];
    const node: NewNode = { opType: 'Cast', name: output, inputs: [tensor], outputs: [output], attributes };
    return { nodes: [node], tensor: output, shape, dtype: 'float32' };
  }
  if (!asValue || blocked == null) return { nodes: [], tensor, shape, dtype };
  const output = names.fresh('featx/ReorderOutput');
  const node: NewNode = {
    opType: 'ReorderOutput',
    domain: 'com.microsoft.nchwc',
    name: output,
    inputs: [tensor],
    outputs: [output],
    attributes: [{ name: 'channels', int: blocked }],
  };
  const plain = shape === null ? null : shape.map((dim, axis) => (axis === 1 ? blocked : dim));
  return { nodes: [node], tensor: output, shape: plain, dtype };
}

function concatenatedShape(shapes: readonly (readonly Dim[] | null)[]): readonly Dim[] | null {
  const [first] = shapes;
  if (first === null || shapes.some((shape) => shape?.length !== first.length)) return null;
  const channels = shapes.map((shape) => shape?.[1]);
  const sum = channels.every((dim) => typeof dim === 'number') ? channels.reduce((total, dim) => total + dim, 0) : null;
  return first.map((dim, axis) => (axis === 1 ? sum : shapes.every((shape) => shape?.[axis] === dim) ? dim : null));
}

/**
 * Version of the default domain that goes with an IR version.
 * @see https://github.com/onnx/onnx/blob/main/docs/Versioning.md
 */
const OPSET_OF_IR: { readonly [ir: number]: number } = { 3: 8, 4: 9, 5: 10, 6: 11, 7: 14, 8: 17, 9: 20, 10: 22 };

/** Version of the default domain: what the model imports, or what a model of its IR version may. */
export function defaultOpset({ opsetImports, irVersion }: OnnxModel): number {
  return (
    opsetImports.find(({ domain }) => domain === '')?.version ?? OPSET_OF_IR[irVersion] ?? (irVersion < 3 ? 7 : 22)
  );
}

/** What must be imported for nodes of the default domain; nothing where the model imports it. */
export function opsetsFor(model: OnnxModel, nodes: readonly NewNode[]): GraphEdit['addOpsetImports'] {
  const isThere = nodes.length === 0 || model.opsetImports.some(({ domain }) => domain === '');
  return isThere ? [] : [{ domain: '', version: defaultOpset(model) }];
}

function layoutContext(view: GraphView, types: TensorTypes, { tensors }: Tap, names: NamePool): LayoutContext {
  const { model } = view;
  const above = keptFor(view, tensors).tensors;
  const image = model.graph.inputs.find(
    ({ name }) => above.has(name) && !isInitializer(view, name) && types.get(name)?.shape?.length === 4,
  );
  const shape = image === undefined ? null : (types.get(image.name)?.shape ?? null);
  const isChannels = (dim: Dim | undefined): boolean => dim === 1 || dim === 3 || dim === 4;
  return {
    opset: defaultOpset(model),
    image:
      image === undefined
        ? null
        : { name: image.name, shape, layout: !isChannels(shape?.[1]) && isChannels(shape?.[3]) ? 'NHWC' : 'NCHW' },
    fresh: (base) => names.fresh(base),
  };
}
