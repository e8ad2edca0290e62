import { checkGraph, newGraphTally } from '../shapes/graph-check.js';
import { checkCuts, newCutTally } from './cut-check.js';
import { checkEnds, newEndsTally } from './ends-check.js';

/**
 * A child of a campaign: `shapes`, `cuts` or `ends`, then the first and the last seed. It says which seed it begins and
 * what came of it, for ONNX Runtime's kernels may end the process.
 */
const [, , kind, first, last] = process.argv;

const look = {
  shapes: looking(checkGraph, newGraphTally),
  cuts: looking(checkCuts, newCutTally),
  ends: looking(checkEnds, newEndsTally),
}[kind];
if (look === undefined) throw new Error(`no campaign is called ${kind}`);
for (let seed = Number(first); seed <= Number(last); seed++) {
  await said({ begun: seed });
  await said({ done: seed, tally: await look(seed) });
}
process.disconnect();

function looking<T extends object>(
  check: (seed: number, tally: T) => Promise<void>,
  fresh: () => T,
): (seed: number) => Promise<T> {
  return async (seed) => {
    const tally = fresh();
    await check(seed, tally);
    return tally;
  };
}

/** Waits until the message has left: what is said before a crash must arrive. */
function said(message: object): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}
