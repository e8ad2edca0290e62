import { escapeText } from './escape.js';
import type { ExtractReport } from './records.js';
import { indexText, shapeText, strideText } from './shapes.js';
import { FULL_DIMS, legendText, shortDims, type ShortDims } from './short-dims.js';
import { paint, type TextStyle } from './style.js';
import { isRoomy, renderTable, withoutRepetition, type Column } from './table.js';
import { bytesText } from './units.js';
import { countText, plural } from '../wire/counted.js';
import { wrapped } from './width.js';

const COLUMNS: readonly Column[] = [
  { title: 'output', least: 8, isKey: true },
  { title: 'index', align: 'right' },
  { title: 'module', least: 8, isFirm: true, expendable: 1 },
  { title: 'channels', align: 'right' },
  { title: 'stride', align: 'right' },
  { title: 'shape', least: 12, isFirm: true },
  { title: 'tensor', least: 12, expendable: 2 },
];

/** What was written, or under `--dry-run` would be, and the table of its feature outputs. */
export function extractText(report: ExtractReport, dryRun: boolean, style: TextStyle): string {
  const { output, features, kept, dropped, mode, weights, size_bytes, verified } = report;
  const facts = [
    bytesText(size_bytes),
    features.length === 0 && report.from === undefined ? 'the whole model' : `mode ${mode}`,
    `weights ${weights}`,
    part(kept.nodes, dropped.nodes, 'node'),
    part(kept.initializers, dropped.initializers, 'initializer'),
    `${bytesText(kept.weights_bytes)} of ${bytesText(kept.weights_bytes + dropped.weights_bytes)} of weights`,
  ];
  if (verified !== null) facts.push(verified ? 'verified' : 'NOT verified');
  const begins = (report.from ?? []).map(
    ({ name, tensor, input, shape }) =>
      `from ${escapeText(input)} ${shapeText(shape)}${name === tensor ? '' : `  (${escapeText(name)})`}\n`,
  );
  const outputs = features.length > 0 ? '' : `to ${(report.outputs ?? []).map(escapeText).join(', ')}\n`;
  const verb = dryRun ? 'would write' : 'wrote';
  const asTheyAre = rowsOf(features, FULL_DIMS);
  const dims = isRoomy(COLUMNS, asTheyAre, style) ? FULL_DIMS : shortDims(features.map(({ shape }) => shape));
  const rows = dims === FULL_DIMS ? asTheyAre : rowsOf(features, dims);
  const legend = dims.legend === '' ? '' : `${paint(style, 'dim', legendText(dims, style))}\n`;
  const name = escapeText(output ?? 'nothing');
  const head = wrapped([`${verb} ${name}`, ...facts], { width: style.width, after: ['  '], between: ', ' });
  return `${verb} ${paint(style, 'bold', name)}${head.slice(verb.length + 1 + name.length)}\n${begins.join('')}${outputs}${rows.length === 0 ? '' : `\n${renderTable(withoutRepetition(COLUMNS, rows, style), rows, style)}${legend}`}`;
}

function rowsOf(features: ExtractReport['features'], dims: ShortDims): readonly (readonly string[])[] {
  return features.map(({ output, index, group, module, num_chs, reduction, shape, tensor }) => [
    escapeText(output),
    indexText({ index, group }),
    module === null ? '-' : escapeText(module),
    num_chs === null ? '?' : String(num_chs),
    strideText(reduction, shape),
    dims.shapeText(shape),
    escapeText(tensor),
  ]);
}

function part(kept: number, dropped: number, noun: string): string {
  return dropped === 0 ? `all ${plural(kept, noun)}` : `${countText(kept)} of ${plural(kept + dropped, noun)}`;
}
