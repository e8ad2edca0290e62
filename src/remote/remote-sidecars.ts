import type { ByteSource } from '../wire/source.js';
import type { RemoteSource } from './remote-source.js';

/** Files beside a remote model, of the same commit where it is of a hub. */
export class RemoteSidecars {
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
