import { ModelFormatError } from '../../errors.js';
import { LARGEST_BYTE, tagOf, WireType, type Field } from '../../wire/fields.js';
import { NUMBER_BYTES, TEXT_BYTES } from '../charges.js';
import { entered, type FieldRule, type MessageRule } from '../message-rules.js';
import type { SparseTensor, StringEntry, Tensor } from '../records.js';
import { EntryField, EXTERNAL, SparseField, TensorField } from '../schema.js';
import { add, closedEnum, extended, int, int32, ints, NONE, skipped, skippedEach, text, type Draft } from './drafts.js';

/** How a StringStringEntryProto fills a `StringEntry`. */
export const entryRule: MessageRule<Draft<StringEntry>> = {
  fields: {
    [EntryField.key]: text((entry, value) => (entry.key = value)),
    [EntryField.value]: text((entry, value) => (entry.value = value)),
  },
};

/** A `Tensor` while the reader fills it. */
export type TensorDraft = Omit<Draft<Tensor>, 'enclosing' | 'external'> & {
  enclosing: readonly Field[];
  external: StringEntry[] | null;
  externalEntries: StringEntry[];
};

/** A TensorProto before any of its fields is read. */
export function newTensor(field: Field, enclosing: readonly Field[], place: string): TensorDraft {
  return {
    name: '',
    dims: NONE,
    dataType: 0,
    payloads: NONE,
    header: NONE,
    parts: [field],
    enclosing,
    place,
    external: null,
    externalEntries: NONE,
  };
}

/** A list of numbers: packed runs, and runs of single values. */
const numbers = (scalar: WireType): FieldRule<TensorDraft> => ({
  kind: 'range',
  list: true,
  kept: false,
  scalar,
  set: (tensor, { number, wireType, start, payload, end }) => {
    if (wireType === WireType.bytes)
      tensor.payloads = add(tensor.payloads, { fieldNumber: number, contiguous: true, start: payload, end });
    else addSingle(tensor, number, start, end);
  },
});

/** One more value with a tag of its own; neighbours make one run. */
function addSingle(tensor: TensorDraft, fieldNumber: number, start: number, end: number): void {
  const { payloads } = tensor;
  const last = payloads.at(-1);
  if (last !== undefined && !last.contiguous && last.fieldNumber === fieldNumber && last.end === start)
    payloads[payloads.length - 1] = { ...last, end };
  else tensor.payloads = add(payloads, { fieldNumber, contiguous: false, start, end });
}

/** No array library takes more than 64. */
const MOST_AXES = 1024;

/** @throws ModelFormatError for a dim that no number holds exactly, and for too many of them */
function withDim(dims: number[], value: number | bigint, { start: offset }: Field, place?: string): number[] {
  const wrong = (what: string): ModelFormatError =>
    new ModelFormatError(`${what} (byte ${offset})`, { code: 'FEATX_GRAPH_DIMS', offset, field: place });
  if (typeof value === 'bigint')
    throw wrong(`a dimension of ${place ?? 'a sparse tensor'} is ${value}, outside what any tensor can have`);
  if (dims.length === MOST_AXES) throw wrong(`${place ?? 'a sparse tensor'} has more than ${MOST_AXES} axes`);
  return add(dims, value);
}

/** Fields of a TensorProto that hold values or say where they are. */
const VALUE_FIELDS = new Set<number>([
  TensorField.floatData,
  TensorField.int32Data,
  TensorField.stringData,
  TensorField.int64Data,
  TensorField.rawData,
  TensorField.doubleData,
  TensorField.uint64Data,
  TensorField.externalData,
  TensorField.dataLocation,
]);

