import { PolicyError, UsageError } from '../errors.js';
import { externalReference, openExternal, type OpenedTensor, type SidecarFiles } from '../onnx/external-data.js';
import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel, Tensor } from '../onnx/records.js';
import { encodeExternal, TensorField } from '../onnx/schema.js';
import { checkTensor, plainValues } from '../onnx/tensor-data.js';
import { merge, sizeOf, wrap, type Piece } from '../wire/pieces.js';
import type { ByteSource } from '../wire/source.js';
import type { GraphEdit } from './edit.js';
import { droppedStarts, topStart, type TensorContents } from './splice.js';

/** Where the weights of a cut live. */
export type WeightsMode = 'keep' | 'embed' | 'external' | 'reference';

export const WEIGHTS_MODES: readonly WeightsMode[] = ['keep', 'embed', 'external', 'reference'];

export interface WeightsOptions {
  readonly mode: WeightsMode;
  /** Whether the result lies in the directory of the model, so that references into it stay good. */
  readonly sameDirectory: boolean;
  /** Bytes at which tensors in a sidecar start. */
  readonly align: number;
  /** Name of the model file in its directory; null where it is not a file there. */
  readonly sourceName: string | null;
  readonly warn: (message: string) => void;
}

/** Bytes of a fresh sidecar and where each tensor stands in it. */
export interface SidecarPlan {
  readonly pieces: readonly Piece[];
  /** New TensorProtos, once the name of the sidecar is known: it carries the hash of its content. */
  contents(location: string): TensorContents;
}

export interface WeightsPlan {
  readonly contents: TensorContents;
  readonly sidecar: SidecarPlan | null;
  /** Whether the result points into the model file itself. */
  readonly isReference: boolean;
}

export const DEFAULT_ALIGN = 4096;
/** ONNX Runtime's shape inference needs small constants at hand. @see https://github.com/microsoft/onnxruntime/issues/26261 */
const SMALLEST_EXTERNAL = 1024;

/**
 * Decides for every kept tensor where its values go.
 * @throws UsageError for a reference that cannot be made; PolicyError, IoError or ModelFormatError for external data that cannot be used
 */
export async function planWeights(model: OnnxModel, edit: GraphEdit, files: SidecarFiles, options: WeightsOptions): Promise<WeightsPlan> {
  const dropped = droppedStarts(model, edit);
  const tensors = [...tensorsOf(model)].filter((tensor) => !dropped.has(topStart(model, tensor)));
  for (const tensor of tensors) {
    checkTensor(tensor, model.source.path);
    if (tensor.external !== null) externalReference(tensor, options.warn);
  }
  const external = tensors.filter((tensor) => tensor.external !== null);
  switch (options.mode) {
    case 'keep':
      if (external.length === 0 || options.sameDirectory) return { contents: new Map(), sidecar: null, isReference: false };
      return toSidecar(await openAll(external, files, options), new Map(), options);
    case 'embed':
      return { contents: inline(await openAll(external, files, options)), sidecar: null, isReference: false };
    case 'external':
      return externalize(model.source, tensors, await openAll(external, files, options), options);
    case 'reference':
      return { contents: references(tensors, options), sidecar: null, isReference: true };
  }
}

type OpenedTensors = ReadonlyMap<Tensor, OpenedTensor>;

async function openAll(tensors: readonly Tensor[], files: SidecarFiles, { warn }: WeightsOptions): Promise<OpenedTensors> {
  const opened = new Map<Tensor, OpenedTensor>();
  for (const tensor of tensors) opened.set(tensor, await openExternal(tensor, files, warn));
  return opened;
}

function inline(opened: OpenedTensors): Map<Tensor, readonly Piece[]> {
  const contents = new Map<Tensor, readonly Piece[]>();
  for (const [tensor, { source, range }] of opened) contents.set(tensor, [...tensor.header, ...wrap(TensorField.rawData, [{ ...range, from: source }])]);
  return contents;
}

function externalize(source: ByteSource, tensors: readonly Tensor[], opened: OpenedTensors, options: WeightsOptions): WeightsPlan {
  const moved = new Map<Tensor, OpenedTensor>();
  const small = new Map<Tensor, OpenedTensor>();
  for (const tensor of tensors) {
    const values = plainValues(tensor);
    const at = opened.get(tensor) ?? (values === null ? undefined : { source, range: values });
    if (at === undefined) continue;
    if (at.range.end - at.range.start > SMALLEST_EXTERNAL) moved.set(tensor, at);
    else if (tensor.external !== null) small.set(tensor, at);
  }
  return toSidecar(moved, inline(small), options);
}

