/** Which file stands under a name. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** What tells one state of a file from another without reading it. */
export interface FileState extends FileIdentity {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** The state alone of all that a system says of a file, which is ten times larger. */
export function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: FileState): FileState {
  return { dev, ino, size, mtimeNs, ctimeNs };
}

/** A state as text, equal for equal ones and half as large: there may be many of them. */
export function stateText({ dev, ino, size, mtimeNs, ctimeNs }: FileState): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** Whether two looks found the same file, whatever it holds; nothing is the same as no file. */
export function isSameFile(a: FileIdentity | null, b: FileIdentity | null): boolean {
  return a !== null && b !== null && a.dev === b.dev && a.ino === b.ino;
}

/** Whether two looks found the same file in the same state. */
export function isSameState(a: FileState, b: FileState): boolean {
  return isSameFile(a, b) && a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs;
}
