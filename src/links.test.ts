import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** The links of the documents lead to files and headings that are there. */

const ROOT = process.cwd();
const SKIPPED = new Set(['node_modules', 'dist', 'dist.next', 'site', 'shared', '.git', 'tmp']);

function documents(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const withoutCode = (text: string): string => text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/** The anchor of a heading. @see https://docs.github.com/get-started/writing-on-github (section links) */
function anchors(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>();
  const headings = [...text.replace(/^```[^]*?^```/gm, '').matchAll(/^#{1,6} (.+)$/gm)];
  return new Set(
    headings.map(([, heading]) => {
      const slug = heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-');
      const count = seen.get(slug) ?? 0;
      seen.set(slug, count + 1);
      return count === 0 ? slug : `${slug}-${count}`;
    }),
  );
}

const links = documents(ROOT).flatMap((path) =>
  [...withoutCode(readFileSync(path, 'utf8')).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => ({ path, to })),
);

test('links of documents lead to files, and to headings of them', () => {
  const inside = links.filter(({ to }) => !/^[a-z]+:/.test(to));
  expect(inside.length).toBeGreaterThan(60);
  const wrong = inside.filter(({ path, to }) => {
    const [file, anchor] = to.split('#');
    const target = file === '' ? path : join(dirname(path), decodeURIComponent(file));
    if (!existsSync(target)) return true;
    if (anchor === undefined) return false;
    return !statSync(target).isFile() || !anchors(readFileSync(target, 'utf8')).has(anchor);
  });
  expect(wrong.map(({ path, to }) => `${relative(ROOT, path)}: ${to}`)).toEqual([]);
});

test('every page for users can be reached from the README', () => {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const link of links)
      if (link.path === path && /^[^:#]+\.md/.test(link.to)) visit(join(dirname(path), link.to.split('#')[0]));
  };
  visit(join(ROOT, 'README.md'));
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  expect(pages.filter((name) => !reached.has(join(ROOT, 'docs', name)))).toEqual([]);
});
