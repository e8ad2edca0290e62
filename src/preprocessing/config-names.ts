/** What lies beside models and says how pictures are prepared, the most telling first. */
export const CONFIG_NAMES = [
  'preprocessor_config.json',
  'processor_config.json',
  'open_clip_config.json',
  'config.json',
] as const;

/** What says it in a language that is not read. */
export const UNREAD_CONFIGS = ['inference.yml', 'inference.yaml', 'pipeline.json'] as const;
