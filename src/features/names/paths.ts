/** Modules inside modules that a path may name; deeper ones count as the module at this depth. */
export const DEEPEST = 64;

/** A path with no more modules inside each other than are told apart. */
export function shallow(path: string, separator: string): string {
  return path.length <= DEEPEST ? path : path.split(separator, DEEPEST).join(separator);
}

/** The module around a module of PyTorch; null for the root. */
export function parentOf(path: string): string | null {
  return path === '' ? null : path.slice(0, Math.max(0, path.lastIndexOf('.')));
}

/** The innermost module that two modules lie in. */
export function commonPath(a: string, b: string, separator: string): string {
  if (a === b) return a;
  const left = a.split(separator);
  const right = b.split(separator);
  let length = 0;
  while (length < left.length && left[length] === right[length]) length++;
  return left.slice(0, length).join(separator);
}
