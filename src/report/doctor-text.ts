import { escapeText } from './escape.js';
import type { DoctorReport } from './records.js';
import { paint, type TextStyle } from './style.js';
import { padEnd } from './width.js';

/** What there is, what there is not, and what mends it. */
export function doctorText(
  { featx, node, platform, arch, runtime, providers, pictures }: DoctorReport,
  style: TextStyle,
): string {
  const lines = [`featx ${featx}, Node.js ${escapeText(node)}, ${escapeText(platform)} ${escapeText(arch)}`];
  const state = (works: boolean): string =>
    works ? paint(style, 'green', 'works ') : paint(style, 'yellow', 'absent');
  const entry = (name: string, works: boolean, reason: string | null, hint: string | null): void => {
    lines.push(`${state(works)}  ${padEnd(name, 26)}${reason === null ? '' : escapeText(reason)}`.trimEnd());
    if (hint !== null) lines.push(`        ${padEnd('', 26)}${escapeText(hint)}`);
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
  return `${lines.join('\n')}\n`;
}
