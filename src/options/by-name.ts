/** Values by name: a Map, or a plain object. */
export type ByName<T> = ReadonlyMap<string, T> | { readonly [name: string]: T };

/** The same values as a Map. */
export function mapOf<T>(values: ByName<T>): ReadonlyMap<string, T> {
  return values instanceof Map ? values : new Map(Object.entries(values));
}
