import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from './supervisor.js';

/** A line of `fixtures/fuzz/index.json`: an input that once was a finding, and what it must give. */
export interface FuzzFixture {
  readonly file: string;
  readonly target: string;
  /** What was wrong. */
  readonly was: string;
  /**
   * `ok` or the code of an error; null until somebody has mended it and `npm run fuzz -- --accept` has written it down.
   */
  readonly gives: string | null;
}

const FOLDER = join('fixtures', 'fuzz');

export function readFixtures(root: string): readonly FuzzFixture[] {
  const path = join(root, FOLDER, 'index.json');
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as readonly FuzzFixture[]) : [];
}

export function fixtureBytes(root: string, { file }: FuzzFixture): Uint8Array {
  return new Uint8Array(readFileSync(join(root, FOLDER, file)));
}

/** Writes the index, one line an entry. */
export function writeFixtures(root: string, fixtures: readonly FuzzFixture[]): void {
  mkdirSync(join(root, FOLDER), { recursive: true });
  const sorted = [...fixtures].sort((a, b) => (a.file < b.file ? -1 : 1));
  writeFileSync(
    join(root, FOLDER, 'index.json'),
    `[\n${sorted.map((fixture) => `  ${JSON.stringify(fixture)}`).join(',\n')}\n]\n`,
  );
}

/** Adds findings to the fixtures; returns their file names. */
export function saveFindings(root: string, findings: readonly Finding[]): readonly string[] {
  const fixtures = new Map(readFixtures(root).map((fixture) => [fixture.file, fixture]));
  const files: string[] = [];
  for (const { target, name, message, bytes } of findings) {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
    const file = `${target}-${name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 60)}-${hash}.bin`;
    mkdirSync(join(root, FOLDER), { recursive: true });
    writeFileSync(join(root, FOLDER, file), bytes);
    if (!fixtures.has(file))
      fixtures.set(file, { file, target, was: message.split('\n')[0].slice(0, 300), gives: null });
    files.push(join(FOLDER, file));
  }
  if (files.length > 0) writeFixtures(root, [...fixtures.values()]);
  return files;
}
