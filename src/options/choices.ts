/** The words that options choose from; the types that other rooms use follow from them. */

/**
 * What a cut is: a pruned graph with outputs named by index, or as their tensors; or the network with the features
 * added to its outputs.
 */
export const MODES = ['dict', 'list', 'hook'] as const;
/** One of `MODES`. */
export type Mode = (typeof MODES)[number];

/** Outputs in the order asked for, or as the network computes them. */
export const ORDERS = ['out', 'exec'] as const;
/** One of `ORDERS`. */
export type Order = (typeof ORDERS)[number];

/** What names the output of a module that was selected by name. */
export const NAMES_BY = ['tensor', 'module'] as const;

/** Order of the axes of a map, and of a picture. */
export const MAP_LAYOUTS = ['NCHW', 'NHWC'] as const;
/** One of `MAP_LAYOUTS`. */
export type MapLayout = (typeof MAP_LAYOUTS)[number];

/** Order of the axes of a feature: maps are NCHW or NHWC, tokens NLC or NCL. */
export const LAYOUTS = [...MAP_LAYOUTS, 'NLC', 'NCL'] as const;
/** Order of the axes of a feature, one of `LAYOUTS`. */
export type Layout = (typeof LAYOUTS)[number];

/** Where the weights of a cut live. */
export const WEIGHTS_MODES = ['keep', 'embed', 'external', 'reference'] as const;
/** One of `WEIGHTS_MODES`. */
export type WeightsMode = (typeof WEIGHTS_MODES)[number];

/** What parts of a model have the same of. */
export const MEASURES = ['bytes', 'flops', 'nodes'] as const;
/** One of `MEASURES`. */
export type Measure = (typeof MEASURES)[number];

/** timm's hook types: a module's output, or its input. */
export const HOOK_TYPES = ['forward', 'forward_pre'] as const;
/** One of `HOOK_TYPES`. */
export type HookType = (typeof HOOK_TYPES)[number];

/**
 * pooled: enters the classifier; projected: a linear layer behind the pooling made it for comparison; output: the
 * output itself is the embedding;
 * class-token: one token of a sequence stands for all.
 */
export const EMBEDDING_ROLES = ['pooled', 'projected', 'output', 'class-token'] as const;
/** What an embedding is, one of `EMBEDDING_ROLES`. */
export type EmbeddingRole = (typeof EMBEDDING_ROLES)[number];

/** How much ONNX Runtime may rewrite a graph. */
export const OPTIMIZATION_LEVELS = ['disabled', 'basic', 'extended', 'all'] as const;
/** One of `OPTIMIZATION_LEVELS`. */
export type OptimizationLevel = (typeof OPTIMIZATION_LEVELS)[number];

/** Execution providers by the names of ONNX Runtime's JavaScript API; wasm is the CPU through onnxruntime-web. */
export const PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'dml', 'coreml', 'wasm'] as const;
/** One of `PROVIDERS`. */
export type Provider = (typeof PROVIDERS)[number];

/** PIL's filters. */
export const INTERPOLATIONS = ['nearest', 'bilinear', 'bicubic', 'box', 'hamming', 'lanczos'] as const;
/** One of `INTERPOLATIONS`. */
export type Interpolation = (typeof INTERPOLATIONS)[number];

/**
 * How a picture is brought to the size of an input: its shortest side (or both sides, until they cover it) and a centre
 * crop; both sides, whatever its ratio; inside it, the rest filled as ultralytics does; inside it, the rest filled
 * evenly.
 */
export const FITS = ['shortest', 'squash', 'letterbox', 'pad'] as const;
/** One of `FITS`. */
export type Fit = (typeof FITS)[number];

/** The order of the channels of a picture that an input takes. */
export const CHANNEL_ORDERS = ['rgb', 'bgr'] as const;
/** One of `CHANNEL_ORDERS`. */
export type ChannelOrder = (typeof CHANNEL_ORDERS)[number];

/** Whether a picture is turned as its EXIF orientation says. */
export const ORIENTATIONS = ['apply', 'ignore'] as const;
/** One of `ORIENTATIONS`. */
export type Orientation = (typeof ORIENTATIONS)[number];

/** The ways to prepare pictures that have a name. */
export const PRESET_NAMES = [
  'imagenet',
  'torchvision',
  'torchvision-v2',
  'inception',
  'clip',
  'siglip',
  'dinov2',
  'dinov3',
  'yolo',
  'arcface',
  'unit',
  'raw',
] as const;
/** One of `PRESET_NAMES`. */
export type PresetName = (typeof PRESET_NAMES)[number];

/** Formats of one file that features are written in, by their extensions. */
export const OUTPUT_FORMATS = ['npz', 'npy', 'safetensors', 'pb', 'jsonl', 'csv', 'parquet'] as const;
/** One of `OUTPUT_FORMATS`. */
export type OutputFormatName = (typeof OUTPUT_FORMATS)[number];

/** How an unchanged file is recognized: by what the file system says, or by hashing it. */
export const CHECKS = ['stat', 'content'] as const;
/** How a map or a row of tokens becomes one vector. */
export const POOLS = ['avg', 'max', 'gem', 'cls', 'mean', 'last'] as const;

/** How maps of several strides come to one grid. */
export const CONCATS = ['linear', 'nearest'] as const;
/** One of `CONCATS`. */
export type Concat = (typeof CONCATS)[number];

/** The channels of pixels, in their order. */
export const PIXEL_CHANNELS = ['rgb', 'bgr', 'rgba', 'bgra'] as const;
/** One of `PIXEL_CHANNELS`. */
export type PixelChannels = (typeof PIXEL_CHANNELS)[number];

/** What features may leave as. */
export const CASTS = ['float16', 'int8'] as const;
/** One of `CASTS`. */
export type Cast = (typeof CASTS)[number];
