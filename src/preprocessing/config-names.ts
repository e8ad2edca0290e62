/** Configs have a few KB; tokenizers, which have megabytes, are not asked for. */
export const LARGEST_CONFIG = 4 * 1024 * 1024;

/** What lies beside models and says how pictures are prepared, the most telling first. */
export const CONFIG_NAMES = [
  'preprocessor_config.json',
  'processor_config.json',
  'open_clip_config.json',
  'config.json',
  'inference.yml',
  'inference.yaml',
  'infer_cfg.yml',
  'pipeline.json',
] as const;
