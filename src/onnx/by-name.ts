/** Names, and whether one is among them. */
export interface Names {
  has(name: string): boolean;
  keys(): Iterable<string>;
}

/** Names as a set of them. */
export function namesOf(list: Names | Iterable<string>): Names {
  return 'has' in list ? list : new Set(list);
}

/** A map by name whose values are made when they are asked for; a name without a value is not in it. */
export class ByNames<V> implements ReadonlyMap<string, V> {
  constructor(
    /** All names that may have a value, each once. */
    private readonly names: () => Iterable<string>,
    /** Called for any name. */
    private readonly valueOf: (name: string) => V | undefined,
    /** How many there are, if that is known. */
    private readonly count?: number,
    /** Whether all those names have one. */
    private readonly areAll = false,
  ) {}

  get(name: string): V | undefined {
    return this.valueOf(name);
  }

  has(name: string): boolean {
    return this.valueOf(name) !== undefined;
  }

  get size(): number {
    if (this.count !== undefined) return this.count;
    let size = 0;
    for (const _name of this.keys()) size++;
    return size;
  }

  *entries(): Generator<[string, V], undefined> {
    for (const name of this.names()) {
      const value = this.valueOf(name);
      if (value !== undefined) yield [name, value];
    }
  }

  *keys(): Generator<string, undefined> {
    for (const name of this.names()) if (this.areAll || this.has(name)) yield name;
  }

  *values(): Generator<V, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[string, V], undefined> {
    return this.entries();
  }

  forEach(call: (value: V, name: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [name, value] of this.entries()) call(value, name, this);
  }
}
