import type { CliCommand } from './command.js';
import { COMMAND_LIST } from './command-list.js';

/** A command before its module is loaded. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CliCommand>;
}

/** Modules load when they are asked for. */
const LOADERS: { readonly [N in (typeof COMMAND_LIST)[number]['name']]: () => Promise<CliCommand> } = {
  inspect: async () => (await import('./inspect.js')).inspectCommand,
  extract: async () => (await import('./extract.js')).extractCommand,
  split: async () => (await import('./split.js')).splitCommand,
  common: async () => (await import('./common.js')).commonCommand,
  run: async () => (await import('./run.js')).runCommand,
  verify: async () => (await import('./verify.js')).verifyCommand,
  report: async () => (await import('./report.js')).reportCommand,
  diff: async () => (await import('./diff.js')).diffCommand,
  page: async () => (await import('./page.js')).pageCommand,
  batch: async () => (await import('./batch.js')).batchCommand,
  init: async () => (await import('./init.js')).initCommand,
  merge: async () => (await import('./merge.js')).mergeCommand,
  cache: async () => (await import('./cache.js')).cacheCommand,
  doctor: async () => (await import('./doctor.js')).doctorCommand,
  completion: async () => (await import('./completion.js')).completionCommand,
  version: async () => (await import('./version.js')).versionCommand,
};

/** Every command there is. */
export const COMMANDS: readonly CommandEntry[] = COMMAND_LIST.map((entry) => ({ ...entry, load: LOADERS[entry.name] }));
