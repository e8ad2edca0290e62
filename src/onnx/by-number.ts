import { ByNames } from './by-name.js';
import type { Columns } from './columns.js';

/** Values of the tensors of a graph: by number, and by name; null for those without one. */
export class ByNumber<V> extends ByNames<V> {
  constructor(
    columns: Columns,
    readonly at: readonly (V | null)[],
    /** Of tensors that have no number. */
    others: ReadonlyMap<string, V>,
  ) {
    super(
      function* () {
        yield* others.keys();
        for (let tensor = 0; tensor < at.length; tensor++) if (at[tensor] !== null) yield columns.nameOf(tensor);
        return undefined;
      },
      (name) => at[columns.tensorOf.get(name) ?? at.length] ?? others.get(name),
    );
  }
}
