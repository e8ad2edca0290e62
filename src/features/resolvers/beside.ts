import type { Node } from '../../onnx/records.js';
import type { Analysis } from '../analysis.js';
import { nodeAt, nodeIf } from '../flow.js';
import type { Link } from '../chain.js';
import type { Level } from './levels.js';

/**
 * The running sum of a network of two paths (DPN), where a level ends in a Concat of it with the dense path; null
 * elsewhere.
 */
export function sumBesideDense({ flow, geometry }: Analysis, links: readonly Link[], level: Level): Link | null {
  let at = level.last;
  while (at > level.first && (links[at].kind === 'act' || links[at].kind === 'norm')) at--;
  const makerOf = (name: string): Node | undefined => nodeIf(flow, flow.position.get(name));
  const end = makerOf(links[at].tensor);
  if (links[at].kind !== 'concat' || end?.opType !== 'Concat') return null;
  const sums = end.inputs.filter((name) => makerOf(name)?.opType === 'Add');
  const [tensor] = sums;
  const runs = tensor !== undefined && makerOf(tensor)?.inputs.some((name) => makerOf(name)?.opType === 'Add') === true;
  const place = geometry.get(tensor);
  if (sums.length !== 1 || !runs || place === undefined) return null;
  const made = flow.position.get(tensor) ?? 0;
  return { ...links[at], tensor, place, end: Math.min(links[at].end, made + 1) };
}

/** The map that tokens become where the prefix tokens are split off and go on beside it (PiT), or null. */
export function mapBesideToken({ flow, geometry }: Analysis, link: Link): Link | null {
  if (link.place.prefix === 0) return null;
  for (const reader of flow.readers.get(link.tensor) ?? []) {
    const isRest = nodeAt(flow, reader).opType === 'Slice' || nodeAt(flow, reader).opType === 'Split';
    for (const output of isRest ? nodeAt(flow, reader).outputs : []) {
      let tensor: string | undefined = output;
      for (let at = reader; tensor !== undefined; ) {
        const place = geometry.get(tensor);
        if (place === undefined || place.pooled || place.prefix > 0 || place.stride !== link.stride) break;
        if (place.axes?.join('') === 'NCHW') return { ...link, tensor, place, start: at, end: at + 1 };
        const readers: readonly number[] = flow.readers.get(tensor) ?? [];
        at = readers.length === 1 ? readers[0] : -1;
        tensor =
          at >= 0 && ['Reshape', 'Transpose'].includes(nodeAt(flow, at).opType)
            ? nodeAt(flow, at).outputs[0]
            : undefined;
      }
    }
  }
  return null;
}
