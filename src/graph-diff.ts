import { createHash } from 'node:crypto';
import { openExternal, type SidecarFiles } from './onnx/external-data.js';
import type { OnnxModel, Tensor } from './onnx/records.js';
import { plainValues } from './onnx/tensor-data.js';
import type { CheckedModel } from './prepare.js';
import type { DiffReport, WeightDifference } from './report/diff-records.js';
import { chunksOf, fetchBorrowed, type BorrowedPiece } from './wire/pieces.js';

/** Names of tensors that only one model has which a record lists. */
const MOST_NAMES = 100;

/** Which operators and which tensors two main graphs have that the other has not. */
export function nodesDiff(a: OnnxModel, b: OnnxModel): DiffReport['nodes'] {
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

/** Which initializers of two main graphs hold the same values, by digest. @throws what reading weights throws */
export async function weightsDiff(a: CheckedModel, b: CheckedModel): Promise<DiffReport['weights']> {
  const [mine, yours] = [await digestsOf(a), await digestsOf(b)];
  const byDigest = new Map([...mine].map(([name, { digest }]) => [digest, name]));
  const taken = new Set<string>();
  const differences: WeightDifference[] = [];
  let equal = 0;
  for (const [name, { digest, type }] of yours) {
    const own = mine.get(name);
    const was = byDigest.get(digest);
    if (own !== undefined) {
      taken.add(name);
      if (own.digest === digest) equal++;
      else differences.push({ name, state: own.type === type ? 'changed' : 'reshaped' });
    } else if (was !== undefined && !yours.has(was)) {
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
}

async function digestsOf({ model, files, warn }: CheckedModel): Promise<ReadonlyMap<string, Weight>> {
  const digests = new Map<string, Weight>();
  for (const tensor of model.graph.initializers) {
    const type = `${tensor.dataType}[${tensor.dims.join(',')}]`;
    const hash = createHash('sha256').update(type);
    for (const piece of await valuesOf(tensor, files, warn)) {
      await fetchBorrowed(model.source, [piece]);
      for await (const chunk of chunksOf(piece, model.source)) hash.update(chunk);
    }
    digests.set(tensor.name, { digest: hash.digest('hex'), type });
  }
  return digests;
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
