import { fileURLToPath } from 'node:url';

/**
 * Where the program of the page lies: beside the bundles of the command line and beside the library.
 * @param withUrls whether the page may fetch models
 */
export function pageProgram(withUrls: boolean): string {
  const name = withUrls ? 'program-with-urls.js' : 'program.js';
  const url = import.meta.url;
  // From the sources, it is what was built last.
  return fileURLToPath(new URL(url.endsWith('.ts') ? `../../dist/browser/${name}` : `../browser/${name}`, url));
}
