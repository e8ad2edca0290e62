import type { CommandName } from './row.js';
import { rowOf, type OptionKey } from './table.js';

/** A value that a message proposes: plain data. `ANY` leaves it open. */
export type ProposedValue =
  | string
  | number
  | boolean
  | readonly (string | number)[]
  | { readonly [name: string]: string | readonly number[] };

/** How the words of an option end whose value stands inside. */
export const END = ' }]';

/** Some value: a flag shows what it takes. */
export const ANY = '…';

/**
 * An option as every message names it, in the words of who calls the library: `` `outMap` ``, `` `weights: 'keep'` ``.
 * The command line reads these words back and says its flag in their place, so that messages are plain text wherever
 * they go.
 */
export function option(key: OptionKey, value?: ProposedValue): string {
  const { words = key } = rowOf(key);
  if (value === undefined) return `\`${words}\``;
  const said = value === ANY ? ANY : literal(value);
  return words.endsWith(END) ? `\`${words.slice(0, -END.length)}: ${said}${END}\`` : `\`${words}: ${said}\``;
}

/**
 * A call of the library: `` `inspect(model, { listTensors: true })` ``; on the command line, `` `featx inspect MODEL
 * --tensors` ``.
 */
export function call(command: CommandName, ...options: readonly OptionKey[]): string {
  return `\`${command}(model${options.length === 0 ? '' : `, { ${options.map((key) => `${key}: true`).join(', ')} }`})\``;
}

/** A name from outside in a message that does not quote all names: quoted if its backticks could pass for an option. */
export function named(name: string): string {
  return name.includes('`') ? `'${name}'` : name;
}

/** A value as JavaScript has it; without backticks, which would end the words. */
function literal(value: ProposedValue): string {
  if (typeof value === 'string' && !/['\\`\n]/.test(value)) return `'${value}'`;
  return JSON.stringify(value).replaceAll('`', '\\u0060');
}
