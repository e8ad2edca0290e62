import type { Field } from '../../wire/fields.js';
import { entered, type FieldRule, type MessageRule } from '../message-rules.js';
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
import { AnnotationField, AttributeField, AttributeType, FunctionField, GraphField, NodeField } from '../schema.js';
import { add, closedEnum, float, floats, int, ints, keptEach, NONE, text, texts, type Draft } from './drafts.js';
import { enteredOpset } from './opsets.js';
import { entryRule, sparseTensor, sparseTensors, tensorField, tensorList } from './tensors.js';
import { valueInfos } from './types.js';

/** Lists in attributes longer than this stay in the file. */
const LONGEST_ATTRIBUTE_LIST = 1024;

type AttributeDraft = Draft<Attribute> & { t: Tensor | null; g: Draft<Graph> | null; sparse: SparseTensor | null };

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
      enter: (attribute, field) => {
        if (attribute.g !== null) attribute.g.parts.push(field);
        else attribute.graphs = [(attribute.g = newGraph(field)), ...attribute.graphs];
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
      enter: (attribute, field) => {
        const graph = newGraph(field);
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
    [NodeField.input]: texts((node, value) => (node.inputs = add(node.inputs, value))),
    [NodeField.output]: texts((node, value) => (node.outputs = add(node.outputs, value))),
    [NodeField.name]: text((node, value) => (node.name = value)),
    [NodeField.opType]: text((node, value) => (node.opType = value)),
    [NodeField.attribute]: attributes(
      'attribute',
      (node) => node.attributes,
      (node, list) => (node.attributes = list),
    ),
    [NodeField.domain]: text((node, value) => (node.domain = value === 'ai.onnx' ? '' : value)),
    [NodeField.overload]: text((node, value) => (node.overload = value)),
    [NodeField.metadataProps]: keptEach(
      (node, { payload: start, end }) => (node.metadata = add(node.metadata, { start, end })),
    ),
  },
};

function nodes<B>(list: (record: B) => Node[], set: (record: B, list: Node[]) => void): FieldRule<B> {
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
      set(record, add(list(record), node));
      return entered(nodeRule, node, 'node', index);
    },
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
    [GraphField.node]: nodes(
      (graph) => graph.nodes,
      (graph, list) => (graph.nodes = list),
    ),
    [GraphField.name]: text((graph, value) => (graph.name = value)),
    [GraphField.initializer]: tensorList(
      'initializer',
      (graph) => graph.initializers,
      (graph, list) => (graph.initializers = list),
    ),
    [GraphField.input]: valueInfos(
      'input',
      (graph) => graph.inputs,
      (graph, list) => (graph.inputs = list),
    ),
    [GraphField.output]: valueInfos(
      'output',
      (graph) => graph.outputs,
      (graph, list) => (graph.outputs = list),
    ),
    [GraphField.valueInfo]: valueInfos(
      'value_info',
      (graph) => graph.valueInfo,
      (graph, list) => (graph.valueInfo = list),
    ),
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

/** How a FunctionProto fills a `FunctionDef`. */
export const functionRule: MessageRule<Draft<FunctionDef>> = {
  fields: {
    [FunctionField.name]: text((definition, value) => (definition.name = value)),
    [FunctionField.input]: texts((definition, value) => (definition.inputs = add(definition.inputs, value))),
    [FunctionField.output]: texts((definition, value) => (definition.outputs = add(definition.outputs, value))),
    [FunctionField.node]: nodes(
      (definition) => definition.nodes,
      (definition, list) => (definition.nodes = list),
    ),
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
    [FunctionField.valueInfo]: valueInfos(
      'value_info',
      (definition) => definition.valueInfo,
      (definition, list) => (definition.valueInfo = list),
    ),
    [FunctionField.overload]: text((definition, value) => (definition.overload = value)),
  },
};
