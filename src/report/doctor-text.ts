import { escapeText } from './escape.js';
import type { DoctorReport, FetchedLibraries } from './records.js';
import { paint, type TextStyle } from './style.js';
import { bytesText } from './units.js';
import { displayWidth, filled, padEnd } from './width.js';

/** Where reasons stand beside names, and where below them. */
const BESIDE = 34;
const BELOW = '          ';

/** A sentence below a name; paths and commands are not broken. */
function below(text: string, width: number | null): string {
  return filled(`${BELOW}${text}`, width, `${BELOW}  `);
}

/** What there is, what there is not, and what mends it. */
export function doctorText(
  { featx, node, platform, arch, runtime, providers, fetched, pictures, texts }: DoctorReport,
  style: TextStyle,
): string {
  const lines = [`featx ${featx}, Node.js ${escapeText(node)}, ${escapeText(platform)} ${escapeText(arch)}`];
  const state = (works: boolean): string =>
    works ? paint(style, 'green', 'works ') : paint(style, 'yellow', 'absent');
  const entry = (name: string, works: boolean, reason: string | null, hint: string | null): void => {
    const [first, ...others] = [reason, hint].flatMap((text) => (text === null ? [] : [escapeText(text)]));
    const rows = [
      `${state(works)}  ${padEnd(name, 26)}${first ?? ''}`.trimEnd(),
      ...others.map((text) => `${padEnd('', BESIDE)}${text}`),
    ];
    const isWide = rows.some((row) => style.width !== null && displayWidth(row) > style.width);
    if (!isWide) lines.push(...rows);
    else lines.push(`${state(works)}  ${name}`, ...[first, ...others].map((text) => below(text, style.width)));
  };
  entry(
    `onnxruntime-node${runtime.version === null ? '' : ` ${escapeText(runtime.version)}`}`,
    runtime.works,
    runtime.reason,
    runtime.hint,
  );
  for (const { provider, works, reason, hint } of providers) entry(`  ${escapeText(provider)}`, works, reason, hint);
  entry(
    `sharp${pictures.version === null ? '' : ` ${escapeText(pictures.version)}`} (pictures)`,
    pictures.works,
    pictures.reason,
    pictures.hint,
  );
  entry('tokenizers (texts)', texts.works, texts.reason, texts.hint);
  if (fetched !== null) lines.push('', ...librariesText(fetched));
  return `${lines.join('\n')}\n`;
}

/** What is about to be downloaded. */
export function fetchText({ download_bytes: bytes, packages, index, folder }: FetchedLibraries): string {
  const missing = packages.filter(({ state }) => state !== 'present');
  if (missing.length === 0) return `nothing to download: all libraries are in ${escapeText(folder)}`;
  return `downloading ${bytesText(bytes)} (${missing.map(({ name, version }) => `${name} ${version}`).join(', ')}) from ${escapeText(index)} into ${escapeText(folder)}`;
}

function librariesText({ folder, download_bytes: bytes, packages }: FetchedLibraries): readonly string[] {
  const rows = packages.map(({ name, version, state, size_bytes: size }) =>
    `  ${padEnd(state, 9)}${padEnd(`${name} ${version}`, 32)}${size === null ? '' : bytesText(size)}`.trimEnd(),
  );
  const isPlanned = packages.some(({ state }) => state === 'planned');
  return [
    `libraries in ${escapeText(folder)}${isPlanned ? `, of which ${bytesText(bytes)} are to be downloaded` : ''}:`,
    ...rows,
  ];
}
