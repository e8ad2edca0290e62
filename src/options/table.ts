import { BATCHING } from './batching.js';
import { COMMON, LIVE, NETWORKS } from './common.js';
import { PLANNING, WRITING } from './cutting.js';
import { ENDS, SPLITTING } from './ends.js';
import { FETCHING } from './fetching.js';
import type { AnyKind, CommandName, FlagFacts, OptionSet, Row } from './row.js';
import { LIMITING } from './limits.js';
import { PIXELS } from './pixels.js';
import { PICTURES } from './pictures.js';
import { RUNNING } from './running.js';
import { SELECTING } from './selecting.js';
import { STEPPING } from './steps.js';

/**
 * Every option of featx, once: its spelling in the library, its flag, its key in a config, what it may be, and what
 * takes it. Flags, help, the schema of a config, decoding and checks follow from it; `--help` keeps its order within
 * each group.
 */
export const OPTIONS = {
  ...SPLITTING,
  ...RUNNING,
  ...BATCHING,
  ...PLANNING,
  ...PIXELS,
  ...STEPPING,
  ...WRITING,
  ...ENDS,
  ...PICTURES,
  ...SELECTING,
  ...LIMITING,
  ...FETCHING,
  ...COMMON,
  ...LIVE,
  ...NETWORKS,
} as const;

/** The table with all that it knows of each option. */
export type OptionTable = typeof OPTIONS;
/** The key of an option: its spelling in the library. */
export type OptionKey = keyof OptionTable;

/** Every option with its key, in the order of the table. */
export const ROWS: readonly (readonly [key: OptionKey, row: Row])[] = Object.entries(OPTIONS) as readonly (readonly [
  OptionKey,
  Row,
])[];

/** Whether an option has this key. */
export function isKey(key: string): key is OptionKey {
  return Object.hasOwn(OPTIONS, key);
}

/** The option of a key. */
export function rowOf(key: OptionKey): Row {
  return OPTIONS[key];
}

/** The options that a function takes. */
export function optionsOf(set: OptionSet): readonly (readonly [OptionKey, Row])[] {
  return ROWS.filter(([, row]) => row.in.includes(set));
}

const FLAGS = new Map<CommandName, readonly (readonly [OptionKey, Row])[]>();

/** The options that have a flag at a command. */
export function flagsOf(command: CommandName): readonly (readonly [OptionKey, Row])[] {
  let flags = FLAGS.get(command);
  if (flags === undefined) {
    flags = ROWS.filter(
      ([, row]) => (row.per?.[command]?.flag ?? row.flag) !== undefined && commandsOf(row).includes(command),
    );
    FLAGS.set(command, flags);
  }
  return flags;
}

/** The commands that have the flag of an option. */
export function commandsOf({ cli, in: sets }: Row): readonly CommandName[] {
  return cli ?? sets.flatMap((set) => (set === 'cut' ? ['batch'] : isCommand(set) ? [set] : []));
}

/** The flag of an option at one command. */
export function flagFacts(row: Row, command: CommandName): FlagFacts & { readonly kind: AnyKind } {
  const { kind, flag, help, group } = row;
  return { kind, flag, help, group, ...row.per?.[command] };
}

/** `--output` of `-o, --output <path>`. */
export function longFlag(flag: string): string {
  return /--[\w-]+/.exec(flag)?.[0] ?? flag;
}

/** Every command of the command line. */
export const COMMAND_NAMES: readonly CommandName[] = COMMON.json.cli;

const NAMED: ReadonlySet<OptionSet> = new Set(COMMAND_NAMES);

function isCommand(set: OptionSet): set is CommandName {
  return NAMED.has(set);
}

/** The long flag of an option, for texts of the command line. */
export function flagOf(key: OptionKey): string {
  return longFlag(rowOf(key).flag ?? '');
}

/** The flags that a short help shows; commands that have few flags show them all. */
const MAIN: { readonly [C in CommandName]?: readonly OptionKey[] } = {
  inspect: [
    'csv',
    'listTensors',
    'listModules',
    'explain',
    'out',
    'module',
    'tensor',
    'embedding',
    'inputShapes',
    'json',
  ],
  extract: [
    'output',
    'out',
    'last',
    'module',
    'tensor',
    'embedding',
    'mode',
    'outMap',
    'outputFmt',
    'from',
    'pool',
    'normalize',
    'pixels.preprocess',
    'weights',
    'dryRun',
    'verify',
    'json',
  ],
  run: [
    'inputs',
    'texts',
    'output',
    'format',
    'out',
    'last',
    'module',
    'tensor',
    'embedding',
    'batchSize',
    'providers',
    'image.preprocess',
    'image.size',
    'image.mean',
    'image.std',
    'skipBad',
    'json',
  ],
  verify: ['inputs', 'map', 'tolerance', 'json'],
  batch: [
    'output',
    'out',
    'last',
    'module',
    'embedding',
    'weights',
    'plan',
    'watch',
    'jobs',
    'resume',
    'shard',
    'force',
    'json',
  ],
};

/** The long flags of what a short help shows; null if it shows all. */
export function mainFlags(command: CommandName): readonly string[] | null {
  const main = MAIN[command];
  if (main === undefined) return null;
  const keys = new Set<string>(main);
  return flagsOf(command).flatMap(([key, row]) =>
    keys.has(key) ? [longFlag(flagFacts(row, command).flag ?? '')] : [],
  );
}
