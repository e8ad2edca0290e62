import type { CommandName } from '../options/row.js';
import { COMMAND_NAMES, flagFacts, flagsOf, longFlag } from '../options/table.js';
import { COMMAND_LIST } from './command-list.js';

/** A flag as a shell completes it. */
export interface CompletedFlag {
  readonly long: string;
  readonly short: string | null;
  readonly help: string;
  /** What follows it: nothing, one of some words, a file, or something that a shell does not know. */
  readonly value: 'none' | 'file' | 'text' | readonly string[];
}

/** A command as a shell completes it. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly CompletedFlag[];
}

const HELP: readonly CompletedFlag[] = [
  { long: '--help', short: '-h', help: 'print the main flags', value: 'none' },
  { long: '--help-all', short: null, help: 'print every flag', value: 'none' },
];
/** Names of values that are files. */
const FILES = /^(?:file|path|folder|directory|dir|template)$/;

/** Every command with its flags, as the table of options has them. */
export function completedCommands(): readonly CompletedCommand[] {
  return COMMAND_LIST.map(({ name, summary }) => {
    const known = COMMAND_NAMES.find((command) => command === name);
    return { name, summary, flags: [...(known === undefined ? [] : flagsIn(known)), ...HELP] };
  });
}

function flagsIn(command: CommandName): readonly CompletedFlag[] {
  return flagsOf(command).flatMap(([, row]) => {
    const { flag = '', help = '', kind } = flagFacts(row, command);
    const [, name] = /[<[]([\w-]+)/.exec(flag) ?? [];
    const value = name === undefined ? 'none' : (kind.choices ?? (FILES.test(name) ? 'file' : 'text'));
    const own = { long: longFlag(flag), short: /^(-\w),/.exec(flag)?.[1] ?? null, help, value } as const;
    const { negated } = row;
    return negated === undefined
      ? [own]
      : [own, { long: longFlag(negated.flag), short: null, help: negated.help, value: 'none' } as const];
  });
}
