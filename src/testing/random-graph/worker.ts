import { checkGraph, newGraphTally } from '../shapes/graph-check.js';
import { checkCuts, newCutTally } from './cut-check.js';

/**
 * A child of a campaign: `shapes` or `cuts`, then the first and the last seed. It says which seed it begins and what
 * came of it, for ONNX Runtime's kernels may end the process.
 */
const [, , kind, first, last] = process.argv;

for (let seed = Number(first); seed <= Number(last); seed++) {
  await said({ begun: seed });
  const tally = kind === 'cuts' ? newCutTally() : newGraphTally();
  await (kind === 'cuts'
    ? checkCuts(seed, tally as ReturnType<typeof newCutTally>)
    : checkGraph(seed, tally as ReturnType<typeof newGraphTally>));
  await said({ done: seed, tally });
}
process.disconnect();

/** Waits until the message has left: what is said before a crash must arrive. */
function said(message: object): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}
