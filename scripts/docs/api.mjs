// The reference of the library, as Markdown, from its declarations and its table of options.
import { exportsOf } from './declarations.mjs';

const ENTRIES = [
  ['featx', 'index.d.ts', 'The whole library, for Node.js.'],
  ['featx/core', 'core.d.ts', 'The part that runs anywhere. `featx` exports all of it, too.'],
  ['featx/unplugin', 'unplugin/plugins.d.ts', 'Cuts in a build.'],
];
const SECTIONS = [
  { heading: 'Functions', kinds: ['function'] },
  { heading: 'Classes', kinds: ['class'] },
  { heading: 'Constants', kinds: ['const'] },
  { heading: 'Types', kinds: ['interface', 'type'] },
];
const TAGS = { param: 'Parameter', returns: 'Returns', throws: 'Throws', see: 'See' };

/**
 * @param {string} folder
 * @param {(set: string) => unknown[]} optionsOf the options of a set, as `[key, row]`: `optionsOf` of the table
 * @param {string[][]} entries title, file and a sentence of each
 * @returns {string}
 */
export function apiReference(folder, optionsOf, entries = ENTRIES) {
  const placeOf = ({ name, path }) => `${path} ${name}`;
  const found = new Map(entries.map(([title, entry]) => [title, exportsOf(folder, entry)]));
  const names = new Set([...found.values()].flat().map(({ name }) => name));
  const core = new Set(found.get('featx/core').map(placeOf));
  const parts = entries.map(([title, , about]) => {
    // What both entries export stands under the one that runs anywhere.
    const own = found.get(title).filter((statement) => title !== 'featx' || !core.has(placeOf(statement)));
    const sections = SECTIONS.map(({ heading, kinds }) => {
      const listed = own.filter(({ kind }) => kinds.includes(kind)).sort((a, b) => (a.name < b.name ? -1 : 1));
      return listed.length === 0
        ? ''
        : `### ${heading} of ${title}\n\n${listed.map((statement) => entryText(statement, optionsOf, names)).join('\n')}`;
    });
    return `## ${title}\n\n${about}\n\n${sections.filter(Boolean).join('\n')}`;
  });
  return `# API reference\n\nMade by \`npm run docs\` from the types of the library. Options are those of the command line in another spelling ([flags](flags.md)); records are what \`--json\` prints.\n\n${parts.join('\n')}`;
}

function entryText({ name, kind, text, comment }, optionsOf, names) {
  const { words, tags } = commentParts(comment);
  const lines = [`#### ${name}`, '', words, ...(words === '' ? [] : ['']), '```ts', signature(text, kind), '```', ''];
  for (const [tag, said] of tags) if (TAGS[tag] !== undefined) lines.push(`- ${TAGS[tag]}: ${said}`);
  const used = [...new Set(text.match(/\b[A-Z]\w+/g))].filter((word) => word !== name && names.has(word));
  if (used.length > 0) lines.push(`- Types: ${used.map((word) => `[${word}](#${word.toLowerCase()})`).join(', ')}`);
  if (tags.length + used.length > 0) lines.push('');
  for (const [, set] of text.matchAll(/OptionsOf<'(\w+)'>/g)) lines.push(optionTable(optionsOf(set)), '');
  return lines.join('\n');
}

/** A comment as Markdown: what it says, and its tags. */
function commentParts(comment) {
  const [words, ...rest] = comment.split(/^@/m);
  const oneLine = (text) => text.replace(/\s*\n\s*/g, ' ').trim();
  return {
    words: words.trim(),
    tags: rest.map((part) => {
      const [, tag, said] = /^(\w+)\s*([^]*)$/.exec(part) ?? [];
      return [tag, oneLine(said ?? '').replace(/^(\w+) (?=\S)/, tag === 'param' ? '`$1` ' : '$1 ')];
    }),
  };
}

/** A declaration without the words that every one of them has, and without what is private. */
function signature(text, kind) {
  const plain = text.replace(/^export /, '').replace(/^declare /, '');
  return kind === 'class' ? plain.replace(/^ {4}(?:private|protected) [^]*?;\n/gm, '') : plain;
}

function optionTable(options) {
  const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const rows = options.map(([key, { kind, help, description, flag }]) => {
    const said = description ?? help ?? '';
    const shown = flag === undefined ? '' : `\`${/--[\w-]+/.exec(flag)?.[0] ?? flag}\``;
    return `| \`${key}\` | ${cell(kind.allowed)} | ${cell(said)} | ${shown} |`;
  });
  return ['| option | takes | what | flag |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
