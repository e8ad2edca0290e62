import type { Analysis } from './analysis.js';
import { factsOf } from './facts.js';
import type { Embedding, EmbeddingRole, Resolution } from './feature.js';
import {
  countsEntries,
  isHiddenLayer,
  isToken,
  isVector,
  pooledLayer,
  trace,
  vectorsOf,
  widthOf,
  type Trace,
  type Vectors,
} from './vectors.js';

/** A tensor that may be the embedding. */
interface Candidate {
  readonly tensor: string;
  readonly role: EmbeddingRole;
  readonly because: string;
  /** Lower is likelier; candidates of one rank are equally likely. */
  readonly rank: number;
}

const EMBEDDING_NAME = /(^|[^a-z])(\w*embed\w*|features?|descriptors?|pooler\w*|image_embeds|text_embeds)([^a-z]|$)/i;
const SCORES_NAME = /logit|prob|score|softmax|sigmoid|label|predict|classif|(^|[^a-z])(class|classes|cls)([^a-z]|$)/i;
/**
 * Classes of the data sets that backbones are trained on: ImageNet with and without background, its 21k and 22k sets.
 */
const CLASS_COUNTS = new Set([1000, 1001, 21841, 21842, 21843, 11821, 10450, 365]);
/** Vectors behind each other that are looked at: a head has a few layers. */
const LONGEST_CHAIN = 4;

/** Every vector that may be the embedding, the likeliest first, and the one that is. */
export function embeddingsOf(analysis: Analysis): Pick<Resolution, 'embeddings' | 'embedding'> {
  const vectors = vectorsOf(analysis);
  const outputs = [...analysis.view.outputs.keys()].filter(
    (name) => vectors.data.has(name) && isVector(vectors, name) !== false,
  );
  const candidates = ranked(candidatesOf(vectors, outputs)).filter(({ tensor }) => isVector(vectors, tensor) !== false);
  const [first] = candidates;
  const isTie = candidates.some(({ rank, tensor }) => rank === first?.rank && tensor !== first.tensor);
  const embeddings = candidates.map(
    ({ tensor, role, because }): Embedding => ({
      ...factsOf(analysis, tensor),
      numChs: widthOf(vectors, tensor),
      reduction: null,
      layout: null,
      prefixTokens: 0,
      grid: null,
      tensor,
      role,
      because,
    }),
  );
  const isUsable = first !== undefined && !isTie && countsEntries(vectors, first.tensor);
  return { embeddings, embedding: isUsable ? embeddings[0] : null };
}

/** Why none of the candidates is the embedding; null where one is, or there are none. */
export function undecided({ embedding, embeddings }: Pick<Resolution, 'embeddings' | 'embedding'>): string | null {
  if (embedding !== null || embeddings.length === 0) return null;
  const names = embeddings.map(({ tensor, role }) => `'${tensor}' (${role})`).join(', ');
  return embeddings.length === 1
    ? `${names} may be the embedding, but its first axis does not count the entries of the input`
    : `several vectors may be the embedding: ${names}`;
}

/** Each tensor and role once, the likeliest first. */
function ranked(candidates: readonly Candidate[]): readonly Candidate[] {
  const known = new Set<string>();
  return [...candidates]
    .sort((a, b) => a.rank - b.rank)
    .filter(({ tensor, role }) => {
      const key = `${role} ${tensor}`;
      return known.size !== known.add(key).size;
    });
}

function candidatesOf(vectors: Vectors, outputs: readonly string[]): readonly Candidate[] {
  const traces = outputs.map((output) => ({ output, seen: trace(vectors, output, true) }));
  const found: Candidate[] = [];
  const heads: string[] = [];
  for (const { output, seen } of traces) {
    const why = selfEvidence(vectors, output, seen);
    if (why !== null) for (const candidate of itself(vectors, output, why)) found.push(candidate);
    if (seen.compared.length > 0) for (const candidate of compared(vectors, seen.compared)) found.push(candidate);
    else if (seen.layer !== null) heads.push(output);
  }
  const inFront = sharedVector(vectors, heads);
  return [
    ...found,
    ...inFront.map((candidate) => ({ ...candidate, rank: candidate.rank + (found.length > 0 ? 1 : 0) })),
  ];
}

/** Why an output is the embedding itself and not scores; null where it is scores. */
function selfEvidence(
  vectors: Vectors,
  output: string,
  seen: Trace,
): { readonly why: string; readonly rank: number } | null {
  const width = widthOf(vectors, output);
  if (isVector(vectors, output) !== true || seen.decided || (width !== null && width < 2)) return null;
  if (EMBEDDING_NAME.test(output) && !SCORES_NAME.test(output)) return { why: 'the output is named so', rank: 0 };
  if (seen.unit) return { why: 'the output has unit length', rank: 1 };
  if (seen.names.some((name) => SCORES_NAME.test(name)) || width === null || CLASS_COUNTS.has(width)) return null;
  if (seen.layer === null)
    return seen.compared.length > 0 ? null : bareVector(vectors, trace(vectors, output, false), width);
  if (SCORES_NAME.test(seen.layer.node.name) || isFlattenedMap(vectors, output, seen.layer.node.outputs[0]))
    return null;
  if (width >= 64 && width % 32 === 0)
    return { why: `the output has ${width} values, which no class list has by chance`, rank: 1 };
  if (seen.normed && width >= 8 && width % 8 === 0 && (width & (width - 1)) === 0)
    return { why: `a batch norm follows the last layer, and the output has ${width} values`, rank: 1 };
  return null;
}

