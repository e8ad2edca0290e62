import type { TensorValue } from '../onnx/tensor-value.js';
import type { Entry } from 'yauzl';
import { FeatxError } from '../errors.js';
import { BufferSource, type ByteSource } from '../wire/source.js';
import { decodeText } from '../wire/text.js';
import { checksum } from './checksum.js';
import { malformed, overLimit, unsupported } from './faults.js';
import { specBytes } from './layout.js';
import { wholeArray, type LazyArray, type RowRange, type SourceAccess } from './lazy-array.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { arrayOf, headerLength, readNpyHeader, type NpyHeader } from './npy.js';
import { INFLATE_CHUNK, inflated, openZip } from './zip.js';

const STORED = 0;
const DEFLATED = 8;
/** Deflate turns one byte into at most 1,032. @see https://zlib.net/zlib_tech.html */
const STEEPEST_DEFLATE = 1032;
const SUFFIX = '.npy';

/** An entry of the archive: its compressed bytes are `[start, end)` of the file. */
interface Member {
  readonly key: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly size: number;
  readonly deflated: boolean;
  readonly checksum: number;
}

/** What lies in an .npz file. */
export interface NpzArrays {
  readonly arrays: readonly LazyArray[];
  /** Names of entries that are not arrays. */
  readonly others: readonly string[];
  /** What stands at the end of the archive. */
  readonly comment?: string;
}

/** Whether bytes begin like a zip archive (an empty one has only its end record). */
export function isZip(head: Uint8Array): boolean {
  return head[0] === 0x50 && head[1] === 0x4b && ((head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6));
}

/**
 * The arrays of a .npz file, their headers read.
 * @throws ModelFormatError, UnsupportedModelError, PolicyError, IoError
 */
export function openNpz(access: SourceAccess, limits: TensorLimits = DEFAULT_TENSOR_LIMITS): Promise<NpzArrays> {
  return access.use(async (source) => {
    const { members, others, comment } = await readMembers(source, access.name, limits);
    const arrays: LazyArray[] = [];
    for (const member of members) arrays.push(await openMember(access, source, member, limits));
    return { arrays, others, comment };
  });
}

