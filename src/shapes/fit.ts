import type { Requirement } from './algebra.js';
import { Evaluation } from './evaluate.js';
import { renumbered, type NominalInputs, type Role } from './nominal.js';

/** Numbers for symbolic dims that the network takes. */

/** What is tried for each kind of dim, in this order. */
const CANDIDATES: { readonly [R in Role]: readonly number[] } = {
  batch: [1, 2, 4, 8],
  channel: [3, 1, 4, 2, 6, 8, 16, 32, 64, 80, 128, 256, 512, 768, 1024],
  side: [224, 256, 384, 512, 192, 320, 299, 640, 160, 128, 112, 96, 80, 64, 48, 32, 28, 16, 1024],
  length: [16, 1, 2, 4, 8, 32, 64, 128, 197, 256, 512, 1024, 2048, 4096, 16_000, 48_000, 160_000],
};
/** Requirements that are looked at; the first are those of the first layers. */
const MOST_REQUIREMENTS = 4_000;
const MOST_CHANGES = 12;
/** Sizes beyond this are not searched. */
const LARGEST = 2 ** 20;

/** Inputs with numbers, and what of the network they do not fit. */
export interface Fit {
  readonly inputs: NominalInputs;
  readonly unmet: readonly Requirement[];
}

/**
 * Changes the numbers that were guessed, and those alone, until what the graph requires of them holds, or nothing that
 * is tried makes it better: sizes of position embeddings, of channels, of windows that must fit.
 */
export function fitted(inputs: NominalInputs, requirements: readonly Requirement[]): Fit {
  const considered = requirements.slice(0, MOST_REQUIREMENTS);
  let symbols = inputs.symbols;
  let unmet = unmetBy(symbols, considered);
  for (let change = 0; change < MOST_CHANGES && unmet.length > 0; change++) {
    const better = improved(inputs, symbols, considered, unmet);
    if (better === null) break;
    ({ symbols, unmet } = better);
  }
  return { inputs: symbols === inputs.symbols ? inputs : renumbered(inputs, symbols), unmet };
}

interface Numbers {
  readonly symbols: ReadonlyMap<string, number>;
  readonly unmet: readonly Requirement[];
}

function unmetBy(symbols: ReadonlyMap<string, number>, requirements: readonly Requirement[]): readonly Requirement[] {
  const evaluation = new Evaluation(symbols);
  return requirements.filter((requirement) => evaluation.holds(requirement) === false);
}

/** The first change that meets a requirement and leaves fewer unmet. */
function improved(
  inputs: NominalInputs,
  symbols: ReadonlyMap<string, number>,
  requirements: readonly Requirement[],
  unmet: readonly Requirement[],
): Numbers | null {
  for (const requirement of unmet.slice(0, 8)) {
    for (const names of changeable(inputs, requirement)) {
      let best: Numbers | null = null;
      for (const number of tried(inputs, names, symbols, requirement)) {
        const changed = new Map([...symbols, ...names.map((name) => [name, number] as const)]);
        if (new Evaluation(changed).holds(requirement) !== true) continue;
        const left = unmetBy(changed, requirements);
        if (left.length < (best?.unmet ?? unmet).length) best = { symbols: changed, unmet: left };
        if (left.length === 0) break;
      }
      if (best !== null) return best;
    }
  }
  return null;
}

/** Symbols that a requirement speaks of and that may be changed: both sides of a picture together, then each alone. */
function changeable({ chosen }: NominalInputs, { size }: Requirement): readonly (readonly string[])[] {
  const names = [...size.leaves].map(({ name }) => name).filter((name) => chosen.has(name));
  const sides = names.filter((name) => chosen.get(name) === 'side');
  const alone = names.filter((name) => chosen.get(name) !== 'batch').map((name) => [name]);
  return sides.length > 1 ? [sides, ...alone] : alone;
}

/** Numbers worth trying: the usual ones, then those that the requirement itself leads to. */
function tried(
  { chosen }: NominalInputs,
  names: readonly string[],
  symbols: ReadonlyMap<string, number>,
  requirement: Requirement,
): readonly number[] {
  const usual = CANDIDATES[chosen.get(names[0]) ?? 'length'];
  const least = leastFor(names, symbols, requirement);
  const near =
    least === null ? [] : [least, least + 1, ...[8, 16, 32, 64].map((unit) => Math.ceil(least / unit) * unit)];
  const exact = requirement.is === 'equal' || requirement.is === 'equal or 1' ? near : [];
  const above = usual.filter((number) => least === null || number >= least);
  return [...new Set([...above, ...exact, ...near])];
}

/** The smallest number that makes a size as large as required, if it grows with it. */
function leastFor(
  names: readonly string[],
  symbols: ReadonlyMap<string, number>,
  { size, number }: Requirement,
): number | null {
  const reaches = (value: number): boolean => {
    const evaluation = new Evaluation(new Map([...symbols, ...names.map((name) => [name, value] as const)]));
    return (evaluation.numberOf(size) ?? 0) >= number;
  };
  if (!reaches(LARGEST)) return null;
  let [low, high] = [0, LARGEST];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (reaches(middle)) high = middle;
    else low = middle;
  }
  return high;
}
