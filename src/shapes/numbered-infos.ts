import { ByNames } from '../onnx/by-name.js';
import type { Columns } from '../onnx/graph.js';
import type { Info } from './info.js';

/** What is known of the tensors of a graph: by name, and by number. */
export class NumberedInfos extends ByNames<Info> {
  /** By the number of a tensor; null for those of which nothing is known. */
  readonly at: (Info | null)[];

  constructor(
    private readonly columns: Columns,
    /** Of tensors that have no number. */
    private readonly others = new Map<string, Info>(),
  ) {
    const at = Array<Info | null>(columns.names.length).fill(null);
    super(
      function* () {
        yield* others.keys();
        for (let tensor = 0; tensor < at.length; tensor++) if (at[tensor] !== null) yield columns.names[tensor];
        return undefined;
      },
      (name) => at[columns.tensorOf.get(name) ?? at.length] ?? others.get(name),
    );
    this.at = at;
  }

  set(name: string, info: Info): void {
    const tensor = this.columns.tensorOf.get(name);
    if (tensor === undefined) this.others.set(name, info);
    else this.at[tensor] = info;
  }

  override get size(): number {
    return this.at.reduce((size, info) => (info === null ? size : size + 1), this.others.size);
  }

  override *values(): Generator<Info, undefined> {
    yield* this.others.values();
    for (const info of this.at) if (info !== null) yield info;
  }
}
