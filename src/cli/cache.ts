import { cache, CACHE_ACTIONS } from '../cache.js';
import { UsageError } from '../errors.js';
import { cacheText } from '../report/cache-text.js';
import type { CliCommand } from './command.js';
import { ExitCode } from './exit-codes.js';
import { optionsFor, readFlags } from './flags.js';
import { remoteFlags } from './model-flags.js';

/** `featx cache`: its arguments, its help, and how it prints what the function of its name returns. */
export const cacheCommand: CliCommand = {
  configure(command) {
    command
      .argument('<action>', 'ls: what was fetched; rm: remove it; verify: hold it against its servers')
      .argument('[url...]', 'of these only')
      .usage('ls|rm|verify [URL...] [flags]')
      .addHelpText('after', EXAMPLES);
  },

  async run([word, ...urls], command, context) {
    const flags = readFlags(command, 'cache');
    const action = CACHE_ACTIONS.find((known) => known === word);
    if (action === undefined)
      throw new UsageError(`featx cache has no '${word}'`, { hint: `it has ${CACHE_ACTIONS.join(', ')}` });
    const report = await cache(action, urls, {
      ...optionsFor('cache', flags),
      remote: remoteFlags(flags, context),
      signal: context.io.signal,
      fileSystem: context.fileSystem,
    });
    if (context.flags.json) await context.record(report);
    else if (!context.flags.quiet || action === 'ls') await context.print(cacheText(report, context.style));
    return report.entries.some(({ state }) => state === 'damaged') ? ExitCode.partial : ExitCode.done;
  },
};

const EXAMPLES = `
Examples:
  featx cache ls
  featx cache verify --offline
  featx cache rm hf://onnx-community/mobilenetv4/onnx/model.onnx
`;
