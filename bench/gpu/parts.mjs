// node bench/gpu/parts.mjs pack|unpack: the libraries of CUDA (featx doctor --fetch) in parts of 60 MB, in
// bench/tmp/cuda, for a machine that reaches no network and takes little at a time; and back beside its
// onnxruntime-node. Parts may come one after the other: unpack joins what is complete, and says what is missing.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { built, root } from '../../scripts/ready.mjs';

const PART = 60 * 1024 * 1024;
const parts = join(root, 'bench', 'tmp', 'cuda');
const listing = join(parts, 'parts.json');
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

built();
const { runtimeFiles } = await import('../../dist/runtime/session.js');
const { libraries } = runtimeFiles();
if (process.argv[2] === 'pack') pack();
else if (process.argv[2] === 'unpack') unpack();
else throw new Error('say pack or unpack');

function pack() {
  mkdirSync(parts, { recursive: true });
  const record = readdirSync(libraries)
    .filter((name) => /^lib(cu|nv|onnxruntime_providers_)/.test(name) || name === 'featx-libraries.json')
    .map((name) => {
      const whole = readFileSync(join(libraries, name));
      const packed = gzipSync(whole, { level: 6 });
      const names = Array.from({ length: Math.ceil(packed.length / PART) }, (_, at) => `${name}.${at}`);
      for (const [at, part] of names.entries())
        writeFileSync(join(parts, part), packed.subarray(at * PART, (at + 1) * PART));
      console.log(`${name}: ${names.length} parts, ${packed.length} bytes`);
      return { name, parts: names, sha256: digest(whole) };
    });
  writeFileSync(listing, JSON.stringify(record, null, 1));
}

/** @returns null if the bytes were damaged on the way */
function unzipped(packed) {
  try {
    return gunzipSync(packed);
  } catch {
    return null;
  }
}

function unpack() {
  for (const { name, parts: names, sha256 } of JSON.parse(readFileSync(listing, 'utf8'))) {
    const missing = names.filter((part) => !existsSync(join(parts, part)));
    if (missing.length > 0) {
      console.log(`${name}: ${missing.join(', ')} are missing`);
      continue;
    }
    const whole = unzipped(Buffer.concat(names.map((part) => readFileSync(join(parts, part)))));
    if (whole === null || digest(whole) !== sha256) throw new Error(`${name} is not what was packed`);
    writeFileSync(join(libraries, name), whole);
    console.log(`${name}: ${whole.length} bytes`);
  }
}
