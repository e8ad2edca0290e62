import { UsageError } from '../errors.js';
import { PIXEL_CHANNELS, PRESET_NAMES, type MapLayout, type PixelChannels } from './choices.js';
import { fraction, PER_CHANNEL, SIZE, TEXT, type Kind } from './kinds.js';
import { GROUPS, IN_MEMORY, type Rows } from './row.js';

/** How pixels lie in an input. */
export interface PixelLayout {
  readonly layout: MapLayout;
  readonly channels: PixelChannels;
}

const SPELLINGS = `nhwc or nchw, and ${PIXEL_CHANNELS.join(', ')} behind a comma`;

/** What a text such as `nhwc,bgr` says; null if it says nothing of pixels. */
export function pixelLayoutOf(text: string): PixelLayout | null {
  const [axes, order = 'rgb', ...rest] = text.toLowerCase().split(',');
  const channels = PIXEL_CHANNELS.find((known) => known === order);
  const layout = axes === 'nhwc' ? 'NHWC' : axes === 'nchw' ? 'NCHW' : null;
  return channels === undefined || layout === null || rest.length > 0 ? null : { layout, channels };
}

const PIXEL_LAYOUT: Kind<string> = {
  allowed: SPELLINGS,
  accepts: (value): value is string => typeof value === 'string' && pixelLayoutOf(value) !== null,
  parse: readLayout,
  schema: { type: 'string', minLength: 1 },
  fromConfig: (text: string) => readLayout('pixels.layout', text),
};

function readLayout(name: string, text: string): string {
  if (pixelLayoutOf(text) === null) throw new UsageError(`${name} takes ${SPELLINGS}, not '${text}'`);
  return text;
}

const CUTS = ['extract', 'cut', IN_MEMORY[1]] as const;
const group = GROUPS.pixels;
const NUMBERS = { type: 'array', minItems: 1, items: { type: 'number' } } as const;

/** What is computed of pixels in front of the input that takes pictures. */
export const PIXELS = {
  /** How the pixels lie that the cut takes: `nhwc,rgb`. */
  'pixels.layout': {
    kind: PIXEL_LAYOUT,
    in: CUTS,
    flag: '--image-input <layout>',
    help: 'the cut takes uint8 pixels: nhwc or nchw, and rgb (default), bgr, rgba or bgra behind a comma',
    group,
    config: 'pixels.layout',
  },
  /** How they become what the network takes, by a name or a file; what the model says by default. */
  'pixels.preprocess': {
    kind: TEXT,
    in: CUTS,
    flag: '--preprocess <how>',
    help: `how pictures are prepared, inside with --image-input, else as the cut says: ${PRESET_NAMES.join(', ')}; or a file (default: as the model says)`,
    group,
    config: 'pixels.preprocess',
  },
  /** What is subtracted per channel, of scaled values. */
  'pixels.mean': {
    kind: { ...PER_CHANNEL, schema: NUMBERS },
    in: CUTS,
    flag: '--mean <values>',
    help: 'one or three numbers that are subtracted from scaled values',
    group,
    config: 'pixels.mean',
  },
  /** What is divided by, per channel. */
  'pixels.std': {
    kind: { ...PER_CHANNEL, schema: NUMBERS },
    in: CUTS,
    flag: '--std <values>',
    help: 'one or three numbers that are divided by',
    group,
    config: 'pixels.std',
  },
  /** What pixels are multiplied by; 1/255 by default. */
  'pixels.scale': {
    kind: fraction('a number'),
    in: CUTS,
    flag: '--scale <x>',
    help: 'what pixels from 0 to 255 are multiplied by first (default: 1/255)',
    group,
    config: 'pixels.scale',
  },
  /** Pictures of any size: what their shortest side is resized to, or height and width, in front of a centre crop. */
  'pixels.resize': {
    kind: { ...SIZE, schema: { type: ['integer', 'array'], minimum: 1, items: { type: 'integer', minimum: 1 } } },
    in: CUTS,
    flag: '--resize <pixels>',
    help: 'take pictures of any size: resize their shortest side, or height,width, as Pillow does, and crop the centre',
    group,
    config: 'pixels.resize',
  },
} as const satisfies Rows;
