import { VIRIDIS } from './colours.js';

/**
 * The program of a report: a place on any picture of an image lights up, in each of its features, what is like it. It
 * knows nothing but numbers, and writes no HTML.
 */
export const REPORT_SCRIPT = `'use strict';
const colours = ${JSON.stringify(VIRIDIS)};
const maps = JSON.parse(document.getElementById('data').textContent).map(({ codes, ...map }) => {
  const text = atob(codes);
  const values = new Int8Array(text.length);
  for (let at = 0; at < text.length; at++) values[at] = text.charCodeAt(at);
  const norms = new Float64Array(map.height * map.width);
  for (let cell = 0; cell < norms.length; cell++) {
    for (let part = 0; part < map.parts; part++) norms[cell] += values[cell * map.parts + part] ** 2;
    norms[cell] = Math.sqrt(norms[cell]);
  }
  return { ...map, values, norms };
});
const colour = (share) => {
  const place = Math.max(0, Math.min(1, share)) * (colours.length - 1);
  const low = Math.min(colours.length - 2, Math.floor(place));
  return colours[low].map((from, part) => from + (colours[low + 1][part] - from) * (place - low));
};
const light = (group, x, y) => {
  for (const map of maps) {
    if (map.group !== group) continue;
    const canvas = document.getElementById(map.id);
    const { width, height, parts, values, norms } = map;
    const chosen = Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width));
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    for (let cell = 0; cell < width * height; cell++) {
      let product = 0;
      for (let part = 0; part < parts; part++) product += values[cell * parts + part] * values[chosen * parts + part];
      const length = norms[cell] * norms[chosen];
      const likeness = cell === chosen ? 1 : length === 0 ? 0 : product / length;
      image.data.set([...colour((likeness + 1) / 2), 255], cell * 4);
    }
    context.putImageData(image, 0, 0);
  }
  for (const mark of document.querySelectorAll('.mark')) {
    if (mark.parentElement.dataset.group !== group) continue;
    mark.style.left = x * 100 + '%';
    mark.style.top = y * 100 + '%';
  }
};
const places = new Map();
const choose = (group, x, y) => {
  const place = [Math.max(0, Math.min(0.999, x)), Math.max(0, Math.min(0.999, y))];
  places.set(group, place);
  light(group, ...place);
};
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
for (const spot of document.querySelectorAll('.spot')) {
  const { group } = spot.dataset;
  spot.addEventListener('click', (event) => {
    const box = spot.getBoundingClientRect();
    choose(group, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  });
  spot.addEventListener('keydown', (event) => {
    const step = KEYS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const [x, y] = places.get(group);
    choose(group, x + step[0] / 14, y + step[1] / 14);
  });
}
for (const group of new Set(maps.map((map) => map.group))) choose(group, 0.5, 0.5);
`;
