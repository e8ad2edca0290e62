import { checksum } from './checksum.js';
import { concat } from '../wire/pieces.js';
import { encodeText } from '../wire/text.js';
import { specBytes, type ArraySpec, type FileLayout, type PlacedBytes } from './layout.js';
import { npyHeader } from './npy.js';

/**
 * An entry of an archive: stored, never deflated, its sizes always in the zip64 extra field, as `numpy.savez` writes
 * it.
 */
interface Entry {
  readonly name: Uint8Array;
  readonly header: Uint8Array;
  readonly start: number;
  /** Header and values. */
  readonly size: number;
}

const LIMIT_32 = 0xffffffff;
const LIMIT_16 = 0xffff;
const VERSION_ZIP64 = 45;
const UTF8_NAMES = 0x800;
/** 1980-01-01, the first day zip knows: equal arrays make equal files. */
const DOS_DATE = 0x21;
const UNIX = 3;
const OWNER_READ_WRITE = 0o600 * 2 ** 16;
const LOCAL_FIXED = 30;
const LOCAL_EXTRA = 20;

/**
 * A .npz file: a zip archive of `<key>.npy`. A comment stands at its end, where Python's `zipfile` finds it.
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT 4.3 (records), 4.5.3 (zip64 extra field)
 */
export function npzLayout(arrays: readonly ArraySpec[], comment = ''): FileLayout {
  const entries: Entry[] = [];
  const offsets: number[] = [];
  let at = 0;
  for (const array of arrays) {
    const { key, dtype, shape, characters } = array;
    const name = encodeText(`${key}.npy`);
    const header = npyHeader(dtype, shape, key, characters);
    const size = header.length + specBytes(array);
    entries.push({ name, header, start: at, size });
    offsets.push(at + LOCAL_FIXED + name.length + LOCAL_EXTRA + header.length);
    at += LOCAL_FIXED + name.length + LOCAL_EXTRA + size;
  }
  const text = encodeText(comment);
  const directoryStart = at;
  const directorySize = entries.reduce((sum, entry) => sum + directoryRecord(entry, 0).length, 0);
  const end = concat([endRecords(entries.length, directoryStart, directorySize, text.length), text]);
  const frame = (checksums: readonly number[]): PlacedBytes[] => [
    ...entries.map((entry, index) => ({
      position: entry.start,
      bytes: concat([localHeader(entry, checksums[index]), entry.header]),
    })),
    {
      position: directoryStart,
      bytes: concat([...entries.map((entry, index) => directoryRecord(entry, checksums[index])), end]),
    },
  ];
  return {
    size: directoryStart + directorySize + end.length,
    offsets,
    checksumSeeds: entries.map(({ header }) => checksum(header)),
    frame,
  };
}

/** Little-endian fields of 2, 4 and 8 bytes, in order. */
function record(size: number, fields: readonly (readonly [value: number, bytes: 2 | 4 | 8])[]): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [value, width] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else if (width === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    at += width;
  }
  return bytes;
}

function nameFlags(name: Uint8Array): number {
  return name.some((byte) => byte >= 0x80) ? UTF8_NAMES : 0;
}

function localHeader({ name, size }: Entry, checksum: number): Uint8Array {
  const fixed = record(LOCAL_FIXED, [
    [0x04034b50, 4],
    [VERSION_ZIP64, 2],
    [nameFlags(name), 2],
    [0, 2],
    [0, 2],
    [DOS_DATE, 2],
    [checksum, 4],
    [LIMIT_32, 4],
    [LIMIT_32, 4],
    [name.length, 2],
    [LOCAL_EXTRA, 2],
  ]);
  return concat([
    fixed,
    name,
    record(LOCAL_EXTRA, [
      [1, 2],
      [16, 2],
      [size, 8],
      [size, 8],
    ]),
  ]);
}

function directoryRecord({ name, size, start }: Entry, checksum: number): Uint8Array {
  const wide: (readonly [number, 2 | 4 | 8])[] = [];
  if (size > 0x7fffffff) wide.push([size, 8], [size, 8]);
  if (start > 0x7fffffff) wide.push([start, 8]);
  const extra =
    wide.length === 0 ? new Uint8Array(0) : record(4 + 8 * wide.length, [[1, 2], [8 * wide.length, 2], ...wide]);
  const shortSize = size > 0x7fffffff ? LIMIT_32 : size;
  const fixed = record(46, [
    [0x02014b50, 4],
    [VERSION_ZIP64 + UNIX * 256, 2],
    [VERSION_ZIP64, 2],
    [nameFlags(name), 2],
    [0, 2],
    [0, 2],
    [DOS_DATE, 2],
    [checksum, 4],
    [shortSize, 4],
    [shortSize, 4],
    [name.length, 2],
    [extra.length, 2],
    [0, 2],
    [0, 2],
    [0, 2],
    [OWNER_READ_WRITE, 4],
    [start > 0x7fffffff ? LIMIT_32 : start, 4],
  ]);
  return concat([fixed, name, extra]);
}

function endRecords(entries: number, start: number, size: number, comment: number): Uint8Array {
  const wide = entries > LIMIT_16 || start > 0x7fffffff || size > 0x7fffffff;
  const end = record(22, [
    [0x06054b50, 4],
    [0, 2],
    [0, 2],
    [Math.min(entries, LIMIT_16), 2],
    [Math.min(entries, LIMIT_16), 2],
    [Math.min(size, LIMIT_32), 4],
    [Math.min(start, LIMIT_32), 4],
    [comment, 2],
  ]);
  if (!wide) return end;
  const zip64 = record(56, [
    [0x06064b50, 4],
    [44, 8],
    [VERSION_ZIP64, 2],
    [VERSION_ZIP64, 2],
    [0, 4],
    [0, 4],
    [entries, 8],
    [entries, 8],
    [size, 8],
    [start, 8],
  ]);
  return concat([
    zip64,
    record(20, [
      [0x07064b50, 4],
      [0, 4],
      [start + size, 8],
      [1, 4],
    ]),
    end,
  ]);
}
