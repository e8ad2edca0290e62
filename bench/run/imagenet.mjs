// How featx prepares pictures for the graph of these measurements.
import { recipeNamed } from '../../dist/preprocessing/find.js';
import { settled } from '../../dist/preprocessing/settle.js';

const input = { name: 'input', dtype: 'float32', shape: ['batch', 3, 224, 224] };

/** ImageNet's preprocessing for an input [batch, 3, 224, 224]. */
export const IMAGENET = settled(
  input,
  await recipeNamed('imagenet', () => {
    throw new Error('a preset needs no file');
  }),
);
