import type { TensorValue } from '../onnx/tensor-value.js';
import { IoError } from '../errors.js';
import { FileSource } from '../wire/file-source.js';
import { stateText } from '../wire/file-state.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import type { ByteSource } from '../wire/source.js';
import { takeRows } from './tensor.js';

/** An array in a file; its values are read when asked for. */
export interface LazyArray {
  /** Its name in the file, `''` where the file names none. */
  readonly key: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** All of it, or the entries `[start, end)` along axis 0. */
  read(rows?: RowRange): Promise<TensorValue>;
}

/** Entries along axis 0, `end` not among them. */
export interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** Gives a source for the time of one use. */
export interface SourceAccess {
  readonly name: string;
  use<T>(work: (source: ByteSource) => Promise<T>): Promise<T>;
}

/**
 * A file that is opened for each use, so that thousands of inputs need no thousands of descriptors; a change in between
 * is an IoError.
 */
export class ReopenedFile implements SourceAccess {
  private known: string | null = null;

  constructor(
    readonly name: string,
    private readonly fs: FileSystem = nodeFileSystem,
  ) {}

  async use<T>(work: (source: ByteSource) => Promise<T>): Promise<T> {
    const source = await FileSource.open(this.name, this.fs);
    try {
      const state = stateText(source.state);
      this.known ??= state;
      if (this.known !== state) {
        throw new IoError(`${this.name} changed while it was being read`, {
          code: 'FEATX_IO_CHANGED',
          path: this.name,
          hint: 'run again once nothing else writes to it',
        });
      }
      return await work(source);
    } finally {
      await source.close();
    }
  }
}

/** Bytes that stay open: in memory, or a source of the caller's. */
export function openSource(source: ByteSource, name = source.path ?? 'the array'): SourceAccess {
  return { name, use: (work) => work(source) };
}

/** An array that can only be read whole; it is kept until its last row has been asked for. */
export function wholeArray(array: Omit<LazyArray, 'read'>, load: () => Promise<TensorValue>): LazyArray {
  let kept: Promise<TensorValue> | null = null;
  const read = async (rows?: RowRange): Promise<TensorValue> => {
    if (rows === undefined) return load();
    kept ??= load();
    const tensor = await kept;
    if (rows.end >= array.shape[0]) kept = null;
    return takeRows(tensor, rows.start, rows.end);
  };
  return { ...array, read };
}
