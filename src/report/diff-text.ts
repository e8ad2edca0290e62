import type { DiffReport } from './diff-records.js';
import { escapeText } from './escape.js';
import { numberText } from './numbers.js';
import type { TextStyle } from './style.js';
import { renderTable } from './table.js';
import { plural } from '../wire/counted.js';

/** Weights and operators that are named in text. */
const MOST_NAMED = 8;

/** What differs, for people. */
export function diffText(report: DiffReport, style: TextStyle): string {
  const { nodes, weights, feature_info: info, features, output, equal } = report;
  const lines: string[] = [];
  const operators = Object.entries(nodes.operators).map(([name, [a, b]]) => `${escapeText(name)} ${a}/${b}`);
  lines.push(`nodes    ${nodes.a}/${nodes.b}${operators.length === 0 ? '' : `: ${listed(operators)}`}`);
  const states = new Map<string, number>();
  for (const { state } of weights.differences) states.set(state, (states.get(state) ?? 0) + 1);
  const counted = [...states].map(([state, count]) => `${count} ${state.replace('_', ' ')}`);
  lines.push(`weights  ${weights.a}/${weights.b}: ${[`${weights.equal} equal`, ...counted].join(', ')}`);
  const changed = weights.differences.map(({ name }) => escapeText(name));
  if (changed.length > 0) lines.push(`         ${listed(changed)}`);
  const differing = info.filter(({ equal: same }) => !same);
  lines.push(`features ${plural(info.length, 'index')}, ${differing.length} with another module, channels or stride`);
  const table =
    features === null
      ? ''
      : renderTable(
          [
            { title: 'feature' },
            { title: 'cosine', align: 'right' },
            { title: 'CKA', align: 'right' },
            { title: 'relative error', align: 'right' },
            { title: 'largest difference', align: 'right' },
          ],
          features.map(({ a, cosine, cka, relative_error: error, largest_difference: largest }) => [
            escapeText(a),
            ...[cosine, cka, error, largest].map((value) => (value === null ? '-' : numberText(value))),
          ]),
          style,
        );
  const reasons = new Map<string, string[]>();
  for (const { a, reason } of features ?? [])
    if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), escapeText(a)]);
  const why = [...reasons].map(([reason, names]) => `${names.join(', ')}: ${escapeText(reason)}\n`).join('');
  const end = equal ? 'the same' : report.says.map(escapeText).join('; ');
  return `${lines.join('\n')}\n${table}${why}${end}${output === null ? '' : `\nwrote ${escapeText(output)}`}\n`;
}

function listed(names: readonly string[]): string {
  return names.length <= MOST_NAMED
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more`;
}
