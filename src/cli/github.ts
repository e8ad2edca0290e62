import type { BatchSummary, JobReport } from '../batch/reports.js';
import { escapeHtml, oneLine } from '../report/escape.js';
import type { FileSystem } from '../wire/fs.js';
import { appendText } from '../wire/append.js';
import type { CliIo } from './io.js';
import { reasonText, summaryText } from './batch-lines.js';

/** Failures that a summary lists; GitHub takes a megabyte. */
const MOST_LISTED = 200;

/** Whether the command runs in a step of GitHub Actions. */
export function isGithub({ GITHUB_ACTIONS }: CliIo['env']): boolean {
  return GITHUB_ACTIONS === 'true';
}

/**
 * A failure as an annotation of a file, its path relative to the working directory.
 * @see https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
export function annotation({ item, error }: JobReport, path: string): string {
  const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const message = error === null ? '' : reasonText(error.message, item);
  const hint = typeof error?.hint === 'string' ? `\n${oneLine(error.hint)}` : '';
  return `::error file=${property(path)},title=featx batch::${data(`${item}: ${message}${hint}`)}\n`;
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** Adds what became of a batch to the summary of the job, if the environment names a file for it. @throws IoError */
export async function writeJobSummary(
  { GITHUB_STEP_SUMMARY: path }: CliIo['env'],
  { summary, failed }: { readonly summary: BatchSummary; readonly failed: readonly JobReport[] },
  fileSystem: FileSystem,
): Promise<void> {
  if (!path) return;
  const rows = failed
    .slice(0, MOST_LISTED)
    .map(
      ({ item, error }) => `<tr><td><code>${escapeHtml(item)}</code></td><td>${why(item, error?.message)}</td></tr>\n`,
    );
  const rest = failed.length > MOST_LISTED ? `<p>and ${failed.length - MOST_LISTED} more</p>\n` : '';
  const table =
    rows.length === 0 ? '' : `<table>\n<tr><th>failed</th><th>why</th></tr>\n${rows.join('')}</table>\n${rest}`;
  await appendText(fileSystem, path, `### featx batch\n\n${summaryText(summary)}\n\n${table}`);
}

function why(item: string, message = ''): string {
  return escapeHtml(reasonText(message, item));
}
