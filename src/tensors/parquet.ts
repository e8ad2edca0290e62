import { VERSION } from '../version.js';
import { concat } from '../wire/pieces.js';
import { encodeText } from '../wire/text.js';
import { GrowingBytes } from './growing-bytes.js';
import { ParquetColumn } from './parquet-column.js';
import { schemaOf } from './parquet-schema.js';
import { PROVENANCE_KEY } from './provenance.js';
import type { RowBatch, RowColumn, RowEncoder } from './row-encoder.js';
import { writeRecord, type ThriftRecord } from './thrift.js';

/** What readers load at once, and what stands in memory until it is written. */
const GROUP_ROWS = 1000;
const GROUP_BYTES = 4 * 1024 * 1024;

const VERSION_OF_FORMAT = 2;
const MAGIC = encodeText('PAR1');
const FILE = { key: 'file', dtype: 'string', axes: 0, isOptional: true };
const INDEX = { key: 'index', dtype: 'int32', axes: 0, isOptional: false };

/**
 * A .parquet file: `file`, `index` and one column a feature, lists inside each other as the feature has axes.
 * Uncompressed: values of features have next to nothing in common.
 * @see https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */
export class ParquetEncoder implements RowEncoder {
  readonly nulls = 0;
  private readonly files = new ParquetColumn(FILE);
  private readonly indices = new ParquetColumn(INDEX);
  private features: readonly ParquetColumn[] = [];
  private schema: readonly ThriftRecord[] = [];
  /** What the footer says of the groups that were written. */
  private readonly groups = new GrowingBytes();
  private groupCount = 0;
  private size = 0;
  private rows = 0;
  private waiting = 0;

  async encode({ entries, columns }: RowBatch): Promise<Uint8Array> {
    const head = this.size === 0 ? this.begin(columns) : new Uint8Array(0);
    const places = Int32Array.from(entries, ({ index }) => index);
    this.files.appendTexts(entries.map(({ file }) => file));
    this.indices.append({ dtype: 'int32', shape: [places.length], data: places }, [], places.length);
    for (const [at, { tensor, shape }] of columns.entries()) this.features[at].append(tensor, shape, entries.length);
    this.waiting += entries.length;
    const bytes = this.columns.reduce((sum, column) => sum + column.bytes, 0);
    return this.waiting < GROUP_ROWS && bytes < GROUP_BYTES ? head : concat([head, this.group()]);
  }

  private get columns(): readonly ParquetColumn[] {
    return [this.files, this.indices, ...this.features];
  }

  /** The schema is that of the first batch. */
  private begin(columns: readonly RowColumn[]): Uint8Array {
    const specs = columns.map(({ key, tensor, shape }) => ({
      key,
      dtype: tensor.dtype,
      axes: shape.length,
      isOptional: false,
    }));
    this.features = specs.map((spec) => new ParquetColumn(spec));
    this.schema = schemaOf([FILE, INDEX, ...specs]);
    this.size = MAGIC.length;
    return MAGIC;
  }

  /** The entries that wait, as bytes of the file. */
  private group(): Uint8Array {
    if (this.waiting === 0) return new Uint8Array(0);
    const pages = new GrowingBytes(this.columns.reduce((sum, column) => sum + column.bytes, GROUP_ROWS));
    const list = this.columns.map((column) => column.write(pages, this.size));
    writeRecord(this.groups, {
      record: [
        [1, { list }],
        [2, { i64: pages.length }],
        [3, { i64: this.waiting }],
      ],
    });
    this.groupCount++;
    this.size += pages.length;
    this.rows += this.waiting;
    this.waiting = 0;
    return pages.view;
  }

  async end(provenance: string | undefined): Promise<Uint8Array> {
    const last = this.group();
    const said: ThriftRecord[] =
      provenance === undefined
        ? []
        : [
            {
              record: [
                [1, { text: PROVENANCE_KEY }],
                [2, { text: provenance }],
              ],
            },
          ];
    const footer = new GrowingBytes();
    writeRecord(footer, {
      record: [
        [1, { i32: VERSION_OF_FORMAT }],
        [2, { list: this.schema }],
        [3, { i64: this.rows }],
        [4, { records: this.groups, count: this.groupCount }],
        [5, said.length === 0 ? undefined : { list: said }],
        [6, { text: `featx ${VERSION}` }],
      ],
    });
    footer.uint32(footer.length);
    footer.append(MAGIC);
    return concat([last, footer.view]);
  }
}
