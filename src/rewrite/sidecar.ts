import { encodeExternal } from '../onnx/encode.js';
import type { OpenedTensor } from '../onnx/external-data.js';
import type { Tensor } from '../onnx/records.js';
import { coalesced, type Piece } from '../wire/pieces.js';
import type { ByteSource } from '../wire/source.js';
import type { TensorContents } from './splice.js';

/** Tensors with where their values are. */
export type OpenedTensors = ReadonlyMap<Tensor, OpenedTensor>;

/** Bytes of a fresh sidecar and where each tensor stands in it. */
export interface SidecarPlan {
  readonly pieces: readonly Piece[];
  /** New TensorProtos, once the name of the sidecar is known: it carries the hash of its content. */
  contents(location: string): TensorContents;
}

/**
 * Lays tensors out one after the other; bytes that several tensors share are written once.
 * @param others what is written of tensors that do not go there
 */
export function planSidecar(
  moved: OpenedTensors,
  others: TensorContents,
  { align, warn }: { readonly align: number; readonly warn: (message: string) => void },
): SidecarPlan {
  const runs = blockRuns([...moved.values()]);
  if (runs.some(({ isMixed }) => isMixed))
    warn('external data of several tensors overlap in part; the bytes they share are written once');
  const pieces: Piece[] = [];
  let at = 0;
  for (const run of runs) {
    run.offset = Math.ceil(at / align) * align;
    pieces.push(new Uint8Array(run.offset - at), { start: run.start, end: run.end, from: run.source });
    at = run.offset + run.end - run.start;
  }
  const runOf = new Map(runs.flatMap((run) => run.members.map((member) => [member, run] as const)));
  const places = new Map<Tensor, { readonly offset: number; readonly length: number }>();
  for (const [tensor, opened] of moved) {
    const run = runOf.get(opened);
    if (run !== undefined)
      places.set(tensor, {
        offset: run.offset + opened.range.start - run.start,
        length: opened.range.end - opened.range.start,
      });
  }
  const contents = (location: string): TensorContents => {
    const all = new Map(others);
    const encoded = new Map<string, Uint8Array>();
    for (const [tensor, { offset, length }] of places) {
      const key = `${offset} ${length}`;
      const entries = encoded.get(key) ?? encodeExternal({ location, offset, length });
      encoded.set(key, entries);
      all.set(tensor, [...tensor.header, entries]);
    }
    return all;
  };
  return { pieces: coalesced(pieces), contents };
}

/** Bytes of one source that one or several tensors use. */
interface BlockRun {
  readonly source: ByteSource;
  readonly start: number;
  end: number;
  /** In the sidecar. */
  offset: number;
  /** Place of its first tensor in the model. */
  first: number;
  /** Whether its tensors overlap without being the same. */
  isMixed: boolean;
  readonly members: OpenedTensor[];
}

/**
 * In the order of the tensors, those that overlap together: many tensors over one large range cannot make a file larger
 * than that range.
 */
function blockRuns(opened: readonly OpenedTensor[]): readonly BlockRun[] {
  const bySource = new Map<ByteSource, { readonly tensor: OpenedTensor; readonly index: number }[]>();
  opened.forEach((tensor, index) => {
    const known = bySource.get(tensor.source);
    if (known === undefined) bySource.set(tensor.source, [{ tensor, index }]);
    else known.push({ tensor, index });
  });
  const runs: BlockRun[] = [];
  for (const [source, tensors] of bySource) {
    let run: BlockRun | undefined;
    for (const { tensor, index } of tensors.sort((a, b) => a.tensor.range.start - b.tensor.range.start)) {
      const { start, end } = tensor.range;
      if (run === undefined || start >= run.end) {
        runs.push((run = { source, start, end, offset: 0, first: index, isMixed: false, members: [tensor] }));
        continue;
      }
      run.isMixed ||= start !== run.start || end !== run.end;
      run.end = Math.max(run.end, end);
      run.first = Math.min(run.first, index);
      run.members.push(tensor);
    }
  }
  return runs.sort((a, b) => a.first - b.first);
}
