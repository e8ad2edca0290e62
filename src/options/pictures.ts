import { CHANNEL_ORDERS, FITS, INTERPOLATIONS, ORIENTATIONS, PRESET_NAMES } from './choices.js';
import { choice, fraction, PER_CHANNEL, SIZE, TEXT } from './kinds.js';
import { GROUPS, PAGES, type Rows } from './row.js';

const group = GROUPS.pictures;

const TAKERS = ['run', ...PAGES, 'verify'] as const;

/** How pictures become tensors. */
export const PICTURES = {
  /** How they are prepared: `auto`, the name of a preset, a file that says it, or `none`. */
  'image.preprocess': {
    kind: TEXT,
    in: TAKERS,
    flag: '--preprocess <how>',
    help: `auto: as the model, a file beside it or its graph says (default); ${PRESET_NAMES.join(', ')}; a file such as preprocessor_config.json; or none`,
    group,
  },
  /** Height and width, or one number for both. Default: what the model wants, else what its preset says. */
  'image.size': {
    kind: SIZE,
    in: TAKERS,
    flag: '--size <pixels>',
    help: 'height and width, or one number for both (default: what the model wants, or as uint8 its own)',
    group,
  },
  /** What the shortest side is resized to in front of the crop, or height and width. */
  'image.resize': {
    kind: SIZE,
    in: TAKERS,
    flag: '--resize <pixels>',
    help: 'the shortest side, or height and width, in front of the crop',
    group,
  },
  /** How a picture is brought to the size of the input. */
  'image.fit': {
    kind: choice(FITS),
    in: TAKERS,
    flag: '--fit <how>',
    help: 'shortest: cover the input and crop the centre; squash; letterbox, as ultralytics does; pad',
    group,
  },
  /** timm's `crop_pct`: the share of the resized picture that the centre crop keeps. */
  'image.crop': {
    kind: fraction('a number'),
    in: TAKERS,
    flag: '--crop <share>',
    elsewhere: ['--crop-pct', '--crop-size'],
    help: 'share of the resized picture that the centre crop keeps',
    group,
  },
  'image.interpolation': {
    kind: choice(INTERPOLATIONS),
    in: TAKERS,
    flag: '--interpolation <kind>',
    help: 'how pictures are resized',
    group,
  },
  /** What pixels from 0 to 255 are multiplied by. */
  'image.scale': {
    kind: fraction('a number'),
    in: TAKERS,
    flag: '--scale <x>',
    help: 'what pixels from 0 to 255 are multiplied by: 1 leaves them (default: 1/255)',
    group,
  },
  /** Per channel, subtracted from scaled values. */
  'image.mean': {
    kind: PER_CHANNEL,
    in: TAKERS,
    flag: '--mean <values>',
    help: 'one or three numbers that are subtracted from scaled values',
    group,
  },
  /** Per channel, what is divided by. */
  'image.std': {
    kind: PER_CHANNEL,
    in: TAKERS,
    flag: '--std <values>',
    help: 'one or three numbers that are divided by',
    group,
  },
  /** The order of the channels that the input takes. */
  'image.channels': {
    kind: choice(CHANNEL_ORDERS),
    in: TAKERS,
    flag: '--channels <order>',
    help: 'rgb or bgr',
    group,
  },
  /** Whether pictures are turned as their EXIF orientation says. */
  'image.orient': {
    kind: choice(ORIENTATIONS),
    in: TAKERS,
    flag: '--orient <what>',
    help: 'apply or ignore the orientation that a camera wrote',
    group,
  },
  /** Pixels around a picture that does not fill the input, from 0 to 255. */
  'image.fill': {
    kind: PER_CHANNEL,
    in: TAKERS,
    flag: '--fill <values>',
    help: 'pixels around a picture that does not fill the input: one or three numbers from 0 to 255',
    group,
  },
} as const satisfies Rows;
