import { basename, dirname, join, posix, relative, resolve, sep } from 'node:path';
import { IoError } from '../errors.js';
import { nearestNames } from '../options/nearest.js';
import { errnoOf, ioError, orNothing, type FileSystem } from './fs.js';
import { covers as coversPath, isPathGlob, literalPath, nameMatcher, splitPattern } from './path-glob.js';

/** How files are looked for. */
export interface FindOptions {
  readonly fs: FileSystem;
  /** Takes what folders could not be looked into. */
  readonly warn: (message: string) => void;
}

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

/** A pattern with `/`: on Windows, where `\` separates, none of its characters is escaped. */
function withSlashes(pattern: string): string {
  return sep === '\\' ? pattern.replaceAll('\\', '/') : pattern;
}

/**
 * The models that a path, a folder or a glob names, in code-unit order. A file that exists is meant, whatever wildcards
 * its name holds.
 * @throws IoError if the folder before the first wildcard cannot be listed
 */
export async function findFiles(pattern: string, root: string, options: FindOptions): Promise<Found> {
  const normal = withSlashes(pattern);
  const isPattern = isPathGlob(normal);
  const exact = isPattern && (await orNothing(options.fs.lstat(resolve(root, normal)), normal)) !== null;
  const at = (path: string): string => resolve(root, path);
  const found = async (base: string, alternatives: readonly (readonly string[])[]): Promise<Found> => ({
    files: (await walk(base, alternatives, at, options)).map((item) => ({ item, base })),
    isLiteral: false,
  });
  if (isPattern && !exact) {
    const { base, alternatives } = splitPattern(normal);
    return found(relativeTo(root, base), alternatives);
  }
  const item = relativeTo(root, exact ? normal : literalPath(normal));
  if (!(await isDirectory(options.fs, at(item))))
    return { files: [{ item, base: posix.dirname(item) }], isLiteral: true };
  return found(item, [['**', '*.onnx']]);
}

/** The entries of the folder of a path that have nearly its name, nearest first; none if it cannot be listed. */
export async function filesLike(
  path: string,
  fs: FileSystem,
  isWanted: (name: string) => boolean = () => true,
): Promise<readonly string[]> {
  const folder = dirname(path);
  const names = await fs.readdir(folder).catch(() => []);
  const stems = new Map<string, string[]>();
  for (const name of names.filter((each) => !each.startsWith('.') && isWanted(each)))
    stems.set(stemOf(name), [...(stems.get(stemOf(name)) ?? []), name]);
  const near = nearestNames(stemOf(basename(path)), stems.keys()).flatMap((stem) => stems.get(stem) ?? []);
  const found = near.slice(0, MOST_NEAR);
  return folder === '.' && !path.startsWith('.') ? found : found.map((name) => join(folder, name));
}

const MOST_NEAR = 3;

function stemOf(name: string): string {
  return name.replace(/(?<=.)\.\w+$/, '');
}

/** A hint that names the nearest files; undefined for none. */
export function nearestText(near: readonly string[]): string | undefined {
  return near.length === 0 ? undefined : `there is ${near.join(', ')}`;
}

/** Looks for the nearest files if the one of this path is not there. @throws what `work` throws, with a hint */
export async function orNearest<T>(
  work: Promise<T>,
  path: string,
  fs: FileSystem,
  isWanted?: (name: string) => boolean,
): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof IoError) || error.code !== 'FEATX_IO_NOT_FOUND' || error.path !== path) throw error;
    throw Object.assign(error, { hint: error.hint ?? nearestText(await filesLike(path, fs, isWanted)) });
  }
}

/** Whether a path is a pattern that `globFiles` looks for. */
export function isFileGlob(pattern: string): boolean {
  return isPathGlob(withSlashes(pattern));
}

/**
 * The files that a pattern finds, spelled as the pattern is, in code-unit order; none if its folder is missing.
 * @throws IoError if the folder before the first wildcard cannot be listed
 */
export async function globFiles(pattern: string, options: FindOptions): Promise<string[]> {
  const { base, alternatives } = splitPattern(withSlashes(pattern));
  if ((await orNothing(options.fs.stat(base), base)) === null) return [];
  const files: string[] = [];
  for (const path of await walk(base, alternatives, (each) => each, options))
    if (await isFile(options.fs, path)) files.push(path);
  return files;
}

