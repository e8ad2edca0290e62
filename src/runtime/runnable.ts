import { dirname, relative, sep } from 'node:path';
import { IoError, PolicyError, UnsupportedModelError, UsageError } from '../errors.js';
import { openExternal, type SidecarFiles } from '../onnx/external-data.js';
import {
  allNames,
  ancestorsOf,
  bodiesOf,
  functionsUsedBy,
  isInitializer,
  readsOf,
  tensorsOf,
  type GraphView,
} from '../onnx/graph.js';
import { patched, type Patch } from '../onnx/patch.js';
import type { Node, OnnxModel, SparseTensor, Tensor } from '../onnx/records.js';
import { encodeExternal, encodeNode, encodeValueInfo } from '../onnx/encode.js';
import { GraphField, ModelField, TensorField } from '../onnx/schema.js';
import { dataTypeOf, tensorBytes, type TensorType } from '../onnx/types.js';
import { ByteWriter } from '../wire/byte-writer.js';
import type { ByteRange, Field } from '../wire/fields.js';
import { FileSource } from '../wire/file-source.js';
import { ioError, nodeFileSystem, type FileSystem } from '../wire/fs.js';
import { concat, sizeOf, wrap, type Piece } from '../wire/pieces.js';
import type { ByteSource } from '../wire/source.js';
import { encodeText } from '../wire/text.js';
import { carrierOf, isSafeName } from './carriers.js';

/** An input or an output as the caller knows it and as the session does. */
export interface Port {
  readonly name: string;
  /** Its name in the session. */
  readonly alias: string;
  /** numpy's word for its dtype in the graph; null where unknown. */
  readonly dtype: string | null;
  /** The dtype in which it travels. */
  readonly carrier: string | null;
  readonly type: TensorType | null;
}

/** What ONNX Runtime gets: the graph as bytes, the weights where they lie. */
export interface Runnable {
  readonly bytes: Uint8Array;
  /** Directory of the files that the weights lie in; null where the bytes hold them. */
  readonly folder: string | null;
  /** Without initializers that are listed as inputs: the JavaScript API cannot override them. */
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Files that must not change while the session lives. */
  readonly sources: readonly ByteSource[];
}

/** Smaller tensors stay in the graph: ONNX Runtime looks into them. */
const SMALL_BYTES = 1024;
/** The most bytes that protobuf reads in one message. */
const LARGEST_GRAPH = 2 ** 31 - 1;
/** TensorProto fields whose bytes are the values as they lie in memory: `float_data`, `raw_data`, `double_data`. */
const PLAIN_FIELDS = new Set([4, 9, 10]);

/**
 * The part of a model that computes `outputs`, for ONNX Runtime: weights of a file stay in the file (the result points into it), outputs and inputs whose
 * dtype or name the binding cannot carry go through a Cast or an Identity, and everything else is borrowed.
 * @throws UnsupportedModelError where an output cannot leave the graph; PolicyError, IoError, ModelFormatError for external data that cannot be used
 */
