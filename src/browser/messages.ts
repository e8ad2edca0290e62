import { FeatxError } from '../core.js';
import { escapeText } from '../report/escape.js';
import { byId, element } from './dom.js';

/** Says what goes on, to those who see and those who hear. */
export function say(text: string): void {
  byId('status').textContent = text;
}

/** Shows what went wrong and what mends it; null: nothing is wrong any more. */
export function showProblem(error: unknown): void {
  const place = byId('problem');
  if (error === null) return place.replaceChildren();
  const message = error instanceof Error ? error.message : 'something that is not an error was thrown';
  const hint = error instanceof FeatxError ? error.hint : undefined;
  place.replaceChildren(
    element('p', { class: 'warning' }, escapeText(message)),
    ...(hint === undefined ? [] : [element('p', { class: 'soft' }, escapeText(hint))]),
  );
  say('');
}
