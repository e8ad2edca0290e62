import type { ByteSource } from '../wire/source.js';
import { readLimits } from './limits.js';
import { readMessage } from './reader.js';
import { entered, type MessageRule } from './message-rules.js';
import { text } from './rules/drafts.js';
import { EntryField, ModelField } from './schema.js';

/** What a model may cost that is only asked for its keys. */
const MEMORY = 1024 * 1024;

interface Keys {
  readonly entries: { key: string }[];
}

const storedEntryRule: MessageRule<Keys['entries'][number]> = {
  fields: { [EntryField.key]: text((entry, value) => (entry.key = value)) },
};

const keysRule: MessageRule<Keys> = {
  fields: {
    [ModelField.metadataProps]: {
      kind: 'message',
      enter: ({ entries }) => {
        const entry = { key: '' };
        return entered(storedEntryRule, entry, 'metadata_props', entries.push(entry) - 1);
      },
    },
  },
};

/**
 * The keys of a model's metadata_props, in file order; steps over everything else.
 * @throws ModelFormatError if the outermost message is malformed, PolicyError if it costs more than a look is
 * worth
 */
export async function readMetadataKeys(source: ByteSource): Promise<readonly string[]> {
  const keys: Keys = { entries: [] };
  await readMessage(source, keysRule, keys, readLimits({ indexBytes: MEMORY }), () => undefined);
  return keys.entries.map(({ key }) => key);
}
