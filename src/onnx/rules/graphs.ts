import { LARGEST_BYTE, tagOf, WireType, type Field } from '../../wire/fields.js';
import type { NameTable } from '../../wire/name-table.js';
import { NUMBER_BYTES, TEXT_BYTES } from '../charges.js';
import { InfoRows } from '../info-rows.js';
import { entered, type FieldRule, type MessageRule } from '../message-rules.js';
import { NodeRows, type NodeLists } from '../node-rows.js';
import type {
  Attribute,
  FunctionDef,
  Graph,
  QuantizationAnnotation,
  SparseTensor,
  StringEntry,
  Tensor,
} from '../records.js';
import { AnnotationField, AttributeField, AttributeType, FunctionField, GraphField, NodeField } from '../schema.js';
import {
  add,
  closedEnum,
  float,
  floats,
  int,
  ints,
  keptEach,
  name,
  names,
  NONE,
  text,
  texts,
  type Draft,
} from './drafts.js';
import { enteredOpset } from './opsets.js';
import { entryRule, sparseTensor, sparseTensors, tensorField, tensorList } from './tensors.js';
import { valueInfos } from './types.js';

/** Lists in attributes longer than this stay in the file. */
const LONGEST_ATTRIBUTE_LIST = 1024;

type AttributeDraft = Draft<Attribute> & { t: Tensor | null; g: GraphDraft | null; sparse: SparseTensor | null };

/** The list with one more entry, unless it is too long to keep. */
function bounded<T>(list: T[], value: T): T[] {
  return list.length < LONGEST_ATTRIBUTE_LIST ? add(list, value) : list;
}

const attributeRule: MessageRule<AttributeDraft> = {
  bytes: 230,
  fields: {
    [AttributeField.name]: text((attribute, value) => (attribute.name = value)),
    [AttributeField.f]: float((attribute, value) => (attribute.f = value)),
    [AttributeField.i]: int((attribute, value) => (attribute.i = value)),
    [AttributeField.s]: { kind: 'value', list: false, set: (attribute, value) => (attribute.s = value) },
    [AttributeField.t]: tensorField(
      't',
      (attribute) => attribute.t,
      (attribute, tensor) => (attribute.tensors = [(attribute.t = tensor), ...attribute.tensors]),
    ),
    [AttributeField.g]: {
      kind: 'message',
      enter: (attribute, field, { names: table }) => {
        if (attribute.g !== null) attribute.g.parts.push(field);
        else attribute.graphs = [(attribute.g = newGraph(field, table)), ...attribute.graphs];
        return entered(graphRule, attribute.g, 'g');
      },
    },
    [AttributeField.floats]: floats((attribute, value) => (attribute.floats = bounded(attribute.floats, value))),
    [AttributeField.ints]: ints((attribute, value) => (attribute.ints = bounded(attribute.ints, value))),
    [AttributeField.strings]: {
      kind: 'value',
      list: true,
      set: (attribute, value) => (attribute.strings = bounded(attribute.strings, value)),
    },
    [AttributeField.tensors]: tensorList(
      'tensors',
      (attribute) => attribute.tensors,
      (attribute, list) => (attribute.tensors = list),
    ),
    [AttributeField.graphs]: {
      kind: 'message',
      enter: (attribute, field, { names: table }) => {
        const graph = newGraph(field, table);
        attribute.graphs = add(attribute.graphs, graph);
        return entered(graphRule, graph, 'graphs', attribute.graphs.length - 1);
      },
    },
    [AttributeField.type]: closedEnum(AttributeType.last, (attribute, value) => (attribute.type = value)),
    [AttributeField.refAttrName]: text((attribute, value) => (attribute.refAttrName = value)),
    [AttributeField.sparseTensor]: sparseTensor(
      'sparse_tensor',
      (attribute) => attribute.sparse,
      (attribute, sparse) => (attribute.sparseTensors = [(attribute.sparse = sparse), ...attribute.sparseTensors]),
    ),
    [AttributeField.sparseTensors]: sparseTensors(
      'sparse_tensors',
      (attribute) => attribute.sparseTensors,
      (attribute, list) => (attribute.sparseTensors = list),
    ),
  },
  plain: (attribute, fields) => {
    const { bytes, end, longest, names: table } = fields;
    let { at } = fields;
    for (; at + 2 <= end; fields.at = at) {
      const value = bytes[at + 1];
      const next = at + 2 + value;
      switch (bytes[at]) {
        case ATTRIBUTE_NAME:
        case S: {
          const isName = bytes[at] === ATTRIBUTE_NAME;
          const bit = 1 << (isName ? AttributeField.name : AttributeField.s);
          if (value > longest || next > end || (fields.seen & bit) !== 0) return;
          fields.seen |= bit;
          fields.charged += TEXT_BYTES;
          const told = table.text(table.idOf(bytes, at + 2, next));
          if (isName) attribute.name = told;
          else attribute.s = told;
          at = next;
          break;
        }
        case INTS:
          if (value > LARGEST_BYTE) return;
          fields.charged += NUMBER_BYTES;
          attribute.ints = bounded(attribute.ints, value);
          at += 2;
          break;
        case I:
          if (value > LARGEST_BYTE || (fields.seen & (1 << AttributeField.i)) !== 0) return;
          fields.seen |= 1 << AttributeField.i;
          fields.charged += NUMBER_BYTES;
          attribute.i = value;
          at += 2;
          break;
        case TYPE: {
          const type = at + 2 < end ? bytes[at + 2] : AttributeType.last + 1;
          if (value !== TYPE_BEHIND || type > AttributeType.last || (fields.seen & (1 << AttributeField.type)) !== 0)
            return;
          fields.seen |= 1 << AttributeField.type;
          fields.charged += NUMBER_BYTES;
          attribute.type = type;
          at += 3;
          break;
        }
        default:
          return;
      }
    }
  },
};

