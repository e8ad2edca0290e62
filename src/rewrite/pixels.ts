import { ResolveError, UnsupportedModelError, UsageError } from '../errors.js';
import { CHANNEL_AXIS, permutation, PLACE_AXES } from '../features/feature.js';
import { type ChannelOrder, type MapLayout, PRESET_NAMES } from '../options/choices.js';
import { pixelLayoutOf, type PixelLayout } from '../options/pixels.js';
import type { OptionsIn } from '../options/types.js';
import { option } from '../options/words.js';
import type { NewInput } from '../onnx/encode.js';
import type { Dim, ValueType } from '../onnx/records.js';
import { DataType } from '../onnx/schema.js';
import { dtypeWord } from '../onnx/types.js';
import { PRESETS } from '../preprocessing/presets.js';
import type { FoundRecipe, Recipe } from '../preprocessing/recipe.js';
import type { NodeBuilder } from './nodes.js';

/** What pixels go through in front of the network. */
export interface Pixels extends PixelLayout {
  readonly recipe: Pick<Recipe, 'scale' | 'mean' | 'std' | 'interpolation' | 'fit' | 'antialias' | 'cropRounding'> & {
    readonly channels: ChannelOrder;
  };
  /** The shortest side, or height and width, in front of the crop; null: pictures come at the size of the input. */
  readonly resize: number | readonly [height: number, width: number] | null;
  /** A name of the table, and whether single options say it in part. */
  readonly from: string;
}

/** What pixels go through, as a cut remembers it and a report shows it. */
export interface PixelsRecord {
  /** The input of the cut, and the tensor of its original that is computed of it. */
  readonly input: string;
  readonly tensor: string;
  readonly dtype: 'uint8';
  readonly layout: MapLayout;
  readonly channels: Pixels['channels'];
  readonly resize: Pixels['resize'];
  readonly interpolation: string | null;
  readonly scale: number;
  readonly mean: readonly number[] | null;
  readonly std: readonly number[] | null;
  readonly from: string;
}

/** Values are scaled and nothing else where nothing says more. */
const PLAIN: Recipe = { ...PRESETS.imagenet, mean: null, std: null };

/**
 * What a caller asks for; null if it is nothing.
 * @param found what `preprocess` names, or the model says
 * @throws UsageError if nothing says how pixels become numbers, or numbers are out of range
 */
export function pixelsOf(asked: OptionsIn<'pixels'>, found: FoundRecipe | null): Pixels | null {
  const { preprocess: _said, ...inside } = asked;
  // Alone, a way to prepare pictures is what the cut says of them.
  if (Object.values(inside).every((value) => value === undefined)) return null;
  const { layout = 'nhwc,rgb', mean, std, scale, resize } = inside;
  const laid = pixelLayoutOf(layout);
  if (laid === null) return null;
  const isSaid = [mean, std, scale].some((value) => value !== undefined);
  if ((found === null || found.source === 'assumed') && !isSaid)
    throw new UsageError('nothing says how pixels become what the network takes', {
      code: 'FEATX_USAGE_PIXELS',
      hint: `name it with ${option('pixels.preprocess', 'NAME')} (${PRESET_NAMES.join(', ')}), or give ${option('pixels.mean')} and ${option('pixels.std')}, or ${option('pixels.scale')} alone`,
    });
  if (std?.some((value) => !(value > 0)) || (scale !== undefined && !(scale > 0)))
    throw new UsageError(
      `${option(scale !== undefined && !(scale > 0) ? 'pixels.scale' : 'pixels.std')} takes numbers above 0`,
      { code: 'FEATX_USAGE_PIXELS' },
    );
  const base = found?.recipe ?? PLAIN;
  const from = found === null ? 'flags' : (found.preset ?? found.path?.split(/[\\/]/).at(-1) ?? found.source);
  return {
    ...laid,
    recipe: { ...base, mean: triple(mean ?? base.mean), std: triple(std ?? base.std), scale: scale ?? base.scale },
    resize: resize ?? null,
    from: found === null || !isSaid ? from : `${from}, flags`,
  };
}

function triple(values: readonly number[] | null): readonly number[] | null {
  return values?.length === 1 ? [values[0], values[0], values[0]] : values;
}

/** An input of the model that takes pictures. */
export interface PictureInput {
  readonly name: string;
  readonly dtype: 'float32' | 'float16';
  readonly layout: MapLayout;
  readonly shape: readonly Dim[];
}

