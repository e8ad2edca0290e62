import { plural } from '../wire/counted.js';
import { option } from '../options/words.js';
import { extname, join } from 'node:path';
import { FeatxError, IoError, RuntimeError, UsageError } from '../errors.js';
import { BufferSource } from '../wire/source.js';
import { byCodeUnit, filesLike, globFiles, isFileGlob, nearestText } from '../wire/find-files.js';
import { isAddress } from '../remote/address.js';
import type { RemoteOptions } from '../remote/settings.js';
import { errnoOf, ioError, type FileSystem } from '../wire/fs.js';
import { INPUT_EXTENSIONS, openArrays, probeKind, type ArrayFile, type FileKind } from './array-file.js';
import { RemoteAccess } from './remote-access.js';
import { openSource, ReopenedFile, type SourceAccess } from './lazy-array.js';
import type { TensorLimits } from './limits.js';

/**
 * What one `--input` says: which input it is for (null: the file or the model decides), and where the values come from.
 */
export type InputSpec =
  | { readonly input: string | null; readonly path: string }
  | { readonly input: string | null; readonly seed: number };

/** The path of what a program was given on standard input. */
const STANDARD_INPUT = '-';

const RANDOM = /^random(?::(\d{1,15}))?$/;

/**
 * Reads `NAME=FILE`, FILE or `random[:SEED]`. A text before `=` is a name only where the model has that input, so that
 * file names may hold `=`.
 * @throws UsageError for a seed that is not a number
 */
export function parseInputSpec(text: string, inputNames: readonly string[]): InputSpec {
  const name = inputNames
    .filter((candidate) => text.startsWith(`${candidate}=`))
    .sort((a, b) => b.length - a.length)[0];
  const value = name === undefined ? text : text.slice(name.length + 1);
  const input = name ?? null;
  const random = RANDOM.exec(value);
  if (random !== null) return { input, seed: Number(random[1] ?? 0) };
  if (value.startsWith('random:'))
    throw new UsageError(`the seed of ${option('inputs', [text])} is not a number`, { hint: 'write random:42' });
  if (value === '') throw new UsageError(`${option('inputs', [text])} names no file`, { hint: 'write NAME=FILE' });
  return { input, path: value };
}

/** One file of a spec: a picture, sound, or arrays with their headers read. */
export interface OpenedFile {
  readonly path: string;
  readonly input: string | null;
  readonly access: SourceAccess;
  readonly kind: FileKind;
  /** Null for a picture and for sound. */
  readonly arrays: ArrayFile | null;
}

/** Takes a file that cannot be read, instead of an error. */
export type SkipBad = (file: string, error: FeatxError) => void;

/** Failures that are told together, so that a user mends all files at once. */
export class Faults {
  private readonly errors: FeatxError[] = [];

  /** @param skip takes failures that are those of a file alone */
  constructor(private readonly skip?: SkipBad) {}

  /** Runs `work`; a FeatxError is kept, or skipped with the file that it is of, and null returned. */
  async try<T>(work: () => Promise<T> | T, file: string | null = null): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FeatxError)) throw error;
      // What is missing on the machine is missing for every file.
      if (this.skip !== undefined && file !== null && !(error instanceof RuntimeError)) this.skip(file, error);
      else this.errors.push(error);
      return null;
    }
  }

  add(error: FeatxError): void {
    this.errors.push(error);
  }

  /**
   * Throws what was kept: a single error as it is, several as one UsageError that names them all.
   * @param advice what helps if it is about files alone
   */
  throwIfAny(what: string, advice?: string): void {
    const [first] = this.errors;
    if (first === undefined) return;
    if (advice !== undefined && !this.errors.some((error) => error instanceof RuntimeError))
      Object.assign(first, { hint: first.hint === undefined ? advice : `${first.hint}; or ${advice}` });
    if (this.errors.length === 1) throw first;
    const isIo = this.errors.every((error) => error instanceof IoError);
    const message = `${this.errors.length} ${what}: ${this.errors.map(({ message: said }) => said).join('; ')}`;
    const hints = new Set(this.errors.flatMap(({ hint }) => hint ?? []));
    const options = {
      code: isIo ? first.code : 'FEATX_USAGE_INPUTS',
      hint: hints.size === 0 ? undefined : [...hints].join('; '),
      cause: first,
    };
    throw isIo ? new IoError(message, options) : new UsageError(message, options);
  }
}

/** What was skipped, and what skips; nothing is skipped if nobody takes it. */
export function collecting(take: SkipBad | undefined): { skipped: FeatxError[]; skip: SkipBad | undefined } {
  const skipped: FeatxError[] = [];
  const skip: SkipBad = (file, error) => {
    skipped.push(error);
    take?.(file, error);
  };
  return { skipped, skip: take && skip };
}

/** @throws the errors of files that were skipped, if none was left */
export function assertAnyLeft(skipped: readonly FeatxError[]): void {
  const faults = new Faults();
  for (const error of skipped) faults.add(error);
  faults.throwIfAny('inputs cannot be read, and none is left');
}

