/** What a YAML text says: texts, numbers, true and false, null, and lists and records of them. */
export type Yaml = string | number | boolean | null | readonly Yaml[] | { readonly [key: string]: Yaml };

/** That a text is no YAML of the kind that is read here. */
export class YamlFault extends Error {}

interface Line {
  readonly indent: number;
  readonly text: string;
}

/** Levels of lists and records inside each other. */
const DEEPEST = 20;

/**
 * One entry of the first level of a YAML text, as PyYAML writes them: lists and records by indentation, and lists in
 * brackets; null if there is no entry of these names.
 * @throws YamlFault for anything else
 */
export function yamlEntry(text: string, names: readonly string[]): Yaml {
  const all = text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/);
  const start = all.findIndex((line) => names.some((name) => line.startsWith(`${name}:`)));
  if (start < 0) return null;
  const lines: Line[] = [];
  for (const line of all.slice(start + 1)) {
    const own = line.trimStart();
    if (own === '' || own.startsWith('#')) continue;
    const indent = line.length - own.length;
    // Items of a list may stand as far left as its name.
    if (indent === 0 && !/^-( |$)/.test(own)) break;
    lines.push({ indent, text: own.trimEnd() });
  }
  return new Reading(lines).all(all[start].slice(all[start].indexOf(':') + 1).trim());
}

class Reading {
  private at = 0;

  constructor(private readonly lines: Line[]) {}

  all(first: string): Yaml {
    if (first !== '') return scalar(first);
    const value = this.lines.length === 0 ? null : this.block(this.lines[0].indent, 0);
    if (this.at < this.lines.length) throw new YamlFault(`line '${this.lines[this.at].text}' is out of place`);
    return value;
  }

  private block(indent: number, depth: number): Yaml {
    return isItem(this.lines[this.at].text) ? this.list(indent, depth) : this.record(indent, depth);
  }

  private list(indent: number, depth: number): Yaml {
    if (depth > DEEPEST) throw new YamlFault('it is too deep');
    const items: Yaml[] = [];
    for (let line = this.lines[this.at]; line?.indent === indent && isItem(line.text); line = this.lines[this.at]) {
      const text = line.text.slice(1).trimStart();
      const inner = indent + line.text.length - text.length;
      if (text === '') {
        this.at++;
        items.push(this.below(indent, depth));
      } else if (KEY.test(text)) {
        // A record that begins on the line of its dash.
        this.lines[this.at] = { indent: inner, text };
        items.push(this.record(inner, depth + 1));
      } else {
        this.at++;
        items.push(scalar(text));
      }
    }
    return items;
  }

  private record(indent: number, depth: number): Yaml {
    if (depth > DEEPEST) throw new YamlFault('it is too deep');
    const found: [string, Yaml][] = [];
    for (let line = this.lines[this.at]; line?.indent === indent && !isItem(line.text); line = this.lines[this.at]) {
      const match = KEY.exec(line.text);
      if (match === null) throw new YamlFault(`line '${line.text}' is not 'key: value'`);
      this.at++;
      const [, key, value = ''] = match;
      found.push([key, value === '' ? this.below(indent, depth) : scalar(value)]);
    }
    return Object.fromEntries(found);
  }

  /** What belongs to a key or a dash that stands alone. */
  private below(indent: number, depth: number): Yaml {
    const next = this.lines[this.at];
    const isInside = next !== undefined && (next.indent > indent || (next.indent === indent && isItem(next.text)));
    return isInside ? this.block(next.indent, depth + 1) : null;
  }
}

const KEY = /^([A-Za-z_][\w.-]*):(?:\s+(.*)|)$/;

function isItem(text: string): boolean {
  return text === '-' || text.startsWith('- ');
}

const WORDS: { readonly [word: string]: Yaml } = { null: null, '~': null, true: true, false: false };

function scalar(text: string): Yaml {
  const bare = text.replace(/\s+#.*$/, '').trim();
  const quoted = /^'((?:[^']|'')*)'$|^"([^"\\]*)"$/.exec(bare);
  if (quoted !== null) return quoted[1]?.replaceAll("''", "'") ?? quoted[2];
  if (bare.startsWith('[') && bare.endsWith(']')) {
    const inner = bare.slice(1, -1).trim();
    return inner === '' ? [] : inner.split(',').map((item) => scalar(item.trim()));
  }
  if (/^[[\]{}&*!|>'"%@`]/.test(bare)) throw new YamlFault(`'${bare.slice(0, 60)}' is not a plain value`);
  if (Object.hasOwn(WORDS, bare.toLowerCase())) return WORDS[bare.toLowerCase()];
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(bare) ? Number(bare) : bare;
}
