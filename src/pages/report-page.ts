import { escapeHtml } from '../report/escape.js';
import { preprocessingText } from '../report/preprocessing-record.js';
import type { PageFeatureRecord, PageReport } from '../report/page-records.js';
import { numberText } from '../report/numbers.js';
import type { Figures } from './figures.js';
import { encodePng } from './png.js';
import { REPORT_SCRIPT } from './report-script.js';
import { base64, nameOf, pageHtml, pictureHtml } from './shell.js';

/** An entry of a report: what it is called, the picture that the network saw, and the figures of each feature. */
export interface PageEntry {
  readonly name: string;
  readonly photo: { readonly bytes: Uint8Array; readonly type: 'png' | 'jpeg' } | null;
  readonly figures: readonly Figures[];
}

/** The page of a report. `withChannels`: whether single channels are drawn. */
export function reportPage(report: PageReport, entries: readonly PageEntry[], withChannels = true): string {
  const data = entries.flatMap(({ figures }, entry) =>
    figures.flatMap(({ likeness }, at) =>
      likeness === null
        ? []
        : [
            {
              ...likeness,
              id: `likeness-${entry}-${at}`,
              group: String(entry),
              codes: base64(new Uint8Array(likeness.codes.buffer)),
            },
          ],
    ),
  );
  const body = [
    headHtml(report),
    warningsHtml(report.warnings),
    tableHtml(report.features),
    `<div class="entries">${entries.map((entry, at) => entryHtml(entry, at, report.features, withChannels)).join('')}</div>\n`,
    NOTES,
  ].join('');
  return pageHtml({ title: `Features of ${nameOf(report.model ?? 'a model')}`, body, script: REPORT_SCRIPT, data });
}

function headHtml({ model, featx, provider, preprocessing, entries }: PageReport): string {
  const prepared = preprocessing.map((how) => `<li>${escapeHtml(preprocessingText(how))}</li>`);
  return `<h1>${escapeHtml(nameOf(model ?? 'a model'))}</h1>
<p class="soft">featx ${featx}, ${entries} ${entries === 1 ? 'entry' : 'entries'}, on ${escapeHtml(provider)}</p>
${prepared.length === 0 ? '' : `<ul class="soft">${prepared.join('')}</ul>\n`}`;
}

function warningsHtml(warnings: readonly string[]): string {
  if (warnings.length === 0) return '';
  return `<ul class="warning">${warnings.map((warning) => `<li>${escapeHtml(warning)}</li>`).join('')}</ul>\n`;
}

const PYRAMID_WIDTH = 120;

function tableHtml(features: readonly PageFeatureRecord[]): string {
  const widest = Math.max(1, ...features.map(({ width }) => width));
  const rows = features.map((feature) => {
    const { channels, height, width, reduction, silent_channels: silent } = feature;
    const bar = Math.max(2, (width / widest) * PYRAMID_WIDTH);
    return `<tr><td>${labelHtml(feature)}</td><td class="number">${channels}</td><td class="number">${height} x ${width}</td><td class="number">${reduction ?? ''}</td>
<td><svg class="pyramid" width="${PYRAMID_WIDTH}" height="12" role="img" aria-label="${width} cells wide"><rect x="${(PYRAMID_WIDTH - bar) / 2}" y="1" width="${bar}" height="10" rx="2"/></svg></td>
<td class="number">${silent ?? ''}</td><td><code>${escapeHtml(feature.tensor)}</code></td></tr>`;
  });
  return `<div class="wide"><table><thead><tr><th>feature</th><th class="number">channels</th><th class="number">cells</th><th class="number">stride</th><th></th><th class="number">silent channels</th><th>tensor</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>\n`;
}

function labelHtml({ output, module }: PageFeatureRecord): string {
  return `<strong>${escapeHtml(output)}</strong>${module === null ? '' : ` ${escapeHtml(module)}`}`;
}

function entryHtml(
  { name, photo, figures }: PageEntry,
  at: number,
  features: readonly PageFeatureRecord[],
  withChannels: boolean,
): string {
  const spot =
    photo === null
      ? ''
      : `<span class="spot photo-spot" data-group="${at}" tabindex="0" role="application" aria-label="${escapeHtml(name)}: choose a place with a click or the arrow keys">${pictureHtml(photo.bytes, name, photo.type, 'photo')}<span class="mark"></span></span>
<p class="soft">Click a place, or move with the arrow keys: what is like it lights up in every feature.</p>`;
  return `<section><h2>${escapeHtml(name)}</h2>
${spot}
${figures.map((each, index) => featureHtml(each, `${at}-${index}`, String(at), features[index], withChannels)).join('')}</section>\n`;
}

