// Markdown of this repository's documents as HTML: headings, paragraphs, lists, tables, code, links, emphasis.

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The anchor that a heading has, as GitHub makes it. */
export function anchorOf(heading) {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- _]/gu, '')
    .replaceAll(' ', '-');
}

function inline(text, linkOf) {
  const codes = [];
  const kept = text.replace(/(`+)(.+?)\1/g, (_whole, _ticks, code) => `\0${codes.push(escape(code.trim())) - 1}\0`);
  return escape(kept)
    .replace(/\[([^\]]*)\]\(([^)\s]+)\)/g, (_whole, words, to) => `<a href="${linkOf(to)}">${words}</a>`)
    .replace(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
    .replace(/(^|[^\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?!\w)/g, '$1<em>$2</em>')
    .replace(/\0(\d+)\0/g, (_whole, at) => `<code>${codes[Number(at)]}</code>`);
}

const cellsOf = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));

/** The body of a page. @param linkOf where a link of the document leads on the site */
export function htmlOf(markdown, linkOf) {
  const lines = markdown.split('\n');
  const seen = new Map();
  const html = [];
  const words = (text) => inline(text, linkOf);
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const fence = /^```(\w*)/.exec(line);
    const heading = /^(#{1,6}) (.+)$/.exec(line);
    if (fence !== null) {
      const end = lines.indexOf('```', at + 1);
      html.push(`<pre><code>${escape(lines.slice(at + 1, end).join('\n'))}</code></pre>`);
      at = end + 1;
    } else if (heading !== null) {
      const [, marks, title] = heading;
      const slug = anchorOf(title);
      const count = seen.get(slug) ?? 0;
      seen.set(slug, count + 1);
      const id = count === 0 ? slug : `${slug}-${count}`;
      html.push(`<h${marks.length} id="${id}">${words(title)}</h${marks.length}>`);
      at++;
    } else if (line.startsWith('|')) {
      let end = at;
      while (lines[end]?.startsWith('|')) end++;
      const [head, , ...rows] = lines.slice(at, end).map(cellsOf);
      const row = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${words(cell)}</${tag}>`).join('')}</tr>`;
      html.push(
        `<div class="table"><table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table></div>`,
      );
      at = end;
    } else if (/^\s*(?:[-*]|\d+\.) /.test(line)) {
      const [list, end] = listFrom(lines, at, words);
      html.push(list);
      at = end;
    } else if (line.trim() === '') at++;
    else {
      let end = at + 1;
      while (
        end < lines.length &&
        lines[end].trim() !== '' &&
        !/^(?:```|#{1,6} |\||\s*(?:[-*]|\d+\.) )/.test(lines[end])
      )
        end++;
      html.push(`<p>${words(lines.slice(at, end).join(' '))}</p>`);
      at = end;
    }
  }
  return html.join('\n');
}

/** A list and those inside it; the line behind it. */
function listFrom(lines, start, words) {
  const indentOf = (line) => /^ */.exec(line)[0].length;
  const indent = indentOf(lines[start]);
  const tag = /^\s*\d/.test(lines[start]) ? 'ol' : 'ul';
  const items = [];
  let at = start;
  while (at < lines.length && lines[at].trim() !== '') {
    const item = /^\s*(?:[-*]|\d+\.) (.*)$/.exec(lines[at]);
    if (item !== null && indentOf(lines[at]) < indent) break;
    if (item !== null && indentOf(lines[at]) > indent) {
      const [inner, end] = listFrom(lines, at, words);
      items.push(`${items.pop() ?? ''}${inner}`);
      at = end;
      continue;
    }
    if (item === null && indentOf(lines[at]) <= indent) break;
    items.push(item === null ? `${items.pop() ?? ''} ${words(lines[at].trim())}` : words(item[1]));
    at++;
  }
  return [`<${tag}>${items.map((item) => `<li>${item}</li>`).join('')}</${tag}>`, at];
}