/** The input that takes pictures. @throws ResolveError if none does, or several */
export function pictureInput(
  inputs: readonly { readonly name: string; readonly type: ValueType | null }[],
): PictureInput {
  const found = inputs.flatMap(({ name, type }): PictureInput[] => {
    if (type?.kind !== 'tensor' || type.shape?.length !== 4) return [];
    const { shape } = type;
    const dtype = dtypeWord(type.elemType);
    const layout = shape[1] === 3 ? 'NCHW' : shape[3] === 3 ? 'NHWC' : null;
    return layout === null || (dtype !== 'float32' && dtype !== 'float16') ? [] : [{ name, dtype, layout, shape }];
  });
  if (found.length === 1) return found[0];
  throw new ResolveError(
    found.length === 0
      ? `no input takes pictures as floats with three channels: ${inputs.map(inputText).join(', ') || 'there is none'}`
      : `several inputs take pictures: ${found.map(({ name }) => name).join(', ')}`,
    {
      code: 'FEATX_RESOLVE_PIXELS',
      hint:
        found.length === 0
          ? 'pixels can be had in front of float32 or float16 [N, 3, H, W] or [N, H, W, 3]'
          : 'select what depends on one of them',
    },
  );
}

function inputText({ name, type }: { readonly name: string; readonly type: ValueType | null }): string {
  if (type?.kind !== 'tensor') return `'${name}'`;
  const shape = type.shape === null ? '' : ` [${type.shape.map((dim) => dim ?? '?').join(', ')}]`;
  return `'${name}' (${dtypeWord(type.elemType) ?? '?'}${shape})`;
}

/** The opset from which Resize filters as Pillow does. */
const RESIZE_SINCE = 18;
const MODES: { readonly [interpolation: string]: string } = { bicubic: 'cubic', bilinear: 'linear' };
/**
 * Pillow's bicubic.
 * @see https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c (bicubic_filter)
 */
const PILLOW_CUBIC = -0.5;

/**
 * Nodes from pixels to a tensor of the model: channels in its order, resized and cropped as integers, scaled, mean and
 * deviation as three operations, which keep every bit of PyTorch's.
 * @throws UnsupportedModelError if the opset cannot resize so; UsageError if the crop does not fit
 */
export function pixelNodes(b: NodeBuilder, pixels: Pixels, to: PictureInput, input: string): NewInput {
  const { recipe, resize, layout, channels } = pixels;
  const depth = channels.length;
  const [batch] = to.shape;
  const [height, width] = PLACE_AXES[to.layout].map((axis) => to.shape[axis]);
  const sides: readonly Dim[] = resize === null ? [height, width] : ['image_height', 'image_width'];
  const shape = layout === 'NCHW' ? [batch, depth, ...sides] : [batch, ...sides, depth];
  const order = [0, 1, 2].map((at) => channels.indexOf(recipe.channels.charAt(at)));
  const isAsItIs = depth === 3 && order.every((from, at) => from === at);
  let at = isAsItIs ? input : b.op('Gather', [input, b.ints(order)], [{ name: 'axis', int: CHANNEL_AXIS[layout] }]);
  let now = layout;
  const arrange = (wanted: MapLayout, output?: string): void => {
    if (now !== wanted) at = b.transpose(at, permutation(now, wanted), output);
    now = wanted;
  };
  if (resize !== null) {
    arrange('NCHW');
    at = resizedAndCropped(b, at, pixels, resize, [height, width]);
  }
  arrange(to.layout);
  const isHalf = to.dtype === 'float16';
  const steps = numbers(recipe, now);
  const last = steps.length - 1;
  at = b.cast(at, 'float32', last < 0 && !isHalf ? to.name : undefined);
  for (const [index, { op, values, dims }] of steps.entries())
    at = b.op(op, [at, b.floats(values, dims)], [], index === last && !isHalf ? to.name : undefined);
  if (isHalf) b.cast(at, 'float16', to.name);
  return { name: input, type: { kind: 'tensor', elemType: DataType.uint8, shape } };
}

interface Arithmetic {
  readonly op: 'Div' | 'Mul' | 'Sub';
  readonly values: readonly number[];
  readonly dims: readonly number[];
}

/** Dividing by 255 is not multiplying by 1/255, which rounds twice. */
function numbers({ scale, mean, std }: Pixels['recipe'], layout: MapLayout): readonly Arithmetic[] {
  const dims = layout === 'NCHW' ? [1, 3, 1, 1] : [3];
  const divisor = Math.round(1 / scale);
  const scaling: readonly Arithmetic[] =
    scale === 1
      ? []
      : Math.abs(divisor * scale - 1) < 1e-9
        ? [{ op: 'Div', values: [divisor], dims: [] }]
        : [{ op: 'Mul', values: [scale], dims: [] }];
  return [
    ...scaling,
    ...(mean === null ? [] : [{ op: 'Sub', values: mean, dims } as const]),
    ...(std === null ? [] : [{ op: 'Div', values: std, dims } as const]),
  ];
}

