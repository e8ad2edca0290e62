import { ModelFormatError, PolicyError } from '../errors.js';
import type { ByteRange } from '../wire/fields.js';
import type { ByteSource } from '../wire/source.js';
import { isEscaped } from '../wire/text.js';
import { tensorsOf } from './graph.js';
import type { OnnxModel, Tensor } from './records.js';
import { tensorBytes } from './types.js';

/**
 * The one gate for sidecars. A location is a path inside the model's directory; nothing else is ever opened, whichever
 * TensorProto asks.
 * @see https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */

/** Where a tensor says its values are. */
export interface ExternalReference {
  readonly location: string;
  readonly offset: number;
  /** null: to the end of the file. */
  readonly length: number | null;
}

/** What the gate needs of a file system; `src/wire/sidecar-files.ts` has it for real files. */
export interface SidecarFiles {
  /**
   * Opens `location` relative to the model. Real paths of link and target decide: the file must lie under the model's
   * directory as named or under the directory of the model's real path.
   * @throws PolicyError outside of it or not a regular file, IoError if it is missing
   */
  open(location: string, field: string): Promise<ByteSource>;
  close(): Promise<void>;
}

const LONGEST_VALUE = 4096;
const KNOWN_KEYS = new Set(['location', 'offset', 'length', 'checksum', 'basepath']);
const INTEGER = /^[0-9]{1,19}$/;
/**
 * Device names that Windows opens in any directory, with any extension.
 * @see https://learn.microsoft.com/windows/win32/fileio/naming-a-file
 */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|:|$)/i;

/**
 * Reads and checks the external-data entries of a tensor, without touching any file.
 * @throws PolicyError for a location that is not plainly inside the model's directory, or entries that are not what the
 * format allows
 */
export function externalReference(
  tensor: Tensor,
  warn: (message: string) => void = () => undefined,
): ExternalReference {
  const values = new Map<string, string>();
  for (const { key, value } of tensor.external ?? []) {
    if (values.has(key)) throw refused(tensor, `the key '${key}' stands twice`, 'FEATX_EXTERNAL_KEY');
    if (value.length > LONGEST_VALUE)
      throw refused(tensor, `the value of '${key}' is longer than ${LONGEST_VALUE} characters`, 'FEATX_EXTERNAL_KEY');
    if (!KNOWN_KEYS.has(key)) warn(`${tensor.place}: the unknown external data key '${key}' is ignored`);
    values.set(key, value);
  }
  const location = values.get('location');
  if (location === undefined) throw refused(tensor, 'it names no location', 'FEATX_EXTERNAL_LOCATION');
  assertContained(location, externalSubject(tensor), tensor.place);
  const integer = (key: string): number | null => {
    const value = values.get(key);
    if (value === undefined) return null;
    if (!INTEGER.test(value) || BigInt(value) > BigInt(Number.MAX_SAFE_INTEGER))
      throw refused(tensor, `its ${key} '${value}' is not a byte count`, 'FEATX_EXTERNAL_RANGE');
    return Number(value);
  };
  return { location, offset: integer('offset') ?? 0, length: integer('length') };
}

/**
 * Whether a location is plainly inside the directory of the model, with the same verdict on every operating system:
 * what any of them would resolve outside it is refused.
 * @param subject what the location belongs to, for the message
 * @throws PolicyError
 */
function assertContained(location: string, subject: string, field: string): void {
  const reason = escapeReason(location);
  if (reason !== null)
    throw refusedPlace(subject, field, `the location '${location}' ${reason}`, 'FEATX_EXTERNAL_LOCATION');
}

/**
 * Whether the gate lets a location through, as far as its letters say: links and kinds of files are looked at when it
 * is opened.
 */
export function isContained(location: string): boolean {
  return escapeReason(location) === null;
}

