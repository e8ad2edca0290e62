import { FeatxError, UsageError } from './errors.js';
import { indexModel } from './onnx/model.js';
import { encodeModel } from './onnx/encode.js';
import type { ValueType } from './onnx/records.js';
import { DataType } from './onnx/schema.js';
import { checkOptions } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import { fetchLibraries, planLibraries, type LibraryPlan } from './provider-libraries.js';
import type { DoctorReport, FetchedLibraries, ProviderRecord } from './report/records.js';
import { openSession } from './runtime/open-session.js';
import { platformLacks, ProviderError, PROVIDERS, type Provider } from './runtime/providers.js';
import { messageOf } from './runtime/message.js';
import { isRuntimeInstalled, runtimeFiles, runtimeMissing } from './runtime/session.js';
import { loadSharp } from './tensors/image.js';
import { loadTokenizers } from './tensors/tokenize.js';
import { VERSION } from './version.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';

/** What `doctor` takes: providers to try, by default those that this platform can have, and the time for each. */
export type DoctorOptions = OptionsOf<'doctor'> & {
  readonly fileSystem?: FileSystem;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Told what will be downloaded before it is. */
  readonly onFetch?: (plan: FetchedLibraries) => Promise<void> | void;
};

/** Compiling the first shader takes a software driver half a minute. */
const TRIAL_TIMEOUT_MS = 60_000;
const OLDEST_NODE = [20, 19] as const;

/**
 * What this machine has and lacks: versions, whether ONNX Runtime loads, and which execution providers really run a
 * small model, each tried in a process of its own; with the command that mends what is missing.
 */
