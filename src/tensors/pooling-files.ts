import { UnsupportedModelError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { option } from '../options/words.js';
import { parseJson } from '../wire/json.js';
import type { TextFile } from '../preprocessing/find.js';
import type { Beside } from './tokenize.js';

/** How the files of a model make one vector of the tokens of a text. */
export interface DeclaredPooling {
  readonly path: string;
  /** As `pool` takes it. */
  readonly pool: string;
  readonly normalize: boolean;
}

const CONFIG = '1_Pooling/config.json';
const MASK = 'attention_mask';
/**
 * Names of sentence-transformers, old and new, as `pool` takes them.
 * @see https://sbert.net/docs/package_reference/sentence_transformer/models.html
 */
const POOLS: { readonly [mode: string]: string } = {
  cls: 'cls',
  cls_token: 'cls',
  max: `max:${MASK}`,
  max_tokens: `max:${MASK}`,
  mean: `mean:${MASK}`,
  mean_tokens: `mean:${MASK}`,
  lasttoken: `last:${MASK}`,
};

/**
 * The pooling that lies beside a model of sentence-transformers; null if none does.
 * @throws UnsupportedModelError for one that is not computed here
 */
export async function declaredPooling(beside: Beside): Promise<DeclaredPooling | null> {
  const file = await beside(CONFIG);
  if (file === null) return null;
  const modes = modesOf(objectOf(file));
  const pool = modes.length === 1 ? POOLS[modes[0]] : undefined;
  if (pool === undefined)
    throw unsupported(file.path, `the model pools by ${modes.join(' and ') || 'nothing that is known'}`);
  const modules = await beside('modules.json');
  const types = modules === null ? [] : typesOf(modules);
  const other = types.filter((type) => !/(?:Transformer|Pooling|Normalize)$/.test(type));
  if (other.length > 0 && modules !== null)
    throw unsupported(
      modules.path,
      `the model has ${other.join(', ')} behind its network, whose weights are not in the .onnx file`,
    );
  return { path: file.path, pool, normalize: types.some((type) => type.endsWith('Normalize')) };
}

function unsupported(path: string, message: string): UnsupportedModelError {
  return new UnsupportedModelError(`${path}: ${message}`, {
    code: 'FEATX_POOLING',
    path,
    hint: `say what to take and how: ${option('tensor', 'last_hidden_state')} with ${option('pool')}`,
  });
}

/** `pooling_mode: "mean"`, a list of such, or `pooling_mode_mean_tokens: true`; none is the mean. */
function modesOf(config: { readonly [key: string]: unknown }): readonly string[] {
  const said = config['pooling_mode'];
  if (typeof said === 'string') return [said];
  if (Array.isArray(said)) return said.map(String);
  const flags = Object.entries(config).flatMap(([key, value]) => {
    const [, mode] = /^pooling_mode_(\w+)$/.exec(key) ?? [];
    return mode !== undefined && value === true ? [mode] : [];
  });
  return flags.length === 0 ? ['mean_tokens'] : flags;
}

function typesOf(file: TextFile): readonly string[] {
  const said = parsed(file);
  return Array.isArray(said) ? said.flatMap((module) => (isRecord(module) ? [String(module['type'])] : [])) : [];
}

function objectOf(file: TextFile): { readonly [key: string]: unknown } {
  const said = parsed(file);
  return isRecord(said) ? said : {};
}

function parsed({ path, text }: TextFile): unknown {
  try {
    return parseJson(text);
  } catch {
    throw unsupported(path, 'it is not JSON, so that nothing says how the model pools');
  }
}
