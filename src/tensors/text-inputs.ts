import { join } from 'node:path';
import { PolicyError, UsageError } from '../errors.js';
import { option } from '../options/words.js';
import type { Elsewhere, ImageInput } from '../preprocessing/input.js';
import { filesLike, orNearest } from '../wire/find-files.js';
import { nodeFileSystem, orNothing, type FileSystem } from '../wire/fs.js';
import { decodeText } from '../wire/text.js';
import { foldersOf } from './beside-model.js';
import { ReopenedFile } from './lazy-array.js';
import { fixedLengthOf, takesTokens, textItems, type TextItems } from './text-items.js';
import { looksLikeFile, textsOf, type TextEntry, type TextFiles } from './texts.js';
import { TextTokenizer, type Beside } from './tokenize.js';

/** How texts are read and become tokens. */
export interface TextOptions {
  readonly texts: readonly string[];
  /** The tokenizer.json, where it does not lie beside the model. */
  readonly tokenizer?: string;
  readonly maxLength?: number;
  readonly prompt?: string;
  readonly fileSystem?: FileSystem;
  /** What else the model takes, if it is asked. */
  readonly elsewhere?: () => readonly Elsewhere[];
}

/** What texts feed a model with. */
export interface TextInputs extends TextItems {
  readonly tokenizer: TextTokenizer;
  readonly entries: readonly TextEntry[];
  /** Files of texts, each once. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

/** A vocabulary of a million tokens takes some 50 MB; texts are held in memory. */
const LARGEST = 1024 ** 3;
const TOKENIZER = 'tokenizer.json';

/**
 * Texts for the inputs of a model that takes tokens.
 * @param model its path; null in memory, where the tokenizer has to be named
 * @throws UsageError, IoError, PolicyError, ModelFormatError; RuntimeError without the package that runs tokenizers
 */
export async function textInputs(
  model: string | null,
  inputs: readonly ImageInput[],
  options: TextOptions,
): Promise<TextInputs> {
  const { fileSystem = nodeFileSystem, tokenizer: named, maxLength, prompt } = options;
  const fixedLength = fixedLengthOf(inputs, inputs.some(takesTokens) ? [] : options.elsewhere?.());
  const at = named ?? model;
  const folders = at === null ? [] : foldersOf(at);
  const near = filesBeside(at, fileSystem);
  const beside: Beside = async (name) =>
    name === TOKENIZER && named !== undefined ? { path: named, text: await readWhole(named, fileSystem) } : near(name);
  const tokenizer = await TextTokenizer.load(beside, { maxLength, prompt, fixedLength });
  if (tokenizer === null) throw noTokenizer(named, folders);
  const lists = [];
  for (const spec of options.texts) lists.push(await textsOf(spec, textFiles(fileSystem)));
  const texts = lists.flat();
  if (texts.length === 0) throw new UsageError('the files of texts are empty', { code: 'FEATX_USAGE_INPUT' });
  const files = [...new Set(texts.flatMap(({ file }) => file ?? []))];
  const warnings = await missingFiles(texts.filter(looksLikeFile), fileSystem);
  return { ...textItems(inputs, texts, tokenizer), tokenizer, entries: texts, files, warnings };
}

function textFiles(fileSystem: FileSystem): TextFiles {
  return {
    read: (path) => orNearest(readWhole(path, fileSystem), path, fileSystem, isTextFile),
    async kindOf(path) {
      // Names of files have no such character, and looking for one is an error.
      const found = path.includes('\0') ? null : await orNothing(fileSystem.stat(path), path);
      return found === null ? null : found.isDirectory() ? 'folder' : 'file';
    },
  };
}

function isTextFile(name: string): boolean {
  return /\.(?:txt|jsonl|csv|md|json|tsv)$/i.test(name);
}

/** Names that one warning shows. */
const MOST_NAMED = 3;

/** A warning about texts that read as names of files that are not there, with the files of nearly that name. */
async function missingFiles(texts: readonly TextEntry[], fileSystem: FileSystem): Promise<readonly string[]> {
  if (texts.length === 0) return [];
  const shown = texts.slice(0, MOST_NAMED).map(({ text }) => `'${text}'`);
  const more = texts.length - shown.length;
  const near = await Promise.all(texts.slice(0, MOST_NAMED).map(({ text }) => filesLike(text, fileSystem, isTextFile)));
  const known = [...new Set(near.flat())];
  return [
    `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''} ${texts.length === 1 ? 'is' : 'are'} run as ${texts.length === 1 ? 'a text' : 'texts'}: there is no such file${known.length === 0 ? '' : `; there is ${known.join(', ')}`}`,
  ];
}

/** What is said of texts that were cut, once all were read. */
export function cutWarnings({ truncated, maxLength }: TextTokenizer): readonly string[] {
  return truncated === 0
    ? []
    : [
        `${truncated} ${truncated === 1 ? 'text is' : 'texts are'} longer than ${maxLength ?? '?'} tokens and cut there`,
      ];
}

/** Finds files in the folder of a model, and in the one above where its folder is called onnx. */
export function filesBeside(model: string | null, fileSystem: FileSystem = nodeFileSystem): Beside {
  return async (name) => {
    for (const folder of model === null ? [] : foldersOf(model)) {
      const path = join(folder, name);
      if ((await orNothing(fileSystem.stat(path), path)) !== null)
        return { path, text: await readWhole(path, fileSystem) };
    }
    return null;
  };
}

function noTokenizer(named: string | undefined, folders: readonly string[]): UsageError {
  const looked = named === undefined ? folders.map((folder) => join(folder, TOKENIZER)) : [named];
  return new UsageError(
    looked.length === 0
      ? 'the model is not a file, so no tokenizer lies beside it'
      : `there is no tokenizer: ${looked.join(', ')}`,
    {
      code: 'FEATX_TOKENIZER',
      hint: `name one with ${option('tokenizer')}, or give the tokens as arrays with ${option('inputs')}`,
    },
  );
}

async function readWhole(path: string, fs: FileSystem): Promise<string> {
  return new ReopenedFile(path, fs).use(async (source) => {
    if (source.size > LARGEST)
      throw new PolicyError(`${path} has ${source.size} bytes, and a file of texts has at most ${LARGEST}`, {
        code: 'FEATX_LIMIT_TEXT',
        path,
        hint: 'divide it',
      });
    return decodeText(await source.read(0, source.size));
  });
}
