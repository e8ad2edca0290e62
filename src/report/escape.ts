/**
 * Text from a file made safe to show: control characters (C0, C1, DEL), invisible and bidirectional format characters,
 * line separators and lone surrogates become visible escapes. A byte that was not UTF-8 (U+DC80..U+DCFF, see
 * `wire/text.ts`) is shown as `\xNN`. What a CI system would run as a command of its log is no command any more.
 * @see https://trojansource.codes
 */
export function escapeText(text: string): string {
  const plain = text.replace(LOG_COMMAND, '\\x23').replace(LINE_COMMAND, '$1\\x3a');
  return plain.replace(UNSAFE, (character) => {
    const point = character.codePointAt(0) ?? 0;
    if (point >= 0xdc80 && point <= 0xdcff) return `\\x${hex(point - 0xdc00, 2)}`;
    if (point < 0x80) return SHORT_ESCAPES[character] ?? `\\x${hex(point, 2)}`;
    return point > 0xffff ? `\\u{${hex(point, 1)}}` : `\\u${hex(point, 4)}`;
  });
}

const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/**
 * `##[error]` and `##vso[…]`, anywhere in a line.
 * @see https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands
 */
const LOG_COMMAND = /#(?=#(?:vso)?\[)/g;
/**
 * `::error::…`, at the start of a line.
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
const LINE_COMMAND = /^(\s*):(?=:)/;
const SHORT_ESCAPES: { readonly [character: string]: string } = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** Text of several lines, such as another program's message, as one. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*[\r\n]+\s*/g, ' ');
}

/** Text inside HTML, as content or as a quoted attribute. */
export function escapeHtml(text: string): string {
  return escapeText(text).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/**
 * A JSON document on one line that a terminal cannot misread: what `escapeText` would change is a `\uNNNN` escape, so
 * parsing it gives the data back.
 */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value)
    .replace(LOG_COMMAND, '\\u0023')
    .replace(UNSAFE, (character) => {
      let escaped = '';
      for (let index = 0; index < character.length; index++) escaped += `\\u${hex(character.charCodeAt(index), 4)}`;
      return escaped;
    });
}
