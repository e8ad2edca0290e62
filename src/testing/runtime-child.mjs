// The runtime's child process for tests that run from the TypeScript sources.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundledChildren } from './bundles.mjs';

await import(pathToFileURL(join(await bundledChildren(), 'runtime-child.js')).href);
