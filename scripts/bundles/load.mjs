// Loads a bundle with the code that V8 made of it when it was built: compiling takes longer than anything else that a
// short command does. Another Node than that of the build compiles the bundle itself.
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { constants, Script } from 'node:vm';

/** Where the code lies that this very Node makes of a bundle. */
export const compiledName = (file) => `${file}.${process.version}-${process.arch}.compiled`;

/** What a bundle exports, and the script that it was made of. */
export function loadBundle(file) {
  const script = new Script(Module.wrap(readFileSync(file, 'latin1')), {
    filename: file,
    cachedData: bytesOf(compiledName(file)),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  return { script, exports: module.exports };
}

/** The bytes of a file; nothing if it cannot be read. */
function bytesOf(file) {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
