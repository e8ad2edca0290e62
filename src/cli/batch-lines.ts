import { resolve } from 'node:path';
import type { PlannedReport } from '../batch/batch.js';
import type { BatchSummary, JobReport } from '../batch/reports.js';
import { isAddress } from '../remote/address.js';
import { escapeText, oneLine } from '../report/escape.js';
import { bytesText } from '../report/units.js';
import { plural } from '../wire/counted.js';

/** `cut a.onnx  3 features  1.9 MB -> 425 KB`, or `same a.onnx` if nothing has changed. */
export function itemLine(
  { item, status, report, verified: isNew }: JobReport,
  modelBytes: number | null,
  root: string,
): string {
  const name = escapeText(shownPath(item, root));
  if (status === 'skipped') return `same ${name}${isNew === true ? '  verified' : ''}\n`;
  const { features, size_bytes: size, sidecar, verified } = report ?? { features: [], size_bytes: 0, verified: null };
  const made = bytesText(size + (sidecar?.size_bytes ?? 0));
  const facts = [
    `cut ${name}`,
    features.length > 0 ? plural(features.length, 'feature') : plural(report?.outputs?.length ?? 0, 'output'),
    modelBytes === null ? made : `${bytesText(modelBytes)} -> ${made}`,
    ...(verified === true ? ['verified'] : []),
  ];
  return `${facts.join('  ')}\n`;
}

/** `failed a.onnx: it is empty`, and what to do about it. */
export function failureText({ item, error }: JobReport, root: string): string {
  if (error === null) return '';
  const { hint } = error;
  const lines = [`failed ${escapeText(shownPath(item, root))}: ${reasonText(error.message, item)}`];
  if (typeof hint === 'string') lines.push(`  hint: ${escapeText(oneLine(hint))}`);
  return `${lines.join('\n')}\n`;
}

/** A path that is relative to the root of a batch, or absolute if that is shorter; a URL as it is. */
export function shownPath(path: string, root: string): string {
  const absolute = isAddress(path) || path === '' ? path : resolve(root, path);
  return absolute.length < path.length ? absolute : path;
}

/** What is wrong, without the name that stands in front of it already. */
export function reasonText(message: string, item: string): string {
  const said = oneLine(message);
  if (said.startsWith(`${item}: `)) return escapeText(said.slice(item.length + 2));
  return escapeText(said.startsWith(`${item} `) ? `it${said.slice(item.length)}` : said);
}

/** `2 cut, 1 unchanged, 1 failed`. */
export function summaryText({ done, skipped, failed, remaining }: BatchSummary): string {
  const parts = [`${done} cut`, `${skipped} unchanged`, `${failed} failed`];
  if (remaining > 0) parts.push(`${remaining} not reached (go on with --resume)`);
  return parts.join(', ');
}

/** The words of a plan: those of the lines that the batch itself prints. */
const WORDS: { readonly [A in PlannedReport['action']]: string } = {
  cut: 'cut',
  skip: 'same',
  verify: 'verify',
  check: 'check',
  refuse: 'failed',
  leave: 'leave',
};

/** `cut     a.onnx -> a.features.onnx`, or `failed  a.onnx: it is empty`. */
export function planLine({ action, item, output, error }: PlannedReport, root: string): string {
  const then =
    error === null ? ` -> ${escapeText(shownPath(output ?? '', root))}` : `: ${reasonText(error.message, item)}`;
  return `${WORDS[action].padEnd(6)}  ${escapeText(shownPath(item, root))}${then}\n`;
}

/** `2 to cut, 1 unchanged, 1 failed`, as the summary of the batch would say. */
export function planSummaryText(actions: readonly PlannedReport['action'][]): string {
  const count = (wanted: PlannedReport['action']): number => actions.filter((action) => action === wanted).length;
  const others = (['verify', 'check'] as const).filter((action) => count(action) > 0);
  return [
    `${count('cut')} to cut`,
    ...others.map((action) => `${count(action)} to ${action}`),
    `${count('skip')} unchanged`,
    `${count('refuse')} failed`,
  ].join(', ');
}
