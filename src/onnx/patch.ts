import type { ByteRange, Field } from '../wire/fields.js';
import { wrap } from '../wire/encode.js';
import type { Piece } from '../wire/pieces.js';

/** Bytes of a message to replace; an empty range inserts. */
export interface Patch extends ByteRange {
  /** The length-delimited fields around the range, outermost first. */
  readonly enclosing: readonly Field[];
  readonly pieces: readonly Piece[];
}

/** The payload of `message` with patches inside it, at any depth; the lengths of the fields around them follow. */
export function patched(message: Field, patches: readonly Patch[]): Piece[] {
  const pieces: Piece[] = [];
  let at = message.payload;
  const copyUntil = (end: number): void => {
    if (end > at) pieces.push({ start: at, end });
    at = Math.max(at, end);
  };
  const inside = new Map<number, Patch[]>();
  const steps: { readonly start: number; readonly end: number; readonly make: () => readonly Piece[] }[] = [];
  for (const patch of patches) {
    const child = patch.enclosing[patch.enclosing.findIndex(({ start }) => start === message.start) + 1];
    if (child === undefined) {
      steps.push({ start: patch.start, end: patch.end, make: () => patch.pieces });
      continue;
    }
    const known = inside.get(child.start);
    if (known !== undefined) known.push(patch);
    else {
      const list = [patch];
      inside.set(child.start, list);
      steps.push({ start: child.start, end: child.end, make: () => wrap(child.number, patched(child, list)) });
    }
  }
  for (const { start, end, make } of steps.sort((a, b) => a.start - b.start || a.end - b.end)) {
    copyUntil(start);
    for (const piece of make()) pieces.push(piece);
    at = Math.max(at, end);
  }
  copyUntil(message.end);
  return pieces;
}
