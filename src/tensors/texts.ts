import { UsageError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { option } from '../options/words.js';
import { parseJson } from '../wire/json.js';
import type { Entry } from './provenance.js';

/** A text to be run, and where it came from. */
export interface TextEntry extends Entry {
  readonly text: string;
}

/** Where files of texts are looked for. */
export interface TextFiles {
  /** The text of a file. */
  read(path: string): Promise<string>;
  /** What stands under a name, or null. */
  kindOf(path: string): Promise<'file' | 'folder' | null>;
}

/** `quotes.jsonl:body`, `table.csv:title`. */
const FIELD = /^(.*\.(jsonl|csv)):([^/\\]+)$/i;

/** What a field is named behind, in a file of any kind: `table.tsv:title`. */
const OF_ANY_KIND = /^(.+\.\w+):[^/\\]+$/;

/** One word that ends as names of files do: `quotes.md`, and neither `e.g.` nor `3.14`. */
const FILE_NAME = /^\S*[^\s.]\.[a-z][a-z\d]{1,7}(?::[^\s/\\]+)?$/i;

/**
 * The texts that a spec names: the lines of a .txt file, a field of every line of a .jsonl file, a column of a .csv
 * file; anything else is a text itself, unless there is such a file.
 * @throws UsageError for a line without the field, and for a file of another kind; what reading throws
 */
export async function textsOf(spec: string, files: TextFiles): Promise<TextEntry[]> {
  if (/\.txt$/i.test(spec)) return numbered(spec, linesOf(await files.read(spec)));
  const [, path, kind, field] = FIELD.exec(spec) ?? [];
  if (path === undefined) {
    if (/\.(?:jsonl|csv)$/i.test(spec))
      throw new UsageError(`${option('texts', [spec])} does not say which field`, {
        code: 'FEATX_USAGE_INPUT',
        hint: `name it behind a colon: ${spec}:text`,
      });
    await assertNoFile(spec, files);
    return [{ file: null, index: 0, text: spec }];
  }
  const text = await files.read(path);
  return numbered(path, kind.toLowerCase() === 'csv' ? columnOf(text, field, path) : fieldsOf(text, field, path));
}

/** Whether a text may be meant as a file that is not there. */
export function looksLikeFile({ file, text }: TextEntry): boolean {
  return file === null && FILE_NAME.test(text);
}

/** @throws UsageError for what is there and is not a file of texts: nobody means its name */
async function assertNoFile(spec: string, files: TextFiles): Promise<void> {
  const [, withoutField] = OF_ANY_KIND.exec(spec) ?? [];
  for (const path of [spec, withoutField ?? spec]) {
    const kind = await files.kindOf(path);
    if (kind === null) continue;
    throw new UsageError(`${option('texts', [spec])}: ${path} is a ${kind}, and texts are not read from such a one`, {
      code: 'FEATX_USAGE_INPUT',
      path,
      hint: 'give FILE.txt (a line each), FILE.jsonl:KEY or FILE.csv:COLUMN; a text that is the name of something goes into a .txt file, too',
    });
  }
}

function numbered(file: string, texts: readonly string[]): TextEntry[] {
  return texts.map((text, index) => ({ file, index, text }));
}

/** Lines without their ends; what follows the last end is a line only if there is something. */
function linesOf(text: string): string[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function fieldsOf(text: string, field: string, path: string): string[] {
  return linesOf(text).map((line, at) => {
    let said: unknown;
    try {
      said = parseJson(line);
    } catch (error) {
      throw wrongLine(path, at, `is not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
    const value = isRecord(said) ? said[field] : undefined;
    if (typeof value !== 'string')
      throw wrongLine(
        path,
        at,
        `has no text under '${field}'${isRecord(said) ? `; it has ${Object.keys(said).join(', ')}` : ''}`,
      );
    return value;
  });
}

function columnOf(text: string, name: string, path: string): string[] {
  const [head = [], ...rows] = csvRows(text.replace(/^\ufeff/, ''));
  const at = head.indexOf(name);
  if (at < 0) throw new UsageError(`${path} has no column '${name}'; it has ${head.join(', ')}`, { path });
  return rows.map((row, index) => {
    if (row.length <= at) throw wrongLine(path, index + 1, `has no column '${name}'`);
    return row[at];
  });
}

function wrongLine(path: string, at: number, what: string): UsageError {
  return new UsageError(`line ${at + 1} of ${path} ${what}`, { code: 'FEATX_USAGE_INPUTS', path });
}

/** The rows of a CSV text; empty lines are none. @see https://www.rfc-editor.org/rfc/rfc4180 */
function csvRows(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y;
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    if (match === null) throw new UsageError(`row ${rows.length + 1} of the CSV has a quote that is not closed`);
    const [, quoted, plain = '', end] = match;
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  if (row.length > 0) rows.push([...row, '']);
  return rows;
}
