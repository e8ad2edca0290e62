import { createHash } from 'node:crypto';
import { escapeHtml } from '../report/escape.js';

/** What a page is made of; `body` is HTML in which every name has been escaped. */
export interface PageParts {
  readonly title: string;
  readonly body: string;
  /** A program of ours; it alone may run. */
  readonly script?: string;
  /** What the program reads: plain data. */
  readonly data?: unknown;
  /** What else its policy allows, by directive. */
  readonly policy?: { readonly [directive: string]: string };
  /** Beside the style of all pages. */
  readonly style?: string;
}

/** What is to be said of a file that a page is written to: browsers know a page by the end of its name. */
export function pageNameWarnings(path: string): readonly string[] {
  return /\.x?html?$/i.test(path) ? [] : [`${path} does not end in .html: a browser may show it as text`];
}

/**
 * A page of one file that asks no server for anything: its policy lets nothing be loaded but pictures inside it, and
 * nothing run but its own script.
 * @see https://www.w3.org/TR/CSP3
 */
export function pageHtml({ title, body, script = '', data = null, policy = {}, style = '' }: PageParts): string {
  const hash = createHash('sha256').update(script).digest('base64');
  const directives: { readonly [directive: string]: string } = {
    'default-src': "'none'",
    'img-src': 'data:',
    'style-src': "'unsafe-inline'",
    'script-src': `'sha256-${hash}'`,
    'base-uri': "'none'",
    'form-action': "'none'",
  };
  const content = Object.keys({ ...directives, ...policy })
    .map((name) => [name, directives[name], policy[name]].filter((part) => part !== undefined).join(' '))
    .join('; ');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${content}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}${style}</style>
<main>
${body}</main>
${data === null ? '' : `<script type="application/json" id="data">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>\n`}${script === '' ? '' : `<script>${script}</script>\n`}</html>
`;
}

/** The last part of a path or URL: a page that is passed on need not say where its models lay. */
export function nameOf(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? path;
}

/** A picture inside the page, a pixel of it as large as it gets. */
export function pictureHtml(
  bytes: Uint8Array,
  alt: string,
  type: 'png' | 'jpeg' = 'png',
  className = 'pixels',
): string {
  return `<img class="${className}" src="data:image/${type};base64,${base64(bytes)}" alt="${escapeHtml(alt)}">`;
}

/** Bytes as text. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #6b6b6b; --bar: #31688e; --warn: #b35900; }
@media (prefers-color-scheme: dark) { :root { --soft: #999; --bar: #6ece58; --warn: #ffb454; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: .2rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
small, figcaption, .soft { color: var(--soft); font-size: .82rem; }
code { font: .85em ui-monospace, monospace; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
th { font-weight: 600; font-size: .82rem; color: var(--soft); }
td.number, th.number { text-align: right; }
.entries { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 2rem; }
.entries > * { min-width: 0; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; align-items: start; max-width: 64rem; }
figure { margin: 0; }
.pixels, canvas { width: 100%; display: block; image-rendering: pixelated; border-radius: 3px; }
.photo { width: 100%; max-width: 22rem; display: block; border-radius: 3px; }
.spot { position: relative; display: block; cursor: crosshair; outline-offset: 2px; }
.spot.photo-spot { max-width: 22rem; }
.mark { position: absolute; width: .7rem; height: .7rem; margin: -.35rem; border: 2px solid #fff; border-radius: 50%; box-shadow: 0 0 0 1.5px #000; pointer-events: none; }
.channels { display: grid; grid-template-columns: repeat(auto-fill, minmax(4rem, 1fr)); gap: .4rem; margin-top: .5rem; max-width: 64rem; }
.warning { color: var(--warn); }
.bars { width: 100%; height: 6rem; display: block; }
.bars rect, .pyramid rect { fill: var(--bar); }
ul { padding-left: 1.2rem; }
`;
