/// <reference lib="esnext.disposable" preserve="true" />
export * from './core.js';
export { openModel, type OpenModelOptions } from './open.js';
export { inspect, type InspectOptions } from './inspect.js';
export { extract, type ExtractOptions } from './extract.js';
export { inferTypes, type InferOptions } from './runtime/types.js';
export type { InspectReport, ExtractReport, ModelRecord, FeatureRecord, ExtractedFeatureRecord, TensorRecord } from './report/records.js';
export type { FileHandle, FileSystem } from './wire/fs.js';
export { VERSION } from './version.js';
