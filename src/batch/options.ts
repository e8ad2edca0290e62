import { UsageError } from '../errors.js';
import type { ExtractOptions } from '../extract.js';
import type { FeatureEntry } from '../features/feature-info.js';
import type { OptionSet } from '../options/row.js';
import { isRecord } from '../options/schema.js';
import { optionsOf } from '../options/table.js';
import type { ConfigOptions, ConfigSettings, OptionsOf } from '../options/types.js';
import { canonicalJson } from '../wire/json.js';

/** What an item may ask of `extract`: everything that can be written down. */
export type CutOptions = OptionsOf<'cut'>;

/** What a config says of how to work, in the library's spelling. */
export function batchOptions(config: ConfigSettings): Partial<OptionsOf<'batch'>> {
  return fromConfig('batch', config);
}

/** The options of a config in the library's spelling; `features` already read. */
export function cutOptions(config: ConfigOptions, features: readonly FeatureEntry[] | undefined): CutOptions {
  return { ...fromConfig('cut', { ...config, features: undefined }), ...(features === undefined ? {} : { features }) };
}

/** What a config says of an option and the option cannot be, though its schema allows it. */
export interface RefusedValue {
  /** The key in the config. */
  readonly key: string;
  readonly reason: string;
}

/** Every value of a record of a config that the options of a set cannot be. */
export function refusedValues(set: OptionSet, config: object): readonly RefusedValue[] {
  return optionsOf(set).flatMap(([, { config: key = '', kind, per }]) => {
    const given = key === '' ? undefined : valueAt(config, key);
    if (given === undefined || (key === 'features' && typeof given === 'string')) return [];
    const { accepts, allowed, fromConfig: read } = per?.[set]?.kind ?? kind;
    try {
      return accepts(read === undefined ? given : read(given as never)) ? [] : [{ key, reason: `is not ${allowed}` }];
    } catch (error) {
      if (error instanceof UsageError) return [{ key, reason: `is not understood: ${error.message}` }];
      throw error;
    }
  });
}

function valueAt(config: object, key: string): unknown {
  return key.split('.').reduce<unknown>((record, part) => (isRecord(record) ? record[part] : undefined), config);
}

/** What a record of a config says of the options of a set. */
function fromConfig(set: OptionSet, config: object): object {
  const options: { [key: string]: unknown } = {};
  for (const [key, { config: path, kind }] of optionsOf(set)) {
    const given = path === undefined ? undefined : valueAt(config, path);
    if (given === undefined) continue;
    const value = kind.fromConfig === undefined ? given : kind.fromConfig(given as never);
    const [object, inner] = key.split('.');
    options[object] = inner === undefined ? value : { ...(options[object] as object | undefined), [inner]: value };
  }
  return options;
}

/** Options as one JSON text: the same for the same request, whatever the order of keys. */
export function encodeOptions(options: CutOptions): string {
  return canonicalJson(
    Object.fromEntries(
      Object.entries(options).map(([key, value]): [string, unknown] => [
        key,
        value instanceof Map ? Object.fromEntries(value) : value,
      ]),
    ),
  );
}

/** What `extract` takes, and whether its result is to be verified. */
export function decodeOptions(text: string): { readonly extract: ExtractOptions; readonly verify: boolean } {
  const { verify = false, ...extract } = JSON.parse(text) as CutOptions;
  return { extract, verify };
}
