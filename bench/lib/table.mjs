import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { arch, cpus, platform, totalmem } from 'node:os';
import { dirname } from 'node:path';

/** What the figures were measured on. */
export function machine(root) {
  const commit = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root, encoding: 'utf8' });
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit.status === 0 ? commit.stdout.trim() : 'unknown',
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpu: cpus()[0].model,
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
  };
}

/** Rows under their titles as a table in Markdown, its columns aligned. */
export function markdown(columns, rows) {
  const cells = [columns, ...rows].map((row) => row.map((cell) => String(cell ?? '').replaceAll('|', '\\|')));
  const widths = columns.map((_column, index) => Math.max(3, ...cells.map((row) => row[index].length)));
  const line = (row) => `| ${row.map((cell, index) => cell.padEnd(widths[index])).join(' | ')} |`;
  return [
    line(cells[0]),
    `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`,
    ...cells.slice(1).map(line),
  ].join('\n');
}

/** Writes a file, and the folders that lead to it. */
export function save(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
