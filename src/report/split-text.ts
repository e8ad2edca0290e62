import { escapeText } from './escape.js';
import { shapeText } from './shapes.js';
import type { SplitReport } from './split-records.js';
import { paint, type TextStyle } from './style.js';
import { isRoomy, renderTable, type Column } from './table.js';
import { bytesText } from './units.js';
import { countText, plural } from '../wire/counted.js';

const PARTS: readonly Column[] = [
  { title: 'part', align: 'right' },
  { title: 'file', least: 12 },
  { title: 'nodes', align: 'right' },
  { title: 'weights', align: 'right' },
  { title: 'size', align: 'right' },
  { title: 'takes', least: 8 },
];

/** What was written, or under `--dry-run` would be: the parts, and what crosses between them. */
export function splitText(report: SplitReport, dryRun: boolean, style: TextStyle): string {
  const { parts, cuts, manifest, shared_weights: shared, weights, imbalance, verified } = report;
  const facts = [
    plural(parts.length, 'part'),
    `weights ${weights}`,
    ...(shared.count === 0 ? [] : [`${plural(shared.count, 'weight')} in several (${bytesText(shared.bytes)})`]),
    ...(imbalance === null ? [] : [`largest ${imbalance.toFixed(2)} of an equal part`]),
    ...(verified === null ? [] : ['verified']),
  ];
  const rows = parts.map(({ file, nodes, weights_bytes, size_bytes, inputs }, index) => [
    String(index + 1),
    escapeText(file),
    countText(nodes),
    bytesText(weights_bytes),
    bytesText(size_bytes),
    inputs.map(({ name }) => escapeText(name)).join(', '),
  ]);
  // Names that are cut short would run into one another.
  const short = isRoomy(PARTS, rows, style)
    ? rows
    : rows.map((row, index) =>
        parts[index].inputs.length < 2 ? row : row.with(-1, plural(parts[index].inputs.length, 'tensor')),
      );
  const crossing = cuts.map(({ at, frontier }, index) => {
    const tensors = frontier.map(
      ({ tensor, shape, bytes }) =>
        `  ${escapeText(tensor)} ${shapeText(shape)}${bytes === null ? '' : `  ${bytesText(bytes)}`}\n`,
    );
    return `\n${index + 1} to ${index + 2}${at === null ? '' : `, at ${escapeText(at)}`}\n${tensors.join('')}`;
  });
  const verb = dryRun ? 'would write' : 'wrote';
  return `${verb} ${paint(style, 'bold', escapeText(manifest))}  ${facts.join(', ')}\n\n${renderTable(PARTS, short, style)}${crossing.join('')}`;
}
