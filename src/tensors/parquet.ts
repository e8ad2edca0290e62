import type { SchemaElement } from 'hyparquet';
import type { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { RuntimeError, UsageError } from '../errors.js';
import { elementCount } from '../onnx/types.js';
import { VERSION } from '../version.js';
import { PROVENANCE_KEY, type Entry } from './provenance.js';
import { cellsOf, type RowBatch, type RowColumn, type RowEncoder } from './row-encoder.js';
import type { Cell } from './row-text.js';

type ParquetModule = typeof import('hyparquet-writer');

/**
 * Entries and values of a row group: what readers load at once, and what stands in memory as lists of lists, which take
 * some 200 bytes a value on the way.
 */
const GROUP_ROWS = 1000;
const GROUP_VALUES = 400_000;

/** How a dtype stands in a column. float16 and bfloat16 are widened: few readers know them. */
const TYPES: { readonly [dtype: string]: Pick<SchemaElement, 'type' | 'converted_type'> } = {
  float32: { type: 'FLOAT' },
  float16: { type: 'FLOAT' },
  bfloat16: { type: 'FLOAT' },
  float64: { type: 'DOUBLE' },
  bool: { type: 'BOOLEAN' },
  int8: { type: 'INT32', converted_type: 'INT_8' },
  int16: { type: 'INT32', converted_type: 'INT_16' },
  int32: { type: 'INT32' },
  int64: { type: 'INT64' },
  uint8: { type: 'INT32', converted_type: 'UINT_8' },
  uint16: { type: 'INT32', converted_type: 'UINT_16' },
  uint32: { type: 'INT64' },
  uint64: { type: 'INT64', converted_type: 'UINT_64' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
};
/** Numbers that the columns of 64 bits take as bigint alone. */
const WIDE = new Set(['uint32']);

/** A .parquet file: `file`, `index` and one column a feature, lists inside each other as the feature has axes. */
export class ParquetEncoder implements RowEncoder {
  readonly nulls = 0;
  private readonly bytes: ByteWriter;
  private writer: ParquetWriter | null = null;
  private schema: readonly SchemaElement[] = [];
  private entries: Entry[] = [];
  private cells: Cell[][] = [];
  private names: readonly string[] = [];
  private values = 0;

  private constructor(private readonly parquet: ParquetModule) {
    this.bytes = new parquet.ByteWriter();
  }

  /** @throws RuntimeError that says how to install what writes it */
  static async load(): Promise<ParquetEncoder> {
    try {
      return new ParquetEncoder(await import('hyparquet-writer'));
    } catch (cause) {
      throw new RuntimeError(
        '.parquet needs the package hyparquet-writer, which is not installed or does not load here',
        {
          code: 'FEATX_RUNTIME_PARQUET',
          hint: 'npm install -E hyparquet-writer@0.17.0 (beside featx; -g where featx is global), or write .jsonl or .npz',
          cause,
        },
      );
    }
  }

  async encode(batch: RowBatch): Promise<Uint8Array> {
    this.begin(batch.columns);
    this.entries.push(...batch.entries);
    for (const [at, column] of batch.columns.entries()) {
      const cells = cellsOf(column, batch.entries.length);
      for (const cell of cells) this.cells[at].push(WIDE.has(column.tensor.dtype) ? widened(cell) : cell);
      this.values += elementCount(column.tensor.shape) ?? 0;
    }
    return this.entries.length >= GROUP_ROWS || this.values >= GROUP_VALUES ? this.group() : new Uint8Array(0);
  }

  /** The schema is that of the first batch. */
  private begin(columns: readonly RowColumn[]): void {
    if (this.writer !== null) return;
    this.schema = [
      { name: 'features', num_children: 2 + columns.length },
      { name: 'file', repetition_type: 'OPTIONAL', ...TYPES['string'] },
      { name: 'index', repetition_type: 'REQUIRED', ...TYPES['int32'] },
      ...columns.flatMap(({ key, shape, tensor }) => columnSchema(key, shape.length, tensor.dtype)),
    ];
    this.names = columns.map(({ key }) => key);
    this.cells = columns.map(() => []);
    this.writer = new this.parquet.ParquetWriter({
      writer: this.bytes,
      schema: [...this.schema],
      // Values of features have next to nothing in common: compressing them takes time and saves a few per cent.
      codec: 'UNCOMPRESSED',
      statistics: false,
      createdBy: `featx ${VERSION}`,
    });
  }

  private group(): Uint8Array {
    const { entries, cells, names, writer } = this;
    if (writer === null) return new Uint8Array(0);
    if (entries.length > 0) {
      const done = writer.write({
        columnData: [
          { name: 'file', data: entries.map(({ file }) => file), encoding: 'PLAIN' },
          { name: 'index', data: entries.map(({ index }) => index), encoding: 'PLAIN' },
          ...names.map((name, at) => ({ name, data: cells[at], encoding: 'PLAIN' as const })),
        ],
        rowGroupSize: entries.length,
      });
      if (done !== undefined) throw new UsageError('the writer of .parquet waits for something');
    }
    this.entries = [];
    this.cells = names.map(() => []);
    this.values = 0;
    return this.drained();
  }

  private drained(): Uint8Array {
    const bytes = this.bytes.getBytes().slice();
    this.bytes.index = 0;
    return bytes;
  }

  async end(provenance: string | undefined): Promise<Uint8Array> {
    const last = this.group();
    if (this.writer === null) return last;
    if (provenance !== undefined) this.writer.kvMetadata = [{ key: PROVENANCE_KEY, value: provenance }];
    await this.writer.finish();
    const foot = this.drained();
    const all = new Uint8Array(last.length + foot.length);
    all.set(last);
    all.set(foot, last.length);
    return all;
  }
}

/**
 * A column of lists, `axes` deep.
 * @see https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists
 */
function columnSchema(name: string, axes: number, dtype: string): SchemaElement[] {
  if (axes === 0) return [{ name, repetition_type: 'REQUIRED', ...TYPES[dtype] }];
  return [
    {
      name,
      repetition_type: 'REQUIRED',
      num_children: 1,
      converted_type: 'LIST',
      logical_type: { type: 'LIST' },
    },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    ...columnSchema('element', axes - 1, dtype),
  ];
}

function widened(cell: Cell): Cell {
  return typeof cell === 'object' ? cell.map(widened) : typeof cell === 'number' ? BigInt(cell) : cell;
}
