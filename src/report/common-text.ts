import type { CommonReport } from './common-records.js';
import { escapeText } from './escape.js';
import { shapeText } from './shapes.js';
import { paint, type TextStyle } from './style.js';
import { bytesText } from './units.js';

/** Up to where models are the same, and where they part. */
export function commonText(report: CommonReport, style: TextStyle): string {
  const {
    models,
    values,
    common,
    frontier,
    shared_weights_bytes: shared,
    weights_bytes: all,
    first_difference: first,
    trunk,
    heads = [],
  } = report;
  const head = `${paint(style, 'bold', `${common} of ${values} values`)} are the same in ${models.map(escapeText).join(', ')}, with ${bytesText(shared)} of ${bytesText(all)} of weights\n`;
  const places = frontier.map(({ tensor, shape }) => `  up to ${escapeText(tensor)} ${shapeText(shape)}\n`);
  const difference =
    first === null ? '' : `they part at ${escapeText(first.tensor)} (${first.kind}): ${escapeText(first.what)}\n`;
  const files = trunk === undefined ? '' : `wrote ${[trunk, ...heads].map(escapeText).join(', ')}\n`;
  return `${head}${places.join('')}${difference}${files}`;
}
