// The program of the page of `featx page`: all of it in one script, made as small as it goes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../ready.mjs';

/** What is only read by the command line. */
const HELP = /\n\s+(?:help|description):\s*(?:'[^'\n]*'|"[^"\n]*"|`[^`]*`),/g;

/** Leaves out what protobufjs reads with, of which only the writer is used, and the help of options. */
const smaller = {
  name: 'smaller',
  setup: (plugins) => {
    plugins.onLoad({ filter: /node_modules[\\/]protobufjs[\\/]src[\\/](reader|reader_buffer|rpc|roots)\.js$/ }, () => ({
      contents: 'exports._configure = () => undefined;',
    }));
    plugins.onLoad({ filter: /node_modules[\\/]long[\\/]/ }, () => ({ contents: 'module.exports = undefined;' }));
    plugins.onLoad({ filter: /src[\\/]options[\\/][a-z-]+\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(HELP, ''),
      loader: 'ts',
    }));
  },
};

/** Options of esbuild for it. */
export const browserProgram = {
  absWorkingDir: root,
  entryPoints: { program: join(root, 'src', 'browser', 'program.ts') },
  bundle: true,
  minify: true,
  format: 'iife',
  platform: 'browser',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
  plugins: [smaller],
};
