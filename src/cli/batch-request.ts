import { resolve } from 'node:path';
import { CONFIG_NAME, configJobs, configReads, readConfig } from '../batch/config.js';
import { type FoundJobs, findJobs } from '../batch/jobs.js';
import { type CutOptions, batchOptions } from '../batch/options.js';
import { IoError, UsageError } from '../errors.js';
import { GROUPS } from '../options/row.js';
import { type OptionKey, rowOf } from '../options/table.js';
import type { OptionsOf } from '../options/types.js';
import type { Context } from './context.js';
import { givenFlags, optionsFor, readFlags } from './flags.js';
import { givenFeatures } from './selection-flags.js';
import type { Command } from 'commander';

/** What a command line asks a batch for. */
export interface Requested extends FoundJobs {
  readonly root: string;
  /** What the config says of how to work. */
  readonly config: Partial<OptionsOf<'batch'>>;
  /** Files that were read to know what to cut; absolute. */
  readonly reads: readonly string[];
}

/** What is to be cut: a config's items, or the models named on the command line. */
export async function requested(operands: readonly string[], command: Command, context: Context): Promise<Requested> {
  const configs = operands.filter((operand) => /\.json$/i.test(operand));
  if (operands.length > 0 && configs.length === 0) return fromPatterns(operands, command, context);
  if (operands.length > 1)
    throw new UsageError(`${configs[0]} is a config, and a config says which models`, {
      hint: 'give one config, or models',
    });
  const given = givenFlags(command, 'batch').flatMap(([key, flag]) => (saysWhat(key) ? [flag] : []));
  if (given.length > 0) {
    throw new UsageError(
      `${given.join(', ')} ${given.length === 1 ? 'goes' : 'go'} with models on the command line, not with a config`,
      { hint: 'say it in the options of the config, or name models' },
    );
  }
  const path = configs[0] ?? CONFIG_NAME;
  const loaded = await readConfig(path, context.fileSystem).catch((error: unknown) => {
    if (operands.length > 0 || !(error instanceof IoError) || error.code !== 'FEATX_IO_NOT_FOUND') throw error;
    throw new UsageError(`no model is named, and there is no ${CONFIG_NAME} here`, {
      hint: 'name models, such as "models/**/*.onnx", or write a config with featx init',
    });
  });
  const { root, config } = context.flags.strict
    ? { ...loaded, config: { ...loaded.config, options: { ...loaded.config.options, strict: true } } }
    : loaded;
  return {
    root,
    config: batchOptions(config),
    reads: configReads(path, loaded),
    ...(await configJobs({ config, root }, context.fileSystem)),
  };
}

async function fromPatterns(patterns: readonly string[], command: Command, context: Context): Promise<Requested> {
  const flags = readFlags(command, 'batch');
  const { output, exclude = [] } = flags;
  const { features, reads } = await givenFeatures(flags, context.fileSystem);
  const options: CutOptions = {
    ...optionsFor('cut', flags),
    ...(features === undefined ? {} : { features }),
    ...(context.flags.strict === undefined ? {} : { strict: context.flags.strict }),
  };
  return {
    root: '.',
    config: {},
    reads: reads.map((path) => resolve(path)),
    ...(await findJobs(
      patterns.map((pattern) => ({ pattern, output, options })),
      exclude,
      process.cwd(),
      context.fileSystem,
    )),
  };
}

/** Whether an option says which models are cut and how, as a config does, and not how to work. */
function saysWhat(key: OptionKey): boolean {
  const row = rowOf(key);
  return (
    key === 'output' ||
    key === 'exclude' ||
    row.selects !== undefined ||
    (row.in.includes('cut') && row.group !== GROUPS.common)
  );
}
