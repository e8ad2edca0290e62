import { createHash, type Hash } from 'node:crypto';
import { openExternal, type SidecarFiles } from './onnx/external-data.js';
import type { Attribute, Graph, OnnxModel, Tensor } from './onnx/records.js';
import { plainValues } from './onnx/tensor-data.js';
import type { CheckedModel } from './prepare.js';
import type { DiffReport, WeightDifference } from './report/diff-records.js';
import { weightDistance } from './tensors/weight-distance.js';
import { chunksOf, fetchBorrowed, type BorrowedPiece } from './wire/pieces.js';
import type { ByteSource } from './wire/source.js';

/** Names of tensors that only one model has which a record lists. */
const MOST_NAMES = 100;

/**
 * Which operators and which tensors two main graphs have that the other has not, and whether they compute the same of
 * their weights. @throws what reading attributes throws
 */
export async function nodesDiff(a: OnnxModel, b: OnnxModel): Promise<DiffReport['nodes']> {
  const [mine, yours] = [operatorsOf(a), operatorsOf(b)];
  const names = [...new Set([...mine.keys(), ...yours.keys()])].sort();
  const operators = names.flatMap((name) => {
    const counts = [mine.get(name) ?? 0, yours.get(name) ?? 0] as const;
    return counts[0] === counts[1] ? [] : [[name, counts] as const];
  });
  const [made, other] = [madeBy(a), madeBy(b)];
  return {
    a: a.graph.nodes.length,
    b: b.graph.nodes.length,
    same_graph: (await graphDigest(a)) === (await graphDigest(b)),
    operators: Object.fromEntries(operators),
    only_a: [...made].filter((name) => !other.has(name)).slice(0, MOST_NAMES),
    only_b: [...other].filter((name) => !made.has(name)).slice(0, MOST_NAMES),
  };
}

function operatorsOf({ graph }: OnnxModel): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { domain, opType } of graph.nodes) {
    const name = domain === '' || domain === 'ai.onnx' ? opType : `${domain}.${opType}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function madeBy({ graph }: OnnxModel): ReadonlySet<string> {
  return new Set(graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== '')));
}

/**
 * A digest of what the main graph of a model computes, without its weights and whatever its nodes and tensors are
 * called: operators, attributes, which node reads what. Attributes count as their bytes; names inside bodies do count.
 * @throws what reading attributes throws
 */
async function graphDigest(model: OnnxModel): Promise<string> {
  const hash = createHash('sha256');
  const places = placesOf(model.graph);
  const placeOf = (name: string): string => (name === '' ? '' : (places.get(name) ?? `? ${name}`));
  for (const { domain, opType, overload, inputs, outputs, attributes } of model.graph.nodes) {
    const reads = inputs.map(placeOf);
    hash.update(
      JSON.stringify([domain === 'ai.onnx' ? '' : domain, opType, overload, reads, outputs.map((name) => name !== '')]),
    );
    for (const attribute of [...attributes].sort((a, b) => (a.name < b.name ? -1 : 1)))
      await addAttribute(hash, model, attribute);
  }
  hash.update(JSON.stringify(model.graph.outputs.map(({ name }) => placeOf(name))));
  return hash.digest('hex');
}

async function addAttribute(hash: Hash, model: OnnxModel, { name, field }: Attribute): Promise<void> {
  hash.update(JSON.stringify([name, field.end - field.payload]));
  const piece = { start: field.payload, end: field.end };
  await fetchBorrowed(model.source, [piece]);
  for await (const chunk of chunksOf(piece, model.source)) hash.update(chunk);
}

/** What each tensor is, whatever its name: an input, a weight as nodes come to read it, an output of a node. */
function placesOf({ inputs, initializers, nodes }: Graph): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  const weights = new Set(initializers.map(({ name }) => name));
  inputs.filter(({ name }) => !weights.has(name)).forEach(({ name }, at) => places.set(name, `input ${at}`));
  let read = 0;
  for (const { index, inputs: names, outputs } of nodes) {
    for (const name of names) if (weights.has(name) && !places.has(name)) places.set(name, `weight ${read++}`);
    outputs.forEach((name, at) => name !== '' && places.set(name, `${index} ${at}`));
  }
  return places;
}

/** Which initializers of two main graphs hold the same values, by digest. @throws what reading weights throws */
export async function weightsDiff(a: CheckedModel, b: CheckedModel): Promise<DiffReport['weights']> {
  const [mine, yours] = [await digestsOf(a), await digestsOf(b)];
  const left = new Map<string, string[]>();
  for (const [name, { digest }] of mine) if (!yours.has(name)) left.set(digest, [...(left.get(digest) ?? []), name]);
  const taken = new Set<string>();
  const differences: WeightDifference[] = [];
  let equal = 0;
  for (const [name, weight] of yours) {
    const own = mine.get(name);
    const was = own === undefined ? left.get(weight.digest)?.shift() : undefined;
    if (own !== undefined) {
      taken.add(name);
      if (own.digest === weight.digest) equal++;
      else if (own.type !== weight.type) differences.push({ name, state: 'reshaped' });
      else differences.push({ name, state: 'changed', ...(await errorOf(own, weight)) });
    } else if (was !== undefined) {
      taken.add(was);
      differences.push({ name, state: 'renamed', was });
    } else differences.push({ name, state: 'only_b' });
  }
  for (const name of mine.keys()) if (!taken.has(name)) differences.push({ name, state: 'only_a' });
  return { a: mine.size, b: yours.size, equal, differences };
}

interface Weight {
  /** Of type and values. */
  readonly digest: string;
  readonly type: string;
  readonly dataType: number;
  readonly pieces: readonly BorrowedPiece[];
  readonly source: ByteSource;
}

async function digestsOf({ model, files, warn }: CheckedModel): Promise<ReadonlyMap<string, Weight>> {
  const digests = new Map<string, Weight>();
  const { source } = model;
  for (const tensor of model.graph.initializers) {
    const { dataType } = tensor;
    const type = `${dataType}[${tensor.dims.join(',')}]`;
    const hash = createHash('sha256').update(type);
    const pieces = await valuesOf(tensor, files, warn);
    for (const piece of pieces) {
      await fetchBorrowed(source, [piece]);
      for await (const chunk of chunksOf(piece, source)) hash.update(chunk);
    }
    digests.set(tensor.name, { digest: hash.digest('hex'), type, dataType, pieces, source });
  }
  return digests;
}

/** How far values of one type are apart, where they are floats in one run of bytes. */
async function errorOf(a: Weight, b: Weight): Promise<Pick<WeightDifference, 'relative_error'>> {
  if (a.pieces.length !== 1 || b.pieces.length !== 1) return {};
  const [one, other] = [a, b].map(({ pieces: [{ from, start, end }], source }) => ({
    source: from ?? source,
    start,
    end,
  }));
  const distance = await weightDistance(one, other, a.dataType);
  return distance === null ? {} : { relative_error: distance.relativeError };
}

/** The bytes of a tensor's values, wherever they lie; of packed lists of integers, their encoding. */
async function valuesOf(
  tensor: Tensor,
  files: SidecarFiles,
  warn: (message: string) => void,
): Promise<readonly BorrowedPiece[]> {
  if (tensor.external !== null) {
    const { source, range } = await openExternal(tensor, files, warn);
    return [{ ...range, from: source }];
  }
  const plain = plainValues(tensor);
  return plain === null ? tensor.payloads : [plain];
}
