/** Longer text fits no terminal, however wide its characters are. */
const LONGEST_MEASURED = 4096;

/**
 * How many terminal columns text takes, near enough: wide East Asian characters and emoji two, combining marks none.
 */
export function displayWidth(text: string): number {
  if (text.length > LONGEST_MEASURED || /^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** @see https://www.unicode.org/reports/tr11/ (East Asian Wide and Fullwidth, in whole blocks) */
const WIDE =
  /[\u1100-\u115f\u231a\u231b\u23e9-\u23ec\u2614\u2615\u2648-\u2653\u26a1\u26d4\u2705\u274c\u2753-\u2755\u2795-\u2797\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2fb}\u{1f004}\u{1f0cf}\u{1f18e}-\u{1f2ff}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f7e0}-\u{1f7eb}\u{1f900}-\u{1faff}\u{20000}-\u{3fffd}]/u;

function characterWidth(character: string): number {
  if (/\p{M}/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** `text` with spaces after it, `width` terminal columns wide. */
export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

/** `text` with spaces before it, `width` terminal columns wide. */
export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - displayWidth(text))) + text;
}

/** `text` in at most `width` columns, its middle replaced by `ellipsis`: the ends of a scope name tell most. */
export function shorten(text: string, width: number, ellipsis = '…'): string {
  if (displayWidth(text) <= width) return text;
  const room = width - displayWidth(ellipsis);
  if (room <= 0) return takeStart(text, width);
  const tail = takeEnd(text, Math.ceil(room / 2));
  return takeStart(text, room - displayWidth(tail)) + ellipsis + tail;
}

function takeStart(text: string, width: number): string {
  let taken = '';
  let used = 0;
  for (const character of text) {
    used += characterWidth(character);
    if (used > width) break;
    taken += character;
  }
  return taken;
}

function takeEnd(text: string, width: number): string {
  const characters = Array.from(text);
  let taken = '';
  let used = 0;
  for (let index = characters.length - 1; index >= 0; index--) {
    used += characterWidth(characters[index]);
    if (used > width) break;
    taken = characters[index] + taken;
  }
  return taken;
}

/** How words are put into lines. */
export interface Wrapping {
  readonly width: number | null;
  /** What stands behind the first words, one each. */
  readonly after?: readonly string[];
  /** What stands between the others. */
  readonly between: string;
}

/** Words one after the other, in lines of a width; the lines behind the first are indented. */
export function wrapped(words: readonly string[], { width, after = [], between }: Wrapping): string {
  let text = '';
  let used = 0;
  for (const [at, word] of words.entries()) {
    const separator = at === 0 ? '' : (after[at - 1] ?? between);
    const isTooLong = width !== null && used + displayWidth(separator + word) > width && at > 0;
    text += isTooLong ? `${separator.trimEnd()}\n  ${word}` : separator + word;
    used = isTooLong ? 2 + displayWidth(word) : used + displayWidth(separator + word);
  }
  return text;
}

/** SGR codes, which take no column. */
const CODES = new RegExp(`${String.fromCodePoint(27)}\\[[\\d;]*m`, 'g');

/**
 * Text of a terminal with no line longer than its width, as far as words are shorter: what is too long goes on in a
 * line that is indented by two more than the one that it continues. Columns padded with spaces stay where they fit.
 */
export function wrappedLines(text: string, width: number | null): string {
  if (width === null) return text;
  return text
    .split('\n')
    .map((line) => wrappedLine(line, width))
    .join('\n');
}

function wrappedLine(line: string, width: number): string {
  const widthOf = (part: string): number => displayWidth(part.replace(CODES, ''));
  if (widthOf(line) <= width) return line;
  const indent = `${/^ */.exec(line)?.[0] ?? ''}  `;
  let made = '';
  let used = 0;
  for (const [, spaces, word] of line.matchAll(/( *)([^ ]+)/g)) {
    const isTooLong = used > 0 && used + spaces.length + widthOf(word) > width;
    made += isTooLong ? `\n${indent}${word}` : spaces + word;
    used = (isTooLong ? indent.length : used + spaces.length) + widthOf(word);
  }
  return made;
}

/** A sentence in lines of a width; those behind the first are indented. */
export function filled(text: string, width: number | null, indent: string): string {
  if (width === null || displayWidth(text) <= width) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.trimEnd().split(/(?<=\S) /)) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = indent + word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
