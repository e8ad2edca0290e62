import { escapeText } from './escape.js';
import type { RunReport } from './run-records.js';
import { indexText, shapeText } from './shapes.js';
import type { TextStyle } from './style.js';
import { renderTable, type Column } from './table.js';
import { countText, plural } from '../wire/counted.js';

const COLUMNS: readonly Column[] = [
  { title: 'output', least: 8, isKey: true },
  { title: 'index', align: 'right' },
  { title: 'module', least: 8, isFirm: true, expendable: 1 },
  { title: 'dtype', expendable: 2 },
  { title: 'shape', least: 12, isFirm: true },
];
const STATISTICS: readonly Column[] = [
  { title: 'min', align: 'right' },
  { title: 'max', align: 'right' },
  { title: 'mean', align: 'right' },
  { title: 'std', align: 'right' },
];

/** `broken.png is left out: it is empty`. */
export function skippedText(input: string, message: string): string {
  const why =
    message.startsWith(`${input}: `) || message.startsWith(`${input} `)
      ? message.slice(input.length).trimStart()
      : message;
  return `skipped ${escapeText(input)}: ${escapeText(why.replace(/^: /, ''))}\n`;
}

/** `ran 3 images on cpu in 12 ms, wrote features.npz`. */
export function ranText({ output, provider, images, texts = 0, inputs, skipped, run_ms }: RunReport): string {
  const entries = [...(images > 0 ? [plural(images, 'image')] : []), ...(texts > 0 ? [plural(texts, 'text')] : [])];
  const what =
    entries.length > 0 ? entries.join(' and ') : inputs.length > 0 ? plural(inputs.length, 'file') : 'random values';
  const where = output === null || output === '-' ? '' : `, wrote ${escapeText(output)}`;
  const left = skipped.length === 0 ? '' : `, ${plural(skipped.length, 'input')} skipped`;
  return `ran ${what} on ${escapeText(provider)} in ${run_ms} ms${where}${left}`;
}

/** What was run, where, and the table of what came out. */
export function runText(report: RunReport, style: TextStyle): string {
  const { features } = report;
  const isSummarised = features.every(({ min }) => min !== undefined);
  const rows = features.map(({ output: name, index, group, module, dtype, shape, min, max, mean, std }) => [
    escapeText(name),
    indexText({ index, group }),
    module === null ? '-' : escapeText(module),
    escapeText(dtype),
    shapeText(shape),
    ...(isSummarised ? [min, max, mean, std].map((value) => numberText(value ?? null)) : []),
  ]);
  const odd = features.flatMap(({ output: name, nan = 0, infinite = 0 }) =>
    nan + infinite === 0
      ? []
      : [
          `\n${escapeText(name)}: ${countText(nan)} values are not a number, ${countText(infinite)} are infinite; the figures are those of the others`,
        ],
  );
  return `${ranText(report)}\n\n${renderTable(isSummarised ? [...COLUMNS, ...STATISTICS] : COLUMNS, rows, style)}${odd.join('')}`;
}

function numberText(value: number | null): string {
  if (value === null) return '-';
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : value.toPrecision(4);
}