/** How a TensorProto fills a `Tensor`. */
export const tensorRule: MessageRule<TensorDraft> = {
  bytes: 420,
  each: (tensor, field) => void (VALUE_FIELDS.has(field.number) || (tensor.header = extended(tensor.header, field))),
  fields: {
    [TensorField.dims]: ints((tensor, value, field) => {
      tensor.dims = withDim(tensor.dims, value, field, tensor.place);
    }),
    [TensorField.dataType]: int((tensor, value) => (tensor.dataType = int32(value))),
    [TensorField.floatData]: numbers(WireType.fixed32),
    [TensorField.int32Data]: numbers(WireType.varint),
    [TensorField.stringData]: skippedEach((tensor, { number, start, end }) => addSingle(tensor, number, start, end)),
    [TensorField.int64Data]: numbers(WireType.varint),
    [TensorField.name]: text((tensor, value) => (tensor.name = value)),
    // A singular field: the last one counts.
    [TensorField.rawData]: skipped((tensor, { number, payload, end }) => {
      tensor.payloads = add(
        tensor.payloads.filter(({ fieldNumber }) => fieldNumber !== number),
        { fieldNumber: number, contiguous: true, start: payload, end },
      );
    }),
    [TensorField.doubleData]: numbers(WireType.fixed64),
    [TensorField.uint64Data]: numbers(WireType.varint),
    [TensorField.externalData]: {
      kind: 'message',
      enter: (tensor, field) => {
        const entry: Draft<StringEntry> = { field, key: '', value: '' };
        tensor.externalEntries = add(tensor.externalEntries, entry);
        if (tensor.external !== null) tensor.external = tensor.externalEntries;
        return entered(entryRule, entry, 'external_data', tensor.externalEntries.length - 1);
      },
    },
    [TensorField.dataLocation]: closedEnum(
      EXTERNAL,
      (tensor, value) => (tensor.external = value === EXTERNAL ? tensor.externalEntries : null),
    ),
  },
  plain: (tensor, fields) => {
    const { bytes, end, longest, base, names } = fields;
    let { at } = fields;
    const start = at;
    for (; at + 2 <= end; fields.at = at) {
      const value = bytes[at + 1];
      const next = at + 2 + value;
      if (bytes[at] === DIMS && value <= LARGEST_BYTE && tensor.dims.length < MOST_AXES) {
        tensor.dims = add(tensor.dims, value);
        fields.charged += NUMBER_BYTES;
        at += 2;
      } else if (
        bytes[at] === DATA_TYPE &&
        value <= LARGEST_BYTE &&
        (fields.seen & (1 << TensorField.dataType)) === 0
      ) {
        fields.seen |= 1 << TensorField.dataType;
        tensor.dataType = value;
        fields.charged += NUMBER_BYTES;
        at += 2;
      } else if (
        bytes[at] === NAME &&
        value <= longest &&
        next <= end &&
        (fields.seen & (1 << TensorField.name)) === 0
      ) {
        fields.seen |= 1 << TensorField.name;
        tensor.name = names.text(names.idOf(bytes, at + 2, next));
        fields.charged += TEXT_BYTES;
        at = next;
      } else break;
    }
    if (at > start) tensor.header = extended(tensor.header, { start: base + start, end: base + at });
  },
};

/** The tags of the fields that most tensors begin with. */
const DIMS = tagOf(TensorField.dims, WireType.varint);
const DATA_TYPE = tagOf(TensorField.dataType, WireType.varint);
const NAME = tagOf(TensorField.name);

/** A singular tensor field: a second occurrence merges into the first. */
export function tensorField<B>(
  label: string,
  current: (record: B) => Tensor | null,
  set: (record: B, tensor: Tensor) => void,
): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field, context) => {
      const existing = current(record);
      if (existing !== null) {
        (existing as TensorDraft).parts.push(field);
        return entered(tensorRule, existing as TensorDraft, label);
      }
      const tensor = newTensor(field, context.enclosing(), `${context.path()}.${label}`);
      set(record, tensor);
      return entered(tensorRule, tensor, label);
    },
  };
}

/** A field of TensorProtos that fills a list of tensors. */
export function tensorList<B>(
  label: string,
  list: (record: B) => Tensor[],
  set: (record: B, list: Tensor[]) => void,
): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field, context) => {
      const index = list(record).length;
      const tensor = newTensor(field, context.enclosing(), `${context.path()}.${label}[${index}]`);
      set(record, add(list(record), tensor));
      return entered(tensorRule, tensor, label, index);
    },
  };
}

const sparseTensorRule: MessageRule<Draft<SparseTensor>> = {
  fields: {
    [SparseField.values]: tensorField(
      'values',
      (sparse) => sparse.values,
      (sparse, tensor) => (sparse.values = tensor),
    ),
    [SparseField.indices]: tensorField(
      'indices',
      (sparse) => sparse.indices,
      (sparse, tensor) => (sparse.indices = tensor),
    ),
    [SparseField.dims]: ints((sparse, value, field) => (sparse.dims = withDim(sparse.dims, value, field))),
  },
};

/** A singular sparse tensor: a second occurrence merges into the first. */
export function sparseTensor<B>(
  label: string,
  current: (record: B) => SparseTensor | null,
  set: (record: B, sparse: SparseTensor) => void,
): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const existing = current(record);
      const sparse: Draft<SparseTensor> = (existing as Draft<SparseTensor> | null) ?? {
        field,
        dims: NONE,
        values: null,
        indices: null,
      };
      if (existing === null) set(record, sparse);
      return entered(sparseTensorRule, sparse, label);
    },
  };
}

/** A field of SparseTensorProtos that fills a list of sparse tensors. */
export function sparseTensors<B>(
  label: string,
  list: (record: B) => SparseTensor[],
  set: (record: B, list: SparseTensor[]) => void,
): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const sparse: Draft<SparseTensor> = { field, dims: NONE, values: null, indices: null };
      set(record, add(list(record), sparse));
      return entered(sparseTensorRule, sparse, label, list(record).length - 1);
    },
  };
}
