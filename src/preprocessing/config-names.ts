/** What lies beside models and says how pictures are prepared, the most telling first. */
export const CONFIG_NAMES = [
  'preprocessor_config.json',
  'processor_config.json',
  'open_clip_config.json',
  'config.json',
  'inference.yml',
  'infer_cfg.yml',
  'pipeline.json',
] as const;
