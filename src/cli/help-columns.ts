import { filled } from '../report/width.js';

/** An example of a command, and what stands behind it. */
const EXAMPLE = /^( +featx\S* .*?)(?: {3,}(\S.*))?$/;
const INDENT = '      ';

/**
 * The text of a help in lines of a width. A command stays one line, so that it can be copied; what is said of it goes
 * under it if there is no room beside it.
 */
export function inColumns(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => (line.length <= width ? line : folded(line, width)))
    .join('\n');
}

function folded(line: string, width: number): string {
  const [, command, comment] = EXAMPLE.exec(line) ?? [];
  if (command === undefined) return filled(line, width, '  ');
  return comment === undefined ? command : `${command}\n${filled(INDENT + comment, width, INDENT)}`;
}
