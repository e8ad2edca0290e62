import { escapeText } from './escape.js';
import type { VerifyReport } from './records.js';
import { indexText } from './shapes.js';
import { paint, type TextStyle } from './style.js';
import { renderTable, withoutRepetition, type Column } from './table.js';

const COLUMNS: readonly Column[] = [
  { title: 'output', least: 8, isKey: true },
  { title: 'index', align: 'right' },
  { title: 'bit-equal' },
  { title: 'difference', align: 'right' },
  { title: 'tensor', least: 12, expendable: 1 },
];

/** The verdict, and the table of what was compared. */
export function verifyText({ model, extracted, equal, reason, features }: VerifyReport, style: TextStyle): string {
  const names = [model, extracted].map((name) => escapeText(name ?? 'bytes in memory'));
  const verdict =
    equal === null
      ? `${paint(style, 'yellow', 'not judged')}: ${escapeText(reason ?? '')}`
      : equal
        ? `${paint(style, 'green', 'equal')}: ${names[1]} computes what ${names[0]} computes`
        : `${paint(style, 'red', 'different')}: ${names[1]} does not compute what ${names[0]} computes`;
  const tolerances = [...new Set(features.map(({ tolerance }) => tolerance))].sort((a, b) => a - b);
  const threshold = `equal means: every bit without optimisation; with it, differences of at most ${tolerances.join(' or ')} standard deviations`;
  const why = features.flatMap(({ output, reason: its, equal: own }) =>
    own === null && features.length > 1 ? [`not judged: ${escapeText(output)}: ${escapeText(its ?? '')}`] : [],
  );
  const rows = features.map(({ output, index, group, bit_equal, max_difference, tensor }) => [
    escapeText(output),
    indexText({ index, group }),
    bit_equal ? 'yes' : 'no',
    max_difference === null ? '-' : max_difference.toPrecision(2),
    escapeText(tensor),
  ]);
  return `${[verdict, threshold, ...why].join('\n')}\n\n${renderTable(withoutRepetition(COLUMNS, rows, style), rows, style)}`;
}
