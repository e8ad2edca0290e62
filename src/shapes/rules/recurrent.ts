import type { Call, Rule } from '../call.js';
import type { Size } from '../formula.js';
import { tensorInfo, type Info } from '../info.js';

/** Y [length, directions, batch, hidden], or [batch, length, directions, hidden] with `layout` 1; states likewise. */
export function recurrentOutputs(call: Call, hidden: Size, states: number): readonly Info[] {
  const elem = call.elem(0);
  const input = call.shape(0);
  const isBatchFirst = call.int('layout', 0) === 1;
  const directions = call.text('direction', 'forward').toLowerCase() === 'bidirectional' ? 2 : 1;
  const length = input?.[isBatchFirst ? 1 : 0] ?? call.unknown();
  const batch = input?.[isBatchFirst ? 0 : 1] ?? call.unknown();
  const state = isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const whole = isBatchFirst ? [batch, length, directions, hidden] : [length, directions, batch, hidden];
  return [tensorInfo(elem, whole), ...Array.from({ length: states }, () => tensorInfo(elem, state))];
}

const recurrent =
  (states: number): Rule =>
  (call) =>
    recurrentOutputs(call, call.int('hidden_size') ?? call.shape(2)?.[2] ?? call.unknown(), states);

/** Rules of recurrent layers. */
export const RECURRENT: { readonly [opType: string]: Rule } = {
  LSTM: recurrent(2),
  GRU: recurrent(1),
  RNN: recurrent(1),
};