function featureHtml(
  figures: Figures,
  id: string,
  group: string,
  feature: PageFeatureRecord,
  withChannels: boolean,
): string {
  const { map, likeness, components, norms, channels } = figures;
  const silent = channels.filter(({ isSilent }) => isSilent).length;
  const quiet = map.cells.rows < 2 ? '' : `, ${silent} silent`;
  const parts = [
    likeness === null
      ? ''
      : `<figure><span class="spot" data-group="${group}" tabindex="0" role="application" aria-label="likeness in ${escapeHtml(feature.output)}: choose a place with a click or the arrow keys"><canvas id="likeness-${id}" role="img" aria-label="likeness to the chosen place"></canvas><span class="mark"></span></span><figcaption>like the chosen place, by cosine, the mean taken away</figcaption></figure>`,
    components === null
      ? ''
      : `<figure>${pictureHtml(encodePng(components.picture), `principal components of ${feature.output}`)}<figcaption>principal components as red, green, blue: ${components.explained.map((share) => `${(share * 100).toFixed(0)} %`).join(', ')} of the variance</figcaption></figure>`,
    norms === null
      ? ''
      : `<figure>${pictureHtml(encodePng(norms.picture), `norms of ${feature.output}`)}<figcaption>length over the channels: ${numberText(norms.least)} to ${numberText(norms.most)}</figcaption></figure>`,
    histogramHtml(figures),
  ];
  const columns = feature.attention === undefined ? 'channels' : 'heads';
  const whose = feature.attention === undefined ? '' : `: ${ATTENTION[feature.attention]}`;
  return `<h3>${labelHtml(feature)} <small>${map.cells.columns} ${columns}, ${map.height} x ${map.width} cells${quiet}${whose}</small></h3>
<div class="row">${parts.join('\n')}</div>
${withChannels ? channelsHtml(figures, feature) : ''}`;
}

function histogramHtml({ histogram: { least, most, counts, zeros, total }, map }: Figures): string {
  const highest = Math.max(1, ...counts.map((count) => Math.log1p(count)));
  const bars = counts.map((count, at) => {
    const height = (Math.log1p(count) / highest) * 40;
    return `<rect x="${at}" y="${(40 - height).toFixed(2)}" width=".9" height="${height.toFixed(2)}"/>`;
  });
  const { length } = map.cells.values;
  const broken = length - total;
  return `<figure><svg class="bars" viewBox="0 0 ${counts.length} 40" preserveAspectRatio="none" role="img" aria-label="histogram">${bars.join('')}</svg>
<figcaption>${numberText(least)} to ${numberText(most)}, counts as logarithms; ${((100 * zeros) / Math.max(1, length)).toFixed(0)} % zeros${broken > 0 ? `, ${broken} not finite` : ''}</figcaption></figure>`;
}

function channelsHtml({ strongest }: Figures, { output }: PageFeatureRecord): string {
  if (strongest.length === 0) return '';
  const thumbs = strongest.map(
    ({ channel, picture, least, most }) =>
      `<figure title="${numberText(least)} to ${numberText(most)}">${pictureHtml(encodePng(picture), `channel ${channel} of ${output}`)}<figcaption>${channel}</figcaption></figure>`,
  );
  return `<div class="channels">${thumbs.join('')}</div>\n`;
}

/** What is shown of attention. */
const ATTENTION = {
  paid: 'the attention that the first token pays, a head each',
  received: 'the attention that each place receives on average, a head each',
} as const;

const NOTES = `<h2>How to read this</h2>
<ul class="soft">
<li>Colours of principal components do not compare from one map to another.</li>
<li>Brighter is more, and each picture goes from its own least to its own most.</li>
<li>A channel is silent where it has one value in every cell of every entry here. With few entries that is not a fault of the network; many more of them with one preparation of the input than with another is a sign of a wrong one.</li>
<li>Single channels are those that vary most.</li>
</ul>
`;