/** How the files of an input are read. */
export interface FileOptions {
  readonly fs: FileSystem;
  readonly limits: TensorLimits;
  readonly warn: (message: string) => void;
  /** For the message about a path that looks like `NAME=FILE`. */
  readonly inputNames: readonly string[];
  /** Takes files that cannot be read, or that are no input of the model; without it they are errors. */
  readonly skip?: SkipBad;
  /** What helps if some of several files cannot be read. */
  readonly advice?: string;
  /** The file that `-` names. */
  readonly standardInput?: Uint8Array;
  /** How inputs behind a URL are fetched. */
  readonly remote?: RemoteOptions;
  readonly signal?: AbortSignal;
}

/** The files that a path, directory or pattern names, in order. @throws IoError, UsageError if there are none */
export async function expandPath(path: string, { fs, warn, inputNames }: FileOptions): Promise<string[]> {
  if (isAddress(path)) return [path];
  let isDirectory: boolean;
  try {
    isDirectory = (await fs.stat(path)).isDirectory();
  } catch (error) {
    const prefix = /^[^/\\=]+(?==)/.exec(path)?.[0];
    if (prefix !== undefined && errnoOf(error) === 'ENOENT') {
      throw new UsageError(`${option('inputs', [path])}: there is no input ${prefix}, and no such file`, {
        code: 'FEATX_USAGE_INPUT',
        hint: `the inputs are ${inputNames.join(', ')}`,
      });
    }
    if (errnoOf(error) !== 'ENOENT' || !isFileGlob(path)) {
      const near = errnoOf(error) === 'ENOENT' ? await filesLike(path, fs, isInputFile) : [];
      throw ioError(error, 'read', path, nearestText(near));
    }
    const found = await globFiles(path, { fs, warn });
    if (found.length === 0) throw new UsageError(`${path} matches no file`, { code: 'FEATX_USAGE_INPUT', path });
    return found;
  }
  if (!isDirectory) return [path];
  const names = await fs.readdir(path).catch((error: unknown) => {
    throw ioError(error, 'list', path);
  });
  const visible = names.filter((name) => !name.startsWith('.'));
  const taken = visible.filter(isInputFile).sort(byCodeUnit);
  if (taken.length === 0) {
    throw new UsageError(`the directory ${path} has no input files`, {
      code: 'FEATX_USAGE_INPUT',
      path,
      hint: `it takes ${INPUT_EXTENSIONS.join(', ')}; for directories inside it write ${join(path, '**', '*.png')}`,
    });
  }
  const others = visible.length - taken.length;
  if (others > 0) {
    const verdict = others === 1 ? 'is not an input file and is' : 'are not input files and are';
    warn(`${path}: ${others} of ${plural(visible.length, 'entry')} ${verdict} left out`);
  }
  return taken.map((name) => join(path, name));
}

function isInputFile(name: string): boolean {
  return INPUT_EXTENSIONS.includes(extname(name).toLowerCase());
}

/** As `expandPath`; what is missing or cannot be listed is skipped if bad files are. */
async function expandOrSkip(path: string, options: FileOptions): Promise<string[]> {
  try {
    return await expandPath(path, options);
  } catch (error) {
    // A name that means nothing is a mistake, and not a bad file.
    if (options.skip === undefined || !(error instanceof IoError)) throw error;
    options.skip(path, error);
    return [];
  }
}

function accessOf(file: string, options: FileOptions): SourceAccess {
  const { fs, standardInput } = options;
  if (file === STANDARD_INPUT && standardInput !== undefined)
    return openSource(new BufferSource(standardInput), 'standard input');
  return isAddress(file) ? new RemoteAccess(file, options) : new ReopenedFile(file, fs);
}

/** Opens the files of all specs; every bad one is in one error. @throws FeatxError */
export async function openFiles(
  specs: readonly { readonly input: string | null; readonly path: string }[],
  options: FileOptions,
): Promise<OpenedFile[]> {
  const { limits, warn, standardInput } = options;
  const faults = new Faults(options.skip);
  const opened: OpenedFile[] = [];
  let count = 0;
  for (const { input, path } of specs) {
    const isStandard = path === STANDARD_INPUT && standardInput !== undefined;
    for (const file of isStandard ? [path] : ((await faults.try(() => expandOrSkip(path, options))) ?? [])) {
      count++;
      await faults.try(async () => {
        const access = accessOf(file, options);
        const kind = await probeKind(access);
        const arrays = kind === 'image' || kind === 'wave' ? null : await openArrays(access, kind, limits);
        for (const warning of arrays?.warnings ?? []) warn(warning);
        opened.push({ path: isStandard ? file : access.name, input, access, kind, arrays });
      }, file);
    }
  }
  faults.throwIfAny('inputs cannot be read', count > 1 ? options.advice : undefined);
  return opened;
}
