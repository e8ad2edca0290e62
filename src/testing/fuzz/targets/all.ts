import { arrayCorpus, modelCorpus, networkCorpus, shapesCorpus } from '../seeds.js';
import type { Target } from '../target.js';
import { CONFIG_SEEDS, configTarget } from './config.js';
import { controlTarget, CONTROLS } from './controls.js';
import { httpTarget } from './http.js';
import { npyTarget } from './npy.js';
import { optionsTarget } from './options.js';
import { preprocessSeeds } from './preprocess-seeds.js';
import { preprocessTarget } from './preprocess.js';
import { readerTarget } from './reader.js';
import { resolveTarget } from './resolve.js';
import { rewriteTarget } from './rewrite.js';
import { shapesTarget } from './shapes.js';

/** What `--target` takes, with the share of the time that each gets under `all`. */
export const TARGETS: ReadonlyMap<string, number> = new Map([
  ['reader', 4],
  ['rewrite', 3],
  ['resolve', 2],
  ['npy', 1],
  ['config', 1],
  ['shapes', 2],
  ['http', 1],
  ['preprocess', 1],
  ['options', 1],
]);

/** A target over the fixtures of a repository. @throws Error where there is none of that name */
export function targetNamed(name: string, root: string): Target {
  switch (name) {
    case 'reader':
      return readerTarget(modelCorpus(root));
    case 'rewrite':
      return rewriteTarget(modelCorpus(root));
    case 'resolve':
      return resolveTarget(networkCorpus(root));
    case 'npy':
      return npyTarget(arrayCorpus(root));
    case 'config':
      return configTarget(CONFIG_SEEDS);
    case 'shapes':
      return shapesTarget(shapesCorpus(root));
    case 'http':
      return httpTarget();
    case 'preprocess':
      return preprocessTarget(preprocessSeeds(root));
    case 'options':
      return optionsTarget(root);
    default: {
      const control = CONTROLS.find((each) => each === name);
      if (control === undefined)
        throw new Error(`there is no target ${name}; there are ${[...TARGETS.keys()].join(', ')}`);
      return controlTarget(control);
    }
  }
}
