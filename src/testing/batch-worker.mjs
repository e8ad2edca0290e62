// The batch's worker process for tests that run from the TypeScript sources, with the faults that tests inject.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundledChildren } from './bundles.mjs';

await import(pathToFileURL(join(await bundledChildren(), 'batch-worker.js')).href);
