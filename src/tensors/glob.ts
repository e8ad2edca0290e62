import { join, sep } from 'node:path';
import { errnoOf, ioError, type FileSystem } from '../wire/fs.js';

const SEPARATORS = sep === '\\' ? /[/\\]/ : /\//;
/** What makes a name no file that can be read, without being a fault of the machine. */
const NOT_THERE = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP']);

/** Whether a path has a wildcard. `*` and `?` stay inside a path segment, `**` is any number of directories. */
export function isGlob(path: string): boolean {
  return /[*?]/.test(path);
}

/** Whether a name fits a pattern of `*` and `?`; linear in both but for a factor of one backtrack. */
export function matchesWildcard(pattern: string, name: string): boolean {
  const wanted = Array.from(pattern);
  const have = Array.from(name);
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let index = 0; index < have.length; ) {
    if (wanted[at] === '*') {
      star = at++;
      resume = index;
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === have[index])) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else return false;
  }
  while (wanted[at] === '*') at++;
  return at === wanted.length;
}

/**
 * The files that a pattern names, in the order of their code units; names that begin with a dot only where the pattern
 * does.
 * @throws IoError
 */
export async function expandGlob(pattern: string, fs: FileSystem): Promise<string[]> {
  const segments = pattern.split(SEPARATORS).filter((segment, index) => segment !== '' || index === 0);
  const [first, ...rest] = segments;
  const root = first === '' ? '/' : /^[A-Za-z]:$/.test(first) ? `${first}/` : '';
  const found = await walk(root, root === '' ? [first, ...rest] : rest, fs, new Set());
  return [...new Set(found)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Every directory once for each part of the pattern: several `**` lead there in many ways. */
async function walk(
  directory: string,
  segments: readonly string[],
  fs: FileSystem,
  visited: Set<string>,
): Promise<string[]> {
  const [segment, ...rest] = segments;
  const visit = `${segments.length}\n${directory}`;
  if (segment === undefined || visited.has(visit)) return [];
  visited.add(visit);
  if (segment === '**') {
    const found = rest.length > 0 ? await walk(directory, rest, fs, visited) : [];
    for (const name of await listed(directory, fs)) {
      const path = join(directory, name);
      if (name.startsWith('.')) continue;
      if (await isDirectory(path, fs, true))
        for (const file of await walk(path, segments, fs, visited)) found.push(file);
      else if (rest.length === 0) found.push(path);
    }
    return found;
  }
  const names = isGlob(segment)
    ? (await listed(directory, fs)).filter(
        (name) => matchesWildcard(segment, name) && (segment.startsWith('.') || !name.startsWith('.')),
      )
    : [segment];
  const found: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    if (rest.length > 0) {
      if (isGlob(segment) && !(await isDirectory(path, fs, false))) continue;
      for (const file of await walk(path, rest, fs, visited)) found.push(file);
    } else if (await isFile(path, fs)) found.push(path);
  }
  return found;
}

/** Names in a directory; none where it is no directory. */
async function listed(directory: string, fs: FileSystem): Promise<string[]> {
  try {
    return await fs.readdir(directory === '' ? '.' : directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw ioError(error, 'list', directory);
  }
}

type State = Awaited<ReturnType<FileSystem['stat']>>;

async function stateOf(path: string, look: (path: string) => Promise<State>): Promise<State | null> {
  try {
    return await look(path);
  } catch (error) {
    if (NOT_THERE.has(errnoOf(error) ?? '')) return null;
    throw ioError(error, 'look at', path);
  }
}

/** `**` does not follow links, which could lead in circles. */
async function isDirectory(path: string, fs: FileSystem, noFollow: boolean): Promise<boolean> {
  const state = await stateOf(path, (at) => (noFollow ? fs.lstat(at) : fs.stat(at)));
  return state?.isDirectory() ?? false;
}

async function isFile(path: string, fs: FileSystem): Promise<boolean> {
  const state = await stateOf(path, (at) => fs.stat(at));
  return state !== null && !state.isDirectory();
}
