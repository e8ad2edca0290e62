import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { IoError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { VERSION } from '../version.js';
import { isSameState, type FileState } from '../wire/file-state.js';
import { normalized } from '../wire/find-files.js';
import { type FileSystem, errnoOf } from '../wire/fs.js';
import { hashRanges } from '../wire/hash.js';
import type { PlannedItem } from './jobs.js';
import type { Journal } from './journal.js';
import { decodeOptions, encodeOptions } from './options.js';
import { type ReadRecord, type WrittenRecord, recorded, stateOf } from './recording.js';

/** What is remembered of a cut that was made: enough to know later that making it again would change nothing. */
export interface Made {
  readonly featx: string;
  /** Version of onnxruntime-node, which has a say in shapes; null without it. */
  readonly runtime: string | null;
  /** Digest of the options that the bytes follow from. */
  readonly options: string;
  /** Present if the cut was run beside its model, and computes what it computes. */
  readonly verified?: true;
  /** When the record was made, in milliseconds since 1970. */
  readonly at_ms: number;
  /** The model, then its sidecars. */
  readonly reads: readonly ReadRecord[];
  /** What was fetched in their place, if the model lies behind a URL. */
  readonly remote?: readonly RemoteRecord[];
  /** Files that were looked for and not there, relative to the root. */
  readonly absent: readonly string[];
  readonly writes: readonly WrittenRecord[];
}

/** A remote file that was read, and what tells its version from others. */
export interface RemoteRecord {
  /** As it is shown. */
  readonly path: string;
  readonly version: string;
}

/** What must hold of an item for a record to speak of it. */
export interface Expected {
  readonly root: string;
  readonly item: string;
  readonly output: string;
  readonly options: string;
}

/**
 * `same`: nothing to do; `unverified`: there as it was made, and still to be run beside its model; `changed`: make it;
 * `unsure`: more bytes than allowed would have to be hashed to know.
 */
export type Verdict =
  | { readonly is: 'same' | 'unverified'; readonly made: Made; readonly refreshed: boolean }
  | { readonly is: 'changed' }
  | { readonly is: 'unsure' };

/** A file that is not at least this much older than the record may have changed in the same tick of the clock. */
const RACE_MS = 2_000;

/** Hex digest of the options that an item was made with; whether it is verified changes no byte of it. */
export function optionsDigest(options: string): string {
  return createHash('sha256')
    .update(encodeOptions(decodeOptions(options).extract))
    .digest('hex');
}

let runtime: string | null | undefined;

/** Version of the installed onnxruntime-node; loads no native code. */
function runtimeVersion(): string | null {
  if (runtime !== undefined) return runtime;
  try {
    const manifest: unknown = createRequire(import.meta.url)('onnxruntime-node/package.json');
    runtime = isRecord(manifest) && typeof manifest.version === 'string' ? manifest.version : null;
  } catch {
    runtime = null;
  }
  return runtime;
}

/** The record of what was made now, by this version and this runtime. */
export function newMade(
  options: string,
  isVerified: boolean,
  files: Pick<Made, 'reads' | 'remote' | 'absent' | 'writes'>,
): Made {
  return {
    featx: VERSION,
    runtime: runtimeVersion(),
    options: optionsDigest(options),
    ...(isVerified ? { verified: true } : {}),
    at_ms: Date.now(),
    ...files,
  };
}

/** How closely a record is held against the files. */
export interface JudgeOptions {
  readonly fileSystem: FileSystem;
  /** Hash even what looks unchanged. */
  readonly content: boolean;
  /** Most bytes to hash. */
  readonly hashLimit: number;
  /** Says what tells the version that a remote file has now from others; left out where nothing may be asked. */
  readonly versionOf?: (path: string) => Promise<string | null>;
}

/**
 * Whether a record still holds: same featx, same runtime, same options, the bytes that were read are as they were, what
 * was looked for in vain is still not there, and every output is as it was written. Where the file system shows a file
 * untouched since well before the record, that stands for its hash.
 */
export async function judge(made: Made, expected: Expected, options: JudgeOptions): Promise<Verdict> {
  if (!speaksOf(made, expected)) return { is: 'changed' };
  const now = Date.now();
  for (const path of made.absent)
    if ((await statOrNull(options.fileSystem, resolve(expected.root, path), false)) !== null) return { is: 'changed' };
  const files: Seen[] = [];
  let toHash = 0;
  for (const record of [...made.reads, ...made.writes]) {
    const isOutput = record.ranges === undefined;
    const ranges = record.ranges ?? [0, record.size];
    const stats = await statOrNull(options.fileSystem, resolve(expected.root, record.path), isOutput);
    if (stats === null || !stats.isFile() || Number(stats.size) !== record.size) return { is: 'changed' };
    const isTrusted = !options.content && isSameState(stats, stateOf(record)) && isOlder(stats, made.at_ms);
    if (!isTrusted) toHash += covered(ranges);
    files.push({ record, ranges, state: stats, isTrusted });
  }
  const { remote = [] } = made;
  const { versionOf } = options;
  if (toHash > options.hashLimit || (remote.length > 0 && versionOf === undefined)) return { is: 'unsure' };
  for (const { path, version } of remote) if ((await versionOf?.(path)) !== version) return { is: 'changed' };
  const refreshed = files.some(({ isTrusted }) => !isTrusted);
  for (const file of files)
    if (!file.isTrusted && !(await matches(file, expected.root, options.fileSystem))) return { is: 'changed' };
  const is = made.verified !== true && decodeOptions(expected.options).verify ? 'unverified' : 'same';
  if (!refreshed) return { is, made, refreshed };
  const states = files.map(({ state }) => recorded(state));
  const reads = made.reads.map((record, index) => ({ ...record, state: states[index] }));
  const writes = made.writes.map((record, index) => ({ ...record, state: states[made.reads.length + index] }));
  return { is, made: { ...made, at_ms: now, reads, writes }, refreshed };
}

interface Seen {
  readonly record: ReadRecord | WrittenRecord;
  readonly ranges: readonly number[];
  readonly state: FileState;
  readonly isTrusted: boolean;
}

async function matches({ record, ranges, state }: Seen, root: string, fs: FileSystem): Promise<boolean> {
  try {
    const digest = await hashRanges(fs, resolve(root, record.path), record.size === 0 ? [] : ranges);
    return digest !== null && digest.sha256 === record.sha256 && isSameState(digest.state, state);
  } catch (error) {
    // What cannot be read now is made again, and fails there with its reason.
    if (error instanceof IoError || errnoOf(error) !== undefined) return false;
    throw error;
  }
}

function covered(ranges: readonly number[]): number {
  let size = 0;
  for (let at = 0; at < ranges.length; at += 2) size += ranges[at + 1] - ranges[at];
  return size;
}

function isOlder({ mtimeNs, ctimeNs }: FileState, atMs: number): boolean {
  const limit = BigInt(Math.floor(atMs) - RACE_MS) * 1_000_000n;
  return mtimeNs < limit && ctimeNs < limit;
}

/** Whether a record is about this item, this featx and these options, and names no file but the item's own. */
function speaksOf(made: Made, { item, output, options }: Expected): boolean {
  if (made.featx !== VERSION || made.runtime !== runtimeVersion() || made.options !== optionsDigest(options))
    return false;
  const isOfModel =
    made.remote === undefined
      ? made.reads[0]?.path === item && made.reads[0].ranges.length > 0
      : made.remote[0]?.path === item;
  if (made.at_ms > Date.now() || !isOfModel) return false;
  const belongs = ({ path }: WrittenRecord): boolean =>
    path === output || (dirname(path) === dirname(output) && path.startsWith(`${output}.`));
  return made.writes.some(({ path }) => path === output) && made.writes.every(belongs);
}

/** A record as it was written, or null where it is anything else. */
export function readMade(value: unknown): Made | null {
  if (!isRecord(value)) return null;
  const { featx, runtime: version, options, verified, at_ms, reads, remote, absent, writes } = value;
  const isFile = (file: unknown): file is WrittenRecord =>
    isRecord(file) &&
    typeof file.path === 'string' &&
    normalized(file.path) === file.path &&
    Number.isSafeInteger(file.size) &&
    typeof file.sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(file.sha256) &&
    isState(file.state);
  const isRead = (file: unknown): boolean => isFile(file) && 'ranges' in file && areRanges(file.ranges, file.size);
  if (
    typeof featx !== 'string' ||
    !(typeof version === 'string' || version === null) ||
    typeof options !== 'string' ||
    typeof at_ms !== 'number'
  )
    return null;
  const isPath = (path: unknown): path is string => typeof path === 'string' && normalized(path) === path;
  if (!Array.isArray(reads) || !reads.every(isRead) || !Array.isArray(writes) || !writes.every(isFile)) return null;
  if (!Array.isArray(absent) || !absent.every(isPath)) return null;
  if (remote !== undefined && !(Array.isArray(remote) && remote.every(isRemote))) return null;
  const fetched = remote === undefined ? {} : { remote };
  const ran = verified === true ? { verified: true as const } : {};
  return { featx, runtime: version, options, ...ran, at_ms, reads, ...fetched, absent, writes };
}

function isRemote(value: unknown): value is RemoteRecord {
  return isRecord(value) && typeof value.path === 'string' && typeof value.version === 'string';
}

function isState(value: unknown): boolean {
  return (
    isRecord(value) &&
    [value.dev, value.ino, value.mtime_ns, value.ctime_ns].every(
      (text) => typeof text === 'string' && /^-?\d{1,20}$/.test(text),
    )
  );
}

function areRanges(value: unknown, size: number): boolean {
  if (!Array.isArray(value) || value.length % 2 !== 0) return false;
  const numbers: unknown[] = value;
  return numbers.every(
    (at, index) =>
      typeof at === 'number' &&
      Number.isSafeInteger(at) &&
      at <= size &&
      at >= 0 &&
      (index === 0 || at > Number(numbers[index - 1])),
  );
}

async function statOrNull(
  fs: FileSystem,
  path: string,
  isOutput: boolean,
): Promise<Awaited<ReturnType<FileSystem['stat']>> | null> {
  try {
    return await (isOutput ? fs.lstat(path) : fs.stat(path));
  } catch (error) {
    if (errnoOf(error) !== undefined) return null;
    throw error;
  }
}

/**
 * Looks at fresh outputs again once they are old enough for the file system's word to count, and records that they are
 * as they were: the next run then need not hash them. Works while the parent would wait for its workers.
 */
export class Refresher {
  private readonly queue: { readonly item: PlannedItem; readonly made: Made }[] = [];
  private busy: Promise<void> | null = null;
  private failure: { readonly reason: unknown } | null = null;

  constructor(
    private readonly journal: Journal,
    private readonly judge: (made: Made, item: PlannedItem) => Promise<Verdict>,
  ) {}

  add(item: PlannedItem, made: Made): void {
    this.queue.push({ item, made });
    this.busy ??= this.work()
      .catch((reason: unknown) => void (this.failure = { reason }))
      .finally(() => (this.busy = null));
  }

  /** Resolves when nothing is under way; what is still too fresh is left to the next run. @throws IoError */
  async settle(): Promise<void> {
    await this.busy;
    if (this.failure !== null) throw this.failure.reason;
  }

  private async work(): Promise<void> {
    for (;;) {
      const [first] = this.queue;
      if (first === undefined || first.made.at_ms > Date.now() - RACE_MS) return;
      this.queue.shift();
      const verdict = await this.judge(first.made, first.item);
      if (verdict.is === 'same' && verdict.refreshed) this.journal.remember(first.item.id, verdict.made);
    }
  }
}
