import { UsageError } from '../errors.js';
import { isInitializer, type GraphView } from '../onnx/graph.js';
import { dtypeWord } from '../onnx/types.js';
import type { PictureLayout } from './recipe.js';

type Shape = readonly (number | string | null)[];

/** The input of a model that a picture is made for. */
export interface ImageInput {
  readonly name: string;
  readonly dtype: string | null;
  readonly shape: Shape | null;
}

/** An input that what is asked for does not need, and how something is selected that does. */
export interface Elsewhere {
  readonly input: ImageInput;
  readonly selection: string;
}

/** The shape of a picture without N, in the order of its axes: [3, H, W] or [H, W, 3]; 1 for 3 where it is grey. */
export function pictureShape<Side extends number | null>(
  layout: PictureLayout,
  { height, width, depth }: { readonly height: Side; readonly width: Side; readonly depth: 1 | 3 },
): readonly (Side | 1 | 3)[] {
  return Array.from(layout.replace('N', ''), (axis) => (axis === 'C' ? depth : axis === 'H' ? height : width));
}

/** Whether a picture is planes, not pixels of several values. */
export function channelsLead(layout: PictureLayout): boolean {
  return layout.indexOf('C') < layout.indexOf('H');
}

/** Whether an input takes several pictures at once. */
export function hasBatchAxis(layout: PictureLayout): boolean {
  return layout.startsWith('N');
}

/** How pictures lie in an input. */
export interface PictureAxes {
  readonly layout: PictureLayout;
  /** Channels: RGB, or grey. */
  readonly depth: 1 | 3;
}

/**
 * The axes of an input of pictures, or null; three axes are those of a picture if one of them says 3, and one channel
 * is one only beside a batch axis.
 */
function pictureAxes(shape: Shape | null): PictureAxes | null {
  const dims = shape ?? [null, 3, null, null];
  if (dims.length !== 3 && dims.length !== 4) return null;
  const [first, , last] = dims.slice(-3);
  const isBatched = dims.length === 4;
  if (last === 3 && first !== 3) return { layout: isBatched ? 'NHWC' : 'HWC', depth: 3 };
  if (first === 3) return { layout: isBatched ? 'NCHW' : 'CHW', depth: 3 };
  if (!isBatched) return null;
  if (first === 1) return { layout: 'NCHW', depth: 1 };
  if (last === 1) return { layout: 'NHWC', depth: 1 };
  return typeof first === 'number' ? null : { layout: 'NCHW', depth: 3 };
}

/** Which of some inputs can take a picture: those of rank 4, or else those with the three axes of one. */
export function pictureTaker(inputs: readonly ImageInput[]): (candidate: ImageInput) => boolean {
  const isBatch = ({ shape }: ImageInput): boolean => shape === null || shape.length === 4;
  return inputs.some(isBatch) ? isBatch : ({ shape }) => pictureAxes(shape) !== null;
}

/** @throws UsageError if a picture cannot be that input */
export function axesOf(input: ImageInput): PictureAxes {
  const axes = pictureAxes(input.shape);
  if (axes !== null) return axes;
  throw new UsageError(
    `input ${input.name} has shape [${(input.shape ?? []).map((dim) => dim ?? '?').join(', ')}]; a picture has [N, 3, H, W], [N, H, W, 3], [3, H, W] or [H, W, 3]`,
    {
      hint: [1, 3].some((axis) => input.shape?.length === 4 && input.shape[axis] === 4)
        ? 'what a fourth channel holds, alpha or ones, no file says: give [N, H, W, 4] as a .npy array'
        : 'give it as a .npy array',
    },
  );
}

/** The inputs of a model that take pictures of three channels. */
export function pictureInputs(view: GraphView): readonly ImageInput[] {
  const inputs = [...view.inputs].flatMap(([name, { type }]): ImageInput[] =>
    isInitializer(view, name) || type?.kind !== 'tensor'
      ? []
      : [{ name, dtype: dtypeWord(type.elemType), shape: type.shape ?? null }],
  );
  return inputs.filter(
    ({ dtype, shape }) =>
      (dtype === 'float32' || dtype === 'float16' || dtype === 'uint8') &&
      shape?.length === 4 &&
      (shape[1] === 3 || shape[3] === 3),
  );
}
