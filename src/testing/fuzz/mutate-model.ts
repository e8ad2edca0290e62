import { mutateBytes } from './mutate-bytes.js';
import { mutatePieces } from './mutate-tree.js';
import type { Random } from './random.js';
import { pickSeed, type Corpus } from './seeds.js';
import { contentOf } from './tree.js';

/** A message of the corpus with a few changes: of its tree, of its bytes, or both. */
export function mutatedMessage(corpus: Corpus, random: Random): Uint8Array {
  const seed = pickSeed(corpus, random);
  const way = random.below(8);
  let { bytes } = seed;
  if (way < 6) {
    let { pieces } = seed;
    for (let count = 1 + random.below(4); count > 0; count--) pieces = mutatePieces(pieces, corpus.type, random, seed.donors);
    bytes = contentOf(pieces);
  }
  if (way > 4) {
    const donor = pickSeed(corpus, random).bytes;
    for (let count = 1 + random.below(3); count > 0; count--) bytes = mutateBytes(bytes, random, donor);
  }
  return bytes;
}
