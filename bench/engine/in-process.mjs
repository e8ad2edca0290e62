// node in-process.mjs MODEL: milliseconds of the first openModel of this process.
import { openModel } from '../../dist/open.js';

const start = performance.now();
const model = await openModel(process.argv[2]);
const ms = performance.now() - start;
await model[Symbol.asyncDispose]();
console.log(ms);
