import { UsageError } from '../errors.js';
import type { OutputFormatName } from '../options/choices.js';
import { option } from '../options/words.js';
import { nodeFileSystem, orNothing } from '../wire/fs.js';
import type { FeatureWriter, WriterOptions } from './feature-writer.js';
import { assertFormat, isRowFormat, outputFormatOf, STREAM_FORMAT, type OutputFormat } from './output-format.js';
import { RowWriter } from './row-writer.js';
import { TensorWriter } from './writer.js';

/** How features are written, and in which format where no extension says it. */
export interface OpenWriterOptions extends WriterOptions {
  readonly format?: OutputFormatName;
  /** Whether one array may hold rows whose number differs from entry to entry; true if left out. */
  readonly ragged?: boolean;
}

/**
 * What writes features to a file or directory, in the format of its extension; or to `write`.
 * @throws UsageError for links, unknown extensions and targets that are also inputs; IoError
 */
export async function openWriter(target: string, options: OpenWriterOptions): Promise<FeatureWriter> {
  const format = await formatOf(target, options);
  const [offsets] = options.offsets ?? [];
  if (offsets !== undefined && options.ragged === false && !isRowFormat(format))
    throw new UsageError(
      `the number of rows differs from entry to entry, and one array would not say whose they are ('${offsets}' would)`,
      {
        code: 'FEATX_USAGE_RAGGED',
        hint: `write rows (.jsonl, .csv, .parquet), or take the offsets too (${option('ragged')})`,
      },
    );
  return isRowFormat(format) ? RowWriter.open(target, format, options) : TensorWriter.open(target, format, options);
}

async function formatOf(target: string, options: OpenWriterOptions): Promise<OutputFormat> {
  const { format, write, fileSystem = nodeFileSystem } = options;
  if (write !== undefined) return format ?? STREAM_FORMAT;
  const state = await orNothing(fileSystem.stat(target), target);
  const found = outputFormatOf(target, state?.isDirectory() ?? false);
  assertFormat(target, found, format);
  return found;
}
