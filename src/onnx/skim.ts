import type { ByteSource } from '../wire/source.js';
import { readLimits, type ReadLimits } from './limits.js';
import { readMessage } from './reader.js';
import { entered, type FieldRule, type MessageRule } from './message-rules.js';
import { text } from './rules/drafts.js';
import { EntryField, GraphField, ModelField, TensorField, ValueInfoField } from './schema.js';

// A few words of a model without its graph: everything else is stepped over.

/** What a model may cost that is only asked for its keys. */
const MEMORY = 1024 * 1024;

/** A field of messages that each have one text worth reading. */
function textOf<B>(label: string, number: number, textsOf: (record: B) => string[]): FieldRule<B> {
  const rule: MessageRule<string[]> = {
    fields: { [number]: text((texts, value) => (texts[texts.length - 1] = value)) },
  };
  return {
    kind: 'message',
    enter: (record) => {
      const texts = textsOf(record);
      return entered(rule, texts, label, texts.push('') - 1);
    },
  };
}

const keysRule: MessageRule<string[]> = {
  fields: { [ModelField.metadataProps]: textOf('metadata_props', EntryField.key, (keys) => keys) },
};

/**
 * The keys of a model's metadata_props, in file order.
 * @throws ModelFormatError if the outermost message is malformed, PolicyError if it costs more than a look is
 * worth
 */
export async function readMetadataKeys(source: ByteSource): Promise<readonly string[]> {
  const keys: string[] = [];
  await readMessage(source, keysRule, keys, readLimits({ indexBytes: MEMORY }), () => undefined);
  return keys;
}

interface Given {
  readonly inputs: string[];
  readonly initializers: string[];
}

const givenRule: MessageRule<Given> = {
  fields: {
    [GraphField.input]: textOf('input', ValueInfoField.name, ({ inputs }) => inputs),
    [GraphField.initializer]: textOf('initializer', TensorField.name, ({ initializers }) => initializers),
  },
};

const inputsRule: MessageRule<Given> = {
  fields: { [ModelField.graph]: { kind: 'message', enter: (given) => entered(givenRule, given, 'graph') } },
};

/**
 * The names of the inputs that a run must be given: those without an initializer, in file order.
 * @throws ModelFormatError if one of the messages around them is malformed, PolicyError over the limits
 */
export async function readInputNames(source: ByteSource, limits?: Partial<ReadLimits>): Promise<readonly string[]> {
  const given: Given = { inputs: [], initializers: [] };
  await readMessage(source, inputsRule, given, readLimits(limits), () => undefined);
  const weights = new Set(given.initializers);
  return given.inputs.filter((name) => !weights.has(name));
}
