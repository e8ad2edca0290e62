import type { Field } from '../../wire/fields.js';
import { entered, type FieldRule, type MessageRule } from '../reader.js';
import type {
  Attribute,
  FunctionDef,
  Graph,
  Node,
  QuantizationAnnotation,
  SparseTensor,
  StringEntry,
  Tensor,
} from '../records.js';
import { add, closedEnum, float, floats, int, ints, keptEach, NONE, text, texts, type Draft } from './drafts.js';
import { enteredOpset } from './opsets.js';
import { entryRule, sparseTensor, sparseTensors, tensorField, tensorList } from './tensors.js';
import { valueInfos } from './types.js';

/** Lists in attributes longer than this stay in the file. */
const LONGEST_ATTRIBUTE_LIST = 1024;
/** AttributeProto.AttributeType.TYPE_PROTOS */
const LARGEST_ATTRIBUTE_TYPE = 14;

type AttributeDraft = Draft<Attribute> & { t: Tensor | null; g: Draft<Graph> | null; sparse: SparseTensor | null };

/** The list with one more entry, unless it is too long to keep. */
function bounded<T>(list: T[], value: T): T[] {
  return list.length < LONGEST_ATTRIBUTE_LIST ? add(list, value) : list;
}

const attributeRule: MessageRule<AttributeDraft> = {
  bytes: 230,
  fields: {
    1: text((attribute, value) => (attribute.name = value)),
    2: float((attribute, value) => (attribute.f = value)),
    3: int((attribute, value) => (attribute.i = value)),
    4: { kind: 'value', list: false, set: (attribute, value) => (attribute.s = value) },
    5: tensorField(
      't',
      (attribute) => attribute.t,
      (attribute, tensor) => (attribute.tensors = [(attribute.t = tensor), ...attribute.tensors]),
    ),
    6: {
      kind: 'message',
      enter: (attribute, field) => {
        if (attribute.g !== null) attribute.g.parts.push(field);
        else attribute.graphs = [(attribute.g = newGraph(field)), ...attribute.graphs];
        return entered(graphRule, attribute.g, 'g');
      },
    },
    7: floats((attribute, value) => (attribute.floats = bounded(attribute.floats, value))),
    8: ints((attribute, value) => (attribute.ints = bounded(attribute.ints, value))),
    9: {
      kind: 'value',
      list: true,
      set: (attribute, value) => (attribute.strings = bounded(attribute.strings, value)),
    },
    10: tensorList(
      'tensors',
      (attribute) => attribute.tensors,
      (attribute, list) => (attribute.tensors = list),
    ),
    11: {
      kind: 'message',
      enter: (attribute, field) => {
        const graph = newGraph(field);
        attribute.graphs = add(attribute.graphs, graph);
        return entered(graphRule, graph, 'graphs', attribute.graphs.length - 1);
      },
    },
    20: closedEnum(LARGEST_ATTRIBUTE_TYPE, (attribute, value) => (attribute.type = value)),
    21: text((attribute, value) => (attribute.refAttrName = value)),
    22: sparseTensor(
      'sparse_tensor',
      (attribute) => attribute.sparse,
      (attribute, sparse) => (attribute.sparseTensors = [(attribute.sparse = sparse), ...attribute.sparseTensors]),
    ),
    23: sparseTensors(
      'sparse_tensors',
      (attribute) => attribute.sparseTensors,
      (attribute, list) => (attribute.sparseTensors = list),
    ),
  },
};

function attributes<B>(
  label: string,
  list: (record: B) => Attribute[],
  set: (record: B, list: Attribute[]) => void,
): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const attribute: AttributeDraft = {
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
      set(record, add(list(record), attribute));
      return entered(attributeRule, attribute, label, list(record).length - 1);
    },
  };
}

const nodeRule: MessageRule<Draft<Node>> = {
  bytes: 190,
  fields: {
    1: texts((node, value) => (node.inputs = add(node.inputs, value))),
    2: texts((node, value) => (node.outputs = add(node.outputs, value))),
    3: text((node, value) => (node.name = value)),
    4: text((node, value) => (node.opType = value)),
    5: attributes(
      'attribute',
      (node) => node.attributes,
      (node, list) => (node.attributes = list),
    ),
    7: text((node, value) => (node.domain = value === 'ai.onnx' ? '' : value)),
    8: text((node, value) => (node.overload = value)),
    9: keptEach((node, { payload: start, end }) => (node.metadata = add(node.metadata, { start, end }))),
  },
};

function nodes<B>(list: (record: B) => Node[]): FieldRule<B> {
  return {
    kind: 'message',
    enter: (record, field) => {
      const index = list(record).length;
      const node: Draft<Node> = {
        index,
        field,
        name: '',
        opType: '',
        domain: '',
        overload: '',
        inputs: NONE,
        outputs: NONE,
        attributes: NONE,
        metadata: NONE,
      };
      list(record).push(node);
      return entered(nodeRule, node, 'node', index);
    },
  };
}

const annotationRule: MessageRule<Draft<QuantizationAnnotation>> = {
  fields: {
    1: text((annotation, value) => (annotation.tensorName = value)),
    2: {
      kind: 'message',
      enter: (annotation, field) => {
        const entry: Draft<StringEntry> = { field, key: '', value: '' };
        return entered(entryRule, entry, 'quant_parameter_tensor_names', annotation.parameters.push(entry) - 1);
      },
    },
  },
};

/** A GraphProto before any of its fields is read. */
export function newGraph(field: Field): Draft<Graph> {
  return {
    name: '',
    nodes: [],
    initializers: [],
    sparseInitializers: [],
    inputs: [],
    outputs: [],
    valueInfo: [],
    quantizationAnnotations: [],
    parts: [field],
  };
}

/** How a GraphProto fills a `Graph`. */
export const graphRule: MessageRule<Draft<Graph>> = {
  fields: {
    1: nodes((graph) => graph.nodes),
    2: text((graph, value) => (graph.name = value)),
    5: tensorList(
      'initializer',
      (graph) => graph.initializers,
      (graph, list) => (graph.initializers = list),
    ),
    11: valueInfos('input', (graph) => graph.inputs),
    12: valueInfos('output', (graph) => graph.outputs),
    13: valueInfos('value_info', (graph) => graph.valueInfo),
    14: {
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
    15: sparseTensors(
      'sparse_initializer',
      (graph) => graph.sparseInitializers,
      (graph, list) => (graph.sparseInitializers = list),
    ),
  },
};

/** How a FunctionProto fills a `FunctionDef`. */
export const functionRule: MessageRule<Draft<FunctionDef>> = {
  fields: {
    1: text((definition, value) => (definition.name = value)),
    4: texts((definition, value) => definition.inputs.push(value)),
    5: texts((definition, value) => definition.outputs.push(value)),
    7: nodes((definition) => definition.nodes),
    9: { kind: 'message', enter: (definition, field) => enteredOpset(field, definition.opsetImports) },
    10: text((definition, value) => (definition.domain = value === 'ai.onnx' ? '' : value)),
    11: attributes(
      'attribute_proto',
      (definition) => definition.defaults,
      (definition, list) => (definition.defaults = list),
    ),
    12: valueInfos('value_info', (definition) => definition.valueInfo),
    13: text((definition, value) => (definition.overload = value)),
  },
};
