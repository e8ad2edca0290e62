import { dirname, relative, sep } from 'node:path';
import { IoError, PolicyError, UsageError } from '../errors.js';
import { encodeExternal, type NewTensor } from '../onnx/encode.js';
import { openExternal, type SidecarFiles } from '../onnx/external-data.js';
import { bodiesOf, tensorsOf } from '../onnx/graph.js';
import type { Node, OnnxModel, Tensor } from '../onnx/records.js';
import { INLINE_BYTES, LARGEST_MESSAGE, TensorField } from '../onnx/schema.js';
import { plainValues } from '../onnx/tensor-data.js';
import { tensorBytes } from '../onnx/types.js';
import { droppedStarts, type GraphEdit } from '../rewrite/edit.js';
import { splice, topStart, type TensorContents } from '../rewrite/splice.js';
import type { ByteRange } from '../wire/fields.js';
import { RemoteSource } from '../remote/remote-source.js';
import { FileSource } from '../wire/file-source.js';
import { isSameState } from '../wire/file-state.js';
import { ioError, type FileSystem } from '../wire/fs.js';
import { wrap } from '../wire/encode.js';
import { concat, fetchBorrowed, sizeOf, type Piece } from '../wire/pieces.js';
import type { ByteSource } from '../wire/source.js';

/** Where the weights of a model are found. */
export interface WeightFiles {
  readonly sidecars: SidecarFiles;
  readonly fileSystem: FileSystem;
  readonly warn: (message: string) => void;
}

/** What ONNX Runtime gets: the graph as bytes, the weights where they lie. */
export interface SessionModel {
  readonly bytes: Uint8Array;
  /** Directory of the files that the weights lie in; null where the bytes hold them. */
  readonly folder: string | null;
  /** Files that must not change while the session lives. */
  readonly sources: readonly ByteSource[];
}

/**
 * An edit of a model for ONNX Runtime: weights of a file stay in the file (the result points into it), and everything
 * else is borrowed.
 * @param isWhole whether the bytes hold the weights too, for a runtime that opens no files
 * @throws PolicyError, IoError, ModelFormatError for external data that cannot be used
 */
export async function sessionModel(
  model: OnnxModel,
  edit: GraphEdit,
  files: WeightFiles,
  isWhole: boolean,
): Promise<SessionModel> {
  const places = isWhole ? [] : await placesOf(model, edit, files);
  await fetchBorrowed(
    model.source,
    places.map(({ range, source }) => ({ ...range, from: source })),
  );
  const folder = commonFolder(places.map(({ path }) => path));
  const contents = new Map<Tensor, readonly Piece[]>(await inlined(model, edit, places, files));
  const constants: NewTensor[] = [];
  for (const { tensor, constant, path, range } of places) {
    const location = relative(folder ?? '', path)
      .split(sep)
      .join('/');
    const external = { location, offset: range.start, length: range.end - range.start };
    if (constant === null) contents.set(tensor, [...tensor.header, encodeExternal(external)]);
    else constants.push({ name: constant.outputs[0], dims: tensor.dims, dataType: tensor.dataType, external });
  }
  const moved = places.flatMap(({ constant }) => constant?.index ?? []);
  const placed: GraphEdit = {
    ...edit,
    drop: { ...edit.drop, nodes: [...edit.drop.nodes, ...moved] },
    addInitializers: [...edit.addInitializers, ...constants],
  };
  return {
    bytes: await bytesOf(model, splice(model, placed, contents)),
    folder,
    sources: [...new Set(places.map(({ source }) => source))],
  };
}

/** Where the values of a tensor lie in a file. */
interface Place {
  readonly tensor: Tensor;
  /** The Constant of the main graph that holds it, and that becomes an initializer. */
  readonly constant: Node | null;
  readonly path: string;
  readonly range: ByteRange;
  readonly source: ByteSource;
}

/**
 * The weights that the runtime can map: initializers of the main graph and of bodies, and constants of the main graph.
 */
