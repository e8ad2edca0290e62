import { UsageError } from '../errors.js';
import type { Selects } from './feature-kinds.js';
import type { Kind } from './kinds.js';
import type { Schema } from './schema.js';

/** The functions of `featx/core`: `inspect` and `extract` of bytes. */
export const IN_MEMORY = ['inspectBytes', 'extractBytes'] as const;

/** The commands that run features and show them on a page. */
export const PAGES = ['report', 'diff'] as const;

/** The commands of the command line. */
export type CommandName =
  | 'inspect'
  | 'extract'
  | 'split'
  | 'common'
  | 'run'
  | 'verify'
  | 'batch'
  | 'init'
  | 'merge'
  | 'doctor'
  | 'cache'
  | 'page'
  | (typeof PAGES)[number];

/**
 * What takes options: the exported functions; `cut`, what an item of a batch may ask of `extract`; `net` and `hookNet`,
 * timm's networks; `model` and `session`, what is opened. The flags of `cut` are flags of `featx batch`.
 */
export type OptionSet = CommandName | (typeof IN_MEMORY)[number] | 'cut' | 'net' | 'hookNet' | 'model' | 'session';

/** Any `Kind<T>`. */
export interface AnyKind extends Omit<Kind<unknown>, 'accepts' | 'add' | 'spell' | 'fromConfig'> {
  readonly accepts: (value: unknown) => boolean;
  readonly add?: (flag: string, before: never, next: never) => unknown;
  readonly spell?: (value: never) => readonly string[];
  readonly fromConfig?: (value: never) => unknown;
}

/** What a text behind a flag says. @throws UsageError for what the option cannot be */
export function readText({ parse, accepts, allowed }: AnyKind, flag: string, text: string): unknown {
  const value: unknown = parse === undefined ? text : parse(flag, text);
  if (accepts(value)) return value;
  throw new UsageError(`${flag} takes ${allowed}, not '${text}'`);
}

/** What a flag is, for one command. */
export interface FlagFacts {
  /** As commander spells it: `-o, --output <path>`. */
  readonly flag?: string;
  readonly help?: string;
  /** The heading that `--help` puts it under. */
  readonly group?: string;
}

/** One option. Its key is its spelling in the library; a dot leads into an object: `limits.depth`. */
export interface Row extends FlagFacts {
  readonly kind: AnyKind;
  readonly default?: string | number;
  /** What takes it. */
  readonly in: readonly OptionSet[];
  /** Flags that other tools have for it, for the hint about a flag that is not known. */
  readonly elsewhere?: readonly string[];
  /** The commands that have its flag, where they are not those of `in`. */
  readonly cli?: readonly CommandName[];
  /** The flag that says the opposite. */
  readonly negated?: Required<Pick<FlagFacts, 'flag' | 'help'>>;
  /** What a flag without a value says; true by default. */
  readonly gives?: boolean;
  /** The flag that it excludes, as commander calls it. */
  readonly conflicts?: string;
  /** What every use of the flag adds to `select`, in the order of the command line. */
  readonly selects?: Selects;
  /** Its key in `featx.config.json`: at the top for what `batch` takes, else under `options`. */
  readonly config?: string;
  /** What the schema of a config says of it; the help by default. */
  readonly description?: string;
  /** What the schema of a config demands beside what its kind does. */
  readonly schema?: Partial<Schema>;
  /** How messages name it to who calls the library, where that is not its key. */
  readonly words?: string;
  /** What is different for one set or command. */
  readonly per?: { readonly [S in OptionSet]?: FlagFacts & { readonly kind?: AnyKind; readonly words?: string } };
}

/** Options by their keys. */
export interface Rows {
  readonly [key: string]: Row;
}

/** Where `--help` lists a flag. */
export const GROUPS = {
  flags: 'Flags:',
  pictures: 'Pictures:',
  selecting: 'Selecting features:',
  ends: 'The inputs of the cut:',
  pixels: 'Pixels in:',
  steps: 'Computed of each feature, in this order:',
  limits: 'Limits:',
  remote: 'Over the network:',
  common: 'Common flags:',
} as const;
