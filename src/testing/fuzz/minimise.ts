import type { MessageType } from './schema.js';
import { branch, contentOf, joined, piecesOf, type Piece } from './tree.js';

export interface Budget {
  readonly attempts: number;
  readonly milliseconds: number;
}

/** Whether an input still gives the same finding. */
export type StillFound = (bytes: Uint8Array) => Promise<boolean>;

/**
 * A smaller input with the same finding: fields are left out, then runs of bytes, then bytes become zero. The prefix
 * stays.
 */
export async function minimise(
  bytes: Uint8Array,
  shape: { readonly prefix: number; readonly type: MessageType | null },
  stillFound: StillFound,
  budget: Budget,
): Promise<Uint8Array> {
  const until = performance.now() + budget.milliseconds;
  let attempts = 0;
  const prefix = bytes.slice(0, shape.prefix);
  let best: Uint8Array = bytes.slice(shape.prefix);
  const take = async (candidate: Uint8Array): Promise<boolean> => {
    if (candidate.length > best.length || attempts >= budget.attempts || performance.now() > until) return false;
    attempts++;
    if (!(await stillFound(joined([prefix, candidate])))) return false;
    best = candidate;
    return true;
  };
  for (let size = Infinity; best.length < size; ) {
    size = best.length;
    if (shape.type !== null) await withoutFields(() => best, shape.type, take);
    await withoutRuns(() => best, take);
  }
  await withZeros(() => best, take);
  return joined([prefix, best]);
}

type Take = (candidate: Uint8Array) => Promise<boolean>;

/** Leaves out fields, at every depth, the outermost first. */
async function withoutFields(current: () => Uint8Array, type: MessageType, take: Take): Promise<void> {
  for (let path: number[] | null = [0]; path !== null; ) {
    const pieces = piecesOf(current(), type);
    if (pieces === null) return;
    const without = changedAt(pieces, path, () => []);
    if (without !== null && (await take(contentOf(without)))) continue;
    path = nextPath(pieces, path);
  }
}

/** The pieces with the one at a path replaced; null where there is none. */
function changedAt(
  pieces: readonly Piece[],
  [at, ...rest]: readonly number[],
  change: (piece: Piece) => readonly Piece[],
): readonly Piece[] | null {
  const piece: Piece | undefined = pieces[at];
  if (piece === undefined) return null;
  if (rest.length === 0) return [...pieces.slice(0, at), ...change(piece), ...pieces.slice(at + 1)];
  const inner = piece.children === null ? null : changedAt(piece.children, rest, change);
  return inner === null
    ? null
    : [...pieces.slice(0, at), branch(piece.number, piece.type, inner), ...pieces.slice(at + 1)];
}

/** The next field in document order: inside, behind, or behind what is around it. */
function nextPath(pieces: readonly Piece[], path: readonly number[]): number[] | null {
  const levels: (readonly Piece[])[] = [pieces];
  for (const at of path) levels.push(levels[levels.length - 1][at]?.children ?? []);
  if (levels[path.length].length > 0) return [...path, 0];
  for (let depth = path.length - 1; depth >= 0; depth--) {
    if (path[depth] + 1 < levels[depth].length) return [...path.slice(0, depth), path[depth] + 1];
  }
  return null;
}

async function withoutRuns(current: () => Uint8Array, take: Take): Promise<void> {
  for (let length = Math.ceil(current().length / 2); length >= 1; length = length === 1 ? 0 : Math.ceil(length / 2)) {
    for (let at = 0; at < current().length; ) {
      const bytes = current();
      if (!(await take(joined([bytes.subarray(0, at), bytes.subarray(at + length)])))) at += length;
    }
  }
}

async function withZeros(current: () => Uint8Array, take: Take): Promise<void> {
  for (let at = 0; at < current().length; at++) {
    const bytes = current();
    if (bytes[at] === 0) continue;
    const copy = bytes.slice();
    copy[at] = 0;
    await take(copy);
  }
}
