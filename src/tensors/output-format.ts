import { UsageError } from '../errors.js';
import { OUTPUT_FORMATS, type OutputFormatName } from '../options/choices.js';
import { option } from '../options/words.js';
import { archiveKeys, headerKeys, safeFileNames } from './file-names.js';
import type { ArraySpec, FileLayout } from './layout.js';
import { npyDescription, npyLayout } from './npy.js';
import { PROVENANCE_KEY } from './provenance.js';
import { isSafetensorsDtype, safetensorsLayout } from './safetensors.js';
import { elementBits } from './tensor.js';
import { tensorProtoLayout } from './tensor-proto.js';
import { npzLayout } from './zip-layout.js';

/** A format of arrays: a tensor is written whole. `pb-directory` is a TensorProto per file. */
export type ArrayFormat = 'npz' | 'npy' | 'safetensors' | 'pb' | 'pb-directory';
/** A format of rows: one an entry, with the file that it came from. */
export type RowFormat = 'jsonl' | 'csv' | 'parquet';
/** A format that features are written in. */
export type OutputFormat = ArrayFormat | RowFormat;

interface FormatFacts {
  /** Whether it holds several features. */
  readonly several: boolean;
  readonly holds: (dtype: string) => boolean;
  /** The keys of tensors in a file, or their file names (without extension) in a directory. */
  readonly keys: (names: readonly string[]) => string[];
}

interface ArrayFacts extends FormatFacts {
  /** Where everything goes in one file, with a text about the features if the format has a place for it. */
  readonly layout: (arrays: readonly ArraySpec[], provenance?: string) => FileLayout;
  /** The longest text about the features, in bytes; 0 if it has no place for one. */
  readonly provenanceBytes: number;
}

const own = (names: readonly string[]): string[] => [...names];
const isNumeric = (dtype: string): boolean => elementBits(dtype) !== null && !dtype.startsWith('complex');
const inNumpy = (dtype: string): boolean => dtype === 'string' || npyDescription(dtype) !== null;
/** What a cell can say; packed types and 8-bit floats have no plain numbers. */
const CELLS = /^(?:float(?:16|32|64)|bfloat16|bool|u?int(?:8|16|32|64)|string)$/;
const inCells = (dtype: string): boolean => CELLS.test(dtype);
/** The columns that say where a row comes from. */
const ROW_COLUMNS = ['file', 'index'] as const;
const columns = (names: readonly string[]): string[] => headerKeys(names, ROW_COLUMNS);

/** The longest comment of a zip archive. */
const ZIP_COMMENT = 0xffff;

/** Formats of arrays. */
export const ARRAY_FORMATS: { readonly [F in ArrayFormat]: ArrayFacts } = {
  npz: { several: true, holds: inNumpy, keys: archiveKeys, layout: npzLayout, provenanceBytes: ZIP_COMMENT },
  npy: { several: false, holds: inNumpy, keys: own, layout: ([array]) => npyLayout(array), provenanceBytes: 0 },
  safetensors: {
    several: true,
    holds: isSafetensorsDtype,
    keys: (names) => headerKeys(names, ['__metadata__']),
    layout: (arrays, provenance) =>
      safetensorsLayout(arrays, new Map(provenance === undefined ? [] : [[PROVENANCE_KEY, provenance]])),
    provenanceBytes: Number.POSITIVE_INFINITY,
  },
  pb: {
    several: false,
    holds: isNumeric,
    keys: own,
    layout: ([array]) => tensorProtoLayout(array),
    provenanceBytes: 0,
  },
  'pb-directory': {
    several: true,
    holds: isNumeric,
    keys: safeFileNames,
    layout: ([array]) => tensorProtoLayout(array),
    provenanceBytes: 0,
  },
};

/** Formats of rows. */
const ROW_FORMATS: { readonly [F in RowFormat]: FormatFacts } = {
  jsonl: { several: true, holds: inCells, keys: columns },
  csv: { several: true, holds: inCells, keys: columns },
  parquet: { several: true, holds: inCells, keys: columns },
};

const FORMATS: { readonly [F in OutputFormat]: FormatFacts } = { ...ARRAY_FORMATS, ...ROW_FORMATS };

/** Whether a format has a row for each entry. */
export function isRowFormat(format: OutputFormat): format is RowFormat {
  return Object.hasOwn(ROW_FORMATS, format);
}

/** `.npz, .npy, …`: the extensions of files that features are written to. */
const OUTPUT_EXTENSIONS: readonly string[] = OUTPUT_FORMATS.map((name) => `.${name}`);

/**
 * What the extension of a path says; none, or a separator at the end, is a directory.
 * @throws UsageError for any other extension
 */
export function outputFormatOf(path: string, isDirectory: boolean): OutputFormat {
  if (isDirectory || /[/\\]$/.test(path)) return 'pb-directory';
  const extension = /(?<=[^/\\])\.[^./\\]*$/.exec(path)?.[0].toLowerCase() ?? '';
  if (extension === '') return 'pb-directory';
  const format = OUTPUT_FORMATS.find((name) => `.${name}` === extension);
  if (format !== undefined) return format;
  throw new UsageError(`${path} has no extension of a file of features`, {
    code: 'FEATX_USAGE_OUTPUT',
    path,
    hint: `name a ${OUTPUT_EXTENSIONS.join(', ')} file (.npy and .pb hold one feature), or a directory for one .pb per feature`,
  });
}

/** @throws UsageError if a file of this format cannot hold these features */
export function assertHolds(
  format: OutputFormat,
  features: ReadonlyMap<string, { readonly dtype: string }>,
  path?: string,
): void {
  const { several, holds } = FORMATS[format];
  if (features.size === 0) throw new UsageError('there is no feature to write');
  if (features.size > 1 && !several)
    throw new UsageError(
      `${path ?? `a .${format}`} holds one array, and there are ${features.size} features: ${[...features.keys()].join(', ')}`,
      { path, hint: 'write .npz, .safetensors or a directory' },
    );
  const unfit = [...features].filter(([, { dtype }]) => !holds(dtype));
  if (unfit.length > 0)
    throw new UsageError(
      `a ${format} cannot hold ${unfit.map(([name, { dtype }]) => `${name} (${dtype})`).join(', ')}`,
      {
        path,
        hint: 'strings fit .npz, .npy, .jsonl, .csv and .parquet; 8-bit floats fit .safetensors; a directory of .pb holds every numeric dtype',
      },
    );
}

/** The keys of tensors in a file, or their file names (without extension) in a directory. */
export function outputKeys(format: OutputFormat, names: readonly string[]): string[] {
  return FORMATS[format].keys(names);
}

/** The format that is written to standard output if nobody says another: its lines can be read as they come. */
export const STREAM_FORMAT: OutputFormatName = 'jsonl';

/** @throws UsageError if an output that is not named by an extension, and one that is, are to be another format */
export function assertFormat(path: string, found: OutputFormat, asked: OutputFormatName | undefined): void {
  if (asked === undefined || asked === found) return;
  throw new UsageError(`${path} would be ${found}, not ${asked}`, {
    code: 'FEATX_USAGE_OUTPUT',
    path,
    hint: `leave out ${option('format', asked)}, or name a file that ends in .${asked}`,
  });
}