export async function runnable(
  view: GraphView,
  outputs: readonly string[],
  types: ReadonlyMap<string, TensorType>,
  files: SidecarFiles,
  fs: FileSystem = nodeFileSystem,
): Promise<Runnable> {
  const { model } = view;
  const nodes = [...ancestorsOf(view, outputs)].sort((a, b) => a.index - b.index);
  const read = new Set<string>(outputs);
  for (const node of nodes) for (const name of readsOf(node)) read.add(name);
  const names = aliases(view);
  const inPorts = model.graph.inputs
    .filter(({ name }) => read.has(name) && !isInitializer(view, name))
    .map(({ name, type }, index) => {
      const tensorType = types.get(name) ?? null;
      if (type !== null && type.kind !== 'tensor')
        throw unsupported(
          model,
          `its input '${name}' is a ${type.kind}, which ONNX Runtime's JavaScript API cannot feed`,
        );
      return port(model, name, tensorType, () => names(`featx.input.${index}`), false);
    });
  const outPorts = outputs.map((name, index) =>
    port(model, name, types.get(name) ?? null, () => names(`featx.output.${index}`), !view.producerOf.has(name)),
  );
  const functions = [...functionsUsedBy(model, nodes)];
  const weights = await placeWeights(view, nodes, read, files, fs);
  const embedded = await embed(
    model,
    [...nodes.filter((node) => !weights.constants.has(node)), ...weights.sparse, ...functions].map(
      ({ field }) => field,
    ),
    weights.placed,
    files,
  );
  const copied = (field: Field): readonly Piece[] => {
    const patches = [...(weights.patches.get(field.start) ?? []), ...(embedded.get(field.start) ?? [])];
    return patches.length === 0
      ? [{ start: field.start, end: field.end }]
      : wrap(field.number, patched(field, patches));
  };
  const body = new PieceList();
  body.field(2, 'graph');
  for (const entry of inPorts)
    if (entry.alias !== entry.name)
      body.message(GraphField.node, between(entry.alias, entry.name, [entry.carrier, entry.dtype]));
  for (const node of nodes) if (!weights.constants.has(node)) body.push(...copied(node.field));
  for (const entry of outPorts)
    if (entry.alias !== entry.name)
      body.message(GraphField.node, between(entry.name, entry.alias, [entry.dtype, entry.carrier]));
  body.push(...weights.pieces);
  for (const { field } of weights.sparse) body.push(...copied(field));
  const byName = new Map(inPorts.map((entry) => [entry.name, entry]));
  for (const input of model.graph.inputs) {
    const entry = byName.get(input.name);
    if (!read.has(input.name)) continue;
    if (entry === undefined || entry.alias === entry.name || input.type?.kind !== 'tensor')
      body.push({ start: input.field.start, end: input.field.end });
    else
      body.message(
        GraphField.input,
        encodeValueInfo(entry.alias, {
          ...input.type,
          elemType: entry.carrier === null ? input.type.elemType : dataTypeOf(entry.carrier),
        }),
      );
  }
  for (const { alias } of outPorts) body.message(GraphField.output, encodeValueInfo(alias, null));
  const whole = new PieceList();
  for (const field of model.modelFields)
    if (field.number === 1 || field.number === ModelField.opsetImport)
      whole.push({ start: field.start, end: field.end });
  for (const { field } of functions) whole.push(...copied(field));
  whole.push(...wrap(ModelField.graph, body.pieces));
  return {
    bytes: await bytesOf(model, whole.pieces),
    folder: weights.folder,
    inputs: inPorts,
    outputs: outPorts,
    sources: weights.sources,
  };
}

class PieceList {
  readonly pieces: Piece[] = [];

  push(...pieces: readonly Piece[]): void {
    for (const piece of pieces) this.pieces.push(piece);
  }

  message(fieldNumber: number, content: Uint8Array): void {
    this.push(...wrap(fieldNumber, [content]));
  }

  field(fieldNumber: number, text: string): void {
    this.message(fieldNumber, new TextEncoder().encode(text));
  }
}

function unsupported(model: OnnxModel, what: string): UnsupportedModelError {
  const path = model.source.path;
  return new UnsupportedModelError(`${path ?? 'the model'} cannot be run: ${what}`, { path });
}

/** Gives fresh names: `wanted`, or with a number behind it. */
function aliases(view: GraphView): (wanted: string) => string {
  let taken: Set<string> | null = null;
  return (wanted) => {
    taken ??= allNames(view.model);
    let name = wanted;
    for (let count = 2; taken.has(name); count++) name = `${wanted}.${count}`;
    taken.add(name);
    return name;
  };
}

function port(model: OnnxModel, name: string, type: TensorType | null, alias: () => string, mustCopy: boolean): Port {
  const dtype = type?.dtype ?? null;
  const carrier = dtype === null ? null : carrierOf(dtype);
  if (dtype !== null && carrier === null)
    throw unsupported(model, `'${name}' is of ${dtype}, which ONNX Runtime cannot hand over`);
  return { name, alias: mustCopy || carrier !== dtype || !isSafeName(name) ? alias() : name, dtype, carrier, type };
}

