import { option } from '../options/words.js';
import { join } from 'node:path';
import { RuntimeError, TimeoutError, UsageError } from '../errors.js';
import { PROVIDERS, type Provider } from '../options/choices.js';
import { providerHint } from '../options/values.js';
import { nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { printable } from '../wire/text.js';
import { RuntimeChild } from './child.js';
import { CUDA_LIBRARIES, canFetchCuda, cudaHint, cudaRefusal, type CudaPart } from './cuda.js';
import type { LoadRequest } from './host.js';
import { runtimeFiles } from './session.js';
import { isWebInstalled, WEB_INSTALL } from './web.js';

export { PROVIDERS, type Provider };

/** What is to be known of an execution provider. */
interface ProviderFacts {
  /** Its name in a profile. */
  readonly profile: string;
  /** Where it exists, what to say of other platforms, and what to use there; absent if it exists everywhere. */
  readonly only?: {
    readonly platforms: readonly NodeJS.Platform[];
    readonly reason: string;
    readonly instead: Provider;
  };
  /** Libraries of its own that ONNX Runtime loads, and what those need. */
  readonly loads?: { readonly libraries: readonly string[]; readonly needs: string };
  /** What to do if its own message says no more. */
  readonly hint?: { readonly platform: NodeJS.Platform; readonly text: string };
}

/** Whether a provider computes on this machine's processor, so that no profile has to say where its nodes ran. */
export function isProcessor(provider: string): boolean {
  return provider === 'cpu' || provider === 'wasm';
}

const FACTS: { readonly [P in Provider]: ProviderFacts } = {
  cpu: { profile: 'CPUExecutionProvider' },
  cuda: {
    profile: 'CUDAExecutionProvider',
    only: { platforms: ['linux', 'win32'], reason: 'cuda does not exist on macOS', instead: 'coreml' },
    loads: { libraries: ['onnxruntime_providers_shared', 'onnxruntime_providers_cuda'], needs: 'CUDA and cuDNN' },
  },
  tensorrt: {
    profile: 'TensorrtExecutionProvider',
    only: { platforms: ['linux', 'win32'], reason: 'tensorrt does not exist on macOS', instead: 'coreml' },
    loads: {
      libraries: ['onnxruntime_providers_shared', 'onnxruntime_providers_tensorrt'],
      needs: 'CUDA, cuDNN and TensorRT',
    },
  },
  wasm: { profile: 'CPUExecutionProvider' },
  webgpu: {
    profile: 'WebGpuExecutionProvider',
    hint: {
      platform: 'linux',
      text: 'WebGPU needs a Vulkan loader and driver: that of the graphics card, or on Debian apt install libvulkan1 mesa-vulkan-drivers (25 or newer) for a software one',
    },
  },
  dml: {
    profile: 'DmlExecutionProvider',
    only: { platforms: ['win32'], reason: 'DirectML exists on Windows only', instead: 'cuda' },
    hint: { platform: 'win32', text: 'DirectML needs a device of DirectX 12 and its driver' },
  },
  coreml: {
    profile: 'CoreMLExecutionProvider',
    only: { platforms: ['darwin'], reason: 'Core ML exists on macOS only', instead: 'cuda' },
  },
};

/** Our name of a provider that a profile names. */
export function providerOfProfile(name: string): string {
  return PROVIDERS.find((provider) => FACTS[provider].profile === name) ?? name;
}

/**
 * What to try, in order: `auto` is CUDA, then DirectML on Windows or Core ML on macOS, then the CPU; names are taken as
 * they are, and nothing is added.
 * @throws UsageError for an unknown name or an empty list
 */
export function providerOrder(
  wanted: 'auto' | readonly string[],
  platform: NodeJS.Platform = process.platform,
): readonly Provider[] {
  if (wanted === 'auto')
    return platform === 'win32' ? ['cuda', 'dml', 'cpu'] : platform === 'darwin' ? ['coreml', 'cpu'] : ['cuda', 'cpu'];
  const unknown = wanted.filter((name) => !PROVIDERS.some((known) => known === name));
  if (unknown.length > 0 || wanted.length === 0) {
    const what =
      wanted.length === 0
        ? 'no execution provider is named'
        : `${unknown.map((name) => `'${printable(name)}'`).join(', ')} ${unknown.length === 1 ? 'is not an execution provider' : 'are not execution providers'}`;
    throw new UsageError(what, {
      code: 'FEATX_USAGE_PROVIDER',
      hint: `${providerHint(unknown)}there are auto, ${PROVIDERS.join(', ')}`,
    });
  }
  return PROVIDERS.filter((name) => wanted.includes(name)).sort((a, b) => wanted.indexOf(a) - wanted.indexOf(b));
}

/** Whether a refusal is about the provider and not about the model. */
export function isProviderFailure(message: string): boolean {
  return /ExecutionProvider|core[\\/]providers[\\/](?!cpu)|shared library|backend not found|no available backend|adapter|CUDA|cuDNN|cublas|TensorRT|DirectML|D3D12|Vulkan|WebGPU|CoreML/i.test(
    message,
  );
}

/** A message of the runtime without the places in its own sources, safe to show. */
export function plainReason(message: string): string {
  const plain = message
    .replace(CHECK, '')
    .replace(PLACE, '')
    .replace(THROWN, '')
    .replace(/\s*\(?\bat operator\(\)[^\n]*\)?/g, '')
    .replace(/\[ONNXRuntimeError\] : \d+ : \w+ : /g, '');
  return printable(plain.replace(/\s+/g, ' ').trim());
}

/** File, line, and what was checked there. */
const CHECK = /(?:\/|[A-Z]:\\)\S*onnxruntime\S*\.(?:cc|cpp|h):\d+ [^\n]*? was false\. /g;
/** File, line, and the function with its parameters. */
const PLACE =
  /(?:\/|[A-Z]:\\)\S*onnxruntime\S*\.(?:cc|cpp|h):\d+ (?:[^()\n]*\(anonymous namespace\))?[^()\n]*\((?:[^()\n]|\([^()\n]*\))*\)(?: const)? /g;

/** On Windows: file, library and thread that a result other than success comes from. */
const THROWN = /[A-Z]:\\\S+\.(?:cc|cpp|h)\(\d+\)\\\S+: \(caller: \w+\) Exception\(\d+\) tid\(\w+\) /g;

/** Why a provider cannot be used, and what mends it. */
export interface ProviderFault {
  /** What CUDA lacks first; null where that is not known. */
  readonly missing: CudaPart | null;
  readonly reason: string;
  readonly hint: string;
}

/** A provider that could not be used. */
export interface ProviderFailure extends Omit<ProviderFault, 'hint'> {
  readonly provider: Provider;
  readonly hint: string | null;
}

/** That none of the providers that were asked for could be used, with what each lacks. */
export class ProviderError extends RuntimeError {
  constructor(
    readonly failures: readonly ProviderFailure[],
    ...rest: ConstructorParameters<typeof RuntimeError>
  ) {
    super(...rest);
  }
}

/** How to get the libraries that a package manager left out: those of exactly this version. */
function getLibraries(provider: Provider): string {
  if (provider === 'cuda' && canFetchCuda()) return cudaHint('provider library');
  const { version, libraries, installer } = runtimeFiles();
  const command =
    process.platform === 'linux' ? `ONNXRUNTIME_NODE_INSTALL=true node ${installer} downloads them; or ` : '';
  return `${command}copy them from the GPU package of ONNX Runtime ${version} into ${libraries}`;
}

/** Whether a provider cannot work here, from files and platform alone, without loading anything; null where it may. */
export async function absence(provider: Provider, fs: FileSystem = nodeFileSystem): Promise<ProviderFault | null> {
  const platform = platformLacks(provider);
  if (platform !== null) return platform;
  if (provider === 'wasm') return isWebInstalled() ? null : webMissing();
  for (const path of libraryPaths(provider)) {
    const isThere = await fs.stat(path).then(
      () => true,
      () => false,
    );
    if (!isThere)
      return { missing: 'provider library', reason: `${path} is not installed`, hint: getLibraries(provider) };
  }
  return null;
}

function webMissing(): ProviderFault {
  return { missing: null, reason: 'onnxruntime-web is not installed', hint: WEB_INSTALL };
}

/**
 * What a provider lacks on this machine, found by looking for its libraries and loading what they need in a process of
 * its own; null where nothing is found missing. ONNX Runtime itself says only that a library did not load.
 * @param said its message
 */
export async function providerFault(
  provider: Provider,
  said: string,
  fs: FileSystem = nodeFileSystem,
): Promise<ProviderFault | null> {
  const absent = await absence(provider, fs);
  if (absent !== null) return absent;
  if (provider === 'wasm') return null;
  const { libraries, version } = runtimeFiles();
  const lacking = provider === 'cuda' ? await cudaFault(said, libraries) : null;
  // Outside of ONNX Runtime the provider of CUDA ends the process that loads it, once it finds all that it needs.
  if (lacking !== null || !/shared library/.test(said)) return lacking;
  for (const path of libraryPaths(provider)) {
    const fault = await missingLibrary(path);
    if (fault === null) continue;
    const hint = `install ${FACTS[provider].loads?.needs} in the versions that onnxruntime-node ${version} was built for, where the system's loader finds them (LD_LIBRARY_PATH)`;
    return { missing: null, reason: `${path} does not load: ${fault}`, hint };
  }
  return null;
}

/**
 * What CUDA lacks first of libraries, driver and device.
 * @param folder where its libraries may lie, if the system does not have them
 */
export async function cudaFault(said: string, folder: string): Promise<ProviderFault | null> {
  const refusal = cudaRefusal(said);
  if (refusal !== null)
    return faultOf(
      refusal.part,
      refusal.part === 'device' ? 'no device' : "NVIDIA's driver is too old",
      refusal.reason,
    );
  if (process.platform !== 'linux') return null;
  using child = RuntimeChild.start();
  for (const { part, library } of CUDA_LIBRARIES) {
    const fault = await loadingIn(child, { kind: 'load', path: library, folder });
    if (fault !== null) return faultOf(part, `${part === 'driver' ? "NVIDIA's driver" : part} is missing`, fault);
  }
  return null;
}

function faultOf(part: CudaPart, what: string, reason: string): ProviderFault {
  return { missing: part, reason: `${what}: ${reason}`, hint: cudaHint(part) };
}

function libraryPaths(provider: Provider): readonly string[] {
  const { loads } = FACTS[provider];
  if (loads === undefined) return [];
  const { libraries } = runtimeFiles();
  return loads.libraries.map((name) => join(libraries, process.platform === 'win32' ? `${name}.dll` : `lib${name}.so`));
}

/** Why a provider does not exist on this platform; null if it does. */
export function platformLacks(provider: Provider): ProviderFault | null {
  const { only } = FACTS[provider];
  if (only === undefined || only.platforms.includes(process.platform)) return null;
  const others = only.instead === 'cuda' ? ', webgpu or cpu' : ' or cpu';
  return { missing: null, reason: only.reason, hint: `use ${option('providers', [only.instead])}${others}` };
}

/**
 * Why a library does not load, as the system's loader says it, or how loading it ended the process that tried; null if
 * it loads.
 */
export async function missingLibrary(path: string, timeoutMs: number = LOADING_MS): Promise<string | null> {
  using child = RuntimeChild.start();
  return await loadingIn(child, { kind: 'load', path }, timeoutMs);
}

async function loadingIn(
  child: RuntimeChild,
  ask: LoadRequest,
  timeoutMs: number = LOADING_MS,
): Promise<string | null> {
  try {
    const { value } = await child.ask(ask, [], { timeoutMs, subject: 'loading it' });
    return typeof value === 'string' ? printable(value) : null;
  } catch (error) {
    if (error instanceof RuntimeError || error instanceof TimeoutError) return error.message;
    throw error;
  }
}

/** Libraries of CUDA are large, and may lie on a disk of the network. */
const LOADING_MS = 60_000;
/** What to do about a provider whose own message says no more. */
export function genericHint(provider: Provider): string | null {
  const { hint } = FACTS[provider];
  return hint?.platform === process.platform ? hint.text : null;
}

/** The error for providers of which none could be used. */
export function noProvider(failures: readonly ProviderFailure[]): ProviderError {
  const what = failures.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  const hints = failures.flatMap(({ hint }) => hint ?? []);
  return new ProviderError(
    failures,
    `${failures.length === 1 ? 'the execution provider cannot be used' : 'none of the execution providers can be used'}: ${what}`,
    {
      code: 'FEATX_DEVICE',
      hint: hints[0] ?? `featx doctor says what each provider lacks; ${option('providers', ['cpu'])} always works`,
    },
  );
}
