/** Modules inside modules that a path may name; deeper ones count as the module at this depth. */
export const DEEPEST = 64;
/** Paths that there is room for at first. */
const FIRST_ROOM = 256;
/** Paths inside one path that are looked through one by one. */
const FEW = 8;
/** No path. */
export const NO_PATH = -1;
/** The path of the root. */
export const ROOT = 0;

/** Names of one stem, each with a number behind it. */
interface Run {
  readonly stem: string;
  /** The largest number. */
  most: number;
  /** Whether there are names beside them. */
  hasOthers: boolean;
}

/**
 * Paths of modules as numbers: each lies inside one with a smaller number, and the root is 0. A path is found by the
 * one it lies in and its last atom, or by its text.
 */
export class PathTree {
  private readonly names: string[] = [''];
  private parents = new Int32Array(FIRST_ROOM);
  /** The newest path inside each, and behind each the one before it. */
  private newest = new Int32Array(FIRST_ROOM);
  private older = new Int32Array(FIRST_ROOM);
  /** Those inside a path by their names, if they are many. */
  private readonly byName = new Map<number, Map<string, number>>();
  /** Names inside a path that differ by a number alone: one with a larger number than all of them is new. */
  private readonly runs = new Map<number, Run>();
  /** How often the many names inside a path were looked through. */
  private readonly searches = new Map<number, number>();
  private last: { readonly text: string; readonly path: number } = { text: '', path: ROOT };

  constructor(readonly separator: '.' | '/') {
    this.parents[ROOT] = NO_PATH;
    this.newest[ROOT] = NO_PATH;
    this.older[ROOT] = NO_PATH;
  }

  /** How many there are. */
  get size(): number {
    return this.names.length;
  }

  /** The path around one; `NO_PATH` for the root. */
  parentOf(path: number): number {
    return this.parents[path];
  }

  /** The last atom of a path. */
  nameOf(path: number): string {
    return this.names[path];
  }

  /** The path of that name inside another, `NO_PATH` if there is none. */
  find(parent: number, name: string): number {
    const known = this.byName.get(parent);
    if (known !== undefined) return known.get(name) ?? NO_PATH;
    const run = this.runs.get(parent);
    const number = run === undefined ? -1 : numberBehind(name, run.stem);
    if (run !== undefined && (number < 0 ? !run.hasOthers : number > run.most)) return NO_PATH;
    let seen = 0;
    for (let path = this.newest[parent]; path !== NO_PATH; path = this.older[path]) {
      if (this.names[path] === name) return path;
      if (++seen === FEW && this.isOftenSearched(parent)) return this.indexed(parent).get(name) ?? NO_PATH;
    }
    return NO_PATH;
  }

  /** The path of that name inside another; it is made if there is none. */
  child(parent: number, name: string): number {
    const newest = this.newest[parent];
    if (newest === NO_PATH) return this.added(parent, name);
    if (this.names[newest] === name) return newest;
    const run = this.runs.get(parent);
    const number = run === undefined ? -1 : numberBehind(name, run.stem);
    if (run !== undefined && number > run.most) {
      run.most = number;
      return this.added(parent, name);
    }
    const known = this.find(parent, name);
    if (known !== NO_PATH) return known;
    if (run === undefined) this.beginRun(parent, name);
    else if (number < 0) run.hasOthers = true;
    return this.added(parent, name);
  }

  private added(parent: number, name: string): number {
    // What lies inside the empty path begins with a separator.
    if (parent !== ROOT && this.isEmpty(parent)) return this.child(ROOT, this.separator + name);
    const path = this.names.push(name) - 1;
    if (path === this.parents.length) {
      this.parents = doubled(this.parents);
      this.newest = doubled(this.newest);
      this.older = doubled(this.older);
    }
    this.parents[path] = parent;
    this.newest[path] = NO_PATH;
    this.older[path] = this.newest[parent];
    if (this.newest[parent] !== NO_PATH) this.byName.get(parent)?.set(name, path);
    this.newest[parent] = path;
    return path;
  }

