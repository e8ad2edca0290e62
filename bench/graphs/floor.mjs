// node floor.mjs MODEL TENSOR OUTPUT: the least that cutting a graph can take. Reads the file, finds its nodes, numbers
// the names of their tensors by their bytes, follows one tensor back, and writes the nodes that it needs. It checks
// nothing and writes nothing else. Prints the milliseconds that it took without loading Node.
import { readFileSync, writeFileSync } from 'node:fs';

const [model, wanted, output] = process.argv.slice(2);
const started = performance.now();
const bytes = readFileSync(model);
let at = 0;

function varint() {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
}

/** Calls `take` with the number, start, payload and end of each field up to `end`. */
function fields(end, take) {
  while (at < end) {
    const start = at;
    const tag = varint();
    const wire = tag & 7;
    let payload = at;
    if (wire === 0) varint();
    else if (wire === 2) {
      const length = varint();
      payload = at;
      at += length;
    } else at += wire === 5 ? 4 : 8;
    const next = at;
    take(tag >>> 3, start, payload, next);
    at = next;
  }
}

const SLOTS = 2 ** 22;
const slots = new Int32Array(SLOTS);
const starts = [0];
const ends = [0];

function numberOf(from, to) {
  let hash = 0;
  for (let index = from; index < to; index++) hash = (Math.imul(hash, 31) + bytes[index]) | 0;
  let slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  for (; slots[slot] !== 0; slot = (slot + 1) & (SLOTS - 1)) {
    const known = slots[slot];
    if (ends[known] - starts[known] !== to - from) continue;
    let same = 0;
    while (same < to - from && bytes[starts[known] + same] === bytes[from + same]) same++;
    if (same === to - from) return known;
  }
  ends.push(to);
  return (slots[slot] = starts.push(from) - 1);
}

const nodeStarts = [];
const nodeEnds = [];
const readAt = [0];
const reads = [];
const maker = [];
fields(bytes.length, (number, _start, payload, end) => {
  if (number !== 7) return;
  at = payload;
  fields(end, (field, start, inner, next) => {
    if (field !== 1) return;
    at = inner;
    const row = nodeStarts.push(start) - 1;
    nodeEnds.push(next);
    fields(next, (part, _tag, from, to) => {
      if (part === 1) reads.push(numberOf(from, to));
      else if (part === 2) maker[numberOf(from, to)] = row;
    });
    readAt.push(reads.length);
  });
});

const name = Buffer.from(wanted);
let tensor = 0;
for (let known = 1; known < starts.length && tensor === 0; known++)
  if (name.equals(bytes.subarray(starts[known], ends[known]))) tensor = known;
const kept = new Uint8Array(nodeStarts.length);
const stack = [tensor];
for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
  const row = maker[next];
  if (row === undefined || kept[row] === 1) continue;
  kept[row] = 1;
  for (let read = readAt[row]; read < readAt[row + 1]; read++) stack.push(reads[read]);
}
const pieces = [];
for (let row = 0; row < kept.length; row++)
  if (kept[row] === 1) pieces.push(bytes.subarray(nodeStarts[row], nodeEnds[row]));
writeFileSync(output, Buffer.concat(pieces));
console.log(performance.now() - started);
