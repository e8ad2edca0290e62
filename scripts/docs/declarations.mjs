// What a library exports, read from the declarations (.d.ts) that tsc writes: its statements begin in the first column,
// and everything else is indented. TypeScript 7 has no stable interface for programs that would say it.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const STATEMENT =
  /^(?:export )?(?:declare )?(?:abstract )?(function|class|interface|type|const|namespace|enum) ([\w$]+)|^(?:export|import)\b/;

/** The statements of a file: kind, name, whether it is exported, its comment, its text. */
function statementsOf(text) {
  const statements = [];
  let comment = null;
  let open = null;
  for (const line of text.split('\n')) {
    if (open === 'comment') {
      comment.push(line);
      if (line.endsWith('*/')) open = null;
    } else if (line.startsWith('/**')) {
      comment = [line];
      if (!line.endsWith('*/')) open = 'comment';
    } else {
      const begun = STATEMENT.exec(line);
      if (begun !== null) {
        const [, kind = 'export', name = ''] = begun;
        statements.push({ kind, name, isExported: line.startsWith('export'), comment: comment ?? [], lines: [line] });
        comment = null;
      } else statements.at(-1)?.lines.push(line);
    }
  }
  return statements.map(({ lines, comment: said, ...rest }) => ({
    ...rest,
    text: lines.join('\n').trim(),
    comment: said
      .map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*)? ?/, '').replace(/\s*\*\/$/, ''))
      .join('\n')
      .trim(),
  }));
}

/** Every export of an entry by name: `{ name, kind, text, comment, path }`; paths are relative to `folder`. */
export function exportsOf(folder, entry) {
  const files = new Map();
  const read = (path) => {
    if (!files.has(path)) files.set(path, statementsOf(readFileSync(join(folder, path), 'utf8')));
    return files.get(path);
  };
  const found = new Map();
  const visit = (path, wanted) => {
    for (const statement of read(path)) {
      const { kind, name, text } = statement;
      if (kind !== 'export') {
        if (wanted === null ? statement.isExported : wanted.has(name))
          found.set(wanted?.get(name) ?? name, { ...statement, path });
        continue;
      }
      const [, star, list, from] = /^export (?:type )?(?:(\*)|\{([^}]*)\})(?: from '([^']+)')?/.exec(text) ?? [];
      if (from === undefined) continue;
      const target = join(dirname(path), from.replace(/\.js$/, '.d.ts'));
      if (star !== undefined) visit(target, wanted);
      else {
        const names = list
          .split(',')
          .map((part) => part.trim().replace(/^type /, ''))
          .filter(Boolean)
          .map((part) => part.split(' as ').map((word) => word.trim()));
        const passed = names
          .map(([own, outer = own]) => [own, wanted === null ? outer : wanted.get(outer)])
          .filter(([, outer]) => outer !== undefined);
        if (passed.length > 0) visit(target, new Map(passed));
      }
    }
  };
  visit(entry, null);
  return [...found].map(([name, statement]) => ({ ...statement, name }));
}
