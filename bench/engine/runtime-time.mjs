// node runtime-time.mjs MODEL: milliseconds that ONNX Runtime itself takes for the skeletons that featx asks it about,
// loading the library not counted.
import { inspect } from '../../dist/inspect.js';
import { typesOf } from '../../dist/runtime/child-work.js';
import { loadNative } from '../../dist/runtime/session.js';

loadNative();
let ms = 0;
const child = {
  ask(request, models) {
    const start = performance.now();
    const value = typesOf(request, models);
    ms += performance.now() - start;
    return Promise.resolve({ value, payloads: [] });
  },
};
await inspect(process.argv[2], { child });
console.log(ms);
