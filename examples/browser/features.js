// The features of a model that a visitor dropped, in the browser: nothing is uploaded, and the weights are not read.
// featx in node_modules: npm pack in a clone, then npm install its tarball here; or npm install featx (README, Set-up).
//   npx esbuild page.js --bundle --format=esm --outfile=bundle.js
import { inspectBytes } from 'featx/core';

/** A `File` or `Blob` as a source of bytes. */
const sourceOf = (file) => ({
  size: file.size,
  path: file.name,
  read: async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer()),
});

export async function featuresOf(file) {
  return (await inspectBytes(sourceOf(file))).feature_info;
}
