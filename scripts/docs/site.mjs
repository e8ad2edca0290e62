// The documents and the reference of the library as pages: no server, no script, no font from elsewhere.
import { posix } from 'node:path';
import { htmlOf } from './html.mjs';

const STYLE = `:root{color-scheme:light dark}body{margin:0;font:16px/1.55 system-ui,sans-serif;display:grid;grid-template-columns:13rem minmax(0,1fr)}
nav{padding:1.5rem 1rem;border-right:1px solid #8884;position:sticky;top:0;height:100vh;overflow:auto;box-sizing:border-box}nav a{display:block;padding:.15rem 0}
main{padding:1rem 2rem 4rem;max-width:60rem}a{color:#2563eb}code{font:.88em ui-monospace,monospace;background:#8882;border-radius:3px;padding:.1em .25em}
pre{background:#8882;padding:.8rem 1rem;overflow:auto;border-radius:6px}pre code{background:none;padding:0}.table{overflow:auto}table{border-collapse:collapse;font-size:.93em}
th,td{border:1px solid #8884;padding:.35rem .6rem;text-align:left;vertical-align:top}h1,h2,h3,h4{line-height:1.25}@media(max-width:50rem){body{display:block}nav{position:static;height:auto}}`;

/**
 * Pages by their names.
 * @param documents Markdown by path from the root of the repository, in the order of the menu
 */
export function sitePages(documents) {
  const pageOf = new Map([...documents.keys()].map((path) => [path, pageName(path)]));
  const titleOf = new Map([...documents].map(([path, text]) => [path, /^# (.+)$/m.exec(text)?.[1] ?? path]));
  const menu = [...pageOf].map(([path, page]) => `<a href="${page}">${titleOf.get(path)}</a>`).join('');
  return new Map(
    [...documents].map(([path, text]) => {
      const linkOf = (to) => {
        if (/^[a-z]+:/.test(to) || to.startsWith('#')) return to;
        const [file, anchor] = to.split('#');
        const target = posix.join(posix.dirname(path), file);
        return `${pageOf.get(target) ?? `../${target}`}${anchor === undefined ? '' : `#${anchor}`}`;
      };
      const head = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${titleOf.get(path)}</title><style>${STYLE}</style></head>`;
      return [pageName(path), `${head}<body><nav>${menu}</nav><main>${htmlOf(text, linkOf)}</main></body></html>\n`];
    }),
  );
}

function pageName(path) {
  return path === 'README.md' ? 'index.html' : `${posix.basename(path, '.md').toLowerCase()}.html`;
}
