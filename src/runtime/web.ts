import { createRequire } from 'node:module';

/** ONNX Runtime as WebAssembly, for systems that onnxruntime-node has no libraries for: musl, Intel Macs, FreeBSD. */
const require = createRequire(import.meta.url);

/** How to get it. */
export const WEB_INSTALL = 'install it with: npm i -E onnxruntime-web@1.30.0';

/** Whether onnxruntime-web is installed; loads nothing. */
export function isWebInstalled(): boolean {
  try {
    require.resolve('onnxruntime-web');
    return true;
  } catch {
    return false;
  }
}

/** What is used of its settings. */
interface WebSettings {
  readonly env: { readonly wasm: { numThreads?: number } };
}

/**
 * Loads it. Threads are set once, before the first session; one, unless more are asked for: those of WebAssembly spin.
 */
export function requireWeb<T>(threads: number | null): T {
  const web = require('onnxruntime-web') as T & WebSettings;
  web.env.wasm.numThreads = threads ?? 1;
  return web;
}
