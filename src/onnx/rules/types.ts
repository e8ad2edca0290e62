import { tagOf } from '../../wire/fields.js';
import { TEXT_BYTES } from '../charges.js';
import { entered, type FieldRule, type MessageRule } from '../message-rules.js';
import type { InfoRows } from '../info-rows.js';
import type { Memo } from '../memo.js';
import type { Dim, ValueType } from '../records.js';
import { DimField, ElementField, MapField, ShapeField, TensorTypeField, TypeField, ValueInfoField } from '../schema.js';
import { add, int, int32, name, NONE, text } from './drafts.js';

type TypeHolder = { type: ValueType | null };
type TensorTypeDraft = { kind: 'tensor' | 'sparse_tensor'; elemType: number; shape: Dim[] | null };
type ShapeHolder = { shape: Dim[] };
type DimHolder = { readonly holder: ShapeHolder; readonly index: number };

const dimRule: MessageRule<DimHolder> = {
  fields: {
    [DimField.value]: int(
      ({ holder, index }, value) => (holder.shape[index] = typeof value === 'number' && value >= 0 ? value : null),
    ),
    [DimField.param]: text(({ holder, index }, value) => (holder.shape[index] = value === '' ? null : value)),
  },
};

const shapeRule: MessageRule<ShapeHolder> = {
  fields: {
    [ShapeField.dim]: {
      kind: 'message',
      enter: (holder) => {
        holder.shape = add(holder.shape, null);
        return entered(dimRule, { holder, index: holder.shape.length - 1 }, 'dim', holder.shape.length - 1);
      },
    },
  },
};

const tensorTypeRule: MessageRule<TensorTypeDraft> = {
  fields: {
    [TensorTypeField.elemType]: int((type, value) => (type.elemType = int32(value))),
    [TensorTypeField.shape]: {
      kind: 'message',
      enter: (type) => {
        type.shape ??= NONE;
        return entered(shapeRule, type as ShapeHolder, 'shape');
      },
    },
  },
};

/** A member of TypeProto's oneof: the same member again merges, another replaces. */
function typeMember<K extends ValueType['kind'], D extends ValueType>(
  kind: K,
  create: () => D,
  rule: MessageRule<D>,
): FieldRule<TypeHolder> {
  return {
    kind: 'message',
    enter: (holder) => {
      const draft = holder.type?.kind === kind ? (holder.type as D) : create();
      holder.type = draft;
      return entered(rule, draft, `${kind}_type`);
    },
  };
}

type ElementDraft = { kind: 'sequence' | 'optional'; element: ValueType | null };
type MapDraft = { kind: 'map'; keyType: number; value: ValueType | null };
const elementRule: MessageRule<ElementDraft> = {
  fields: {
    [ElementField.elemType]: {
      kind: 'message',
      enter: (draft) =>
        entered(
          typeRule,
          {
            get type() {
              return draft.element;
            },
            set type(type) {
              draft.element = type;
            },
          },
          'elem_type',
        ),
    },
  },
};
const mapRule: MessageRule<MapDraft> = {
  fields: {
    [MapField.keyType]: int((map, value) => (map.keyType = int32(value))),
    [MapField.valueType]: {
      kind: 'message',
      enter: (draft) =>
        entered(
          typeRule,
          {
            get type() {
              return draft.value;
            },
            set type(type) {
              draft.value = type;
            },
          },
          'value_type',
        ),
    },
  },
};

const typeRule: MessageRule<TypeHolder> = {
  fields: {
    [TypeField.tensor]: typeMember(
      'tensor',
      (): TensorTypeDraft => ({ kind: 'tensor', elemType: 0, shape: null }),
      tensorTypeRule,
    ),
    [TypeField.sequence]: typeMember(
      'sequence',
      (): ElementDraft => ({ kind: 'sequence', element: null }),
      elementRule,
    ),
    [TypeField.map]: typeMember('map', (): MapDraft => ({ kind: 'map', keyType: 0, value: null }), mapRule),
    [TypeField.opaque]: typeMember('opaque', () => ({ kind: 'opaque' as const }), { fields: {} }),
    [TypeField.sparseTensor]: typeMember(
      'sparse_tensor',
      (): TensorTypeDraft => ({ kind: 'sparse_tensor', elemType: 0, shape: null }),
      tensorTypeRule,
    ),
    [TypeField.optional]: typeMember(
      'optional',
      (): ElementDraft => ({ kind: 'optional', element: null }),
      elementRule,
    ),
  },
};

/** How a row takes the type of a message of the same bytes that was read before. */
const typeMemo: Memo<InfoRows> = { get: ({ type }) => type, set: (rows, type) => (rows.type = type as ValueType) };

const valueInfoRule: MessageRule<InfoRows> = {
  each: (rows, { number, start, end }) => void (number === ValueInfoField.name || rows.addRest(start, end)),
  fields: {
    [ValueInfoField.name]: name((rows, id) => (rows.name = id)),
    [ValueInfoField.type]: {
      kind: 'message',
      memo: typeMemo,
      enter: (rows) => {
        // A second occurrence merges into the first, which others may share.
        rows.type = ownType(rows.type);
        return entered(typeRule, rows, 'type');
      },
    },
  },
  plain: (rows, fields) => {
    const { bytes, end, longest, base } = fields;
    let { at } = fields;
    for (; at + 2 <= end; fields.at = at) {
      const next = at + 2 + bytes[at + 1];
      if (bytes[at + 1] > longest || next > end) return;
      if (bytes[at] === NAME && (fields.seen & (1 << ValueInfoField.name)) === 0) {
        fields.seen |= 1 << ValueInfoField.name;
        rows.name = fields.names.idOf(bytes, at + 2, next);
        fields.charged += TEXT_BYTES;
      } else if (bytes[at] === TYPE && rows.type === null) {
        const type = fields.recall(typeMemo, at + 2, next);
        if (type === null) return;
        rows.type = type as ValueType;
        rows.addRest(base + at, base + next);
      } else return;
      at = next;
    }
  },
};

const NAME = tagOf(ValueInfoField.name);
const TYPE = tagOf(ValueInfoField.type);

/** A copy that may be changed. */
function ownType(type: ValueType | null): ValueType | null {
  switch (type?.kind) {
    case 'tensor':
    case 'sparse_tensor':
      return { ...type, shape: type.shape === null ? null : [...type.shape] };
    case 'sequence':
    case 'optional':
      return { ...type, element: ownType(type.element) };
    case 'map':
      return { ...type, value: ownType(type.value) };
    case 'opaque':
      return type;
    case undefined:
      return null;
  }
}

/** A field of ValueInfoProtos that fills rows of them. */
export function valueInfos<B>(label: string, rowsOf: (record: B) => InfoRows): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field, context) => {
      const rows = rowsOf(record);
      return entered(valueInfoRule, rows, label, rows.begin(field, context.enclosing()));
    },
  };
}
