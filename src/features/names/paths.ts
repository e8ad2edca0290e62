import { DEEPEST } from './path-tree.js';

/** A path with no more modules inside each other than are told apart. */
export function shallow(path: string, separator: string): string {
  return path.length <= DEEPEST ? path : path.split(separator, DEEPEST).join(separator);
}
