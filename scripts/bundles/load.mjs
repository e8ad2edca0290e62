// Loads a bundle with the code that V8 made of it when it was built: compiling takes longer than anything else that a
// short command does. Another Node than that of the build compiles the bundle itself.
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

/** What esbuild puts around a bundle, so that the file is the function of a module: joining texts would copy it. */
export const WRAPPER = ['(function(exports,require,module,__filename,__dirname){', '})'];

/** Where the code lies that this very Node makes of a bundle. */
export const compiledName = (file) => `${file}.${process.version}-${process.arch}.compiled`;

/** What a bundle exports, and the script that it was made of; `require` is that of a module beside it. */
export function loadBundle(file, require) {
  const script = new Script(readFileSync(file, 'latin1'), {
    filename: file,
    cachedData: bytesOf(compiledName(file)),
  });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, file, dirname(file));
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
