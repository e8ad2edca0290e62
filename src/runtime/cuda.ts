import { constants } from 'node:os';
import { join } from 'node:path';
import { option } from '../options/words.js';
import { messageOf } from './message.js';

/**
 * What lies between the CUDA provider of ONNX Runtime and a device. ONNX Runtime finds the provider's own libraries
 * beside its own only; what those need it leaves to the system's loader, which takes what is loaded already.
 */

/** A package of a Python index that holds libraries, as a wheel: a zip archive. */
export interface LibraryWheel {
  readonly package: string;
  /** Null for that of onnxruntime-node, whose provider must be of the very same version. */
  readonly version: string | null;
  readonly holds: readonly string[];
}

/**
 * The wheels for Linux on x64. The provider of onnxruntime-node 1.30 is built for CUDA 13 and cuDNN 9; these are of
 * CUDA 13.0, the first of its line, so that the oldest drivers do.
 * @see https://pypi.org/project/onnxruntime-gpu, its extras `cuda` and `cudnn`
 */
export const CUDA_WHEELS: readonly LibraryWheel[] = [
  {
    package: 'onnxruntime-gpu',
    version: null,
    holds: ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'],
  },
  { package: 'nvidia-cuda-runtime', version: '13.0.96', holds: ['libcudart.so.13'] },
  { package: 'nvidia-cublas', version: '13.1.0.3', holds: ['libcublasLt.so.13', 'libcublas.so.13'] },
  { package: 'nvidia-curand', version: '10.4.0.35', holds: ['libcurand.so.10'] },
  {
    package: 'nvidia-cuda-nvrtc',
    version: '13.0.88',
    holds: ['libnvrtc-builtins.so.13.0', 'libnvrtc.so.13'],
  },
  {
    package: 'nvidia-cudnn-cu13',
    version: '9.15.1.9',
    holds: [
      'libcudnn.so.9',
      ...['graph', 'ops', 'cnn', 'adv', 'heuristic', 'engines_precompiled', 'engines_runtime_compiled'].map(
        (part) => `libcudnn_${part}.so.9`,
      ),
    ],
  },
];

/** What the way to a device may lack, in the order in which it is looked for. */
export type CudaPart = 'provider library' | 'CUDA runtime' | 'cuBLAS' | 'cuRAND' | 'cuDNN' | 'driver' | 'device';

/** Libraries under the provider, in the order in which they are looked for. */
export const CUDA_LIBRARIES: readonly { readonly part: CudaPart; readonly library: string }[] = [
  { part: 'CUDA runtime', library: 'libcudart.so.13' },
  { part: 'cuBLAS', library: 'libcublasLt.so.13' },
  { part: 'cuBLAS', library: 'libcublas.so.13' },
  { part: 'cuRAND', library: 'libcurand.so.10' },
  { part: 'cuDNN', library: 'libcudnn.so.9' },
  { part: 'driver', library: 'libcuda.so.1' },
];

/** What mends what is missing. */
export function cudaHint(part: CudaPart): string {
  if (part === 'driver')
    return "install NVIDIA's driver, 580 or newer (on Debian: apt install nvidia-driver); in a container, let it have the GPUs of its host";
  if (part === 'device')
    return 'nvidia-smi lists the devices that the driver sees; a container sees only those that it was given, and CUDA_VISIBLE_DEVICES hides those that it does not name';
  return canFetchCuda()
    ? `featx doctor ${option('fetch', true)} ${option('providers', ['cuda'])} downloads it`
    : `install ${part === 'provider library' ? 'it' : part} for CUDA 13 where the system's loader finds it`;
}

/** Whether there are wheels for this platform. */
export function canFetchCuda(platform: NodeJS.Platform = process.platform, arch: string = process.arch): boolean {
  return platform === 'linux' && arch === 'x64';
}

/** Of CUDA itself: what a refusal of the runtime means. @see cudaError_t, cuda-runtime-api */
const NO_DEVICE = new Set([100, 101]);
const OLD_DRIVER = new Set([35, 803, 804]);

/** What CUDA lacked when a session was refused; null if its message says nothing of CUDA. */
export function cudaRefusal(said: string): { readonly part: CudaPart; readonly reason: string } | null {
  const [, number, words] = /CUDA failure (\d+): ([^;\n]*)/.exec(said) ?? [];
  if (number === undefined) return null;
  const reason = `${words.trim()} (CUDA failure ${number})`;
  if (NO_DEVICE.has(Number(number))) return { part: 'device', reason };
  return OLD_DRIVER.has(Number(number)) ? { part: 'driver', reason } : null;
}

/** What the libraries of CUDA read when they are loaded: `0` forbids TF32 for a process. */
const TF32_OVERRIDE = 'NVIDIA_TF32_OVERRIDE';

/** Forbids CUDA to multiply float32 as TF32, before its libraries are loaded; the binding has no option for it. */
export function forbidTf32(): void {
  process.env[TF32_OVERRIDE] = '0';
}

/**
 * Whether float32 was allowed to be multiplied as TF32 on the provider that ran; null where that is not CUDA's.
 * @param asked what the caller said; by default CUDA may
 */
export function tf32Of(
  provider: string,
  asked: boolean | undefined,
  environment: { readonly [name: string]: string | undefined } = process.env,
): boolean | null {
  if (provider !== 'cuda' && provider !== 'tensorrt') return null;
  return asked !== false && environment[TF32_OVERRIDE] !== '0';
}

/** `RTLD_NODELETE` of glibc: Node closes what turns out not to be a module of its own, and this stays all the same. */
const STAYS = 0x1000;

/** Loads the libraries of CUDA that lie in a folder, so that the system's loader has them when they are needed. */
export function loadCudaOf(folder: string): void {
  if (process.platform !== 'linux') return;
  const flags = constants.dlopen.RTLD_LAZY | constants.dlopen.RTLD_GLOBAL | STAYS;
  // What is not there the system may have elsewhere; what is missing in the end, the loader says.
  for (const { version, holds } of CUDA_WHEELS)
    if (version !== null) for (const name of holds) if (isEntry(name)) loadingFault(join(folder, name), flags);
}

/** cuDNN and NVRTC load their parts themselves, from beside them. */
function isEntry(name: string): boolean {
  return !/^lib(cudnn_|nvrtc-builtins)/.test(name);
}

/** Loads a library; what the system's loader says, or null if it loads. */
export function loadingFault(path: string, flags: number = constants.dlopen.RTLD_LAZY): string | null {
  try {
    process.dlopen({ exports: {} }, path, flags);
    return null;
  } catch (error) {
    // A library that loads is still not a module of Node.
    return /self-register/.test(messageOf(error)) ? null : messageOf(error);
  }
}
