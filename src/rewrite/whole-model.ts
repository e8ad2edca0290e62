import { PLANNING } from '../options/cutting.js';
import { mapOf, type ByName } from '../options/by-name.js';
import { SELECTING } from '../options/selecting.js';
import { STEPPING } from '../options/steps.js';

/** Whether an option says which features are meant, or what becomes of them. */
function isOfFeatures(key: string): boolean {
  return key !== 'inputShapes' && Object.hasOwn({ ...SELECTING, ...PLANNING, ...STEPPING, pixels: null }, key);
}

/** What is said of sizes. */
interface AskedOfSizes {
  readonly from?: readonly unknown[];
  readonly dims?: ByName<number>;
  readonly renameDims?: ByName<string>;
  readonly freeBatch?: boolean | string;
}

/** Whether sizes are all that is asked for: then the whole model is to have them, and no feature is cut out of it. */
export function rewritesWhole(options: AskedOfSizes): boolean {
  const { from = [], dims = {}, renameDims = {}, freeBatch = false } = options;
  const isSized = mapOf(dims).size > 0 || mapOf(renameDims).size > 0 || freeBatch !== false;
  return (
    isSized && from.length === 0 && !Object.entries(options).some(([key, value]) => isOfFeatures(key) && isGiven(value))
  );
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
}
