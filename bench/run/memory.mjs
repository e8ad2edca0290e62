// node memory.mjs MODEL: loads the whole file into a session, as a program without featx does.
import { createRequire } from 'node:module';

await createRequire(import.meta.url)('onnxruntime-node').InferenceSession.create(process.argv[2]);