/** A Cast where the dtypes differ, else an Identity. */
function between(from: string, to: string, dtypes: readonly [from: string | null, to: string | null]): Uint8Array {
  const [given, wanted] = dtypes;
  const cast = wanted !== null && given !== wanted ? [{ name: 'to', int: dataTypeOf(wanted) }] : null;
  return encodeNode({
    opType: cast === null ? 'Identity' : 'Cast',
    name: '',
    inputs: [from],
    outputs: [to],
    attributes: cast ?? [],
  });
}

interface PlacedWeights {
  readonly pieces: readonly Piece[];
  /** Constant nodes that became initializers. */
  readonly constants: ReadonlySet<Node>;
  readonly sparse: readonly SparseTensor[];
  /** Initializers of the bodies of nodes, pointing into files, by the start of the node's field. */
  readonly patches: ReadonlyMap<number, readonly Patch[]>;
  /** The tensors whose values are found in files. */
  readonly placed: ReadonlySet<Tensor>;
  readonly folder: string | null;
  readonly sources: readonly ByteSource[];
}

/** Where the values of a tensor lie in a file. */
interface Place {
  readonly tensor: Tensor;
  readonly name: string;
  /** The node in whose bodies the tensor is; null for the main graph. */
  readonly inside: Node | null;
  readonly path: string;
  readonly range: ByteRange;
}

async function placeWeights(
  view: GraphView,
  nodes: readonly Node[],
  read: ReadonlySet<string>,
  files: SidecarFiles,
  fs: FileSystem,
): Promise<PlacedWeights> {
  const { model } = view;
  const { source } = model;
  const ownPath = await pathOf(source, fs);
  const pieces: Piece[] = [];
  const places: Place[] = [];
  const sources = new Set<ByteSource>();
  const place = async (tensor: Tensor, name: string, inside: Node | null = null): Promise<boolean> => {
    if (tensor.external !== null) {
      const opened = await openExternal(tensor, files);
      places.push({ tensor, name, inside, path: opened.source.path ?? '', range: opened.range });
      sources.add(opened.source);
      return true;
    }
    const payload = tensor.payloads.length === 1 ? tensor.payloads[0] : null;
    const isPlain =
      payload !== null &&
      payload.contiguous &&
      PLAIN_FIELDS.has(payload.fieldNumber) &&
      payload.end - payload.start === tensorBytes(tensor);
    if (ownPath === null || payload === null || !isPlain || payload.end - payload.start <= SMALL_BYTES) return false;
    places.push({ tensor, name, inside, path: ownPath, range: payload });
    sources.add(source);
    return true;
  };
  for (const tensor of model.graph.initializers) {
    if (read.has(tensor.name) && !(await place(tensor, tensor.name)))
      for (const { start, end } of tensor.parts) pieces.push({ start, end });
  }
  const sparse = model.graph.sparseInitializers.filter(({ values }) => values !== null && read.has(values.name));
  const constants = new Set<Node>();
  for (const node of nodes) {
    const value =
      node.opType === 'Constant' && node.domain === ''
        ? node.attributes.find(({ name }) => name === 'value')?.tensors[0]
        : undefined;
    if (
      value !== undefined &&
      (value.external !== null || (tensorBytes(value) ?? 0) > SMALL_BYTES) &&
      (await place(value, node.outputs[0]))
    )
      constants.add(node);
    for (const tensor of bodyInitializers(node)) await place(tensor, tensor.name, node);
  }
  const folder = commonFolder(places.map(({ path }) => path));
  const patches = new Map<number, Patch[]>();
  for (const { tensor, name, inside, path, range } of places) {
    const content = wrap(GraphField.initializer, [
      referenceTo(
        tensor,
        name,
        relative(folder ?? '', path)
          .split(sep)
          .join('/'),
        range,
      ),
    ]);
    if (inside === null) pieces.push(...content);
    else patches.set(inside.field.start, [...(patches.get(inside.field.start) ?? []), ...replacing(tensor, content)]);
  }
  return {
    pieces,
    constants,
    sparse,
    patches,
    placed: new Set(places.map(({ tensor }) => tensor)),
    folder,
    sources: [...sources],
  };
}

