import type { DiffReport, FeatureDistance, FeatureInfoSide, WeightDifference } from '../report/diff-records.js';
import { escapeHtml } from '../report/escape.js';
import { numberText } from '../report/numbers.js';
import { nameOf, pageHtml } from './shell.js';

/** How a page says what became of a weight. */
const STATES: { readonly [S in WeightDifference['state']]: string } = {
  changed: 'other values',
  reshaped: 'other dims or dtype',
  renamed: 'renamed',
  only_a: 'in A only',
  only_b: 'in B only',
};
/** Weights that a page lists. */
const MOST_ROWS = 500;

/** The page of a comparison. */
export function diffPage(report: DiffReport): string {
  const { a, b, nodes, weights, feature_info: info, features, equal, says, warnings } = report;
  const counts = Object.entries(nodes.operators).map(([name, [one, other]]) => [
    escapeHtml(name),
    String(one),
    String(other),
  ]);
  const named = weights.differences
    .slice(0, MOST_ROWS)
    .map(({ name, state, was }) => [
      `<code>${escapeHtml(name)}</code>`,
      STATES[state],
      was === undefined ? '' : `<code>${escapeHtml(was)}</code>`,
    ]);
  const left = weights.differences.length - named.length;
  const body = `<h1>${escapeHtml(nameOf(a ?? 'A'))} and ${escapeHtml(nameOf(b ?? 'B'))}</h1>
${equal ? '<p>The same.</p>' : `<ul>${says.map((words) => `<li>${escapeHtml(words)}</li>`).join('')}</ul>`}
${warnings.length === 0 ? '' : `<ul class="warning">${warnings.map((warning) => `<li>${escapeHtml(warning)}</li>`).join('')}</ul>`}
${features === null ? '' : `<h2>Features, over ${report.entries} ${report.entries === 1 ? 'entry' : 'entries'}</h2>\n${featuresHtml(features)}`}
<h2>FeatureInfo</h2>
${tableHtml(
  ['index', 'A', 'B', ''],
  info.map(({ index, a: one, b: other, equal: same }) => [
    String(index),
    sideHtml(one),
    sideHtml(other),
    same ? 'equal' : '<strong>differs</strong>',
  ]),
)}
<h2>Nodes</h2>
<p>${nodes.a} and ${nodes.b}; ${nodes.only_a.length} tensors are made in A only, ${nodes.only_b.length} in B only.</p>
${counts.length === 0 ? '' : tableHtml(['operator', 'A', 'B'], counts, [1, 2])}
<h2>Weights</h2>
<p>${weights.a} and ${weights.b}, ${weights.equal} of one name and the same values.</p>
${named.length === 0 ? '' : tableHtml(['weight', '', 'was'], named)}
${left > 0 ? `<p class="soft">and ${left} more</p>` : ''}
`;
  return pageHtml({ title: `${nameOf(a ?? 'A')} and ${nameOf(b ?? 'B')}`, body });
}

const BAR = 100;

function featuresHtml(features: readonly FeatureDistance[]): string {
  const rows = features.map(({ a, b, cosine, cka, relative_error: error, largest_difference: largest, reason }) => {
    const share = Math.max(0, Math.min(1, cka ?? cosine ?? 0));
    const bar = `<svg class="pyramid" width="${BAR}" height="10" role="img" aria-label="${share.toFixed(3)}"><rect width="${(share * BAR).toFixed(1)}" height="10" rx="2"/></svg>`;
    const name = a === b ? escapeHtml(a) : `${escapeHtml(a)} / ${escapeHtml(b)}`;
    const numbers = [cosine, cka, error, largest].map((value) => (value === null ? '' : numberText(value)));
    return [`<strong>${name}</strong>`, ...numbers, bar, reason === undefined ? '' : escapeHtml(reason)];
  });
  return tableHtml(['feature', 'cosine', 'CKA', 'relative error', 'largest difference', '', ''], rows, [1, 2, 3, 4]);
}

function sideHtml(side: FeatureInfoSide | null): string {
  if (side === null) return '';
  const { module, tensor, num_chs: channels, reduction } = side;
  return `${escapeHtml(module ?? tensor ?? '?')} <small>${channels ?? '?'} channels, stride ${reduction ?? '?'}</small>`;
}

function tableHtml(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  numbers: readonly number[] = [],
): string {
  const line = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell, at) => `<${tag}${numbers.includes(at) ? ' class="number"' : ''}>${cell}</${tag}>`).join('')}</tr>`;
  return `<div class="wide"><table><thead>${line(titles, 'th')}</thead><tbody>${rows.map((row) => line(row, 'td')).join('\n')}</tbody></table></div>`;
}
