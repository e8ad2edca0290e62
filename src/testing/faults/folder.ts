import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import type { FaultCase, FileContent } from './case.js';

/** A working folder with a secret beside it, an earlier output in it, and the files of a case. */
export interface FaultFolder {
  readonly work: string;
  /**
   * What stands anywhere in or around the working folder, by path relative to it; an entry changes with the file's
   * content, time, mode or kind.
   */
  snapshot(): ReadonlyMap<string, string>;
  remove(): void;
}

/** What `out.onnx` and `out.npz` hold before the command line runs. */
export const EARLIER = 'an earlier output';
const LARGEST_READ = 64 * 2 ** 20;

export function faultFolder({ files }: FaultCase): FaultFolder {
  const root = mkdtempSync(join(tmpdir(), 'featx-fault-'));
  const work = join(root, 'work');
  mkdirSync(work);
  mkdirSync(join(root, 'work-secret'));
  for (const path of ['secret.bin', 'hard.bin', 'work-secret/w.bin'])
    writeFileSync(join(root, path), new Uint8Array(432));
  for (const name of ['out.onnx', 'out.npz']) writeFileSync(join(work, name), EARLIER);
  for (const [path, content] of Object.entries(files())) put(join(work, path), content, work);
  const past = new Date('2001-02-03T04:05:06Z');
  for (const name of ['out.onnx', 'out.npz']) utimesSync(join(work, name), past, past);
  return { work, snapshot: () => snapshot(root, work), remove: () => rmSync(root, { recursive: true, force: true }) };
}

function put(path: string, content: FileContent, work: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (content instanceof Uint8Array) writeFileSync(path, content);
  else if ('link' in content) symlinkSync(content.link, path);
  else if ('hardLink' in content) linkSync(join(work, content.hardLink), path);
  else if ('folder' in content) mkdirSync(path, { recursive: true });
  else if ('pipe' in content) execFileSync('mkfifo', [path]);
  else putSparse(path, content);
}

function putSparse(
  path: string,
  { size, parts }: { readonly size: number; readonly parts: readonly (readonly [number, Uint8Array])[] },
): void {
  const file = openSync(path, 'w');
  for (const [offset, bytes] of parts) writeSync(file, bytes, 0, bytes.length, offset);
  ftruncateSync(file, size);
  closeSync(file);
}

function snapshot(root: string, work: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { size, mtimeMs, mode } = lstatSync(path);
    const content = entry.isSymbolicLink()
      ? readlinkSync(path)
      : entry.isFile()
        ? `${size} bytes of ${mtimeMs} ${size > LARGEST_READ ? '' : createHash('sha1').update(readFileSync(path)).digest('hex')}`
        : '';
    found.set(relative(work, path), `${mode.toString(8)} ${content}`);
  }
  return found;
}
