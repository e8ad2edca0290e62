import { DirectorySidecars, type SidecarOptions } from '../wire/sidecar-files.js';
import { NO_SIDECARS, type ByteSource } from '../wire/source.js';
import { RemoteSource } from './remote-source.js';

/** The files beside a model: in its directory, or beside it behind its URL; a model in memory has none. */
export interface FilesBeside {
  open(location: string, field: string): Promise<ByteSource>;
  close(): Promise<void>;
}

/** The files beside a model, wherever that is; the gate of external data stands before each. */
export function filesBeside(source: ByteSource, options: SidecarOptions = {}): FilesBeside {
  if (source instanceof RemoteSource) return new RemoteSidecars(source);
  return source.path === undefined ? NO_SIDECARS : new DirectorySidecars(source.path, options);
}

/** Files beside a remote model, of the same commit where it is of a hub. */
class RemoteSidecars implements FilesBeside {
  private readonly opened = new Map<string, Promise<ByteSource>>();

  constructor(private readonly model: RemoteSource) {}

  /** @throws IoError if there is no such file */
  open(location: string): Promise<ByteSource> {
    let source = this.opened.get(location);
    if (source === undefined) this.opened.set(location, (source = this.model.openBeside(location)));
    return source;
  }

  async close(): Promise<void> {
    for (const opened of this.opened.values()) await (await opened.catch(() => null))?.close?.();
  }
}
