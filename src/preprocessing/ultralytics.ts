import { PRESETS } from './presets.js';
import type { Recipe } from './recipe.js';

/**
 * How ultralytics prepares pictures for a model that it exported, by the model's metadata; null for any other. Values
 * are what Python's `str` makes of them.
 * @see https://github.com/ultralytics/ultralytics/blob/main/ultralytics/engine/exporter.py (metadata)
 * @see https://github.com/ultralytics/ultralytics/blob/main/ultralytics/data/augment.py
 */
export function ultralyticsRecipe(metadata: ReadonlyMap<string, string>): Recipe | null {
  if (!metadata.has('stride') || !metadata.has('names')) return null;
  const size = pairOf(metadata.get('imgsz') ?? '');
  const task = metadata.get('task') ?? 'detect';
  const isTransformer = /rt-?detr/i.test(metadata.get('description') ?? '');
  const own = { ...PRESETS.yolo, size: size ?? PRESETS.yolo.size };
  if (task === 'classify')
    return { ...own, fit: 'shortest', resize: null, antialias: true, crop: 1, size: size ?? [224, 224], fill: [0] };
  return isTransformer ? { ...own, fit: 'squash' } : own;
}

/** `[640, 480]`, or `640` for both. */
function pairOf(text: string): readonly [number, number] | null {
  const numbers = text.match(/\d+/g)?.map(Number) ?? [];
  const [height, width = height] = numbers;
  return numbers.length === 0 || numbers.length > 2 || height < 1 || width < 1 ? null : [height, width];
}
