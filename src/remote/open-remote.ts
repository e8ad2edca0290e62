import { basename } from 'node:path';
import { IoError } from '../errors.js';
import { option } from '../options/words.js';
import { FileSource } from '../wire/file-source.js';
import { besideAddress, isAddress, parseAddress, type RemoteAddress } from './address.js';
import { isValidated, versionText } from './answers.js';
import { HttpFile } from './http-file.js';
import { cachedPath, isCommit, knownCommit, tokenOf } from './hub-cache.js';
import { MirrorStore, mirrorPrefix, readRecord, recordsIn, type MirrorRecord } from './mirror.js';
import { PROBE } from './open-url.js';
import { RemoteSource } from './remote-source.js';
import { settingsOf, type RemoteOptions, type Settings, type Surroundings } from './settings.js';

/**
 * Opens what a URL names: by ranges, through a mirror on this machine; or as a file where the cache of the Hugging Face
 * libraries has it.
 * @throws UsageError for a scheme that cannot be read; IoError
 */
export async function openRemote(
  text: string,
  options: RemoteOptions = {},
  around: Surroundings = {},
): Promise<RemoteSource | FileSource> {
  const settings = settingsOf(options, around);
  return openAddress(parseAddress(text, settings.hub.endpoint), settings);
}

/** `openRemote` of an address that was read; `probe`: bytes to ask for at once. */
export async function openAddress(
  address: RemoteAddress,
  settings: Settings,
  probe = PROBE,
): Promise<RemoteSource | FileSource> {
  const { hub } = address;
  if (hub !== null && (isCommit(hub.revision) || settings.offline)) {
    const commit = await knownCommit(hub, settings.hub, settings.fs);
    const cached = commit === null ? null : await cachedPath(hub, commit, settings.hub, settings.fs);
    if (cached !== null) {
      settings.onOpen?.({ name: address.shown, version: commit });
      return FileSource.open(cached, settings.fs);
    }
  }
  if (settings.offline) return openOffline(address, settings);
  const records = await recordsIn(settings.folder, settings.fs, mirrorPrefix(address.url));
  const token = hub === null ? null : await tokenOf(settings.hub, settings.fs);
  const { fetch, patience, signal } = settings;
  let opened: Awaited<ReturnType<typeof HttpFile.open>>;
  try {
    // What is here already needs no first bytes, only the version.
    opened = await HttpFile.open(address, records.length > 0 ? 1 : probe, { fetch, patience, signal, token });
  } catch (error) {
    const cached = isUnreachable(error) && hub !== null ? await inHubCache(address, settings) : null;
    if (cached === null) throw error;
    settings.warn(`${address.shown} cannot be reached; the version that was fetched last is used`);
    settings.onOpen?.({ name: address.shown, version: null });
    return FileSource.open(cached, settings.fs);
  }
  const { file, head } = opened;
  settings.onOpen?.({ name: address.shown, version: versionText(file.version) });
  const cached =
    hub === null || file.commit === null ? null : await cachedPath(hub, file.commit, settings.hub, settings.fs);
  if (cached !== null) return FileSource.open(cached, settings.fs);
  return mirrored(address, file, head, settings);
}

async function mirrored(
  address: RemoteAddress,
  http: HttpFile,
  head: Uint8Array,
  settings: Settings,
): Promise<RemoteSource> {
  const { folder, fs } = settings;
  const { version } = http;
  // All of it in one answer cannot be of two versions.
  const isWhole = head.length === version.size;
  const isKept = isValidated(version);
  const store = await MirrorStore.open(folder, address, version, { fs, isKept });
  try {
    if (!store.have.has({ start: 0, end: head.length })) await store.write(head, 0);
    if (isWhole) await store.save();
  } catch (error) {
    await store.close().catch(() => undefined);
    throw error;
  }
  return new RemoteSource({
    address,
    http,
    store,
    size: version.size,
    isValidated: isKept || isWhole,
    openBeside: besideOf(address, http.commit, settings),
  });
}

/** The mirror of a file that was used last. @throws IoError if there is none */
async function openOffline(address: RemoteAddress, settings: Settings): Promise<RemoteSource> {
  const { folder, fs } = settings;
  const offline = (): IoError =>
    new IoError(
      `${address.shown} is not on this machine${store === null ? '' : ' as a whole'}, and nothing may be fetched`,
      {
        code: 'FEATX_REMOTE_OFFLINE',
        path: address.shown,
        hint: `leave out ${option('remote.offline', true)}, and unset FEATX_OFFLINE and HF_HUB_OFFLINE`,
      },
    );
  let store: MirrorStore | null = null;
  const known: { readonly path: string; readonly record: MirrorRecord; readonly at: bigint }[] = [];
  for (const path of await recordsIn(folder, fs, mirrorPrefix(address.url))) {
    const record = await readRecord(path, fs);
    if (record !== null) known.push({ path, record, at: (await fs.stat(path)).mtimeNs });
  }
  known.sort((a, b) => (a.at < b.at ? 1 : -1));
  for (const { path, record } of known) {
    store = await MirrorStore.reopen(path, record, fs);
    if (store === null) continue;
    const { size_bytes: size, etag, last_modified: lastModified, linked_etag: linkedEtag } = record;
    settings.onOpen?.({ name: address.shown, version: versionText({ size, etag, lastModified, linkedEtag }) });
    return new RemoteSource({
      address,
      http: null,
      store,
      size,
      isValidated: true,
      openBeside: besideOf(address, null, settings),
      offline,
    });
  }
  throw offline();
}

/** Which bytes of a file beside a model are wanted, the model says; at first only its length is. */
function besideOf(
  address: RemoteAddress,
  commit: string | null,
  settings: Settings,
): (location: string) => Promise<RemoteSource | FileSource> {
  return (location) => openAddress(besideAddress(address, location, commit), settings, 1);
}

async function inHubCache({ hub }: RemoteAddress, { hub: cache, fs }: Settings): Promise<string | null> {
  const commit = hub === null ? null : await knownCommit(hub, cache, fs);
  return hub === null || commit === null ? null : cachedPath(hub, commit, cache, fs);
}

function isUnreachable(error: unknown): boolean {
  return error instanceof IoError && /^FEATX_REMOTE(_UNREACHABLE)?$/.test(error.code);
}

/**
 * What tells the version of a remote file that there is now from others; null if nothing does. One short request.
 * @throws UsageError, IoError
 */
export async function currentVersion(
  text: string,
  options: RemoteOptions,
  around: Surroundings,
): Promise<string | null> {
  let version: string | null = null;
  const settings = {
    ...settingsOf(options, around),
    onOpen: (file: { readonly version: string | null }) => void (version = file.version),
  };
  const source = await openAddress(parseAddress(text, settings.hub.endpoint), settings, 1);
  await source.close();
  return version;
}

/** The name of what a URL or a path names, for the name of a result. */
export function fileNameOf(text: string, options: RemoteOptions = {}): string {
  return isAddress(text) ? parseAddress(text, settingsOf(options).hub.endpoint).name : basename(text);
}
