import * as fc from 'fast-check';
import { arbitraryModel } from './arbitrary-model.js';
import { FIXTURES } from './fixtures/all.js';
import { encodeModel } from './model-builder.js';
import type { Style } from './wire-writer.js';

export interface SmallModel {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const LARGEST_FIXTURE = 2048;
const LARGEST_GENERATED = 640;
const SEED = 20_261;

/** How serializers differ, for fixtures of a few bodies, functions, sparse and typed values. */
const STYLES: readonly (readonly [string, Style])[] = [
  ['reversed', { order: 'reversed' }],
  ['shuffled', { order: 7 }],
  ['unpacked', { packed: false }],
  ['overlong', { overlong: 3 }],
  ['in pieces', { graphPieces: 3 }],
];
const STYLED = new Set(['01-capture-if', '05-functions', '11-sparse-initializer', '12-typed-data']);

/**
 * The fixtures of at most 2 KiB, some of them in every style, and generated models of at most 640 bytes up to `count`
 * in all; the same every time.
 */
export function smallModels(count: number): readonly SmallModel[] {
  const models: SmallModel[] = [];
  for (const { name, model, style } of FIXTURES) {
    const bytes = encodeModel(model, style);
    if (bytes.length <= LARGEST_FIXTURE) models.push({ name, bytes });
    if (STYLED.has(name))
      for (const [how, each] of STYLES) models.push({ name: `${name} ${how}`, bytes: encodeModel(model, each) });
  }
  for (let seed = SEED; models.length < count; seed++) {
    for (const { spec, style } of fc.sample(arbitraryModel, { seed, numRuns: 40 })) {
      const bytes = encodeModel(spec, style);
      if (bytes.length <= LARGEST_GENERATED && models.length < count)
        models.push({ name: `generated ${models.length}`, bytes });
    }
  }
  return models;
}
