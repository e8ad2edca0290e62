import { fileURLToPath } from 'node:url';

/** Where the program of the page lies: beside the bundles of the command line and beside the library. */
export function pageProgram(): string {
  const url = import.meta.url;
  // From the sources, it is what was built last.
  return fileURLToPath(new URL(url.endsWith('.ts') ? '../../dist/browser/program.js' : '../browser/program.js', url));
}
