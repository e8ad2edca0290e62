import type { ByteSource } from '../wire/source.js';
import { node } from './model-spec.js';
import { nodeMessage } from './model-builder.js';
import { bytes, int, join, message, tag, varint } from './wire-writer.js';

/** Bytes that stand at a place of a file; between them it is what `noise` says. */
interface Part {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** A long file that is never held as a whole: parts, and bytes between them that differ from place to place. */
export class NoisySource implements ByteSource {
  constructor(
    readonly size: number,
    private readonly parts: readonly Part[],
    /** Of the bytes between the parts; null: zeros. */
    private readonly seed: number | null = 1,
  ) {}

  async read(start: number, end: number): Promise<Uint8Array> {
    const result = new Uint8Array(end - start);
    const { seed } = this;
    if (seed !== null)
      for (let at = 0; at < result.length; at++) result[at] = (((start + at) * 2654435761 + seed) >>> 16) & 0xff;
    for (const part of this.parts) {
      const from = Math.max(start, part.at);
      const until = Math.min(end, part.at + part.bytes.length);
      if (from < until) result.set(part.bytes.subarray(from - part.at, until - part.at), from - start);
    }
    return result;
  }
}

/** One weight: its name and its dims. */
type Weight = readonly [name: string, ...dims: readonly number[]];

/** A network of blocks as a transformer has them: two large matrices and small vectors in each. */
export function farModel(blocks: number, width: number, seed?: number): NoisySource {
  const weights: Weight[] = [];
  const nodes = Array.from({ length: blocks }, (_, block) => {
    const [up, down, scale, shift] = ['up', 'down', 'scale', 'shift'].map((name) => `blocks.${block}.${name}.weight`);
    weights.push([up, width, 2 * width], [down, 2 * width, width], [scale, width], [shift, width]);
    const at = (name: string): string => `/blocks.${block}/${name}_output_0`;
    const from = block === 0 ? 'x' : `/blocks.${block - 1}/Add_output_0`;
    return [
      node('MatMul', [from, up], [at('MatMul')]),
      node('MatMul', [at('MatMul'), down], [at('MatMul_1')]),
      node('Mul', [at('MatMul_1'), scale], [at('Mul')]),
      node('Add', [at('Mul'), shift], [at('Add')]),
    ];
  }).flat();
  return laidOut(nodes, weights, width, seed);
}

function laidOut(
  nodes: readonly ReturnType<typeof node>[],
  weights: readonly Weight[],
  width: number,
  seed?: number | null,
): NoisySource {
  const value = (name: string): Uint8Array =>
    message([
      bytes(1, name),
      bytes(
        2,
        message([
          bytes(1, message([int(1, 1), bytes(2, message([1, width].map((dim) => bytes(1, message([int(1, dim)])))))])),
        ]),
      ),
    ]);
  const tensors = weights.map(([name, ...dims]) => {
    const size = 4 * dims.reduce((product, dim) => product * dim, 1);
    // As PyTorch writes them: dims, data_type, name, raw_data.
    const before = join(
      message([...dims.map((dim) => int(1, dim)), int(2, 1), bytes(8, name)]),
      tag(9, 2),
      varint(size),
    );
    return { open: join(tag(5, 2), varint(before.length + size), before), size };
  });
  const head = message(nodes.map((each) => bytes(1, nodeMessage(each))));
  const last = nodes.at(-1)?.outputs?.[0] ?? 'x';
  const tail = message([bytes(11, value('x')), bytes(12, value(String(last)))]);
  const length = head.length + tail.length + tensors.reduce((sum, { open, size }) => sum + open.length + size, 0);
  const parts: Part[] = [];
  let pending = join(int(1, 8).bytes, tag(7, 2), varint(length), head);
  let at = 0;
  for (const { open, size } of tensors) {
    const part = join(pending, open);
    parts.push({ at, bytes: part });
    at += part.length + size;
    pending = new Uint8Array(0);
  }
  const end = join(tail, bytes(8, message([int(2, 17)])).bytes);
  parts.push({ at, bytes: end });
  return new NoisySource(at + end.length, parts, seed);
}

/** `sizes.length` matrices one behind the other, each of `sizes` numbers, which are zeros. */
export function farChain(sizes: readonly number[]): NoisySource {
  const name = (at: number): string => `blocks.${at}.weight`;
  const nodes = sizes.map((_, at) => node('MatMul', [at === 0 ? 'x' : `h${at}`, name(at)], [`h${at + 1}`]));
  return laidOut(
    nodes,
    sizes.map((size, at) => [name(at), size]),
    1,
    null,
  );
}
