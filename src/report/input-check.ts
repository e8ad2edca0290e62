import type { InputCheckRecord } from './page-records.js';

/** A share of channels more than with another normalisation that says that this one is wrong. */
const SUSPICIOUS = 1.25;

/** What a check of normalisations comes to. */
export interface InputVerdict {
  readonly text: string;
  /** Said beside everything else if the one that was used is likely to be wrong. */
  readonly warning: string | null;
}

/** Whether another normalisation suits a network better than the one that was used, by channels that are silent. */
export function inputVerdict(check: readonly InputCheckRecord[]): InputVerdict {
  const fine = (text: string): InputVerdict => ({ text, warning: null });
  if (check.length === 0) return fine('nothing to compare: no picture was prepared for a feature');
  if (check.every(({ silent_channels: silent }) => silent === null))
    return fine('nothing to compare: the last feature is one vector, of which no channel can be called silent');
  const used = check.find(({ is_used: isUsed }) => isUsed);
  const best = check.reduce((least, each) => (silentIn(each) < silentIn(least) ? each : least));
  if (used === undefined)
    return fine(`what was used is none of these; ${best.name} leaves the fewest channels silent (${silentIn(best)})`);
  if (silentIn(used) <= SUSPICIOUS * silentIn(best) + 1)
    return fine(`nothing speaks against ${used.name}: no other leaves clearly fewer channels silent`);
  return {
    text: `values from ${best.name} suit the network better than ${used.name}`,
    warning: `${silentIn(used)} channels of the last feature are silent, and ${silentIn(best)} with values from ${best.name}: the input may be prepared in another way than the network was trained with`,
  };
}

function silentIn({ silent_channels: silent }: InputCheckRecord): number {
  return silent ?? Infinity;
}
