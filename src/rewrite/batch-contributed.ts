import { required, softmax, type BatchRule } from './batch-rule.js';
import type { Entries, Visit } from './batch-visit.js';

/** What attention and the operators that ONNX Runtime fuses do with the axis that counts entries. */

/** The axis on which an input has entries, where it has one for each. */
interface Place {
  readonly axis: number;
  /** Whether it may have one for all: with this rank of 1 on that axis, or of a lower rank. */
  readonly shared?: number;
}

type Places = { readonly [input: number]: Place };

const FIRST: Place = { axis: 0 };

/** Inputs that are computed entry by entry; the others are the same for all. */
const perEntry =
  (places: Places, outputs: readonly (number | null)[]): BatchRule =>
  (visit: Visit) => {
    const { factor } = required(visit, 0);
    for (const input of visit.given()) {
      const own = visit.entries(input);
      const place = places[input];
      if (place === undefined) visit.fixed(input);
      else if (own === null) given(visit, input, place);
      else if (own.axis !== place.axis || own.factor !== factor)
        visit.refuse(`entries lie on axis ${own.axis} of '${visit.node.inputs[input]}', not on axis ${place.axis}`);
    }
    return outputs.map((axis): Entries => (axis === null ? null : { axis, factor }));
  };

/** What was given for the entries that there were becomes so for all; what goes for all stays. */
function given(visit: Visit, input: number, { axis, shared }: Place): void {
  const dims = visit.dims(input);
  if (shared !== undefined && dims !== null && (dims.length < shared || dims[axis] === 1)) return;
  const from = visit.oneEntry(input, axis);
  if (from === null) visit.refuse(`its input '${visit.node.inputs[input]}' is one for the entries that there were`);
  visit.changes.push({ kind: 'expand', input, axis, from });
}

/** A product along the last axis with weights. */
const projection: BatchRule = (visit: Visit) => {
  visit.fixed(...visit.given().filter((input) => input > 0));
  const own = required(visit, 0);
  if (own.axis === visit.rank(0) - 1) visit.mixes('it sums over entries');
  return own;
};

/** Scale and zero point of the result, then each input with its own. */
const concat: BatchRule = (visit: Visit) => {
  const along = visit.axis(visit.int('axis', 0), visit.out().length);
  let found: Entries = null;
  for (const input of visit.given()) {
    const own = visit.entries(input);
    if (input % 3 !== 2) visit.fixed(input);
    else if (own === null || (found !== null && (found.axis !== own.axis || found.factor !== own.factor)))
      visit.refuse('its inputs count entries on different axes');
    else found = own;
  }
  if (found?.axis === along) visit.refuse('it joins entries');
  return found;
};

const STATE: Place = { axis: 1 };

/** Rules by `domain:type`. @see https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md */
export const CONTRIBUTED_RULES: { readonly [operator: string]: BatchRule } = {
  Attention: perEntry({ 0: FIRST, 1: FIRST, 2: FIRST, 3: { axis: 0, shared: 4 }, 4: FIRST, 5: FIRST }, [0, 0, 0, 0]),
  RotaryEmbedding: perEntry({ 0: FIRST, 1: { axis: 0, shared: 3 }, 2: { axis: 0, shared: 3 }, 3: FIRST }, [0]),
  'com.microsoft:Attention': perEntry({ 0: FIRST, 3: FIRST, 4: STATE, 5: { axis: 0, shared: 4 } }, [0, 1]),
  'com.microsoft:QAttention': perEntry({ 0: FIRST, 5: FIRST, 8: STATE }, [0, 1]),
  'com.microsoft:MultiHeadAttention': perEntry(
    { 0: FIRST, 1: FIRST, 2: FIRST, 4: FIRST, 5: { axis: 0, shared: 4 }, 6: FIRST, 7: FIRST },
    [0, 0, 0, 0],
  ),
  'com.microsoft:GroupQueryAttention': perEntry(
    { 0: FIRST, 1: FIRST, 2: FIRST, 3: FIRST, 4: FIRST, 5: FIRST, 9: FIRST, 10: { axis: 0, shared: 4 } },
    [0, 0, 0],
  ),
  'com.microsoft:RotaryEmbedding': perEntry({ 0: FIRST, 1: { axis: 0, shared: 2 } }, [0]),
  'com.microsoft:EmbedLayerNormalization': perEntry(
    { 0: FIRST, 1: FIRST, 7: FIRST, 8: { axis: 0, shared: 2 } },
    [0, 0, 0],
  ),
  'com.microsoft:SkipLayerNormalization': perEntry({ 0: FIRST, 1: { axis: 0, shared: 3 } }, [0, null, null, 0]),
  'com.microsoft:SkipSimplifiedLayerNormalization': perEntry({ 0: FIRST, 1: { axis: 0, shared: 3 } }, [
    0,
    null,
    null,
    0,
  ]),
  'com.microsoft:MatMulNBits': projection,
  'com.microsoft:QLinearConcat': concat,
  'com.microsoft:QLinearSoftmax': (visit) => softmax(visit, visit.int('opset', 13), -1),
};
