/// <reference lib="esnext.disposable" preserve="true" />
export type { TensorValue } from './onnx/tensor-value.js';
export * from './core.js';
export { openModel, type OpenModelOptions } from './open.js';
export { inspect, type InspectOptions } from './inspect.js';
export { extract, type ExtractOptions } from './extract.js';
export { common, type CommonOptions } from './common.js';
export type { CommonReport } from './report/common-records.js';
export { split, type SplitOptions } from './split.js';
export type { SplitManifest, SplitReport } from './report/split-records.js';
export { run, type RunOptions } from './run.js';
export { verify, type VerifyOptions } from './verify.js';
export { doctor, type DoctorOptions } from './doctor.js';
export { diff, type DiffOptions } from './diff.js';
export type { DiffReport, FeatureDistance, FeatureInfoDifference, WeightDifference } from './report/diff-records.js';
export { report, type ReportOptions } from './report-features.js';
export type { InputCheckRecord, ModelPageReport, PageFeatureRecord, PageReport } from './report/page-records.js';
export { page, type PageOptions } from './page.js';
export { cache, type CacheOptions } from './cache.js';
export {
  FeatureDictNet,
  FeatureHookNet,
  FeatureListNet,
  type Feeds,
  type HookNetOptions,
  type NetOptions,
} from './nets.js';
export { inferTypes } from './runtime/types.js';
export type { InferOptions } from './runtime/type-questions.js';
export type {
  InspectReport,
  ModuleTreeRecord,
  ExtractReport,
  ModelRecord,
  FeatureRecord,
  ExtractedFeatureRecord,
  TensorRecord,
  VerifyReport,
  DoctorReport,
  CacheReport,
  CacheEntryRecord,
} from './report/records.js';
export type { RunReport, RunFeatureRecord, PreprocessingRecord } from './report/run-records.js';
export { openSession, type RuntimeSession } from './runtime/open-session.js';
export type { SessionOptions } from './runtime/session-options.js';
export {
  encodeArrays,
  readArrays,
  readPictures,
  writeArrays,
  type PictureOptions,
  type ReadArraysOptions,
} from './tensors/in-memory.js';
export { batch, type BatchOptions } from './batch/batch.js';
export type { Job } from './batch/jobs.js';
export { init, type InitOptions, type InitReport } from './batch/init.js';
export { merge } from './batch/merge.js';
export type { MergeOptions, MergeReport } from './shards/merge-report.js';
export type { CutOptions } from './batch/options.js';
export type { BatchProgress, BatchSummary, JobReport } from './batch/reports.js';
export type { RemoteOptions } from './remote/settings.js';
export type { FileHandle, FileSystem } from './wire/fs.js';
export { VERSION } from './version.js';
