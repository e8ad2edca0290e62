import { UsageError } from '../errors.js';
import { named, option } from '../options/words.js';
import type { Elsewhere, ImageInput } from '../preprocessing/input.js';
import type { OpenedFile } from './input-files.js';
import { takesTokens } from './text-items.js';

/** The input a file is for: the one it was given to, else the only one that can take it. @throws UsageError */
export function targetOf(
  { path, input, kind }: OpenedFile,
  inputs: readonly ImageInput[],
  canTake: (candidate: ImageInput) => boolean,
  elsewhere: () => readonly Elsewhere[] = () => [],
): ImageInput {
  const chosen = inputs.find(({ name }) => name === input);
  if (chosen !== undefined) return chosen;
  const candidates = inputs.filter(canTake);
  if (candidates.length === 1) return candidates[0];
  if ((kind === 'image' || kind === 'wave') && candidates.length === 0 && inputs.some(takesTokens)) {
    const other = elsewhere().find((each) => canTake(each.input));
    const texts = `give texts with ${option('texts')}, or tokens as .npy arrays`;
    throw new UsageError(
      `${path} is ${kind === 'image' ? 'a picture' : 'sound'}, and ${other === undefined ? 'the model' : 'what is asked for'} takes the tokens of texts: ${inputs.map(({ name }) => named(name)).join(', ')}`,
      {
        code: 'FEATX_USAGE_INPUT',
        path,
        hint:
          other === undefined
            ? texts
            : `${texts}; or ask for what is computed of ${named(other.input.name)}: ${other.selection}`,
      },
    );
  }
  if (inputs.length === 1) return inputs[0];
  if (inputs.length === 0)
    throw new UsageError(`${path}: what is selected needs no input`, { path, hint: `leave out ${option('inputs')}` });
  throw new UsageError(
    `${path}: the model has ${inputs.length} inputs (${inputs.map(({ name }) => named(name)).join(', ')})`,
    {
      path,
      hint: `say which one it is for: ${option('inputs', [`${inputs[0].name}=${path}`])}`,
    },
  );
}