/** Whether an output is all places of a map in one row, as scores and boxes of a detector are. */
function isFlattenedMap(vectors: Vectors, output: string, made: string): boolean {
  const values = (tensor: string): number | undefined =>
    vectors.shapeOf(tensor)?.reduce<number>((product, dim) => product * (dim ?? NaN), 1);
  return isVector(vectors, made) === false && values(made) === values(output);
}

/** A pooled map or a token that leaves without a layer behind it. */
function bareVector(
  vectors: Vectors,
  { source }: Trace,
  width: number,
): { readonly why: string; readonly rank: number } | null {
  if (isToken(vectors, source)) return { why: 'the output is a token, and no layer follows', rank: 1 };
  const node = vectors.view.producerOf.get(source)?.node;
  if (node === undefined) return null;
  const behind = pooledLayer(vectors, source);
  if (behind !== null && (width < 64 || width % 32 !== 0)) return null;
  const [from] = node.inputs.filter((name) => vectors.data.has(name)).map((name) => vectors.shapeOf(name));
  const isPool = /Pool|^Reduce/.test(node.opType) && (from?.length ?? 0) >= 3;
  return isPool && width >= 8 ? { why: 'the output is the pooled map, and no layer follows', rank: 1 } : null;
}

/** An output as embedding, and as the token that it is. */
function itself(
  vectors: Vectors,
  output: string,
  { why, rank }: { readonly why: string; readonly rank: number },
): readonly Candidate[] {
  const own: Candidate = { tensor: output, role: 'output', because: why, rank };
  return [own, ...tokenRole(vectors, own)];
}

function tokenRole(vectors: Vectors, { tensor, rank }: Candidate): readonly Candidate[] {
  return isToken(vectors, tensor)
    ? [{ tensor, role: 'class-token', because: 'it is one token of the sequence', rank }]
    : [];
}

/** The vectors that a product compares: each where its projection made it, so that its first axis counts entries. */
function compared(vectors: Vectors, operands: readonly string[]): readonly Candidate[] {
  return operands.flatMap((operand): Candidate[] => {
    const { layer } = trace(vectors, operand, false);
    const [tensor] = layer?.node.outputs ?? [];
    if (tensor === undefined) return [];
    return [{ tensor, role: 'projected', because: 'the network compares it with another vector', rank: 1 }];
  });
}

/** What enters the last layer of every head: the nearest vector that all of them share, else each head's own. */
function sharedVector(vectors: Vectors, heads: readonly string[]): readonly Candidate[] {
  const chains = heads.map((head) => chainOf(vectors, head)).filter((chain) => chain.length > 0);
  const [first] = chains;
  if (first === undefined) return [];
  const shared = first.find((tensor) => chains.every((chain) => chain.includes(tensor)));
  const because =
    chains.length > 1 ? `it enters all ${chains.length} heads` : 'it enters the last layer in front of the scores';
  const tops = shared === undefined ? [...new Set(chains.map(([tensor]) => tensor))] : [shared];
  const pooled = tops.map((tensor): Candidate => ({ tensor, role: 'pooled', because, rank: 2 }));
  const token = first.find((tensor) => isToken(vectors, tensor));
  const tokens =
    token === undefined ? [] : tokenRole(vectors, { tensor: token, role: 'class-token', because: '', rank: 3 });
  return [...pooled, ...tokens];
}

/** The vectors that enter the layers of a head, the last layer's first; a low-rank pair of layers is one. */
function chainOf(vectors: Vectors, head: string): readonly string[] {
  const chain: string[] = [];
  let at = head;
  for (let step = 0; step < LONGEST_CHAIN; step++) {
    let seen = trace(vectors, at, step === 0);
    if (seen.layer === null) break;
    const outer = trace(vectors, seen.source, false);
    if (outer.layer !== null && isLowRank(outer.layer, seen.layer)) seen = outer;
    if (isVector(vectors, seen.source) === false || isHiddenLayer(vectors, seen.source)) break;
    chain.push(seen.source);
    if (!countsEntries(vectors, seen.source)) break;
    at = behindActivation(vectors, seen.source);
  }
  return chain;
}

/** Two layers that have fewer weights than the one which they replace. */
function isLowRank(inner: NonNullable<Trace['layer']>, outer: NonNullable<Trace['layer']>): boolean {
  return inner.to * (inner.from + outer.to) < inner.from * outer.to;
}

/** A hidden vector's layer lies behind its activation. */
function behindActivation({ view, data }: Vectors, tensor: string): string {
  const node = view.producerOf.get(tensor)?.node;
  const sources = node?.inputs.filter((name) => data.has(name)) ?? [];
  const ACTIVATIONS = ['Relu', 'Tanh', 'Gelu', 'Elu', 'LeakyRelu', 'PRelu', 'HardSwish', 'Selu', 'Softplus', 'Clip'];
  return node !== undefined && ACTIVATIONS.includes(node.opType) ? (sources[0] ?? tensor) : tensor;
}
