import { posix, relative, resolve, sep } from 'node:path';
import { isGlob, matchesGlob, unescaped } from '../features/glob.js';
import { errnoOf, ioError, orNothing, type FileSystem } from '../wire/fs.js';

/** A file that a pattern found. */
export interface FoundFile {
  /** Relative to the root, with `/`. */
  readonly item: string;
  /** The directory before the pattern's first wildcard, relative to the root. */
  readonly base: string;
}

/** What a pattern found; `isLiteral` where it names one file, which need not exist. */
export interface Found {
  readonly files: readonly FoundFile[];
  readonly isLiteral: boolean;
}

const DEEPEST = 64;

/**
 * The models that a path, a folder or a glob names, in code-unit order. `*` and `?` stay within a name, `**` is any number of folders, hidden
 * names are found only by patterns that begin with a dot, and `**` does not go through links. A folder whose name fits is among them: who opens what was
 * found sees what it is (`lookInto`), and looking here would double the cost.
 * @throws IoError where a directory cannot be listed
 */
export async function findFiles(pattern: string, root: string, fs: FileSystem): Promise<Found> {
  const normal = sep === '\\' && !isGlob(pattern) ? pattern.replaceAll('\\', '/') : pattern;
  const exact = isGlob(normal) && (await orNothing(fs.lstat(resolve(root, normal)), normal)) !== null;
  if (exact || !isGlob(normal)) {
    const item = relativeTo(root, exact ? normal : unescaped(normal));
    if (!(await isDirectory(fs, resolve(root, item))))
      return { files: [{ item, base: posix.dirname(item) }], isLiteral: true };
    return { files: await walk(root, item, ['**', '*.onnx'], fs), isLiteral: false };
  }
  const segments = normal.split('/');
  const firstWild = segments.findIndex((segment) => isGlob(segment));
  const base = relativeTo(
    root,
    segments.slice(0, firstWild).map(unescaped).join('/') || (normal.startsWith('/') ? '/' : '.'),
  );
  return {
    files: await walk(
      root,
      base,
      segments.slice(firstWild).filter((segment) => segment !== '' && segment !== '.'),
      fs,
    ),
    isLiteral: false,
  };
}

/** Whether a pattern (path, folder or glob) covers an item. */
export function covers(pattern: string, item: string): boolean {
  const segments = normalized(pattern).split('/');
  return matchesPath(segments, item.split('/')) || matchesPath([...segments, '**'], item.split('/'));
}

function matchesPath(pattern: readonly string[], path: readonly string[]): boolean {
  // Reachable positions of the pattern after each part of the path: linear in both, whatever the number of `**`.
  let at = closure(pattern, new Set([0]));
  for (const part of path) {
    const next = new Set<number>();
    for (const place of at) {
      if (pattern[place] === '**') next.add(place);
      else if (place < pattern.length && matchesGlob(pattern[place], part)) next.add(place + 1);
    }
    at = closure(pattern, next);
  }
  return at.has(pattern.length);
}

function closure(pattern: readonly string[], places: Set<number>): Set<number> {
  for (const place of places) if (pattern[place] === '**') places.add(place + 1);
  return places;
}

async function walk(root: string, base: string, segments: readonly string[], fs: FileSystem): Promise<FoundFile[]> {
  const found = new Set<string>();
  const visited = new Set<string>();
  const visit = async (directory: string, at: number, depth: number): Promise<void> => {
    if (depth > DEEPEST || visited.has(`${at}\n${directory}`)) return;
    visited.add(`${at}\n${directory}`);
    const segment = segments[at];
    const isLast = at === segments.length - 1;
    if (segment === '**' && !isLast) await visit(directory, at + 1, depth);
    if (segment !== '**' && !isGlob(segment)) {
      const path = normalized(`${directory}/${unescaped(segment)}`);
      if (!isLast) await visit(path, at + 1, depth + 1);
      else if (await isFile(fs, resolve(root, path))) found.add(path);
      return;
    }
    const names = (await list(fs, resolve(root, directory), directory === base)).filter(
      (name) => !name.startsWith('.') || segment.startsWith('.'),
    );
    const paths = names
      .filter((name) => segment === '**' || matchesGlob(segment, name))
      .map((name) => normalized(`${directory}/${name}`));
    if (isLast && segment !== '**') {
      for (const path of paths) found.add(path);
      return;
    }
    const isDeeper =
      segment === '**' ? await Promise.all(paths.map((path) => isPlainDirectory(fs, resolve(root, path)))) : [];
    for (const [index, path] of paths.entries()) {
      if (segment !== '**') await visit(path, at + 1, depth + 1);
      else if (isDeeper[index]) await visit(path, at, depth + 1);
      else if (isLast && (await isFile(fs, resolve(root, path)))) found.add(path);
    }
  };
  await visit(base, 0, 0);
  return [...found].sort(byCodeUnit).map((item) => ({ item, base }));
}

export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A path relative to the root with `/`; one on another drive stays absolute. */
export function relativeTo(root: string, path: string): string {
  const way = relative(root, resolve(root, path));
  return (sep === '\\' ? way.replaceAll('\\', '/') : way) || '.';
}

/** A path with `/`, without needless parts; one on a file server (`//server/share`) keeps both its slashes. */
export function normalized(path: string): string {
  return /^\/\/[^/]/.test(path) ? `/${posix.normalize(path)}` : posix.normalize(path);
}

async function list(fs: FileSystem, directory: string, mustExist: boolean): Promise<string[]> {
  try {
    return await fs.readdir(directory);
  } catch (error) {
    if (!mustExist && ['ENOTDIR', 'ENOENT'].includes(errnoOf(error) ?? '')) return [];
    throw ioError(error, 'list', directory);
  }
}

async function isDirectory(fs: FileSystem, path: string): Promise<boolean> {
  const state = await orNothing(fs.stat(path), path);
  return state?.isDirectory() ?? false;
}

async function isPlainDirectory(fs: FileSystem, path: string): Promise<boolean> {
  const state = await orNothing(fs.lstat(path), path);
  return state?.isDirectory() ?? false;
}

/** Anything but a directory: what is no regular file is refused with a reason when it is opened. */
async function isFile(fs: FileSystem, path: string): Promise<boolean> {
  const state = await orNothing(fs.lstat(path), path);
  if (state?.isSymbolicLink()) return !(await isDirectory(fs, path));
  return state !== null && !state.isDirectory();
}
