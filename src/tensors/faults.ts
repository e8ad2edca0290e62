import { ANY, option } from '../options/words.js';
import { ModelFormatError, PolicyError, UnsupportedModelError } from '../errors.js';
import type { ByteRange } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';
import type { TensorLimits } from './limits.js';

/** Part of a source, named for messages: a whole file, or an entry of an archive. */
export interface Region extends ByteRange {
  readonly source: ByteSource;
  readonly name: string;
}

/** All bytes of a file as a region. */
export function wholeFile(source: ByteSource): Region {
  return { source, name: source.path ?? 'the array file', start: 0, end: source.size };
}

/** The bytes are not what the format says. */
export function malformed(name: string, what: string, offset?: number): ModelFormatError {
  return new ModelFormatError(`${name}: ${what}`, {
    code: 'FEATX_TENSOR_FORMAT',
    path: name,
    offset,
    hint: 'is the file cut short, or another kind of file?',
  });
}

/** A good file with values that featx does not take. */
export function unsupported(name: string, what: string, hint: string): UnsupportedModelError {
  return new UnsupportedModelError(`${name}: ${what}`, { code: 'FEATX_TENSOR_UNSUPPORTED', path: name, hint });
}

/** More than a limit allows. */
export function overLimit(name: string, what: string, limit: keyof TensorLimits): PolicyError {
  return new PolicyError(`${name}: ${what}`, {
    code: 'FEATX_LIMIT_TENSOR',
    path: name,
    hint: `raise the limit with ${option(`tensorLimits.${limit}`, ANY)} if you trust this file`,
  });
}
