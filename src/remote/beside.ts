import { DirectorySidecars, type SidecarOptions } from '../wire/sidecar-files.js';
import { NO_SIDECARS, type ByteSource } from '../wire/source.js';
import { RemoteSidecars } from './remote-sidecars.js';
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