/** The tags of the fields that most attributes have; that of the type takes two bytes. */
const ATTRIBUTE_NAME = tagOf(AttributeField.name);
const S = tagOf(AttributeField.s);
const I = tagOf(AttributeField.i, WireType.varint);
const INTS = tagOf(AttributeField.ints, WireType.varint);
const TYPE = 0x80 | (tagOf(AttributeField.type, WireType.varint) & 0x7f);
const TYPE_BEHIND = tagOf(AttributeField.type, WireType.varint) >>> 7;

function newAttribute(field: Field): AttributeDraft {
  return {
    name: '',
    type: 0,
    refAttrName: '',
    field,
    i: null,
    f: null,
    s: null,
    ints: NONE,
    floats: NONE,
    strings: NONE,
    tensors: NONE,
    sparseTensors: NONE,
    graphs: NONE,
    t: null,
    g: null,
    sparse: null,
  };
}

function attributes<B>(
  label: string,
  list: (record: B) => Attribute[],
  set: (record: B, list: Attribute[]) => void,
): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const attribute = newAttribute(field);
      set(record, add(list(record), attribute));
      return entered(attributeRule, attribute, label, list(record).length - 1);
    },
  };
}

const nodeRule: MessageRule<NodeRows> = {
  bytes: 190,
  fields: {
    [NodeField.input]: names((rows, id) => rows.addInput(id)),
    [NodeField.output]: names((rows, id) => rows.addOutput(id)),
    [NodeField.name]: name((rows, id) => (rows.name = id)),
    [NodeField.opType]: name((rows, id) => (rows.opType = id)),
    [NodeField.attribute]: attributes(
      'attribute',
      ({ last }) => last.attributes,
      ({ last }, list) => (last.attributes = list),
    ),
    [NodeField.domain]: name((rows, id) => (rows.domain = id)),
    [NodeField.overload]: name((rows, id) => (rows.overload = id)),
    [NodeField.metadataProps]: keptEach(
      ({ last }, { payload: start, end }) => (last.metadata = add(last.metadata, { start, end })),
    ),
  },
  plain: (rows, fields) => {
    const { bytes, end, longest, names: table } = fields;
    let { at } = fields;
    for (; at + 2 <= end; fields.at = at) {
      const next = at + 2 + bytes[at + 1];
      if (bytes[at + 1] > longest || next > end) return;
      switch (bytes[at]) {
        case INPUT:
          rows.addInput(table.idOf(bytes, at + 2, next));
          break;
        case OUTPUT:
          rows.addOutput(table.idOf(bytes, at + 2, next));
          break;
        case NAME:
          if ((fields.seen & (1 << NodeField.name)) !== 0) return;
          fields.seen |= 1 << NodeField.name;
          rows.name = table.keep(bytes, at + 2, next);
          break;
        case OP_TYPE:
          if ((fields.seen & (1 << NodeField.opType)) !== 0) return;
          fields.seen |= 1 << NodeField.opType;
          rows.opType = table.idOf(bytes, at + 2, next);
          break;
        default:
          return;
      }
      fields.charged += TEXT_BYTES;
      at = next;
    }
  },
};

/** The tags of the fields that most nodes have. */
const INPUT = tagOf(NodeField.input);
const OUTPUT = tagOf(NodeField.output);
const NAME = tagOf(NodeField.name);
const OP_TYPE = tagOf(NodeField.opType);

/** The field of a graph or function that holds its nodes. */
function nodes<B extends { readonly rows: NodeRows }>(): FieldRule<B> {
  return {
    kind: 'message',
    enter: ({ rows }, field) => entered(nodeRule, rows, 'node', rows.begin(field)),
  };
}