  /** Notes the largest number of the names inside a path that begin as another does, if those are few. */
  private beginRun(parent: number, name: string): void {
    const stem = name.slice(0, stemLength(name));
    let most = numberBehind(name, stem);
    if (most < 0 || this.byName.has(parent)) return;
    let hasOthers = false;
    for (let path = this.newest[parent]; path !== NO_PATH; path = this.older[path]) {
      const number = numberBehind(this.names[path], stem);
      most = Math.max(most, number);
      hasOthers ||= number < 0;
    }
    this.runs.set(parent, { stem, most, hasOthers });
  }

  /** Whether it is time for an index of the names inside a path. */
  private isOftenSearched(parent: number): boolean {
    const searches = (this.searches.get(parent) ?? 0) + 1;
    this.searches.set(parent, searches);
    return searches > FEW;
  }

  private indexed(parent: number): Map<string, number> {
    const names = new Map<string, number>();
    for (let path = this.newest[parent]; path !== NO_PATH; path = this.older[path]) names.set(this.names[path], path);
    this.byName.set(parent, names);
    return names;
  }

  /** The path of atoms inside another; it is made if there is none. */
  inside(parent: number, atoms: string): number {
    return this.descended(parent, atoms, atoms.indexOf(this.separator));
  }

  /** The path of a text; it is made if there is none. */
  at(text: string): number {
    if (text === '') return ROOT;
    // What begins with a separator has it in its first atom.
    if (text !== this.last.text)
      this.last = { text, path: this.descended(ROOT, text, text.indexOf(this.separator, 1)) };
    return this.last.path;
  }

  private descended(parent: number, atoms: string, firstCut: number): number {
    let path = parent;
    let from = 0;
    for (let cut = firstCut; cut >= 0; cut = atoms.indexOf(this.separator, from)) {
      path = this.child(path, atoms.slice(from, cut));
      from = cut + 1;
    }
    return this.child(path, from === 0 ? atoms : atoms.slice(from));
  }

  /** The path of a text, `NO_PATH` if there is none. */
  findText(text: string): number {
    let path = ROOT;
    for (let from = 0; from <= text.length && text !== '' && path !== NO_PATH; ) {
      const cut = text.indexOf(this.separator, Math.max(1, from));
      const end = cut < 0 ? text.length : cut;
      path = this.find(path, text.slice(from, end));
      from = end + 1;
    }
    return path;
  }

  /** A path as text. */
  textOf(path: number): string {
    if (path === ROOT) return '';
    let text = this.names[path];
    for (let up = this.parents[path]; up !== ROOT; up = this.parents[up]) text = this.names[up] + this.separator + text;
    return text;
  }

  /** The innermost path that two lie in. */
  common(one: number, other: number): number {
    let [a, b] = [one, other];
    while (a !== b)
      if (a > b) a = this.parents[a];
      else b = this.parents[b];
    return a;
  }

  /** The path itself, or the one around it that is not too deep to be told apart. */
  shallow(path: number): number {
    let depth = 0;
    for (let up = path; up > ROOT; up = this.parents[up]) depth++;
    let at = path;
    for (; depth > DEEPEST; depth--) at = this.parents[at];
    return this.isEmpty(at) ? ROOT : at;
  }

  private isEmpty(path: number): boolean {
    return this.names[path] === '' && this.parents[path] <= ROOT;
  }
}

function doubled(list: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const more = new Int32Array(2 * list.length);
  more.set(list);
  return more;
}

/** How long a name is without the digits at its end. */
export function stemLength(name: string): number {
  let length = name.length;
  while (length > 0 && isDigit(name.charCodeAt(length - 1))) length--;
  return length;
}

/** The number of a name that is a stem and a number, written as numbers are; -1 if it is not. */
function numberBehind(name: string, stem: string): number {
  const from = stem.length;
  const digits = name.length - from;
  if (digits < 1 || digits > MOST_DIGITS || (digits > 1 && name.charCodeAt(from) === ZERO)) return -1;
  let number = 0;
  for (let at = from; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (!isDigit(code)) return -1;
    number = 10 * number + code - ZERO;
  }
  return name.startsWith(stem) ? number : -1;
}

const ZERO = 0x30;
const MOST_DIGITS = 9;

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}
