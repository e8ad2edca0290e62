import type { NameTable } from '../wire/name-table.js';
import type { FieldRule } from './message-rules.js';

/** A rule for a string. */
export type TextRule = FieldRule<object> & { kind: 'text' | 'value' | 'name' };

/** Hands a string to its rule, as a text or by its number. */
export function setText(record: object, rule: TextRule, names: NameTable, id: number): void {
  if (rule.kind === 'name') rule.set(record, id);
  else rule.set(record, names.text(id));
}
