import { localPath, openModel } from './open.js';
import type { OptionsOf } from './options/types.js';
import { declaredPooling, type DeclaredPooling } from './tensors/pooling-files.js';
import { filesBeside } from './tensors/text-inputs.js';
import type { FileSystem } from './wire/fs.js';

/** What is taken of a network over tokens if nobody says: the vector of each text that its files declare. */
export interface PooledTexts {
  readonly selection: Pick<OptionsOf<'run'>, 'select' | 'embedding'>;
  readonly outMap: readonly string[];
  readonly steps: Pick<OptionsOf<'run'>, 'pool' | 'normalize'>;
  readonly record: DeclaredPooling;
}

/** Outputs that hold a vector for each token, by the names that exporters give them. */
const TOKENS = ['last_hidden_state', 'token_embeddings'];

/**
 * The pooling of a model's own files; null if something else is asked for, there are no such files, or the model has
 * pooled already.
 * @throws UnsupportedModelError for a pooling that is not computed here
 */
export async function pooledTexts(
  source: string | Uint8Array,
  options: OptionsOf<'run'> & { readonly fileSystem?: FileSystem },
): Promise<PooledTexts | null> {
  const { select = [], out, last, embedding, pool, fileSystem } = options;
  const isOpen = select.every((selector) => selector.by === 'embedding' && selector.role === undefined);
  const path = localPath(source);
  if (!isOpen || out !== undefined || last !== undefined || pool !== undefined || path === null) return null;
  if (typeof embedding === 'string') return null;
  const declared = await declaredPooling(filesBeside(path, fileSystem));
  if (declared === null) return null;
  const model = await openModel(path, { fileSystem });
  const names = model.graph.outputs.map(({ name }) => name);
  await model[Symbol.asyncDispose]();
  const tokens = TOKENS.find((name) => names.includes(name));
  if (tokens === undefined) return null;
  return {
    selection: { select: [{ by: 'tensor', name: tokens }], embedding: undefined },
    outMap: ['embedding'],
    steps: { pool: declared.pool, normalize: options.normalize ?? declared.normalize },
    record: declared,
  };
}
