import type { Selector } from '../core.js';
import { flagOf } from '../options/table.js';

/** Something to take out of the model. */
export interface Choice {
  readonly key: string;
  readonly selector: Selector;
  readonly label: string;
}

/** What is to be taken, in order, and what its outputs are to be called. */
export interface Choices {
  readonly list: readonly Choice[];
  /** By key; only those that were given. */
  readonly names: ReadonlyMap<string, string>;
}

/** Nothing is taken yet. */
export const NO_CHOICES: Choices = { list: [], names: new Map() };

/** A feature of the FeatureInfo, or of a group. */
export function featureChoice(index: number, module: string | null, group?: string): Choice {
  const place = group === undefined ? String(index) : `${group}:${index}`;
  return {
    key: `feature ${place}`,
    selector: { by: 'index', indices: [index], ...(group === undefined ? {} : { group }) },
    label: module === null ? place : `${place} ${module}`,
  };
}

/** A module, tensor or node by name. */
export function namedChoice(by: 'module' | 'tensor' | 'node', name: string): Choice {
  return { key: `${by} ${name}`, selector: { by, name }, label: `${by} ${name}` };
}

/** Takes what is not taken, at the end, and leaves what is. */
export function toggled({ list, names }: Choices, choice: Choice): Choices {
  const without = list.filter(({ key }) => key !== choice.key);
  return { list: without.length < list.length ? without : [...list, choice], names };
}

/** Moves a choice to the place before it. */
export function movedUp({ list, names }: Choices, key: string): Choices {
  const at = list.findIndex((choice) => choice.key === key);
  if (at <= 0) return { list, names };
  return { list: [...list.slice(0, at - 1), list[at], list[at - 1], ...list.slice(at + 1)], names };
}

/** Names the output of a choice; an empty name is the default again. */
export function renamed({ list, names }: Choices, key: string, name: string): Choices {
  const next = new Map(names);
  if (name === '') next.delete(key);
  else next.set(key, name);
  return { list, names: next };
}

/** What else a cut is. */
export interface CutSettings {
  readonly mode: 'dict' | 'list' | 'hook';
  readonly weights: 'keep' | 'reference';
}

/** The command line that makes the same cut, and what its shell would take as more than letters in quotes. */
export function commandLine(
  model: string,
  { list }: Choices,
  names: readonly string[] | null,
  settings: CutSettings,
): string {
  const words = ['featx', 'extract', model, ...flagWords(list)];
  if (settings.mode !== 'dict') words.push(flagOf('mode'), settings.mode);
  if (settings.weights !== 'keep') words.push(flagOf('weights'), settings.weights);
  if (names !== null) words.push(flagOf('outMap'), names.join(','));
  return words.map((word) => (/^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/** Flags in the order of the choices; indices one after another share one. */
function flagWords(list: readonly Choice[]): readonly string[] {
  const words: string[] = [];
  for (const { selector } of list) {
    const [flag, value] = flagAndValue(selector);
    if (flag === flagOf('out') && words.at(-2) === flag) words.push(`${words.pop()},${value}`);
    else words.push(flag, ...(value === undefined ? [] : [value]));
  }
  return words;
}

function flagAndValue(selector: Selector): readonly [flag: string, value?: string] {
  switch (selector.by) {
    case 'index': {
      const { group, indices } = selector;
      return [
        flagOf('out'),
        indices.map((index) => (group === undefined ? String(index) : `${group}:${index}`)).join(','),
      ];
    }
    case 'last':
      return [flagOf('last'), String(selector.count)];
    case 'embedding':
      return [flagOf('embedding'), selector.role];
    case 'module':
    case 'tensor':
    case 'node':
      return [flagOf(selector.by), selector.name];
  }
}
