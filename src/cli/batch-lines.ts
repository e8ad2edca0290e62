import type { PlannedReport } from '../batch/batch.js';
import type { BatchSummary, JobReport } from '../batch/reports.js';
import { escapeText, oneLine } from '../report/escape.js';
import { bytesText, plural } from '../report/units.js';

/** `cut a.onnx  3 features  1.9 MB -> 425 KB`, or `same a.onnx` if nothing has changed. */
export function itemLine({ item, status, report }: JobReport, modelBytes: number | null): string {
  if (status === 'skipped') return `same ${escapeText(item)}\n`;
  const { features, size_bytes: size, sidecar, verified } = report ?? { features: [], size_bytes: 0, verified: null };
  const made = bytesText(size + (sidecar?.size_bytes ?? 0));
  const facts = [
    `cut ${escapeText(item)}`,
    features.length > 0 ? plural(features.length, 'feature') : plural(report?.outputs?.length ?? 0, 'output'),
    modelBytes === null ? made : `${bytesText(modelBytes)} -> ${made}`,
    ...(verified === true ? ['verified'] : []),
  ];
  return `${facts.join('  ')}\n`;
}

/** `failed a.onnx: it is empty`, and what to do about it. */
export function failureText({ item, error }: JobReport): string {
  if (error === null) return '';
  const { hint } = error;
  const lines = [`failed ${escapeText(item)}: ${reasonText(error.message, item)}`];
  if (typeof hint === 'string') lines.push(`  hint: ${escapeText(oneLine(hint))}`);
  return `${lines.join('\n')}\n`;
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

/** `cut     a.onnx -> a.features.onnx`, and why if it is refused. */
export function planLine({ action, item, output, error }: PlannedReport): string {
  const reason = error === null ? '' : `  (${reasonText(error.message, item)})`;
  return `${action.padEnd(6)}  ${escapeText(item)} -> ${escapeText(output ?? '')}${reason}\n`;
}