export async function doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
  const started = performance.now();
  checkOptions('doctor', options);
  if (options.fetch !== true && (options.dryRun === true || options.index !== undefined))
    throw new UsageError(`${option('dryRun', true)} and ${option('index')} belong to ${option('fetch', true)}`);
  const warnings: string[] = [];
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]))
    warnings.push(`Node ${process.versions.node} is too old; featx needs ${OLDEST_NODE.join('.')} or newer`);
  const providers: ProviderRecord[] = [];
  let runtime: DoctorReport['runtime'];
  let fetched: FetchedLibraries | null = null;
  if (isRuntimeInstalled()) {
    const { version } = runtimeFiles();
    if (options.fetch === true) fetched = await fetchMissing(options);
    const wanted = options.providers ?? PROVIDERS.filter((provider) => platformLacks(provider) === null);
    for (const provider of wanted) {
      providers.push(await tryProvider(provider, options));
      options.signal?.throwIfAborted();
    }
    const cpu = providers.find(({ provider }) => provider === 'cpu') ?? (await tryProvider('cpu', options));
    runtime = { version, works: cpu.works, reason: cpu.reason, hint: cpu.hint };
  } else {
    for (const provider of options.providers ?? (['wasm'] as const))
      providers.push(await tryProvider(provider, options));
    const { message, hint } = runtimeMissing();
    runtime = { version: null, works: false, reason: message, hint: hint ?? null };
  }
  const { platform, arch } = process;
  return {
    schema: 1,
    command: 'doctor',
    featx: VERSION,
    node: process.versions.node,
    platform,
    arch,
    runtime,
    providers,
    fetched,
    pictures: await tryPictures(),
    texts: await tryTexts(),
    warnings,
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** Whether something can run here, of what was asked for. */
export function canRun({ runtime, providers }: DoctorReport): boolean {
  const isRunning = ({ provider, works }: ProviderRecord): boolean => works && (runtime.works || provider === 'wasm');
  return (runtime.works && providers.length === 0) || providers.some(isRunning);
}

/** Fetches what the CUDA provider lacks; under `dryRun` only says what that is. @throws UsageError, IoError */
async function fetchMissing(options: DoctorOptions): Promise<FetchedLibraries> {
  const { providers = ['cuda'], dryRun = false, onFetch } = options;
  if (!providers.includes('cuda'))
    throw new UsageError(`${option('fetch', true)} has libraries for cuda, and ${providers.join(', ')} takes none`, {
      hint: `write ${option('providers', ['cuda'])}, or leave out ${option('fetch', true)}`,
    });
  const plan = await planLibraries(options);
  if (dryRun) return fetchedRecord(plan, 'planned');
  await onFetch?.(fetchedRecord(plan, 'planned'));
  await fetchLibraries(plan, options);
  return fetchedRecord(plan, 'fetched');
}

function fetchedRecord(
  { folder, index, downloadBytes, wheels }: LibraryPlan,
  state: 'fetched' | 'planned',
): FetchedLibraries {
  const packages = wheels.map(({ wheel, file }) => ({
    name: wheel.package,
    version: wheel.version,
    libraries: wheel.holds,
    state: file === null ? ('present' as const) : state,
    size_bytes: file?.size ?? null,
    sha256: file?.sha256 ?? null,
  }));
  return { folder, index, download_bytes: downloadBytes, packages };
}

async function tryProvider(
  provider: Provider,
  { timeoutMs = TRIAL_TIMEOUT_MS, fileSystem = nodeFileSystem, signal }: DoctorOptions,
): Promise<ProviderRecord> {
  try {
    await using model = await indexModel(trialModel());
    await using session = await openSession(model, {
      providers: [provider],
      isolate: true,
      timeoutMs,
      fileSystem,
      signal,
    });
    await session.run(new Map([['x', { dtype: 'float32', shape: [1, 1, 8, 8], data: new Float32Array(64).fill(1) }]]));
    const ranOn = session.placement?.providers.map((share) => share.provider) ?? [provider];
    const works = ranOn.includes(provider);
    return {
      provider,
      works,
      ran_on: ranOn,
      missing: null,
      reason: works ? null : `it opens, and every node ran on ${ranOn.join(', ')}`,
      hint: null,
    };
  } catch (error) {
    if (!(error instanceof FeatxError)) throw error;
    const [failure] = error instanceof ProviderError ? error.failures : [];
    return {
      provider,
      works: false,
      ran_on: [],
      missing: failure?.missing ?? null,
      reason: failure?.reason ?? error.message,
      hint: error.hint ?? null,
    };
  }
}

/**
 * Decodes and encodes a picture of one pixel. The types of sharp stay out of ours, which are read where it is absent.
 */
export async function tryPictures(load?: () => Promise<unknown>): Promise<DoctorReport['pictures']> {
  try {
    const sharp = await loadSharp(
      (load as (() => Promise<typeof import('sharp')>) | undefined) ?? (() => import('sharp')),
    );
    await sharp({ create: { width: 1, height: 1, channels: 3, background: 'black' } })
      .png()
      .toBuffer();
    return { version: sharp.versions.sharp ?? null, works: true, reason: null, hint: null };
  } catch (error) {
    if (error instanceof FeatxError)
      return { version: null, works: false, reason: error.message, hint: error.hint ?? null };
    return {
      version: null,
      works: false,
      reason: `the package sharp loads and is broken: ${messageOf(error)}`,
      hint: 'install it anew: npm install -E sharp@0.35.5',
    };
  }
}

/** Loads what makes tokens of texts. */
export async function tryTexts(load?: () => Promise<unknown>): Promise<DoctorReport['texts']> {
  try {
    await loadTokenizers(load);
    return { works: true, reason: null, hint: null };
  } catch (error) {
    if (!(error instanceof FeatxError)) throw error;
    return { works: false, reason: error.message, hint: error.hint ?? null };
  }
}

/** A model that every provider has kernels for: `y = relu(max_pool(x) + x)`. */
function trialModel(): Uint8Array {
  const attributes = [
    { name: 'kernel_shape', ints: [3, 3] },
    { name: 'pads', ints: [1, 1, 1, 1] },
  ];
  const type: ValueType = { kind: 'tensor', elemType: DataType.float, shape: [1, 1, 8, 8] };
  return encodeModel({
    irVersion: 8,
    opset: 13,
    name: 'trial',
    nodes: [
      { opType: 'MaxPool', name: 'pool', inputs: ['x'], outputs: ['p'], attributes },
      { opType: 'Add', name: 'add', inputs: ['p', 'x'], outputs: ['s'] },
      { opType: 'Relu', name: 'relu', inputs: ['s'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', type }],
    outputs: [{ name: 'y', type }],
  });
}
