import type { ChannelOrder, Fit, Interpolation, Orientation, PresetName } from '../options/choices.js';

/** The most pixels that a side is resized to. */
export const LARGEST_SIDE = 16_384;

/** How pictures are prepared for a network, before it is known for which input of which size. */
export interface Recipe {
  /** Height and width that it was made for; null: whatever the input has. */
  readonly size: readonly [height: number, width: number] | null;
  /**
   * What a picture is resized to in front of the crop, at `size`: its shortest side (its longest if it is padded), or
   * height and width; null: the sides of the input divided by `crop`.
   */
  readonly resize: number | readonly [height: number, width: number] | null;
  readonly fit: Fit;
  readonly interpolation: Interpolation;
  /** Whether a filter is as wide as a pixel of the result (Pillow), or as two pixels of the picture (OpenCV). */
  readonly antialias: boolean;
  /** timm's `crop_pct`: the share of the resized picture that the centre crop keeps. */
  readonly crop: number;
  /** Where the crop of an odd rest begins: Python's `round`, or rounded down. */
  readonly cropRounding: CropRounding;
  /** What pixels from 0 to 255 are multiplied by. */
  readonly scale: number;
  /** Per channel, in the order of `channels`, of values that are scaled; null: nothing is subtracted or divided. */
  readonly mean: readonly number[] | null;
  readonly std: readonly number[] | null;
  readonly channels: ChannelOrder;
  readonly orientation: Orientation;
  /** The pixels, from 0 to 255, that `letterbox` and `pad` put around a picture: one number, or one per channel. */
  readonly fill: readonly number[];
}

/** Where the crop of an odd rest begins. */
export type CropRounding = 'even' | 'down';

/**
 * Who says how pictures are prepared: options of the caller, the model's metadata, a file, what the graph does by
 * itself; else it is assumed.
 */
export type PreprocessingSource = 'flags' | 'metadata' | 'file' | 'graph' | 'assumed';

/** How pictures become one input of a model; nothing is left open. */
export interface Preprocessing extends Omit<Recipe, 'size' | 'resize'> {
  readonly source: PreprocessingSource;
  /** The file that says it. */
  readonly path: string | null;
  readonly preset: PresetName | null;
  /** Of the input. Null: the picture's own; if only one side is null, in proportion to the other. */
  readonly height: number | null;
  readonly width: number | null;
  /**
   * What a picture is resized to in front of the crop: its shortest side, or the height and width that it is to fill,
   * cover or lie in, as `fit` says; null: as it is.
   */
  readonly resize: number | readonly [height: number, width: number] | null;
  readonly dtype: 'float32' | 'float16' | 'uint8';
  readonly layout: PictureLayout;
  /** 3, or 1: the luma. */
  readonly depth: 1 | 3;
}

/** A recipe, and where it comes from. */
export interface FoundRecipe {
  readonly recipe: Recipe;
  readonly source: PreprocessingSource;
  readonly path: string | null;
  readonly preset: PresetName | null;
  /** Whether the picture goes in as it is, at its own size. */
  readonly isBare?: boolean;
  readonly warnings: readonly string[];
}

/** Axes of an input that takes pictures; without N it takes one at a time. */
export type PictureLayout = 'NCHW' | 'NHWC' | 'CHW' | 'HWC';
