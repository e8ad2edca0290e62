import type { TensorValue } from '../onnx/tensor-value.js';
import { UsageError } from '../errors.js';
import { named, option } from '../options/words.js';
import { convert } from './convert.js';
import type { InputItem } from './input-item.js';
import type { RowRange } from './lazy-array.js';
import type { Elsewhere, ImageInput } from '../preprocessing/input.js';
import type { TextEntry } from './texts.js';
import type { TextTokenizer, TokenBatch } from './tokenize.js';

/** What inputs of token networks hold, by the names that exporters give them. */
const INPUTS: { readonly [name: string]: (batch: TokenBatch) => readonly (readonly number[])[] } = {
  input_ids: ({ ids }) => ids,
  attention_mask: ({ masks }) => masks,
  token_type_ids: ({ types }) => types,
  position_ids: ({ masks }) => masks.map(positions),
};

/** Places among the tokens that count; those that fill up get 1. @see transformers, create_position_ids */
function positions(mask: readonly number[]): number[] {
  let seen = 0;
  return mask.map((counts) => (counts === 1 ? seen++ : 1));
}

/** Whether an input takes tokens of a text. */
export function takesTokens({ name }: Pick<ImageInput, 'name'>): boolean {
  return Object.hasOwn(INPUTS, name);
}

/**
 * The length that the inputs fix for a text, or null.
 * @param elsewhere what else the model takes
 * @throws UsageError for a model that takes no tokens under a name that is known, or takes them for something else
 */
export function fixedLengthOf(inputs: readonly ImageInput[], elsewhere: readonly Elsewhere[] = []): number | null {
  const ids = inputs.find(({ name }) => name === 'input_ids');
  const other = elsewhere.find(({ input }) => takesTokens(input));
  if (ids === undefined && other !== undefined)
    throw new UsageError(
      `what is asked for is computed of ${inputs.length === 0 ? 'no input' : inputs.map(({ name }) => named(name)).join(', ')}, and not of the tokens of texts (${named(other.input.name)})`,
      {
        code: 'FEATX_USAGE_INPUT',
        hint: `leave out ${option('texts')}, or ask for what is computed of them: ${other.selection}`,
      },
    );
  const picture = inputs.find(({ shape }) => shape?.length === 4 && (shape[1] === 3 || shape[3] === 3));
  if (ids === undefined && picture !== undefined)
    throw new UsageError(`the model takes pictures, as input ${named(picture.name)}, and no tokens of texts`, {
      code: 'FEATX_USAGE_INPUT',
      hint: `give pictures with ${option('inputs')}`,
    });
  if (ids === undefined)
    throw new UsageError(
      `no input is named input_ids, so nobody knows where the tokens of texts go: the inputs are ${inputs.map(({ name }) => named(name)).join(', ')}`,
      { code: 'FEATX_USAGE_INPUT', hint: `give them as arrays with ${option('inputs')}` },
    );
  const length = ids.shape?.[1];
  return typeof length === 'number' ? length : null;
}

/** The tokens of a text among those that fill it up. */
export interface TokenSpan {
  readonly start: number;
  readonly end: number;
}

/** What texts feed a model with. */
export interface TextItems {
  readonly items: readonly (readonly [ImageInput, InputItem])[];
  /** The tokens of each text, by its place, once its batch was read. */
  readonly spans: readonly TokenSpan[];
}

/** An item for each input that takes tokens; all read the same batches, and a batch is tokenized once. */
export function textItems(
  inputs: readonly ImageInput[],
  texts: readonly TextEntry[],
  tokenizer: TextTokenizer,
): TextItems {
  const spans: TokenSpan[] = [];
  let last: { readonly range: string; readonly batch: TokenBatch } | null = null;
  const batchOf = ({ start, end }: RowRange): TokenBatch => {
    const range = `${start}-${end}`;
    if (last?.range === range) return last.batch;
    const batch = tokenizer.encode(texts.slice(start, end).map(({ text }) => text));
    batch.masks.forEach((mask, at) => void (spans[start + at] = spanOf(mask)));
    last = { range, batch };
    return batch;
  };
  const items = inputs.filter(takesTokens).map((input) => {
    const read = async (range: RowRange): Promise<TensorValue> => {
      const batch = batchOf(range);
      const data = BigInt64Array.from(INPUTS[input.name](batch).flat(), BigInt);
      const tensor = { dtype: 'int64', shape: [range.end - range.start, batch.length], data };
      return input.dtype === 'int32' ? narrowed(tensor) : convert(tensor, input.dtype ?? 'int64');
    };
    return [
      input,
      {
        file: null,
        rows: texts.length,
        isEndless: false,
        rest: [null],
        isAlone: false,
        picture: null,
        entries: texts,
        read,
      },
    ] as const;
  });
  return { items, spans };
}

/** Where tokens stand that count; fillers lie on one side of them. */
function spanOf(mask: readonly number[]): TokenSpan {
  return { start: Math.max(0, mask.indexOf(1)), end: mask.lastIndexOf(1) + 1 };
}

function narrowed({ shape, data }: { readonly shape: readonly number[]; readonly data: BigInt64Array }): TensorValue {
  return { dtype: 'int32', shape, data: Int32Array.from(data, Number) };
}
