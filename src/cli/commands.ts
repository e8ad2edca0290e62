import type { CliCommand } from './command.js';

/** A command before its module is loaded. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CliCommand>;
}

/** Every command there is. Their modules load when they are asked for. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'inspect',
    summary: 'show the features of a model: modules, channels, strides, tensors',
    load: async () => (await import('./inspect.js')).inspectCommand,
  },
  {
    name: 'extract',
    summary: 'cut features out of a model, or hook them onto it, as a new .onnx file',
    load: async () => (await import('./extract.js')).extractCommand,
  },
  {
    name: 'split',
    summary: 'split a model into parts that one after the other compute what it computes',
    load: async () => (await import('./split.js')).splitCommand,
  },
  {
    name: 'run',
    summary: 'run features over pictures and arrays, and write them as .npz, .npy, .safetensors or .pb',
    load: async () => (await import('./run.js')).runCommand,
  },
  {
    name: 'verify',
    summary: 'compare a cut with its original: the same inputs, every feature bit for bit',
    load: async () => (await import('./verify.js')).verifyCommand,
  },
  {
    name: 'batch',
    summary: 'cut features out of many models: incremental, crash-safe, on one machine or many',
    load: async () => (await import('./batch.js')).batchCommand,
  },
  {
    name: 'init',
    summary: 'write a starting featx.config.json for the models that are there',
    load: async () => (await import('./init.js')).initCommand,
  },
  {
    name: 'merge',
    summary: 'join what the shards of a batch made, and check that it is whole',
    load: async () => (await import('./merge.js')).mergeCommand,
  },
  {
    name: 'cache',
    summary: 'list, remove or check what was fetched of remote models',
    load: async () => (await import('./cache.js')).cacheCommand,
  },
  {
    name: 'doctor',
    summary: 'say what this machine has and lacks for running models, and what mends it',
    load: async () => (await import('./doctor.js')).doctorCommand,
  },
];
