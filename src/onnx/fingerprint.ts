import { IoError, ModelFormatError, PolicyError, UnsupportedModelError } from '../errors.js';
import { option } from '../options/words.js';
import type { ByteRange } from '../wire/fields.js';
import { concat } from '../wire/pieces.js';
import type { ByteSource } from '../wire/source.js';
import { openContained, type SidecarFiles } from './external-data.js';
import { tensorsOf } from './graph.js';
import { indexModel } from './model.js';
import type { OnnxModel } from './records.js';
import { INLINE_BYTES } from './schema.js';
import { parseJson } from '../wire/json.js';

/** Key of `metadata_props` in which a reference cut records the file it points into. */
export const REFERENCE_KEY = 'featx.reference';

/** What a reference cut knows of its original. */
export interface ReferenceRecord {
  readonly schema: 1;
  readonly file: string;
  readonly size_bytes: number;
  /** Hex digest over all bytes but large payloads, and over sampled blocks of the whole file. */
  readonly sha256: string;
}

const SAMPLES = 64;
const HASHED_BLOCK = 4096;

/** A digest of a model that reads its graph and 64 blocks of 4 KiB, whatever its weights. */
export async function fingerprint(model: OnnxModel): Promise<string> {
  const { source } = model;
  const payloads: ByteRange[] = [];
  for (const tensor of tensorsOf(model))
    for (const payload of tensor.payloads) if (payload.end - payload.start > INLINE_BYTES) payloads.push(payload);
  payloads.sort((a, b) => a.start - b.start);
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { start, end } of payloads) {
    if (start > at) parts.push(await model.read({ start: at, end: start }));
    at = Math.max(at, end);
  }
  if (at < source.size) parts.push(await model.read({ start: at, end: source.size }));
  const last = Math.max(0, source.size - HASHED_BLOCK);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const start = Math.floor((last * sample) / (SAMPLES - 1));
    parts.push(await source.read(start, Math.min(source.size, start + HASHED_BLOCK)));
  }
  const digest = new Uint8Array(await globalThis.crypto.subtle.digest('SHA-256', concat(parts)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Null if the bytes are no longer those of a model. */
async function fingerprintOf(source: ByteSource): Promise<string | null> {
  try {
    return await fingerprint(await indexModel(source));
  } catch (error) {
    if (error instanceof ModelFormatError || error instanceof UnsupportedModelError) return null;
    throw error;
  }
}

/** A file name and a digest. */
const LARGEST_RECORD = 64 * 1024;

/** The record of a reference cut; null for any other model. @throws PolicyError if the record cannot be read */
export async function referenceOf(model: OnnxModel): Promise<ReferenceRecord | null> {
  const entry = model.metadata.find(({ key }) => key === REFERENCE_KEY);
  if (entry === undefined) return null;
  try {
    const isSmall = entry.value.end - entry.value.start <= LARGEST_RECORD;
    const record: unknown = isSmall ? parseJson(await model.text(entry.value)) : null;
    if (isReferenceRecord(record)) return record;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new PolicyError(`${model.source.path ?? 'the model'} has a ${REFERENCE_KEY} that cannot be read`, {
    code: 'FEATX_REFERENCE',
    path: model.source.path,
    hint: 'cut it again from the original',
  });
}

function isReferenceRecord(value: unknown): value is ReferenceRecord {
  const { schema, file, size_bytes: size, sha256 } = (value ?? {}) as { readonly [key: string]: unknown };
  return schema === 1 && typeof file === 'string' && typeof size === 'number' && typeof sha256 === 'string';
}

/**
 * Checks that the file a reference cut points into is still the one it was cut from; other models pass.
 * @throws PolicyError `FEATX_REFERENCE_CHANGED` naming both files; IoError if the original is missing
 */
export async function assertReference(model: OnnxModel, files: SidecarFiles): Promise<void> {
  const record = await referenceOf(model);
  if (record === null) return;
  const field = `metadata_props[${REFERENCE_KEY}]`;
  const source = await openContained(record.file, `the original in ${field}`, field, files).catch((error: unknown) => {
    if (!(error instanceof IoError) || error.code !== 'FEATX_IO_NOT_FOUND') throw error;
    throw new IoError(`${model.source.path ?? 'the model'} points into ${record.file}, which does not lie beside it`, {
      code: error.code,
      path: error.path,
      hint: `move both together, or cut the original again with ${option('weights', 'embed')}, which needs no other file`,
      cause: error,
    });
  });
  const hasSize = source.size === record.size_bytes;
  if (hasSize && (await fingerprintOf(source)) === record.sha256) return;
  const difference = hasSize ? 'its content differs' : `it has ${source.size} bytes and had ${record.size_bytes}`;
  throw new PolicyError(
    `${model.source.path ?? 'the model'} points into ${record.file}, which has changed since it was cut: ${difference}`,
    {
      code: 'FEATX_REFERENCE_CHANGED',
      path: source.path,
      hint: 'put the original back, or cut again from the new file',
    },
  );
}
