import { ModelFormatError } from '../../errors.js';
import type { Field } from '../../wire/fields.js';
import { entered, type MessageRule } from '../message-rules.js';
import type { OpsetImport } from '../records.js';
import { OpsetField } from '../schema.js';
import { add, int, text, type Draft } from './drafts.js';

/** A version as a number; one that a number cannot hold is none. */
export function versionOf(value: number | bigint, { start: offset }: Field, what: string): number {
  if (typeof value === 'number') return value;
  throw new ModelFormatError(`${what} is ${value}, no version that there is (byte ${offset})`, {
    code: 'FEATX_GRAPH_VERSION',
    offset,
    field: what,
  });
}

const opsetRule: MessageRule<Draft<OpsetImport>> = {
  fields: {
    [OpsetField.domain]: text((opset, value) => (opset.domain = value === 'ai.onnx' ? '' : value)),
    [OpsetField.version]: int(
      (opset, value, field) => (opset.version = versionOf(value, field, 'opset_import.version')),
    ),
  },
};

/** One more `opset_import` of a model or of a function. */
export function enteredOpset(field: Field, holder: { opsetImports: Draft<OpsetImport>[] }): ReturnType<typeof entered> {
  const opset: Draft<OpsetImport> = { field, domain: '', version: 0 };
  holder.opsetImports = add(holder.opsetImports, opset);
  return entered(opsetRule, opset, 'opset_import', holder.opsetImports.length - 1);
}
