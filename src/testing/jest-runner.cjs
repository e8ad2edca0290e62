// Jest's own runner gives every test file a realm of its own, in which the whole program is read, linked and compiled
// anew. Here the files of one worker share Node's realm and its modules, as a program that runs for long would: a third
// less to compute. What replaces modules of Node (`jest.unstable_mockModule`), coverage, and --watch need the realms.
const { readFileSync } = require('node:fs');
const nodeModule = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { default: inOwnRealm } = require('jest-circus/runner');

// A state of its own for every file: the tests that it defines, and who listens to them.
const CIRCUS = path.join(path.dirname(require.resolve('jest-circus/package.json')), 'build', 'jestAdapterInit.js');
const LISTENERS = Symbol.for('EVENT_HANDLERS');
let isRegistered = false;

/** From Node 22.15 on in this thread, before that in one of its own. */
function register() {
  if (isRegistered) return;
  isRegistered = true;
  settleHalves();
  if (nodeModule.registerHooks === undefined) nodeModule.register('./jest-hooks.cjs', pathToFileURL(__filename));
  else nodeModule.registerHooks(require('./jest-hooks.cjs'));
}

/**
 * Makes the first tensor as featx would. Where Node has a Float16Array, ONNX Runtime decides at the first one what
 * halves are (see `withoutFloat16Array`), and a test file may make its own before featx loads the runtime for another.
 */
function settleHalves() {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  if (descriptor === undefined) return;
  const { Tensor } = require(require.resolve('onnxruntime-common', { paths: [require.resolve('onnxruntime-node')] }));
  Reflect.deleteProperty(globalThis, 'Float16Array');
  void new Tensor('float16', new Uint16Array(1), [1]);
  Object.defineProperty(globalThis, 'Float16Array', descriptor);
}

/** Loads a test file, and what it imports, in Node's realm. */
async function load(testPath) {
  register();
  process.setSourceMapsEnabled(true);
  await import(pathToFileURL(testPath).href);
  process.setSourceMapsEnabled(false);
}

/** Has the stack of a failure say lines of the sources; that of every error would take long. */
function locate({ error }) {
  if (error === undefined) return;
  process.setSourceMapsEnabled(true);
  for (const one of [error].flat()) void one?.stack;
  process.setSourceMapsEnabled(false);
}

module.exports = async function run(globalConfig, config, environment, runtime, testPath, send) {
  const needsRealm = globalConfig.collectCoverage || globalConfig.watch || globalConfig.watchAll;
  if (needsRealm || readFileSync(testPath, 'utf8').includes('unstable_mockModule'))
    return await inOwnRealm(globalConfig, config, environment, runtime, testPath, send);
  // Jest has set both for realms of its own.
  Error.stackTraceLimit = 10;
  delete Error.prepareStackTrace;
  delete require.cache[CIRCUS];
  delete globalThis[LISTENERS];
  const { initialize, runAndTransformResultsToJestFormat } = require(CIRCUS);
  await initialize({
    config,
    environment: { global: globalThis, handleTestEvent: locate },
    globalConfig,
    localRequire: require,
    parentProcess: process,
    runtime,
    sendMessageToJest: send,
    setGlobalsForRuntime: () => undefined,
    testPath,
  });
  const now = Date.now();
  await load(testPath);
  return await runAndTransformResultsToJestFormat({
    config,
    globalConfig,
    setupAfterEnvPerfStats: { setupAfterEnvStart: now, setupAfterEnvEnd: now },
    testPath,
  });
};
