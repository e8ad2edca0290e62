// npm run docs: the reference of the library from its types, and every document as a page, in site/.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { apiReference } from './docs/api.mjs';
import { sitePages } from './docs/site.mjs';
import { built, root } from './ready.mjs';

built();
const dist = join(root, 'dist');
const { optionsOf } = await import(pathToFileURL(join(dist, 'options', 'table.js')).href);
const reference = apiReference(dist, optionsOf);
const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const paths = [
  'README.md',
  ...pages.map((name) => `docs/${name}`),
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
];
const documents = new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
documents.set('docs/api.md', reference);
const site = join(root, 'site');
rmSync(site, { recursive: true, force: true });
mkdirSync(site);
writeFileSync(join(site, 'api.md'), reference);
for (const [name, html] of sitePages(documents)) writeFileSync(join(site, name), html);
console.log(`wrote ${documents.size} pages to site/; open site/index.html`);