function escapeReason(location: string): string | null {
  if (location === '') return 'is empty';
  if (location.includes('\0')) return 'holds a NUL byte';
  if (isEscaped(location)) return 'is not UTF-8';
  if (/_ORT_MEM_ADDR_/i.test(location)) return 'is a memory address, not a file';
  if (/^[a-z][a-z0-9+.-]+:/i.test(location)) return 'is a URL';
  if (/^[a-z]:/i.test(location)) return 'names a drive';
  if (/^[\\/]/.test(location)) return 'is absolute';
  if (location.startsWith('~')) return 'names a home directory';
  // A backslash is a separator on Windows and a letter elsewhere: neither reading may lead out.
  return walkReason(location.split(/[\\/]/)) ?? walkReason(location.split('/'));
}

/** Why a walk through these parts does not end at a file below its start. */
function walkReason(parts: readonly string[]): string | null {
  let depth = 0;
  for (const part of parts) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (--depth < 0) return 'leaves the directory of the model';
      continue;
    }
    depth++;
    if (WINDOWS_DEVICE.test(part)) return `names the device '${part}'`;
    if (part.includes(':')) return `holds ':', an alternate stream on Windows`;
    if (/[. ]$/.test(part)) return 'has a part that ends in a dot or a space';
  }
  return depth === 0 ? 'is a directory' : null;
}

function refused(tensor: Tensor, what: string, code: string): PolicyError {
  return refusedPlace(externalSubject(tensor), tensor.place, what, code);
}

function externalSubject({ name, place }: Tensor): string {
  return `external data of ${place}${name === '' ? '' : ` '${name}'`}`;
}

function refusedPlace(subject: string, field: string, what: string, code: string): PolicyError {
  return new PolicyError(`${subject} is refused: ${what}`, {
    code,
    field,
    hint: 'external data must lie in the directory of the model; do not trust this file unless you know why it points elsewhere',
  });
}

/**
 * Opens a file beside a model; the only call of `SidecarFiles.open` outside of tests.
 * @param subject what the location belongs to, for the message
 * @throws PolicyError, IoError
 */
export async function openContained(
  location: string,
  subject: string,
  field: string,
  files: SidecarFiles,
): Promise<ByteSource> {
  assertContained(location, subject, field);
  return files.open(location, field);
}

/** The locations that the tensors of a model name, each once, but for those that the gate refuses. */
export function containedLocations(model: OnnxModel): ReadonlySet<string> {
  const locations = new Set<string>();
  for (const { external } of tensorsOf(model))
    for (const { key, value } of external ?? []) if (key === 'location' && isContained(value)) locations.add(value);
  return locations;
}

/** A tensor's values, opened through the gate. */
export interface OpenedTensor {
  readonly source: ByteSource;
  readonly range: ByteRange;
}

/**
 * Opens the file of an external tensor and checks that its bytes are there and are as many as dims and dtype say.
 * @throws PolicyError, IoError, ModelFormatError
 */
export async function openExternal(
  tensor: Tensor,
  files: SidecarFiles,
  warn?: (message: string) => void,
): Promise<OpenedTensor> {
  const { location, offset, length } = externalReference(tensor, warn);
  const source = await openContained(location, externalSubject(tensor), tensor.place, files);
  const expected = tensorBytes(tensor);
  // Without a length ONNX Runtime reads as much as the tensor takes, however long the file is.
  const end = length === null ? (expected === null ? source.size : offset + expected) : offset + length;
  const outside = offset > source.size || end > source.size;
  if (outside || (expected !== null && end - offset !== expected)) {
    const range = `bytes ${offset} to ${end} of '${location}'`;
    const problem = outside
      ? `it asks for ${range}, which has ${source.size}`
      : `${range} are ${end - offset} bytes, but its dims [${tensor.dims.join(', ')}] take ${expected}`;
    throw new ModelFormatError(`external data of ${tensor.place} '${tensor.name}' does not fit: ${problem}`, {
      code: 'FEATX_GRAPH_DATA',
      field: tensor.place,
      path: source.path,
    });
  }
  return { source, range: { start: offset, end } };
}
