/**
 * The part of featx that runs anywhere: reading, resolving and rewriting models as bytes, without a file system, a
 * process or ONNX Runtime. In a browser, wrap a dropped file in a `ByteSource` and give it to `indexModel`; `openUrl`
 * makes one of a URL.
 */
export * from './errors.js';
export { indexModel, type OpenOptions } from './onnx/model.js';
export { DEFAULT_LIMITS, type ReadLimits } from './onnx/limits.js';
export type * from './onnx/records.js';
export { ancestorsOf, viewGraph, type GraphView, type Producer } from './onnx/graph.js';
export { declaredTypes, tensorBytes, type InferredTypes, type TensorType, type TensorTypes } from './onnx/types.js';
export { BlobSource } from './wire/blob-source.js';
export { BufferSource, type ByteSource, type FetchOptions, type ReadStep } from './wire/source.js';
export { openUrl, type OpenUrlOptions } from './remote/open-url.js';
export type { Fetch } from './remote/route.js';
export type { ByteRange } from './wire/fields.js';
export { materialize, sizeOf, type BorrowedPiece, type Piece } from './wire/pieces.js';
export { FeatureInfo, takeIndices, type FeatureEntry, type FeatureIndex } from './features/feature-info.js';
export type * from './features/feature.js';
export { resolveFeatures, type ResolveOptions } from './features/resolve.js';
export { selectFeatures } from './features/select.js';
export type {
  EmbeddingSelector,
  IndexSelector,
  NamedSelector,
  Selection,
  SelectOptions,
  Selector,
} from './features/selectors.js';
export { cutFeatures, planRewrite, type Plan, type PlannedOutput } from './rewrite/plan.js';
export type { Mode, PlanOptions, Tap } from './rewrite/tap.js';
export type { PixelsRecord } from './rewrite/pixels.js';
export type { Projection, StepRecord, Steps } from './rewrite/steps.js';
export type { InsideEdit, ScopePath } from './onnx/inside.js';
export { EMPTY_EDIT, type Drops, type GraphEdit, type OutputEdit } from './rewrite/edit.js';
export { splice } from './rewrite/splice.js';
export {
  extractBytes,
  inspectBytes,
  inspectModel,
  planBytes,
  type CutPlace,
  type ExtractBytesOptions,
  type ExtractedModel,
  type InspectBytesOptions,
  type PlannedBytes,
} from './in-memory.js';
export type { SidecarFiles } from './onnx/external-data.js';
export type { ExtractReport, InspectReport } from './report/records.js';
