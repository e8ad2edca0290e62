import { mutateBytes } from './mutate-bytes.js';
import { mutatePieces } from './mutate-tree.js';
import type { Random } from './random.js';
import { pickSeed, type Corpus } from './seeds.js';
import { contentOf } from './tree.js';

/**
 * A message of the corpus with a few changes: of its tree, of its bytes, or both. `gently`: of its bytes once in a
 * while only, since what is no message shows little.
 */
export function mutatedMessage(corpus: Corpus, random: Random, gently = false): Uint8Array {
  const seed = pickSeed(corpus, random);
  const way = gently && !random.once(8) ? 0 : random.below(8);
  let { bytes } = seed;
  if (way < 6) {
    let { pieces } = seed;
    for (let count = 1 + random.below(gently ? 3 : 4); count > 0; count--)
      pieces = mutatePieces(pieces, corpus.type, random, seed.donors);
    bytes = contentOf(pieces);
  }
  if (way > 4) {
    const donor = pickSeed(corpus, random).bytes;
    for (let count = 1 + random.below(3); count > 0; count--) bytes = mutateBytes(bytes, random, donor);
  }
  return bytes;
}
