// Inspects the models that come by message with the copy of featx that is named, and says what it found and whether a
// process was started for it.
//   node inspect-each.mjs DIST/index.js
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { pathToFileURL } from 'node:url';

let started = 0;
for (const call of ['spawn', 'fork']) {
  const real = childProcess[call];
  childProcess[call] = (...given) => {
    started++;
    return real(...given);
  };
}
syncBuiltinESMExports();

const { inspect } = await import(pathToFileURL(process.argv[2]).href);

process.on('message', async (path) => {
  const before = started;
  let found;
  try {
    const { feature_info, groups, out_indices, embedding, embeddings, nominal_input_shape, outputs } =
      await inspect(path);
    found = { feature_info, groups, out_indices, embedding, embeddings, nominal_input_shape, outputs };
  } catch (error) {
    if (!String(error?.code).startsWith('FEATX_')) throw error;
    found = { error: error.code, message: error.message };
  }
  process.send({ found, started: started - before });
});