async function placesOf(
  model: OnnxModel,
  { drop }: GraphEdit,
  { sidecars, fileSystem, warn }: WeightFiles,
): Promise<readonly Place[]> {
  const { source, graph } = model;
  const ownPath = await pathOf(source, fileSystem);
  const places: Place[] = [];
  const place = async (tensor: Tensor, constant: Node | null = null): Promise<void> => {
    if (tensor.external !== null) {
      const opened = await openExternal(tensor, sidecars, warn);
      const path = opened.source instanceof RemoteSource ? opened.source.mirror : opened.source.path;
      places.push({ tensor, constant, path: path ?? '', ...opened });
      return;
    }
    const range = plainValues(tensor);
    const isWhole = range !== null && tensor.payloads.length === 1 && range.end - range.start === tensorBytes(tensor);
    if (ownPath !== null && isWhole && range.end - range.start > INLINE_BYTES)
      places.push({ tensor, constant, path: ownPath, range, source });
  };
  const [nodesGone, initializersGone] = [new Set(drop.nodes), new Set(drop.initializers)];
  for (const [index, tensor] of graph.initializers.entries()) if (!initializersGone.has(index)) await place(tensor);
  for (const node of graph.nodes) {
    if (nodesGone.has(node.index)) continue;
    const value = constantValue(node);
    if (value !== undefined && (value.external !== null || (tensorBytes(value) ?? 0) > INLINE_BYTES))
      await place(value, node);
    for (const tensor of bodyInitializers(node)) await place(tensor);
  }
  return places;
}

function constantValue({ opType, domain, attributes }: Node): Tensor | undefined {
  return opType === 'Constant' && domain === ''
    ? attributes.find(({ name }) => name === 'value')?.tensors[0]
    : undefined;
}

function bodyInitializers(node: Node): readonly Tensor[] {
  return bodiesOf(node).flatMap((body) => [...body.initializers, ...body.nodes.flatMap(bodyInitializers)]);
}

/**
 * Values of external tensors that stand where the runtime would look for their files by itself, or not at all: in
 * attributes, functions and sparse tensors. They go into the graph, so that no file is opened that did not pass the
 * gate.
 */
async function inlined(
  model: OnnxModel,
  edit: GraphEdit,
  places: readonly Place[],
  { sidecars, warn }: WeightFiles,
): Promise<TensorContents> {
  const dropped = droppedStarts(model, edit);
  const placed = new Set(places.map(({ tensor }) => tensor));
  const contents = new Map<Tensor, readonly Piece[]>();
  for (const tensor of tensorsOf(model)) {
    if (tensor.external === null || placed.has(tensor) || dropped.has(topStart(model, tensor))) continue;
    const { source, range } = await openExternal(tensor, sidecars, warn);
    contents.set(tensor, [...tensor.header, ...wrap(TensorField.rawData, [{ ...range, from: source }])]);
  }
  return contents;
}

/**
 * The real path of a source, which must still be the file that was opened: the runtime opens it again.
 * @throws IoError
 */
async function pathOf(source: ByteSource, fs: FileSystem): Promise<string | null> {
  if (source instanceof RemoteSource) return source.mirror;
  if (!(source instanceof FileSource)) return null;
  try {
    const path = await fs.realpath(source.path);
    if (isSameState(await fs.stat(path), source.state)) return path;
  } catch (error) {
    throw ioError(error, 'read the weights of', source.path);
  }
  throw new IoError(`${source.path} is not the file that was opened any more`, {
    code: 'FEATX_IO_CHANGED',
    path: source.path,
    hint: 'run again once nothing else writes to it',
  });
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
  if (size > LARGEST_MESSAGE)
    throw new PolicyError(
      `${model.source.path ?? 'the model'} cannot be run: its graph takes ${size} bytes, and ONNX Runtime reads ${LARGEST_MESSAGE} at most`,
      { code: 'FEATX_LIMIT_MODEL', path: model.source.path },
    );
  await fetchBorrowed(model.source, pieces);
  const parts: Uint8Array[] = [];
  for (const piece of pieces)
    if (piece instanceof Uint8Array) parts.push(piece);
    else parts.push(await (piece.from === undefined ? model.read(piece) : piece.from.read(piece.start, piece.end)));
  return concat(parts);
}
