import type { FeatxError } from '../errors.js';
import { escapeText, oneLine } from './escape.js';
import type { ErrorRecord } from './records.js';
import { paint, type TextStyle } from './style.js';

/** An error as the contract's record; `subject` is the file in hand, where the error names none. */
export function errorRecord(command: string | null, error: FeatxError, subject?: string): ErrorRecord {
  const { code, message, hint, offset, field } = error;
  const path = error.path ?? subject;
  return {
    schema: 1,
    command,
    error: {
      code,
      message,
      hint: hint ?? null,
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
      ...(field === undefined ? {} : { field }),
    },
  };
}

/**
 * An error for people: what is wrong, where, and what to do; `subject` is the file in hand, where the error names none.
 */
export function errorText(
  { message, hint, path, offset, field }: FeatxError,
  style: TextStyle,
  subject?: string,
): string {
  const lines = [`${paint(style, 'red', 'featx: error:')} ${escapeText(oneLine(message))}`];
  const place: string[] = [];
  if (field !== undefined && !message.includes(field)) place.push(`in ${escapeText(field)}`);
  const file = path ?? subject;
  if (file !== undefined && !message.includes(file))
    place.push(`${place.length === 0 ? 'in' : 'of'} ${escapeText(file)}`);
  if (offset !== undefined && !message.includes(String(offset))) place.push(`at byte ${offset}`);
  if (place.length > 0) lines.push(`  ${place.join(' ')}`);
  if (hint !== undefined) lines.push(`  ${paint(style, 'cyan', 'hint:')} ${escapeText(oneLine(hint))}`);
  return `${lines.join('\n')}\n`;
}

/** A warning for people. */
export function warningText(message: string, style: TextStyle): string {
  return `${paint(style, 'yellow', 'featx: warning:')} ${escapeText(oneLine(message))}\n`;
}
