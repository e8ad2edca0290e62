import { dirname } from 'node:path';
import { UsageError } from '../errors.js';
import type { FileSystem } from '../wire/fs.js';
import type { ByteSource } from '../wire/source.js';
import { resolveTarget } from '../wire/target.js';
import { TemporaryFile } from '../wire/temporary-file.js';
import { ReopenedFile } from '../tensors/lazy-array.js';
import type { RowFormat } from '../tensors/output-format.js';

const WINDOW = 1024 * 1024;
const [QUOTE, LINE_END] = [0x22, 0x0a];

/** Where rows begin in a part that is joined to others. */
const ROWS_BEGIN: { readonly [F in Exclude<RowFormat, 'parquet'>]: (source: ByteSource) => Promise<number> } = {
  jsonl: async () => 0,
  csv: afterHeader,
};

/** Joins files of rows, in order. @throws UsageError for .parquet, whose readers take many files as one; IoError */
export async function joinRows(
  parts: readonly string[],
  { target, format, needed, fs }: { target: string; format: RowFormat; needed: readonly string[]; fs: FileSystem },
): Promise<void> {
  if (format === 'parquet')
    throw new UsageError(
      `shards of .parquet are read together and not joined: ${parts.slice(0, 3).join(', ')}${parts.length > 3 ? ', …' : ''}`,
      {
        code: 'FEATX_MERGE',
        path: target,
        hint: 'give the reader all of them: pandas, pyarrow, polars and duckdb take a pattern or a list of files',
      },
    );
  const path = await resolveTarget(target, needed, { fileSystem: fs, inPlace: false });
  const file = await TemporaryFile.create(dirname(path), fs);
  try {
    let size = 0;
    for (const [at, part] of parts.entries())
      await new ReopenedFile(part, fs).use(async (source) => {
        for (let start = at === 0 ? 0 : await ROWS_BEGIN[format](source); start < source.size; start += WINDOW) {
          const bytes = await source.read(start, Math.min(source.size, start + WINDOW));
          await file.write(bytes, size);
          size += bytes.length;
        }
      });
    await file.seal(size);
    await file.commit(path);
  } finally {
    await file.discard();
  }
}

/** Where the line of names of a .csv file ends; a name in quotes may hold the end of a line. */
async function afterHeader(source: ByteSource): Promise<number> {
  let isQuoted = false;
  for (let start = 0; start < source.size; start += WINDOW) {
    const bytes = await source.read(start, Math.min(source.size, start + WINDOW));
    for (const [at, byte] of bytes.entries()) {
      if (byte === QUOTE) isQuoted = !isQuoted;
      else if (byte === LINE_END && !isQuoted) return start + at + 1;
    }
  }
  return source.size;
}
