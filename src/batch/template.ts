import { basename, dirname, relative } from 'node:path';
import { UsageError } from '../errors.js';
import { normalized } from '../wire/find-files.js';

/** Beside the model, as `extract` does. */
export const DEFAULT_OUTPUT = '{dir}/{name}.features.onnx';

const PLACES = ['dir', 'rel', 'name'] as const;

/** What a template is filled from. */
export interface Named {
  /** Path of the model relative to the root, with `/`. */
  readonly item: string;
  /** The part of the pattern before its first wildcard, as a directory relative to the root. */
  readonly base: string;
}

/** What is wrong with a template; null where nothing is. */
export function templateFault(template: string): string | null {
  const unknown = [...template.matchAll(/\{([^{}]*)\}/g)]
    .map(([, place]) => place)
    .filter((place) => !PLACES.some((known) => known === place));
  if (unknown.length > 0) return `has no place {${unknown.join('}, {')}}; there are {dir}, {rel} and {name}`;
  if (/[{}]/.test(template.replace(/\{[^{}]*\}/g, ''))) return 'has a brace without its partner';
  if (/[\\/]$/.test(template)) return 'ends in a separator and names no file';
  if (template.includes('\0')) return 'holds a NUL byte';
  return null;
}

/** The output of a model, relative to the root. @throws UsageError for a template that cannot be filled */
export function outputName(template: string, { item, base }: Named): string {
  const fault = templateFault(template);
  if (fault !== null) throw new UsageError(`the output '${template}' ${fault}`, { code: 'FEATX_USAGE_TEMPLATE' });
  const dir = dirname(item);
  const values = {
    dir,
    rel: relative(base, dir).replaceAll('\\', '/') || '.',
    name: basename(item).replace(/\.onnx$/i, ''),
  };
  return normalized(
    template
      .replaceAll('\\', '/')
      .replace(/\{(dir|rel|name)\}/g, (_whole, place: (typeof PLACES)[number]) => values[place]),
  );
}
