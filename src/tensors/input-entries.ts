import { named } from '../options/words.js';
import { UsageError } from '../errors.js';
import type { ImageInput } from '../preprocessing/input.js';
import { countsEntries } from '../shapes/nominal.js';
import type { PlannedInput } from './input-item.js';

/** Which axis of an input counts entries, and how many entries a run has. */

/** Whether the whole of an input is one entry. */
export function isOneEntry({ shape }: ImageInput): boolean {
  return shape !== null && shape.length > 0 && !countsEntries(shape);
}

/**
 * Whether an input has entries of its own for each batch: where axis 0 is open, or, in a model that fixes all sizes,
 * where it equals the first input's. Beside an input that is `single`, an entry without such an axis, it has to be
 * open.
 */
export function isBatched(input: ImageInput, inputs: readonly ImageInput[], single: ReadonlySet<string>): boolean {
  if (single.has(input.name)) return true;
  const axis = ({ shape }: ImageInput): number | string | null | undefined => (shape === null ? null : shape[0]);
  const own = axis(input);
  if (own === undefined) return false;
  if (single.size > 0) return typeof own !== 'number';
  if (inputs.some((other) => axis(other) !== undefined && typeof axis(other) !== 'number'))
    return typeof own !== 'number';
  return own === inputs.map(axis).find((dim) => dim !== undefined);
}

/**
 * The inputs whose entries are counted together: where inputs with other symbols have other numbers of them, as texts
 * have beside pictures, those with the most. All of the others goes into every batch.
 */
export function countedTogether(
  planned: readonly PlannedInput[],
  inputs: readonly ImageInput[],
): readonly PlannedInput[] {
  const totals = new Map<string, number>();
  for (const { name, items, isBatched: counts } of planned) {
    const symbol = inputs.find((input) => input.name === name)?.shape?.[0];
    if (!counts || items.some(({ isEndless }) => isEndless)) continue;
    const total = items.reduce((sum, { rows }) => sum + rows, 0);
    // Nobody knows whether dims without a name are the same, and one symbol has one number.
    if (typeof symbol !== 'string' || (totals.get(symbol) ?? total) !== total) return planned;
    totals.set(symbol, total);
  }
  const most = Math.max(...totals.values());
  if (totals.size < 2 || [...totals.values()].every((total) => total === most)) return planned;
  const leading = [...totals].filter(([, total]) => total === most).map(([symbol]) => symbol);
  return planned.map((input) => {
    const symbol = inputs.find(({ name }) => name === input.name)?.shape?.[0];
    return { ...input, isBatched: input.isBatched && typeof symbol === 'string' && leading.includes(symbol) };
  });
}

/**
 * Entries along axis 0 that the inputs of a run have, and how many the model takes at once; null if it takes any.
 * @throws UsageError if the inputs differ in it, or the model fixes another number
 */
export function countRows(
  planned: readonly PlannedInput[],
  inputs: readonly ImageInput[],
): { readonly rows: number; readonly fixedBatch: number | null } {
  const total = ({ items }: PlannedInput): number => items.reduce((sum, { rows }) => sum + rows, 0);
  const batched = planned.filter((input) => input.isBatched);
  const counted = batched.filter(({ items }) => items.some(({ isEndless }) => !isEndless));
  const [measure] = [...counted, ...batched];
  const rows = measure === undefined ? 1 : total(measure);
  if (counted.some((input) => total(input) !== rows)) {
    throw new UsageError(
      `the inputs have different numbers of entries: ${counted.map((input) => `${input.name} ${total(input)}`).join(', ')}`,
    );
  }
  if (rows === 0) throw new UsageError('the inputs have no entries: axis 0 is 0');
  for (const input of planned) {
    const dim = inputs.find(({ name }) => name === input.name)?.shape?.[0];
    if (input.isBatched || typeof dim !== 'number' || total(input) === dim) continue;
    throw new UsageError(`input ${named(input.name)} takes ${dim} entries, and its files have ${total(input)}`);
  }
  if (planned.some((input) => !input.hasBatchAxis)) return { rows, fixedBatch: 1 };
  const first = inputs.find(({ name }) => name === batched[0]?.name)?.shape?.[0];
  return { rows, fixedBatch: typeof first === 'number' ? first : null };
}
