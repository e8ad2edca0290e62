import type { DiffReport } from './diff-records.js';
import { numberText } from './numbers.js';
import { plural } from '../wire/counted.js';

/** Relative error that rounding does not reach. */
export const ROUNDING = 1e-4;

/** What two models have in common and what not, in words: of weights, of the graph, of FeatureInfo, of features. */
export function diffWords(
  report: Pick<DiffReport, 'nodes' | 'weights' | 'feature_info' | 'features' | 'parts_at'>,
): readonly string[] {
  return [
    weightsWords(report.weights),
    graphWords(report.nodes),
    infoWords(report.feature_info),
    featuresWords(report),
  ].flatMap((words) => words ?? []);
}

function weightsWords({ differences, equal }: DiffReport['weights']): string {
  const count = (state: string): number => differences.filter((each) => each.state === state).length;
  const [changed, renamed] = [count('changed'), count('renamed')];
  const others = differences.length - changed - renamed;
  if (differences.length === 0) return 'the same weights';
  if (others === 0 && changed === 0) return `the same weights, ${renamed} of them under other names`;
  const errors = differences.flatMap(({ state, relative_error: error }) =>
    state === 'changed' ? [error ?? null] : [],
  );
  const largest = errors.reduce<number | null>(
    (most, error) => (most === null || error === null ? null : Math.max(most, error)),
    0,
  );
  if (others === 0 && largest !== null && largest <= ROUNDING)
    return `the same weights but for rounding: ${changed} of ${equal + differences.length} differ, by ${numberText(largest)} of their length at most`;
  const parts = [
    ...(changed === 0 ? [] : [`${changed} with other values`]),
    ...(renamed === 0 ? [] : [`${renamed} renamed`]),
    ...(others === 0 ? [] : [`${others} in one model only or of another shape`]),
  ];
  return `other weights: ${equal} equal, ${parts.join(', ')}`;
}

function graphWords({ same_graph: isSame, operators, only_a: a, only_b: b }: DiffReport['nodes']): string {
  const named = a.length + b.length > 0;
  if (isSame) return named ? 'the same graph under other names of tensors' : 'the same graph';
  if (Object.keys(operators).length > 0) return 'another graph: other operators, or not as many';
  return 'another graph: the same operators with other attributes, connections or another order';
}

function infoWords(info: DiffReport['feature_info']): string | null {
  const others = info.filter(({ equal }) => !equal).map(({ index }) => index);
  if (others.length === 0) return null;
  return `another FeatureInfo at ${others.length === 1 ? 'index' : 'indices'} ${others.join(', ')}`;
}

function featuresWords({ features, parts_at: parting }: Pick<DiffReport, 'features' | 'parts_at'>): string | null {
  if (features === null) return null;
  if (parting !== null) return `features part at ${parting}`;
  const largest = Math.max(0, ...features.map(({ largest_difference: difference }) => difference ?? 0));
  const which = plural(features.length, 'feature');
  return largest === 0
    ? `${which} equal bit for bit`
    : `${which} equal but for rounding: the largest difference is ${numberText(largest)}`;
}
