import { ByNumber } from '../onnx/by-number.js';
import type { Columns } from '../onnx/graph.js';
import type { Info, Infos } from './info.js';

/** What is known of the tensors of a graph, while it is found out. */
export class NumberedInfos extends ByNumber<Info> implements Infos {
  override readonly at: (Info | null)[];

  constructor(
    private readonly columns: Columns,
    private readonly others = new Map<string, Info>(),
  ) {
    const at = Array<Info | null>(columns.count).fill(null);
    super(columns, at, others);
    this.at = at;
  }

  set(name: string, info: Info): void {
    const tensor = this.columns.tensorOf.get(name);
    if (tensor === undefined) this.others.set(name, info);
    else this.at[tensor] = info;
  }

  infoAt(tensor: number): Info | null {
    return this.at[tensor];
  }

  override get size(): number {
    return this.at.reduce((size, info) => (info === null ? size : size + 1), this.others.size);
  }

  override *values(): Generator<Info, undefined> {
    yield* this.others.values();
    for (const info of this.at) if (info !== null) yield info;
  }
}
