import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { optionsOf } from './options/table.js';

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

const script = async (name: string): Promise<Record<string, (...args: readonly unknown[]) => unknown>> =>
  import(resolve('scripts', 'docs', name));

test('the pages of the site link to each other, to their headings, and to files of the repository', async () => {
  const { sitePages } = await script('site.mjs');
  const shown = documents(ROOT).map((path) => relative(ROOT, path).replaceAll('\\', '/'));
  const texts = new Map(
    shown
      .filter((path) => /^(?:docs\/)?[^/]+\.md$/.test(path))
      .map((path) => [path, readFileSync(path, 'utf8')] as const),
  );
  const pages = sitePages(texts) as ReadonlyMap<string, string>;
  const wrong = [...pages].flatMap(([page, html]) =>
    [...html.matchAll(/href="([^"]+)"/g)]
      .map(([, to]) => to)
      .filter((to) => !/^[a-z]+:/.test(to))
      .filter((to) => {
        const [file, anchor] = to.split('#');
        if (file.startsWith('../')) return !existsSync(file.slice('../'.length));
        const target = pages.get(file === '' ? page : file);
        return target === undefined || (anchor !== undefined && !target.includes(` id="${anchor}"`));
      })
      .map((to) => `${page}: ${to}`),
  );
  expect(wrong).toEqual([]);
  expect(pages.get('index.html')).toMatch(/<table>.*<code>featx inspect MODEL…<\/code>/);
});

test('Markdown becomes the HTML that it means', async () => {
  const { htmlOf } = await script('html.mjs');
  const html = htmlOf(
    '# A `b`\n\nOne *two* **three** `a|*b*` [l](x.md#y) <i>\n\n- a\n  - b\n- c\n\n| h |\n|---|\n| `x\\|y` |\n\n```sh\nfeatx <m>\n```',
    (to: string) => `to-${to}`,
  );
  expect(html).toBe(
    [
      '<h1 id="a-b">A <code>b</code></h1>',
      '<p>One <em>two</em> <strong>three</strong> <code>a|*b*</code> <a href="to-x.md#y">l</a> &lt;i&gt;</p>',
      '<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>',
      '<div class="table"><table><tr><th>h</th></tr><tr><td><code>x|y</code></td></tr></table></div>',
      '<pre><code>featx &lt;m&gt;</code></pre>',
    ].join('\n'),
  );
});

test('the reference has every export of a library, what is said of it, and the options of the table', async () => {
  const { apiReference } = await script('api.mjs');
  const folder = mkdtempSync(join(tmpdir(), 'featx-reference-'));
  try {
    const files: Record<string, string> = {
      'index.d.ts': "export * from './core.js';\nexport { run as go, type Given } from './run.js';\n",
      'core.d.ts': '/** How much. */\nexport declare const MUCH = 3;\n',
      'run.d.ts':
        "/**\n * Runs.\n * @param what to run\n * @throws UsageError\n */\nexport declare function run(what: Given): void;\n/** What is given. */\nexport type Given = OptionsOf<'inspect'>;\nexport type Hidden = 1;\n",
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const only = [
      ['featx', 'index.d.ts', ''],
      ['featx/core', 'core.d.ts', ''],
    ];
    const text = String(apiReference(folder, optionsOf, only));
    expect(text).toContain('#### go\n\nRuns.\n\n```ts\nfunction run(what: Given): void;\n```');
    expect(text).toContain('- Parameter: `what` to run\n- Throws: UsageError\n- Types: [Given](#given)');
    expect(text).toMatch(/#### Given\n\nWhat is given\.[^]*\n\| `inputShapes` \|/);
    expect(text).toMatch(/### Constants of featx\/core\n\n#### MUCH\n\nHow much\./);
    expect(text).not.toContain('Hidden');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
