import { IoError } from '../errors.js';
import { parseAddress, type RemoteAddress } from '../remote/address.js';
import { openAddress } from '../remote/open-remote.js';
import { settingsOf, type RemoteOptions, type Settings } from '../remote/settings.js';
import type { FileSystem } from '../wire/fs.js';
import type { ByteSource } from '../wire/source.js';
import type { SourceAccess } from './lazy-array.js';

/**
 * A file behind a URL that is opened for each use, as files are: what was fetched stays in its mirror, so that a use
 * costs one request. A change in between is an IoError.
 */
export class RemoteAccess implements SourceAccess {
  readonly name: string;
  private readonly address: RemoteAddress;
  private readonly settings: Settings;
  private known: string | null = null;

  /** @throws UsageError for a scheme that cannot be read */
  constructor(
    url: string,
    { remote, fs, signal }: { readonly remote?: RemoteOptions; readonly fs: FileSystem; readonly signal?: AbortSignal },
  ) {
    this.settings = settingsOf(remote, { fileSystem: fs, signal });
    this.address = parseAddress(url, this.settings.hub.endpoint);
    this.name = this.address.shown;
  }

  async use<T>(work: (source: ByteSource) => Promise<T>): Promise<T> {
    const source = await openAddress(this.address, this.settings);
    try {
      const version = 'version' in source ? source.version : String(source.state.mtimeNs);
      this.known ??= version;
      if (this.known !== version)
        throw new IoError(`${this.name} changed while it was being read`, {
          code: 'FEATX_IO_CHANGED',
          path: this.name,
          hint: 'run again once nothing else writes to it',
        });
      return await work(source);
    } finally {
      await source.close();
    }
  }
}