/** Whether a pattern (path, folder or glob) covers an item. */
export function covers(pattern: string, item: string): boolean {
  return coversPath(normalized(withSlashes(pattern)), item);
}

/**
 * Looks for every alternative below a folder. Names that begin with a dot are found only by patterns that do, `**` does
 * not go through links, and a folder that cannot be listed is left out with a warning. A folder whose name fits is
 * among what is found: who opens it sees what it is, and looking here would double the cost.
 */
async function walk(
  base: string,
  alternatives: readonly (readonly string[])[],
  at: (path: string) => string,
  { fs, warn }: FindOptions,
): Promise<string[]> {
  const found = new Set<string>();
  const unlisted = new Set<string>();
  /** What is there; null, and remembered, where it cannot be looked at. */
  const look = async <T>(looking: Promise<T>, path: string): Promise<T | null> => {
    try {
      return await looking;
    } catch (error) {
      if (errnoOf(error) === undefined || path === base) throw ioError(error, 'list', at(path));
      if (!['ENOTDIR', 'ENOENT', 'ELOOP'].includes(errnoOf(error) ?? '')) unlisted.add(path);
      return null;
    }
  };
  const isFolder = async (path: string): Promise<boolean> =>
    (await look(fs.lstat(at(path)), path))?.isDirectory() ?? false;
  for (const parts of alternatives) {
    const visited = new Set<string>();
    const matchers = parts.map(nameMatcher);
    const visit = async (directory: string, place: number, depth: number): Promise<void> => {
      if (depth > DEEPEST || visited.has(`${place}\n${directory}`)) return;
      visited.add(`${place}\n${directory}`);
      const part = parts[place];
      const isLast = place === parts.length - 1;
      if (part === '**' && !isLast) await visit(directory, place + 1, depth);
      if (part !== '**' && !isPathGlob(part)) {
        const path = normalized(`${directory}/${literalPath(part)}`);
        if (!isLast) await visit(path, place + 1, depth + 1);
        else if ((await look(fs.lstat(at(path)), path)) !== null && (await isFile(fs, at(path)))) found.add(path);
        return;
      }
      const names = (await look(fs.readdir(at(directory)), directory)) ?? [];
      const paths = names
        .filter((name) => !name.startsWith('.') || part.startsWith('.'))
        .filter((name) => part === '**' || matchers[place](name))
        .map((name) => normalized(`${directory}/${name}`));
      if (isLast && part !== '**') {
        for (const path of paths) found.add(path);
        return;
      }
      const isDeeper = part === '**' ? await Promise.all(paths.map(isFolder)) : [];
      for (const [index, path] of paths.entries()) {
        if (part !== '**') await visit(path, place + 1, depth + 1);
        else if (isDeeper[index]) await visit(path, place, depth + 1);
        else if (isLast && !unlisted.has(path) && (await isFile(fs, at(path)))) found.add(path);
      }
    };
    await visit(base, 0, 0);
  }
  if (unlisted.size > 0) warn(unlistedText([...unlisted].sort(byCodeUnit)));
  return [...found].sort(byCodeUnit);
}

function unlistedText(paths: readonly string[]): string {
  const shown = paths.length > 3 ? `${paths.slice(0, 3).join(', ')} and ${paths.length - 3} more` : paths.join(', ');
  return `${shown} cannot be looked into and ${paths.length === 1 ? 'is' : 'are'} left out`;
}

/** The order of names by their UTF-16 code units, the same in every locale. */
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

async function isDirectory(fs: FileSystem, path: string): Promise<boolean> {
  const state = await orNothing(fs.stat(path), path);
  return state?.isDirectory() ?? false;
}

/** Anything but a directory: what is not a regular file is refused with a reason when it is opened. */
async function isFile(fs: FileSystem, path: string): Promise<boolean> {
  const state = await orNothing(fs.lstat(path), path);
  if (state?.isSymbolicLink()) return !(await isDirectory(fs, path));
  return state !== null && !state.isDirectory();
}
