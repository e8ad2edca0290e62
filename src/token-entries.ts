import type { TensorValue } from './onnx/tensor-value.js';
import type { PlannedOutput } from './rewrite/plan.js';
import type { FeatureRunner } from './runner.js';
import type { InputBatch } from './tensors/batches.js';
import { takeAlong, type Joining } from './tensors/joining.js';
import { takesTokens, type TokenSpan } from './tensors/text-items.js';
import { takeRows } from './tensors/tensor.js';

type Tensors = ReadonlyMap<string, TensorValue>;

/** Features of texts that have a part for each token, which padding is cut out of. */
export class TokenEntries {
  private readonly padding = new Map<string, number>();

  private constructor(
    /** Axes that count tokens, by output name. */
    private readonly axes: ReadonlyMap<string, readonly number[]>,
    private readonly joinings: ReadonlyMap<string, Joining | null>,
    /** The tokens of each text, once its batch was read. */
    private readonly spans: readonly TokenSpan[],
  ) {}

  /** Null if no feature has a part for each token and one for each text. */
  static async of(
    runner: FeatureRunner,
    joinings: ReadonlyMap<string, Joining | null>,
    spans: readonly TokenSpan[],
  ): Promise<TokenEntries | null> {
    const found = await tokenAxes(runner);
    const axes = new Map(
      [...found].filter(([name, own]) => {
        const joining = joinings.get(name) ?? null;
        return own.length > 0 && joining?.kind === 'along' && joining.axis === 0 && !own.includes(0);
      }),
    );
    const isApart = [...joinings.values()].every((joining) => joining !== null);
    return axes.size === 0 || !isApart ? null : new TokenEntries(axes, joinings, spans);
  }

  /** How the parts of texts are joined: tokens of one behind those of the other, if there are several texts. */
  joined(rows: number): ReadonlyMap<string, Joining | null> {
    return new Map(
      [...this.joinings].map(([name, joining]) => [name, this.isRagged(name, rows) ? { kind: 'ragged' } : joining]),
    );
  }

  /** Positions that only fill up texts, and that a feature was written without. */
  paddingOf(name: string): number | undefined {
    return this.axes.has(name) ? (this.padding.get(name) ?? 0) : undefined;
  }

  /** A batch as batches of one text, without what fills it up. */
  split(values: Tensors, batch: InputBatch, rows: number): { readonly values: Tensors; readonly batch: InputBatch }[] {
    return Array.from({ length: batch.rows }, (_, row) => {
      const index = batch.start + row;
      const own = new Map(
        [...values].map(([name, value]) => {
          const joining = this.joinings.get(name);
          if (joining?.kind !== 'along') return [name, value];
          const parts = value.shape[joining.axis] / batch.size;
          const part = takeAlong(value, joining.axis, row * parts, (row + 1) * parts);
          const cut = this.withoutPadding(name, part, this.spans[index]);
          return [
            name,
            this.isRagged(name, rows) ? takeRows({ ...cut, shape: cut.shape.slice(1) }, 0, cut.shape[1]) : cut,
          ];
        }),
      );
      return { values: own, batch: { ...batch, start: index, rows: 1, size: 1, entries: [batch.entries[row]] } };
    });
  }

  private isRagged(name: string, rows: number): boolean {
    return rows > 1 && String(this.axes.get(name)) === '1';
  }

  private withoutPadding(name: string, value: TensorValue, span: TokenSpan | undefined): TensorValue {
    if (span === undefined) return value;
    const { start, end } = span;
    let cut = value;
    for (const axis of this.axes.get(name) ?? []) {
      cut = takeAlong(cut, axis, start, end);
      this.padding.set(name, (this.padding.get(name) ?? 0) + value.shape[axis] - (end - start));
    }
    return cut;
  }
}

/** The axes of features that count tokens: by sizes that follow those of the inputs, else by the symbol. */
async function tokenAxes(runner: FeatureRunner): Promise<ReadonlyMap<string, readonly number[]>> {
  const tokens = runner.session.inputs.filter((input) => takesTokens(input) && input.shape?.length === 2);
  const symbol = tokens[0]?.shape?.[1];
  const following = await runner.axesLike({ inputs: tokens.map(({ name }) => name), axis: 1 });
  const named = ({ shape }: PlannedOutput): readonly number[] =>
    (shape ?? []).flatMap((dim, at) => (typeof dim === 'string' && dim === symbol ? [at] : []));
  return new Map(runner.features.map((feature) => [feature.output, following.get(feature.output) ?? named(feature)]));
}
