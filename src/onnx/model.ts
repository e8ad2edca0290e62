import { ModelFormatError } from '../errors.js';
import type { ByteRange } from '../wire/fields.js';
import { BufferSource, exactSource, type ByteSource } from '../wire/source.js';
import { decodeText } from '../wire/text.js';
import { FieldList } from './field-list.js';
import { assertOnnxFile, readingError } from './file-kind.js';
import { overLimit, readLimits, type ReadLimits } from './limits.js';
import { NodeLists } from './node-rows.js';
import { readMessage } from './reader.js';
import { entered, type FieldRule, type MessageRule } from './message-rules.js';
import { MetadataRows } from './metadata-rows.js';
import type { OnnxModel, TrainingInfo } from './records.js';
import { int, name, skipped, text, type Draft } from './rules/drafts.js';
import { EntryField, ModelField, TrainingField } from './schema.js';
import { functionRule, graphRule, newFunction, newGraph, type GraphDraft } from './rules/graphs.js';
import { enteredOpset, versionOf } from './rules/opsets.js';

/** How a model is read. */
export interface OpenOptions {
  readonly limits?: Partial<ReadLimits>;
}

/**
 * Indexes a model: every message of the graph, no payload. Costs one pass of windowed reads over what is not weights.
 * @throws ModelFormatError with the byte offset and the field path where the bytes are not a valid model
 * @throws UnsupportedModelError if they are plainly something else
 * @throws PolicyError if a limit is exceeded
 * @throws IoError if a source does not give what it is asked for; UsageError if it has no size
 */
export async function indexModel(input: Uint8Array | ByteSource, options: OpenOptions = {}): Promise<OnnxModel> {
  const source = ArrayBuffer.isView(input) ? new BufferSource(input) : exactSource(input);
  try {
    return await indexSource(source, options);
  } catch (error) {
    throw await readingError(source, error);
  }
}

async function indexSource(source: ByteSource, options: OpenOptions): Promise<OnnxModel> {
  const limits = readLimits(options.limits);
  await assertOnnxFile(source);
  const warnings: string[] = [];
  const draft: ModelDraft = {
    irVersion: 0,
    producerName: '',
    producerVersion: '',
    opsetImports: [],
    metadataRows: new MetadataRows(),
    graph: null,
    functions: [],
    trainingInfo: [],
    modelFields: new FieldList(),
    graphFields: new FieldList(),
    functionNodes: new NodeLists(),
  };
  const window = await readMessage(source, modelRule, draft, limits, (message) => warnings.push(message));
  const { graph, functionNodes: _rows, metadataRows, ...records } = draft;
  if (graph === null) {
    throw new ModelFormatError(`${source.path ?? 'the model'} holds no graph`, {
      code: 'FEATX_GRAPH_MISSING',
      path: source.path,
      field: 'graph',
      hint: 'is it really an ONNX model?',
    });
  }
  const read = async (range: ByteRange): Promise<Uint8Array> =>
    window.resident(range) ?? source.read(range.start, range.end);
  return {
    ...records,
    metadata: metadataRows.entries,
    graph,
    source,
    limits,
    warnings,
    resident: (range) => window.resident(range),
    read,
    text: async (range) => decodeText(await read(range)),
    [Symbol.asyncDispose]: async () => source.close?.(),
  };
}

interface ModelDraft
  extends Draft<
    Omit<
      OnnxModel,
      | 'source'
      | 'limits'
      | 'graph'
      | 'metadata'
      | 'modelFields'
      | 'graphFields'
      | 'warnings'
      | 'resident'
      | 'read'
      | 'text'
      | typeof Symbol.asyncDispose
    >
  > {
  graph: GraphDraft | null;
  modelFields: FieldList;
  graphFields: FieldList;
  readonly metadataRows: MetadataRows;
  readonly functionNodes: NodeLists;
}

// How the messages of onnx.proto fill their records: here those of the model, in rules/ those inside it.
// Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

const metadataRule: MessageRule<MetadataRows> = {
  fields: {
    [EntryField.key]: name((rows, id) => (rows.key = id)),
    [EntryField.value]: skipped((rows, { payload: start, end }) => (rows.value = { start, end })),
  },
};

type TrainingDraft = Draft<TrainingInfo> & { initialization: GraphDraft | null; algorithm: GraphDraft | null };

const trainingInfoRule: MessageRule<TrainingDraft> = {
  fields: {
    [TrainingField.initialization]: trainingGraph('initialization'),
    [TrainingField.algorithm]: trainingGraph('algorithm'),
  },
};

function trainingGraph(label: 'initialization' | 'algorithm'): FieldRule<TrainingDraft> {
  return {
    kind: 'message',
    enter: (info, field, { names }) => {
      const existing = info[label];
      if (existing !== null) existing.parts.push(field);
      const graph = existing ?? (info[label] = newGraph(field, names));
      info.graphs = [info.initialization, info.algorithm].filter((each) => each !== null);
      return entered(graphRule, graph, label);
    },
  };
}

const mainGraphRule: (fields: FieldList) => MessageRule<GraphDraft> = (fields) => ({
  ...graphRule,
  each: (_graph, field) => fields.push(field),
});

const modelRule: MessageRule<ModelDraft> = {
  each: (model, field) => model.modelFields.push(field),
  fields: {
    [ModelField.irVersion]: int((model, value, field) => (model.irVersion = versionOf(value, field, 'ir_version'))),
    [ModelField.producerName]: text((model, value) => (model.producerName = value)),
    [ModelField.producerVersion]: text((model, value) => (model.producerVersion = value)),
    [ModelField.graph]: {
      kind: 'message',
      enter: (model, field, { names }) => {
        if (model.graph !== null) model.graph.parts.push(field);
        else model.graph = newGraph(field, names);
        return entered(mainGraphRule(model.graphFields), model.graph, 'graph');
      },
    },
    [ModelField.opsetImport]: {
      kind: 'message',
      enter: (model, field) => {
        return enteredOpset(field, model);
      },
    },
    [ModelField.metadataProps]: {
      kind: 'message',
      enter: ({ metadataRows }, field, { names }) =>
        entered(metadataRule, metadataRows, 'metadata_props', metadataRows.begin(field, names)),
    },
    [ModelField.trainingInfo]: {
      kind: 'message',
      enter: (model, field) => {
        const info: TrainingDraft = { field, graphs: [], initialization: null, algorithm: null };
        return entered(trainingInfoRule, info, 'training_info', model.trainingInfo.push(info) - 1);
      },
    },
    [ModelField.functions]: {
      kind: 'message',
      enter: (model, field, { limits, names, sourcePath }) => {
        if (model.functions.length >= limits.functions)
          throw overLimit(
            'functions',
            limits.functions,
            `it has model-local functions, ${limits.functions + 1} or more`,
            { path: sourcePath, offset: field.start, field: 'functions' },
          );
        const definition = newFunction(field, names, model.functionNodes);
        return entered(functionRule, definition, 'functions', model.functions.push(definition) - 1);
      },
    },
  },
};