/** As Pillow resizes, on integers, then the centre: [N, 3, h, w] -> [N, 3, H, W]. */
function resizedAndCropped(
  b: NodeBuilder,
  pixels: string,
  { recipe }: Pixels,
  resize: NonNullable<Pixels['resize']>,
  to: readonly Dim[],
): string {
  const { interpolation, fit, antialias, cropRounding } = recipe;
  const mode = MODES[interpolation];
  if (b.opset < RESIZE_SINCE)
    throw new UnsupportedModelError(
      `the model is of opset ${b.opset}, whose Resize does not filter as Pillow does; that of ${RESIZE_SINCE} does`,
      {
        code: 'FEATX_OPSET',
        hint: `leave out ${option('pixels.resize')}, and give pictures at the size that the input has: featx never raises an opset`,
      },
    );
  if (mode === undefined || !antialias || (fit !== 'shortest' && fit !== 'squash'))
    throw new UsageError(
      `resizing with ${interpolation}${antialias ? '' : ' without antialiasing'}, ${fit}, cannot be part of a cut`,
      {
        code: 'FEATX_USAGE_PIXELS',
        hint: 'bicubic and bilinear can, by the shortest side or to height,width; leave it out, and resize pictures before',
      },
    );
  const size = b.sizes(pixels, 2, 4);
  const fixed = typeof resize !== 'number' ? resize : fit === 'squash' ? [resize, resize] : null;
  const target =
    fixed !== null
      ? b.ints(fixed)
      : b.op('Div', [
          b.op('Mul', [size, b.ints([Number(resize)])]),
          b.op('ReduceMin', [size, b.ints([0])], [{ name: 'keepdims', int: 1 }]),
        ]);
  // Sizes of all axes: with `axes`, what ONNX Runtime 1.30 makes of a Transpose in front of it does not load.
  const resized = b.op(
    'Resize',
    [pixels, '', '', b.concat([b.sizes(pixels, 0, 2), target], 0)],
    [
      { name: 'mode', string: mode },
      { name: 'antialias', int: 1 },
      { name: 'exclude_outside', int: 1 },
      { name: 'coordinate_transformation_mode', string: 'half_pixel' },
      { name: 'cubic_coeff_a', float: PILLOW_CUBIC },
    ],
  );
  const axes = [0, 1].filter((axis) => typeof to[axis] === 'number');
  const crop = axes.map((axis) => Number(to[axis]));
  const least = axes.map((axis) => (fixed === null ? Number(resize) : fixed[axis]));
  if (least.some((side, at) => side < crop[at]))
    throw new UsageError(
      `${option('pixels.resize')} gives ${least.join(' x ')}, and the network takes ${crop.join(' x ')}`,
      { code: 'FEATX_USAGE_PIXELS', hint: `resize to ${Math.max(...crop)} or more` },
    );
  const isThatSize = fixed !== null && least.every((side, at) => side === crop[at]);
  return axes.length === 0 || isThatSize ? resized : centre(b, resized, { target, axes, crop, cropRounding });
}

interface Crop {
  /** Height and width of what is cropped. */
  readonly target: string;
  /** Which of the two are cropped, and to what. */
  readonly axes: readonly number[];
  readonly crop: readonly number[];
  readonly cropRounding: Recipe['cropRounding'];
}

/** The centre of pictures [N, 3, h, w]. */
function centre(b: NodeBuilder, pictures: string, { target, axes, crop, cropRounding }: Crop): string {
  const sides = axes.length === 2 ? target : b.slice(target, 0, axes[0], axes[0] + 1);
  const rest = b.op('Sub', [sides, b.ints(crop)]);
  const two = b.ints([2]);
  const half = b.op('Div', [rest, two]);
  // Python's round: an odd rest begins at the even one of two places.
  const start =
    cropRounding === 'down'
      ? half
      : b.op('Add', [half, b.op('Mul', [b.op('Mod', [rest, two]), b.op('Mod', [half, two])])]);
  return b.op('Slice', [pictures, start, b.op('Add', [start, b.ints(crop)]), b.ints(axes.map((axis) => axis + 2))]);
}

/** What a cut remembers of it. */
export function pixelsRecord(
  { recipe, resize, layout, channels, from }: Pixels,
  input: string,
  tensor: string,
): PixelsRecord {
  const { scale, mean, std, interpolation } = recipe;
  return {
    input,
    tensor,
    dtype: 'uint8',
    layout,
    channels,
    resize,
    interpolation: resize === null ? null : interpolation,
    scale,
    mean,
    std,
    from,
  };
}
