import { ModelFormatError, RuntimeError, UsageError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { option } from '../options/words.js';
import { parseJson } from '../wire/json.js';

/** What is used of `@huggingface/tokenizers`, whose own types need a bundler. */
interface Tokenizer {
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  encode(
    text: string,
    options: { readonly add_special_tokens?: boolean; readonly return_token_type_ids: true },
  ): { readonly ids: readonly number[]; readonly token_type_ids: readonly number[] };
  token_to_id(token: string): number | undefined;
}

/** The package itself. */
interface TokenizersModule {
  readonly Tokenizer: new (definition: object, config: object) => Tokenizer;
}

/** The tokens of a batch of texts, all of one length. */
export interface TokenBatch {
  readonly length: number;
  readonly ids: readonly (readonly number[])[];
  readonly masks: readonly (readonly number[])[];
  readonly types: readonly (readonly number[])[];
}

/** The files that lie beside a model, by name; null for what is not there. */
export type Beside = (name: string) => Promise<{ readonly path: string; readonly text: string } | null>;

/** How texts become tokens. */
export interface TokenizerOptions {
  /** Most tokens of a text, with those that stand around it. */
  readonly maxLength?: number;
  /** What stands in front of every text. */
  readonly prompt?: string;
  /** The length that the model fixes. */
  readonly fixedLength?: number | null;
}

/** Many times what any network takes. */
const MOST_TOKENS = 2 ** 20;

/** Longer lengths are what files say who know none. */
const NO_LENGTH = 1e9;

/** Texts as the tokens that the files of a model make of them, cut and filled up as these files say. */
export class TextTokenizer {
  private readonly cutTexts = new Set<string>();

  private constructor(
    readonly path: string,
    private readonly tokenizer: Tokenizer,
    readonly maxLength: number | null,
    private readonly cutsLeft: boolean,
    private readonly padding: Padding,
    private readonly prompt: string,
    private readonly fixedLength: number | null,
    /** How many tokens stand in front of a text, and behind it. */
    private readonly around: readonly [front: number, back: number],
  ) {}

  /**
   * The tokenizer of the files beside a model; null if there is none.
   * @throws RuntimeError without the package that runs it, ModelFormatError
   */
  static async load(beside: Beside, options: TokenizerOptions = {}): Promise<TextTokenizer | null> {
    const file = await beside('tokenizer.json');
    if (file === null) return null;
    const definition = jsonOf(file);
    const config = await jsonBeside(beside, 'tokenizer_config.json');
    const sentence = await jsonBeside(beside, 'sentence_bert_config.json');
    const made = await tokenizerOf(file.path, definition, config);
    const truncation = recordOf(definition['truncation']);
    const { fixedLength = null } = options;
    const lengths = [
      options.maxLength,
      sentence['max_seq_length'],
      truncation['max_length'],
      config['model_max_length'],
    ].filter((length): length is number => typeof length === 'number' && length > 0 && length < NO_LENGTH);
    const longest = lengths[0] ?? null;
    return new TextTokenizer(
      file.path,
      made,
      fixedLength === null ? longest : Math.min(fixedLength, longest ?? fixedLength),
      truncation['direction'] === 'Left' || config['truncation_side'] === 'left',
      paddingOf(definition, config, made),
      options.prompt ?? '',
      fixedLength,
      aroundOf(file.path, made),
    );
  }

  /** The tokens of some texts, filled up to the longest of them, or to the length that the model fixes. */
  encode(texts: readonly string[]): TokenBatch {
    const all = texts.map((text) => this.one(this.prompt + text));
    const { side, id, type } = this.padding;
    const length = this.fixedLength ?? Math.max(1, ...all.map(({ ids }) => ids.length));
    if (length > MOST_TOKENS) throw tooLong(length, this.fixedLength !== null);
    const fill = (values: readonly number[], filler: number): number[] => {
      const rest = Array.from({ length: length - values.length }, () => filler);
      return side === 'left' ? [...rest, ...values] : [...values, ...rest];
    };
    return {
      length,
      ids: all.map(({ ids }) => fill(ids, id)),
      masks: all.map(({ ids }) =>
        fill(
          ids.map(() => 1),
          0,
        ),
      ),
      types: all.map(({ types }) => fill(types, type)),
    };
  }

  /** How many texts were cut, equal ones counted once. */
  get truncated(): number {
    return this.cutTexts.size;
  }

  private one(text: string): { readonly ids: readonly number[]; readonly types: readonly number[] } {
    const { ids, token_type_ids: given } = encoded(this.path, this.tokenizer, text);
    // Post-processors of decoders give no types.
    const types = Array.isArray(given) ? given : ids.map(() => 0);
    for (const [what, values] of [['number', ids] as const, ['type', types] as const]) {
      const unknown = values.findIndex((value) => !Number.isSafeInteger(value));
      if (unknown >= 0)
        throw new RuntimeError(`the tokenizer has no ${what} for token ${unknown} of the text '${shortened(text)}'`, {
          code: 'FEATX_RUNTIME_TOKENIZERS',
          hint: 'its kind of model may not be supported; give the tokens as .npy arrays',
        });
    }
    if (this.maxLength === null || ids.length <= this.maxLength) return { ids, types };
    this.cutTexts.add(text);
    const [front, back] = this.around;
    const room = Math.max(0, this.maxLength - front - back);
    const end = ids.length - back;
    const start = this.cutsLeft ? Math.max(front, end - room) : front;
    const cut = (values: readonly number[]): number[] => [
      ...values.slice(0, front),
      ...values.slice(start, Math.min(end, start + room)),
      ...values.slice(values.length - back),
    ];
    return { ids: cut(ids), types: cut(types) };
  }
}

/** Characters of a text in a message. */
const MOST_SHOWN = 60;

function shortened(text: string): string {
  return text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN)}…`;
}

/** The package that makes tokens. @throws RuntimeError if it is not installed, or does not load */
export async function loadTokenizers(
  load: () => Promise<unknown> = () => import('@huggingface/tokenizers'),
): Promise<unknown> {
  return load().catch((cause: unknown) => {
    throw new RuntimeError(
      'texts need the package @huggingface/tokenizers, which is not installed or does not load here',
      {
        code: 'FEATX_RUNTIME_TOKENIZERS',
        hint: 'npm install -E @huggingface/tokenizers@0.2.0 (beside featx; -g where featx is global), or give the tokens as .npy arrays',
        cause,
      },
    );
  });
}

async function tokenizerOf(path: string, definition: object, config: object): Promise<Tokenizer> {
  const loaded = await loadTokenizers();
  try {
    const { Tokenizer: Made } = loaded as TokenizersModule;
    const tokenizer = new Made(definition, config);
    for (const part of [tokenizer.normalizer, tokenizer.pre_tokenizer]) withUnicodeSpaces(part);
    return tokenizer;
  } catch (cause) {
    throw notRun(path, cause);
  }
}

/** The package notices what is wrong with its files when it is asked for tokens. @throws ModelFormatError */
function encoded(
  path: string,
  tokenizer: Tokenizer,
  text: string,
  options: { readonly add_special_tokens?: boolean } = {},
): ReturnType<Tokenizer['encode']> {
  try {
    return tokenizer.encode(text, { ...options, return_token_type_ids: true });
  } catch (cause) {
    throw notRun(path, cause);
  }
}

function notRun(path: string, cause: unknown): ModelFormatError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ModelFormatError(`${path} is not a tokenizer that can be run: ${reason}`, {
    code: 'FEATX_TOKENIZER',
    path,
    cause,
  });
}

/** The inner parts of tokenizers are a few levels deep. */
const DEEPEST_PART = 8;

/**
 * Makes `\s` in the patterns of a tokenizer mean Unicode's White_Space, as it does in Python's: JavaScript counts
 * U+FEFF and not U+0085.
 */
function withUnicodeSpaces(part: unknown, depth = 0): void {
  // Parts are functions that carry what they work with.
  if (!(typeof part === 'object' || typeof part === 'function') || part === null || depth > DEEPEST_PART) return;
  for (const [key, value] of Object.entries(part)) {
    if (value instanceof RegExp && value.unicode && /\\s/i.test(value.source))
      Reflect.set(part, key, new RegExp(inUnicode(value.source), value.flags));
    else withUnicodeSpaces(value, depth + 1);
  }
}

function inUnicode(source: string): string {
  return source.replace(/\\\\|\\([sS])/g, (whole, letter: string | undefined) =>
    letter === undefined ? whole : `\\${letter === 's' ? 'p' : 'P'}{White_Space}`,
  );
}

function tooLong(length: number, isFixed: boolean): ModelFormatError | UsageError {
  const most = `${MOST_TOKENS} are the most`;
  return isFixed
    ? new ModelFormatError(`the model fixes ${length} tokens for a text; ${most}`, { code: 'FEATX_TOKENIZER' })
    : new UsageError(`a text has ${length} tokens; ${most}`, {
        code: 'FEATX_TOKENIZER',
        hint: `cut it with ${option('maxLength')}`,
      });
}

interface Padding {
  readonly side: 'left' | 'right';
  readonly id: number;
  readonly type: number;
}

/**
 * What the files fill texts up with, and on which side. The length that they fill up to does not count, as for
 * `padding=True` in transformers: values of a network that quantises while it runs would depend on it.
 * @see https://huggingface.co/docs/tokenizers/api/tokenizer#tokenizers.Tokenizer.padding
 */
function paddingOf(definition: Json, config: Json, tokenizer: Tokenizer): Padding {
  const padding = recordOf(definition['padding']);
  const said = config['pad_token'];
  const token = typeof said === 'string' ? said : recordOf(said)['content'];
  const known = typeof token === 'string' ? tokenizer.token_to_id(token) : undefined;
  return {
    side: padding['direction'] === 'Left' || config['padding_side'] === 'left' ? 'left' : 'right',
    id: numberOf(padding['pad_id'], known ?? 0),
    type: numberOf(padding['pad_type_id'], 0),
  };
}

/** How many tokens the post-processor puts in front of a text, and behind it. */
function aroundOf(path: string, tokenizer: Tokenizer): readonly [number, number] {
  const { ids: whole } = encoded(path, tokenizer, 'a');
  const { ids: bare } = encoded(path, tokenizer, 'a', { add_special_tokens: false });
  for (let front = 0; front + bare.length <= whole.length; front++)
    if (bare.every((id, at) => whole[front + at] === id)) return [front, whole.length - bare.length - front];
  return [0, 0];
}

type Json = { readonly [key: string]: unknown };

function recordOf(value: unknown): Json {
  return isRecord(value) ? value : {};
}

function numberOf(value: unknown, other: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : other;
}

async function jsonBeside(beside: Beside, name: string): Promise<Json> {
  const file = await beside(name);
  return file === null ? {} : jsonOf(file);
}

function jsonOf({ path, text }: { readonly path: string; readonly text: string }): Json {
  try {
    const said = parseJson(text);
    if (isRecord(said)) return said;
  } catch (cause) {
    throw new ModelFormatError(`${path} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      code: 'FEATX_TOKENIZER',
      path,
      cause,
    });
  }
  throw new ModelFormatError(`${path} is not a JSON object`, { code: 'FEATX_TOKENIZER', path });
}
