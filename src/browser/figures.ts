import { VIRIDIS } from '../pages/colours.js';
import { likenessTo, type Figures, type Likeness } from '../pages/figures.js';
import type { Pixels } from '../pages/png.js';
import { escapeText } from '../report/escape.js';
import { numberText } from '../report/numbers.js';
import type { Picture } from '../tensors/resample.js';
import { element } from './dom.js';

/** The place that is chosen, on all pictures of one run. */
export class Places extends EventTarget {
  at: Place = [0.5, 0.5];

  /** Chooses a place; what lies outside is moved to the edge. */
  choose(x: number, y: number): void {
    const inside = (value: number): number => Math.max(0, Math.min(0.999, value));
    this.at = [inside(x), inside(y)];
    this.dispatchEvent(new Event('chosen'));
  }
}

/** The picture that the network was given; a place on it can be chosen. */
export function photoView(picture: Picture, name: string, places: Places): HTMLElement {
  return spot(
    places,
    canvasOf(picture, 'photo'),
    `${escapeText(name)}: choose a place with a click or the arrow keys`,
    'photo-spot',
  );
}

/** What is shown of a feature. */
export function figureView(name: string, figures: Figures, places: Places): HTMLElement {
  const { map, likeness, components, norms, channels, strongest, histogram } = figures;
  const silent = channels.filter(({ isSilent }) => isSilent).length;
  const quiet = map.cells.rows < 2 ? '' : `, ${silent} silent`;
  const row: HTMLElement[] = [];
  if (likeness !== null) {
    const canvas = element('canvas', { role: 'img', 'aria-label': 'likeness to the chosen place' });
    places.addEventListener('chosen', () => drawLikeness(canvas, likeness, places.at));
    row.push(
      figure(
        spot(places, canvas, `likeness in ${escapeText(name)}: choose a place with a click or the arrow keys`),
        'like the chosen place, by cosine, the mean taken away',
      ),
    );
  }
  if (components !== null)
    row.push(
      figure(
        canvasOf(components.picture),
        `principal components as red, green, blue: ${components.explained.map((share) => `${(share * 100).toFixed(0)} %`).join(', ')} of the variance`,
      ),
    );
  if (norms !== null)
    row.push(
      figure(
        canvasOf(norms.picture),
        `length over the channels: ${numberText(norms.least)} to ${numberText(norms.most)}`,
      ),
    );
  return element(
    'section',
    {},
    element(
      'h3',
      {},
      escapeText(name),
      element(
        'small',
        {},
        ` ${map.cells.columns} channels, ${map.height} x ${map.width} cells${quiet}, ${numberText(histogram.least)} to ${numberText(histogram.most)}`,
      ),
    ),
    element('div', { class: 'row' }, ...row),
    element(
      'div',
      { class: 'channels' },
      ...strongest.map(({ channel, picture }) => figure(canvasOf(picture), String(channel))),
    ),
  );
}

function figure(content: HTMLElement, caption: string): HTMLElement {
  return element('figure', {}, content, element('figcaption', {}, caption));
}

/** Pixels as they are; with a palette, bytes are colours of it. */
function canvasOf({ width, height, data, palette }: Pixels, className = 'pixels'): HTMLCanvasElement {
  const canvas = element('canvas', { width, height, class: className });
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++)
    for (let part = 0; part < 4; part++)
      image.data[pixel * 4 + part] =
        part === 3 ? 255 : palette === undefined ? data[pixel * 3 + part] : palette[data[pixel] * 3 + part];
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  return canvas;
}

function drawLikeness(canvas: HTMLCanvasElement, likeness: Likeness, [x, y]: Place): void {
  const { width, height } = likeness;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  likenessTo(likeness, x, y).forEach((value, cell) => image.data.set([...colour((value + 1) / 2), 255], cell * 4));
  canvas.getContext('2d')?.putImageData(image, 0, 0);
}

function colour(share: number): readonly number[] {
  const place = Math.max(0, Math.min(1, share)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return VIRIDIS[low].map((from, part) => from + (VIRIDIS[low + 1][part] - from) * (place - low));
}

/** Across and down, from 0 to 1. */
type Place = readonly [x: number, y: number];

const STEPS: { readonly [key: string]: Place } = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
/** Presses of a key from one side to the other. */
const PRESSES = 14;

/** Something on which a place can be chosen. */
function spot(places: Places, content: HTMLElement, label: string, className = ''): HTMLElement {
  const mark = element('span', { class: 'mark' });
  const facts = { class: `spot ${className}`, tabindex: 0, role: 'application', 'aria-label': label };
  const made = element('span', facts, content, mark);
  places.addEventListener('chosen', () => {
    mark.style.left = `${places.at[0] * 100}%`;
    mark.style.top = `${places.at[1] * 100}%`;
  });
  made.addEventListener('click', ({ clientX, clientY }) => {
    const box = made.getBoundingClientRect();
    places.choose((clientX - box.left) / box.width, (clientY - box.top) / box.height);
  });
  made.addEventListener('keydown', (event) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    places.choose(places.at[0] + step[0] / PRESSES, places.at[1] + step[1] / PRESSES);
  });
  return made;
}