/** The occurrences of a tensor give way to one. */
function replacing({ parts, enclosing }: Tensor, content: readonly Piece[]): readonly Patch[] {
  return parts.map(({ start, end }, index) => ({ start, end, enclosing, pieces: index === 0 ? content : [] }));
}

/**
 * Values of external tensors that stand where the runtime would look for their files by itself, or not at all: in attributes, functions and sparse tensors. They go
 * into the graph, so that no file is opened that did not pass the gate. By the start of the field of `holders` that they stand in.
 */
async function embed(
  model: OnnxModel,
  holders: readonly Field[],
  placed: ReadonlySet<Tensor>,
  files: SidecarFiles,
): Promise<ReadonlyMap<number, readonly Patch[]>> {
  const starts = new Set(holders.map(({ start }) => start));
  const patches = new Map<number, Patch[]>();
  for (const tensor of tensorsOf(model)) {
    const holder =
      tensor.external === null || placed.has(tensor)
        ? undefined
        : tensor.enclosing.find(({ start }) => starts.has(start));
    if (holder === undefined) continue;
    const { source, range } = await openExternal(tensor, files);
    const content = wrap(tensor.parts[0].number, [
      ...tensor.header,
      ...wrap(TensorField.rawData, [{ ...range, from: source }]),
    ]);
    patches.set(holder.start, [...(patches.get(holder.start) ?? []), ...replacing(tensor, content)]);
  }
  return patches;
}

function bodyInitializers(node: Node): readonly Tensor[] {
  return bodiesOf(node).flatMap((body) => [...body.initializers, ...body.nodes.flatMap(bodyInitializers)]);
}

/** The real path of a source, which must still be the file that was opened: the runtime opens it again. @throws IoError */
async function pathOf(source: ByteSource, fs: FileSystem): Promise<string | null> {
  if (!(source instanceof FileSource)) return null;
  try {
    const path = await fs.realpath(source.path);
    const { dev, ino, size, mtimeNs } = await fs.stat(path);
    const { state } = source;
    if (dev === state.dev && ino === state.ino && size === state.size && mtimeNs === state.mtimeNs) return path;
  } catch (error) {
    throw ioError(error, 'read the weights of', source.path);
  }
  throw new IoError(`${source.path} is not the file that was opened any more`, {
    code: 'FEATX_IO_CHANGED',
    path: source.path,
    hint: 'run again once nothing else writes to it',
  });
}

/** TensorProto without values: dims, data type, name, and where the values are. */
function referenceTo(
  { dims, dataType }: Tensor,
  name: string,
  location: string,
  { start, end }: ByteRange,
): Uint8Array {
  const writer = new ByteWriter();
  for (const dim of dims) {
    writer.varint(8);
    writer.varint(dim);
  }
  writer.varint(16);
  writer.varint(dataType);
  writer.field(8, encodeText(name));
  writer.raw(encodeExternal(location, start, end - start));
  return writer.written;
}

/** The directory that holds all of the files, however deep; null for no files. */
function commonFolder(paths: readonly string[]): string | null {
  const [first, ...others] = new Set(paths.map((path) => dirname(path)));
  if (first === undefined) return null;
  let folder = first;
  for (const other of others) {
    while (relative(folder, other).startsWith('..')) {
      const above = dirname(folder);
      if (above === folder) throw new UsageError(`the weights lie on several drives: ${first} and ${other}`);
      folder = above;
    }
  }
  return folder;
}

async function bytesOf(model: OnnxModel, pieces: readonly Piece[]): Promise<Uint8Array> {
  const size = sizeOf(pieces);
  if (size > LARGEST_GRAPH)
    throw new PolicyError(
      `${model.source.path ?? 'the model'} cannot be run: its graph takes ${size} bytes, and ONNX Runtime reads ${LARGEST_GRAPH} at most`,
      { code: 'FEATX_LIMIT_MODEL', path: model.source.path },
    );
  const parts: Uint8Array[] = [];
  for (const piece of pieces)
    parts.push(
      piece instanceof Uint8Array
        ? piece
        : piece.from !== undefined
          ? await piece.from.read(piece.start, piece.end)
          : (model.resident(piece) ?? (await model.read(piece))),
    );
  return concat(parts);
}
