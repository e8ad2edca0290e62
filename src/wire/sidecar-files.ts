import { option } from '../options/words.js';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { PolicyError } from '../errors.js';
import { FileSource } from './file-source.js';
import { isSameFile } from './file-state.js';
import { errnoOf, ioError, nodeFileSystem, type FileSystem } from './fs.js';
import type { ByteSource } from './source.js';

/** How files beside a model are opened. */
export interface SidecarOptions {
  readonly fileSystem?: FileSystem;
  /** Refuse files with several hard links, which may be somebody else's secret under another name. */
  readonly strict?: boolean;
  readonly warn?: (message: string) => void;
}

/** Where a model lives: the real paths of its directory as named, of the directory of its real path, and of itself. */
interface Home {
  readonly directories: readonly string[];
  readonly model: string;
}

/**
 * Files beside a model. A location is resolved against the directory the model was named in; links are allowed as long
 * as the real file lies under the real path of that directory, or of the directory that the model itself links into (a
 * Hugging Face cache).
 */
export class DirectorySidecars {
  private readonly opened = new Map<string, Promise<FileSource>>();
  /** By real path: one file under several spellings is one source. */
  private readonly files = new Map<string, Promise<FileSource>>();
  private readonly fs: FileSystem;
  private home: Promise<Home> | null = null;

  constructor(
    private readonly modelPath: string,
    private readonly options: SidecarOptions = {},
  ) {
    this.fs = options.fileSystem ?? nodeFileSystem;
  }

  /**
   * @throws PolicyError if the real file lies elsewhere or is not a regular file; IoError if it cannot be opened
   */
  open(location: string, field: string): Promise<ByteSource> {
    let source = this.opened.get(location);
    if (source === undefined) this.opened.set(location, (source = this.openFile(location, field)));
    return source;
  }

  private async openFile(location: string, field: string): Promise<FileSource> {
    const real = await this.realPath(location, field);
    const { directories, model } = await (this.home ??= this.findHome());
    if (!directories.some((directory) => isInside(real, directory))) {
      throw new PolicyError(
        `external data of ${field} is refused: '${location}' is a link to ${real}, outside the directory of the model`,
        {
          code: 'FEATX_EXTERNAL_LINK',
          path: join(dirname(this.modelPath), location),
          field,
          hint: 'copy the file beside the model if you trust it',
        },
      );
    }
    let file = this.files.get(real);
    if (file === undefined) this.files.set(real, (file = this.openReal(real, location, field, real === model)));
    return file;
  }

  private async realPath(location: string, field: string): Promise<string> {
    let missing: unknown;
    for (const place of sidecarPlaces(this.modelPath, location)) {
      try {
        return await this.fs.realpath(place);
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw ioError(error, `read the weights of ${field} from`, place);
        missing ??= error;
      }
    }
    const wanted = join(dirname(this.modelPath), location);
    throw ioError(
      missing,
      `read the weights of ${field} from`,
      wanted,
      `the model keeps weights in '${location}', which belongs beside it`,
    );
  }

  private async findHome(): Promise<Home> {
    try {
      const named = await this.fs.realpath(dirname(this.modelPath));
      const model = await this.fs.realpath(this.modelPath);
      return { directories: [named, dirname(model)], model };
    } catch (error) {
      throw ioError(error, 'find the directory of', this.modelPath);
    }
  }

  private async openReal(real: string, location: string, field: string, isModel: boolean): Promise<FileSource> {
    const stat = await this.fs.stat(real).catch((error: unknown) => {
      throw ioError(error, `read the weights of ${field} from`, real);
    });
    if (!stat.isFile())
      throw new PolicyError(`external data of ${field} is refused: '${location}' is not a regular file`, {
        code: 'FEATX_EXTERNAL_KIND',
        path: real,
        field,
      });
    // The model itself was named by the caller, not by the model.
    if (stat.nlink > 1n && !isModel) {
      if (this.options.strict)
        throw new PolicyError(`external data of ${field} is refused: '${location}' has ${stat.nlink} hard links`, {
          code: 'FEATX_EXTERNAL_HARD_LINK',
          path: real,
          field,
          hint: `copy the file, or leave out ${option('strictExternal')}`,
        });
      this.options.warn?.(`'${location}' has ${stat.nlink} hard links`);
    }
    const source = await FileSource.open(real, this.fs);
    if (isSameFile(source.state, stat)) return source;
    await source.close();
    throw new PolicyError(
      `external data of ${field} is refused: '${location}' was replaced while it was being opened`,
      { code: 'FEATX_EXTERNAL_LINK', path: real, field },
    );
  }

  async close(): Promise<void> {
    for (const source of this.files.values()) {
      const file = await source.catch(() => null);
      await file?.close();
    }
  }
}

/**
 * Where a location may be found, in the order in which it is looked for: where a backslash is a letter of names, a file
 * of that very name comes before one in a folder.
 * @returns paths under the directory that the model was named in, if the location is one that the gate lets through
 */
export function sidecarPlaces(modelPath: string, location: string): readonly string[] {
  const directory = dirname(modelPath);
  return [...new Set([join(directory, location), join(directory, location.replaceAll('\\', '/'))])];
}

function isInside(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