/** Lays tensors out one after the other; a range that several tensors share is written once. */
function toSidecar(moved: OpenedTensors, others: TensorContents, { align }: WeightsOptions): WeightsPlan {
  if (moved.size === 0) return { contents: others, sidecar: null, isReference: false };
  const pieces: Piece[] = [];
  const places = new Map<Tensor, { readonly offset: number; readonly length: number }>();
  const written = new Map<ByteSource, Map<string, number>>();
  let at = 0;
  for (const [tensor, { source, range }] of moved) {
    const length = range.end - range.start;
    const ofSource = written.get(source) ?? new Map<string, number>();
    written.set(source, ofSource);
    const key = `${range.start}-${range.end}`;
    let offset = ofSource.get(key);
    if (offset === undefined) {
      offset = Math.ceil(at / align) * align;
      pieces.push(new Uint8Array(offset - at), { ...range, from: source });
      ofSource.set(key, offset);
      at = offset + length;
    }
    places.set(tensor, { offset, length });
  }
  const contents = (location: string): TensorContents => {
    const all = new Map(others);
    for (const [tensor, { offset, length }] of places) all.set(tensor, [...tensor.header, encodeExternal(location, offset, length)]);
    return all;
  };
  return { contents: others, sidecar: { pieces: merge(pieces), contents }, isReference: false };
}

/** Initializers that point into the model file itself. */
function references(tensors: readonly Tensor[], { sameDirectory, sourceName }: WeightsOptions): TensorContents {
  if (sourceName === null || !sameDirectory) {
    throw new UsageError('--weights reference needs the output in the directory of the model: it points into the model file', {
      code: 'FEATX_USAGE_REFERENCE', hint: 'choose an output beside the model, or --weights keep',
    });
  }
  const contents = new Map<Tensor, readonly Piece[]>();
  for (const tensor of tensors) {
    const values = plainValues(tensor);
    if (values === null || values.end - values.start <= SMALLEST_EXTERNAL) continue;
    contents.set(tensor, [...tensor.header, encodeExternal(sourceName, values.start, values.end - values.start)]);
  }
  if (contents.size === 0 && tensors.some(({ external }) => external !== null)) {
    throw new UsageError('--weights reference points into inline weights, and this model keeps its weights in other files', { code: 'FEATX_USAGE_REFERENCE', hint: 'use --weights keep: the result refers to the same files' });
  }
  return contents;
}

/**
 * Tensors of a model that is only to be loaded: all large values stay in the files where they are, so that the model itself is a few KB.
 * `locate` names a file as the runtime will find it; null where it cannot, and the values are taken along.
 */
export async function mapWeights(model: OnnxModel, edit: GraphEdit, files: SidecarFiles, locate: (source: ByteSource) => string | null, warn: (message: string) => void): Promise<TensorContents> {
  const dropped = droppedStarts(model, edit);
  const contents = new Map<Tensor, readonly Piece[]>();
  for (const tensor of tensorsOf(model)) {
    if (dropped.has(topStart(model, tensor))) continue;
    checkTensor(tensor, model.source.path);
    const values = plainValues(tensor);
    if (tensor.external === null && values === null) continue;
    const { source, range } = values === null ? await openExternal(tensor, files, warn) : { source: model.source, range: values };
    const length = range.end - range.start;
    const location = length > SMALLEST_EXTERNAL ? locate(source) : null;
    if (location !== null) contents.set(tensor, [...tensor.header, encodeExternal(location, range.start, length)]);
    else if (tensor.external !== null) contents.set(tensor, [...tensor.header, ...wrap(TensorField.rawData, [{ ...range, from: source }])]);
  }
  return contents;
}

/** The most bytes that protobuf readers accept in one file. */
export const LARGEST_MODEL = 2 ** 31 - 1;

/** @throws PolicyError where no reader could load the result */
export function assertLoadable(pieces: readonly Piece[]): void {
  const size = sizeOf(pieces);
  if (size <= LARGEST_MODEL) return;
  throw new PolicyError(`the result would take ${size} bytes, and no ONNX file may be larger than ${LARGEST_MODEL}`, {
    code: 'FEATX_LIMIT_MODEL', hint: 'keep the weights outside: --weights external, or --weights reference beside the original',
  });
}
