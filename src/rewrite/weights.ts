import { option } from '../options/words.js';
import type { WeightsMode } from '../options/choices.js';
import { PolicyError, UsageError } from '../errors.js';
import {
  externalReference,
  isContained,
  openExternal,
  type OpenedTensor,
  type SidecarFiles,
} from '../onnx/external-data.js';
import { tensorsOf } from '../onnx/graph.js';
import type { OnnxModel, Tensor } from '../onnx/records.js';
import { encodeExternal } from '../onnx/encode.js';
import { INLINE_BYTES, LARGEST_MESSAGE, TensorField } from '../onnx/schema.js';
import { plainValues } from '../onnx/tensor-data.js';
import { wrap } from '../wire/encode.js';
import { sizeOf, type Piece } from '../wire/pieces.js';
import type { ByteSource } from '../wire/source.js';
import { droppedStarts, type GraphEdit } from './edit.js';
import { planSidecar, type OpenedTensors, type SidecarPlan } from './sidecar.js';
import { topStart, type TensorContents } from './splice.js';

/** Where the weights of a cut live. */
export type { WeightsMode };

/** Where the weights of a cut go. */
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

/** What is written for each weight of a cut. */
export interface WeightsPlan {
  readonly contents: TensorContents;
  readonly sidecar: SidecarPlan | null;
  /** Whether the result points into the model file itself. */
  readonly isReference: boolean;
  /** Whether tensors still point where they pointed. */
  readonly keepsExternal: boolean;
}

/** Bytes at which large tensors begin in a file of weights. */
export const DEFAULT_ALIGN = 4096;
/** More would only fill the file with zeros. */
const LARGEST_ALIGN = 16 * 1024 * 1024;

/**
 * Decides for every kept tensor where its values go.
 * @throws UsageError for a reference that cannot be made; PolicyError, IoError or ModelFormatError for external data
 * that cannot be used
 */
export async function planWeights(
  model: OnnxModel,
  edit: GraphEdit,
  files: SidecarFiles,
  options: WeightsOptions,
): Promise<WeightsPlan> {
  if (!Number.isSafeInteger(options.align) || options.align < 1 || options.align > LARGEST_ALIGN) {
    throw new UsageError(`tensors cannot start at multiples of ${options.align} bytes`, {
      code: 'FEATX_USAGE_ALIGN',
      hint: `give a whole number from 1 to ${LARGEST_ALIGN}; memory pages take 4096, Windows maps by 65536`,
    });
  }
  const dropped = droppedStarts(model, edit);
  const tensors = [...tensorsOf(model)].filter((tensor) => !dropped.has(topStart(model, tensor)));
  for (const tensor of tensors) if (tensor.external !== null) externalReference(tensor, options.warn);
  const external = tensors.filter((tensor) => tensor.external !== null);
  switch (options.mode) {
    case 'keep':
      if (external.length === 0 || options.sameDirectory)
        return { ...NOTHING_MOVED, keepsExternal: external.length > 0 };
      return externalize(model.source, external, await openAll(external, files, options), options);
    case 'embed':
      return { ...NOTHING_MOVED, contents: inline(await openAll(external, files, options)) };
    case 'external':
      return externalize(model.source, movable(model, tensors), await openAll(external, files, options), options);
    case 'reference': {
      const contents = references(movable(model, tensors), options);
      return { ...NOTHING_MOVED, contents, isReference: contents.size > 0, keepsExternal: external.length > 0 };
    }
  }
}

const NOTHING_MOVED: WeightsPlan = { contents: new Map(), sidecar: null, isReference: false, keepsExternal: false };

/** What is kept of training is kept as it is, but for data in files that the result could not find. */
function movable(model: OnnxModel, tensors: readonly Tensor[]): readonly Tensor[] {
  const starts = new Set(model.trainingInfo.map(({ field }) => field.start));
  return starts.size === 0
    ? tensors
    : tensors.filter((tensor) => tensor.external !== null || !starts.has(topStart(model, tensor)));
}

async function openAll(
  tensors: readonly Tensor[],
  files: SidecarFiles,
  { warn }: WeightsOptions,
): Promise<OpenedTensors> {
  const opened = new Map<Tensor, OpenedTensor>();
  for (const tensor of tensors) opened.set(tensor, await openExternal(tensor, files, warn));
  return opened;
}

function inline(opened: OpenedTensors): Map<Tensor, readonly Piece[]> {
  const contents = new Map<Tensor, readonly Piece[]>();
  for (const [tensor, { source, range }] of opened)
    contents.set(tensor, [...tensor.header, ...wrap(TensorField.rawData, [{ ...range, from: source }])]);
  return contents;
}

function externalize(
  source: ByteSource,
  tensors: readonly Tensor[],
  opened: OpenedTensors,
  options: WeightsOptions,
): WeightsPlan {
  const moved = new Map<Tensor, OpenedTensor>();
  const small = new Map<Tensor, OpenedTensor>();
  for (const tensor of tensors) {
    const values = plainValues(tensor);
    const at = opened.get(tensor) ?? (values === null ? undefined : { source, range: values });
    if (at === undefined) continue;
    if (at.range.end - at.range.start > INLINE_BYTES) moved.set(tensor, at);
    else if (tensor.external !== null) small.set(tensor, at);
  }
  const others = inline(small);
  return {
    ...NOTHING_MOVED,
    contents: others,
    sidecar: moved.size === 0 ? null : planSidecar(moved, others, options),
  };
}

/** Initializers that point into the model file itself. */
function references(tensors: readonly Tensor[], { sameDirectory, sourceName }: WeightsOptions): TensorContents {
  if (sourceName === null || !sameDirectory) {
    throw new UsageError(
      `${option('weights', 'reference')} needs the output in the directory of the model file itself: it points into that file`,
      {
        code: 'FEATX_USAGE_REFERENCE',
        hint: `choose an output beside the model (where the model is a link: beside what it links to), or ${option('weights', 'keep')}`,
      },
    );
  }
  if (!isContained(sourceName)) {
    throw new UsageError(
      `${option('weights', 'reference')}: the model is called '${sourceName}', which no model may name as a place of its weights`,
      {
        code: 'FEATX_USAGE_REFERENCE',
        hint: 'give it a name without a colon, and not that of a device or a home directory',
      },
    );
  }
  const contents = new Map<Tensor, readonly Piece[]>();
  for (const tensor of tensors) {
    const values = plainValues(tensor);
    if (values === null || values.end - values.start <= INLINE_BYTES) continue;
    contents.set(tensor, [
      ...tensor.header,
      encodeExternal({ location: sourceName, offset: values.start, length: values.end - values.start }),
    ]);
  }
  if (contents.size === 0 && tensors.some(({ external }) => external !== null)) {
    throw new UsageError(
      `${option('weights', 'reference')} points into inline weights, and this model keeps its weights in other files`,
      { code: 'FEATX_USAGE_REFERENCE', hint: `use ${option('weights', 'keep')}: the result refers to the same files` },
    );
  }
  return contents;
}

/** @throws PolicyError where no reader could load the result */
export function assertLoadable(pieces: readonly Piece[]): void {
  const size = sizeOf(pieces);
  if (size <= LARGEST_MESSAGE) return;
  throw new PolicyError(`the result would take ${size} bytes, and no ONNX file may be larger than ${LARGEST_MESSAGE}`, {
    code: 'FEATX_LIMIT_MODEL',
    hint: `keep the weights outside: ${option('weights', 'external')}, or ${option('weights', 'reference')} beside the original`,
  });
}