const annotationRule: MessageRule<Draft<QuantizationAnnotation>> = {
  fields: {
    [AnnotationField.tensorName]: text((annotation, value) => (annotation.tensorName = value)),
    [AnnotationField.parameters]: {
      kind: 'message',
      enter: (annotation, field) => {
        const entry: Draft<StringEntry> = { field, key: '', value: '' };
        return entered(entryRule, entry, 'quant_parameter_tensor_names', annotation.parameters.push(entry) - 1);
      },
    },
  },
};

/** A graph while the reader fills it. */
export interface GraphDraft extends Draft<Graph> {
  readonly rows: NodeRows;
  readonly infoRows: { readonly inputs: InfoRows; readonly outputs: InfoRows; readonly valueInfo: InfoRows };
}

/** A GraphProto before any of its fields is read. */
export function newGraph(field: Field, table: NameTable): GraphDraft {
  const rows = new NodeRows(table, GraphField.node);
  const infoRows = {
    inputs: new InfoRows(table, GraphField.input),
    outputs: new InfoRows(table, GraphField.output),
    valueInfo: new InfoRows(table, GraphField.valueInfo),
  };
  return {
    name: '',
    nodes: rows.nodes,
    initializers: [],
    sparseInitializers: [],
    inputs: infoRows.inputs.infos,
    outputs: infoRows.outputs.infos,
    valueInfo: infoRows.valueInfo.infos,
    quantizationAnnotations: [],
    parts: [field],
    rows,
    infoRows,
  };
}

/** How a GraphProto fills a `Graph`. */
export const graphRule: MessageRule<GraphDraft> = {
  fields: {
    [GraphField.node]: nodes(),
    [GraphField.name]: text((graph, value) => (graph.name = value)),
    [GraphField.initializer]: tensorList(
      'initializer',
      (graph) => graph.initializers,
      (graph, list) => (graph.initializers = list),
    ),
    [GraphField.input]: valueInfos('input', ({ infoRows }) => infoRows.inputs),
    [GraphField.output]: valueInfos('output', ({ infoRows }) => infoRows.outputs),
    [GraphField.valueInfo]: valueInfos('value_info', ({ infoRows }) => infoRows.valueInfo),
    [GraphField.quantizationAnnotation]: {
      kind: 'message',
      enter: (graph, field) => {
        const annotation: Draft<QuantizationAnnotation> = { field, tensorName: '', parameters: [] };
        return entered(
          annotationRule,
          annotation,
          'quantization_annotation',
          graph.quantizationAnnotations.push(annotation) - 1,
        );
      },
    },
    [GraphField.sparseInitializer]: sparseTensors(
      'sparse_initializer',
      (graph) => graph.sparseInitializers,
      (graph, list) => (graph.sparseInitializers = list),
    ),
  },
};

/** A function while the reader fills it. */
export interface FunctionDraft extends Draft<FunctionDef> {
  readonly rows: NodeRows;
  /** None before the first of its declarations. */
  infoRows: InfoRows | null;
}

/**
 * A FunctionProto before any of its fields is read.
 *
 * @param lists of the nodes of all functions: a file may have 100,000
 */
export function newFunction(field: Field, table: NameTable, lists: NodeLists): FunctionDraft {
  const rows = new NodeRows(table, FunctionField.node, lists);
  return {
    field,
    name: '',
    domain: '',
    overload: '',
    inputs: NONE,
    outputs: NONE,
    nodes: rows.nodes,
    defaults: NONE,
    opsetImports: NONE,
    valueInfo: NONE,
    rows,
    infoRows: null,
  };
}

function infoRowsOf(definition: FunctionDraft): InfoRows {
  if (definition.infoRows !== null) return definition.infoRows;
  const rows = new InfoRows(definition.rows.names, FunctionField.valueInfo);
  definition.infoRows = rows;
  definition.valueInfo = rows.infos;
  return rows;
}

/** How a FunctionProto fills a `FunctionDef`. */
export const functionRule: MessageRule<FunctionDraft> = {
  fields: {
    [FunctionField.name]: text((definition, value) => (definition.name = value)),
    [FunctionField.input]: texts((definition, value) => (definition.inputs = add(definition.inputs, value))),
    [FunctionField.output]: texts((definition, value) => (definition.outputs = add(definition.outputs, value))),
    [FunctionField.node]: nodes(),
    [FunctionField.opsetImport]: {
      kind: 'message',
      enter: (definition, field) => enteredOpset(field, definition),
    },
    [FunctionField.domain]: text((definition, value) => (definition.domain = value === 'ai.onnx' ? '' : value)),
    [FunctionField.attributeProto]: attributes(
      'attribute_proto',
      (definition) => definition.defaults,
      (definition, list) => (definition.defaults = list),
    ),
    [FunctionField.valueInfo]: valueInfos('value_info', infoRowsOf),
    [FunctionField.overload]: text((definition, value) => (definition.overload = value)),
  },
};