async function readMembers(
  source: ByteSource,
  path: string,
  limits: TensorLimits,
): Promise<{ readonly members: readonly Member[] } & Pick<NpzArrays, 'others' | 'comment'>> {
  const members: Member[] = [];
  const others: string[] = [];
  let comment: string | undefined;
  const seen = new Set<string>();
  const ranges: { readonly start: number; readonly end: number; readonly name: string }[] = [];
  try {
    const zip = await openZip(source);
    const said: unknown = zip.comment;
    if (said instanceof Uint8Array && said.length > 0) comment = decodeText(said);
    if (zip.entryCount > limits.arrays)
      throw overLimit(path, `${zip.entryCount} entries are over the limit of ${limits.arrays}`, 'arrays');
    for await (const entry of zip.eachEntry()) {
      const name = decodeText(entry.fileNameRaw);
      if (seen.has(name)) throw malformed(path, `it has two entries named ${JSON.stringify(name)}`);
      seen.add(name);
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const end = fileDataStart + entry.compressedSize;
      if (end > source.size)
        throw malformed(path, `entry ${JSON.stringify(name)} ends at byte ${end}, the file at ${source.size}`);
      ranges.push({ start: entry.relativeOffsetOfLocalHeader, end, name });
      if (name.endsWith(SUFFIX)) members.push(memberOf(entry, { name, start: fileDataStart, end, path, limits }));
      else others.push(name);
    }
  } catch (error) {
    throw error instanceof FeatxError
      ? error
      : malformed(path, `its zip directory cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  ranges.sort((a, b) => a.start - b.start);
  for (const [index, range] of ranges.entries()) {
    if (index > 0 && range.start < ranges[index - 1].end)
      throw malformed(
        path,
        `entries ${JSON.stringify(ranges[index - 1].name)} and ${JSON.stringify(range.name)} overlap`,
      );
  }
  return { members, others, comment };
}

interface Placed {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly path: string;
  readonly limits: TensorLimits;
}

function memberOf(entry: Entry, { name, start, end, path, limits }: Placed): Member {
  const place = `${path} (${name})`;
  if (entry.isEncrypted()) throw unsupported(place, 'it is encrypted', 'unpack the archive first');
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
    throw unsupported(
      place,
      `zip compression method ${entry.compressionMethod} is not read`,
      'write it with numpy.savez or savez_compressed',
    );
  }
  const deflated = entry.compressionMethod === DEFLATED;
  const size = entry.uncompressedSize;
  if (deflated && size > entry.compressedSize * STEEPEST_DEFLATE + INFLATE_CHUNK) {
    throw malformed(place, `${entry.compressedSize} compressed bytes cannot hold the ${size} it claims`);
  }
  if (deflated && size > limits.arrayBytes)
    throw overLimit(place, `an array of ${size} bytes is over the limit of ${limits.arrayBytes}`, 'arrayBytes');
  return { key: name.slice(0, -SUFFIX.length), name: place, start, end, size, deflated, checksum: entry.crc32 };
}

async function openMember(
  access: SourceAccess,
  source: ByteSource,
  member: Member,
  limits: TensorLimits,
): Promise<LazyArray> {
  const { key, name, start, end, size } = member;
  if (member.deflated) {
    const head = new BufferSource(await inflateHead(source, member));
    const header = await readNpyHeader({ source: headOf(head, member), name, start: 0, end: size }, limits);
    return wholeArray({ key, dtype: header.dtype, shape: header.shape }, () =>
      access.use((opened) => inflateArray(opened, member, header)),
    );
  }
  const header = await readNpyHeader({ source, name, start, end }, limits);
  const headBytes = await source.read(start, start + header.dataOffset);
  const region = { start: start + header.dataOffset, end, name };
  const verify = { expected: member.checksum, seed: checksum(headBytes) };
  return npyArray({ access, key, header, region, verify, limits });
}

/** An entry of which only the beginning is at hand: all there is, where it does not hold its own header. */
function headOf(head: BufferSource, { name, size }: Member): ByteSource {
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    if (end > head.size) throw malformed(name, `it inflates to ${head.size} bytes, not the ${size} it claims`);
    return head.read(start, end);
  };
  return { size, read };
}

/** The first bytes of an entry, enough for its .npy header. */
async function inflateHead(source: ByteSource, member: Member): Promise<Uint8Array> {
  const enough = 12 + 0xffff;
  const head = new Uint8Array(Math.min(enough, member.size));
  let filled = 0;
  for await (const chunk of inflated(source, member)) {
    const part = chunk.subarray(0, head.length - filled);
    head.set(part, filled);
    filled += part.length;
    if (filled === head.length) break;
    if (filled >= 12) {
      const { length, offset } = headerLength(head.subarray(0, filled), member.name);
      if (filled >= offset + length) break;
    }
  }
  return head.subarray(0, filled);
}

async function inflateArray(source: ByteSource, member: Member, header: NpyHeader): Promise<TensorValue> {
  const values = new Uint8Array(specBytes({ key: member.key, ...header }));
  const total = header.dataOffset + values.length;
  let at = 0;
  let sum = 0;
  for await (const chunk of inflated(source, member)) {
    if (at + chunk.length > total)
      throw malformed(member.name, `it inflates to more than the ${total} bytes it claims`);
    sum = checksum(chunk, sum);
    const skipped = Math.max(0, header.dataOffset - at);
    if (skipped < chunk.length) values.set(chunk.subarray(skipped), at + skipped - header.dataOffset);
    at += chunk.length;
  }
  if (at !== total) throw malformed(member.name, `it inflates to ${at} bytes, not the ${total} it claims`);
  if (sum !== member.checksum) throw malformed(member.name, 'its checksum does not match its bytes');
  return arrayOf(header, values);
}

interface NpyPlace {
  readonly access: SourceAccess;
  readonly key: string;
  readonly header: NpyHeader;
  /** The values. */
  readonly region: { readonly start: number; readonly end: number; readonly name: string };
  /** CRC-32 to check once the rows have been read in order. */
  readonly verify: { readonly expected: number; readonly seed: number } | null;
  readonly limits: TensorLimits;
}

/** An uncompressed .npy array somewhere in a file, read by rows; one in Fortran order is read whole. */
export function npyArray({ access, key, header, region, verify, limits }: NpyPlace): LazyArray {
  const { dtype, shape } = header;
  const total = region.end - region.start;
  let checked = { at: 0, checksum: verify?.seed ?? 0 };
  const readBytes = async (from: number, to: number): Promise<Uint8Array> => {
    if (to - from > limits.arrayBytes)
      throw overLimit(
        region.name,
        `an array of ${to - from} bytes is over the limit of ${limits.arrayBytes}`,
        'arrayBytes',
      );
    const bytes = await access.use((source) => source.read(region.start + from, region.start + to));
    if (from === 0) checked = { at: 0, checksum: verify?.seed ?? 0 };
    if (verify !== null && checked.at === from) {
      checked = { at: to, checksum: checksum(bytes, checked.checksum) };
      if (to === total && checked.checksum !== verify.expected)
        throw malformed(region.name, 'its checksum does not match its bytes');
    }
    return bytes;
  };
  const whole = async (): Promise<TensorValue> => arrayOf(header, await readBytes(0, total));
  if (header.fortranOrder || shape.length === 0) return wholeArray({ key, dtype, shape }, whole);
  const read = async (rows?: RowRange): Promise<TensorValue> => {
    if (rows === undefined || shape[0] === 0) return whole();
    const width = total / shape[0];
    return arrayOf(
      { ...header, shape: [rows.end - rows.start, ...shape.slice(1)] },
      await readBytes(rows.start * width, rows.end * width),
    );
  };
  return { key, dtype, shape, read };
}
