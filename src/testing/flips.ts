import { onnx } from './onnx-proto.js';
import { FeatxError } from '../errors.js';
import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { canonicalModel, fieldsOf, Malformed, Unread } from './canonical.js';
import { meaningOfModel, meaningOfProto, type Meaning } from './decode.js';

/** A way to read a model: what it means, as JSON. @throws what it likes */
export type Reader = (file: Uint8Array) => Promise<string>;

/** featx. */
export const featxReader: Reader = async (file) => {
  const model = await indexModel(file);
  const meaning = text(await meaningOfModel(model));
  try {
    viewGraph(model);
  } catch (error) {
    // The bytes are fine and the graph is not: an error of its own, which says where.
    if (!isLocated(error)) throw error;
  }
  return meaning;
};

/**
 * Controls that must be caught: one reads lengths past the end of their message as far as they go, one takes the last
 * graph where protobuf merges.
 */
export const CONTROLS: { readonly [name: string]: Reader } = {
  'lengths past the end of the parent': async (file) =>
    text(meaningOfProto(onnx.ModelProto.decode(canonicalModel(file, { clampLengths: true })))),
  'the last graph wins': async (file) => text(meaningOfProto(onnx.ModelProto.decode(file))),
};

function text(meaning: Meaning): string {
  return JSON.stringify(meaning);
}

/** An error of featx that says where: byte offset or field, or that the whole file is something else. */
export function isLocated(error: unknown): boolean {
  return (
    error instanceof FeatxError &&
    (error.offset !== undefined || error.field !== undefined || error.code === 'FEATX_UNSUPPORTED_FILE')
  );
}

export interface Tally {
  files: number;
  /** Mutants that were cut, and that had a bit flipped. */
  cuts: number;
  flips: number;
  /** Refused, with the place. */
  refused: number;
  /** Read, with the meaning that the second decoder finds. */
  agreed: number;
  /** Read; the second decoder refuses weights that nobody has read yet. */
  unread: number;
  readonly wrong: string[];
}

export function newTally(): Tally {
  return { files: 0, cuts: 0, flips: 0, refused: 0, agreed: 0, unread: 0, wrong: [] };
}

/** Reads a mutant and compares with the second decoder. */
async function judge(file: Uint8Array, what: string, reader: Reader, tally: Tally): Promise<void> {
  let meaning: string;
  try {
    meaning = await reader(file);
  } catch (error) {
    if (isLocated(error)) tally.refused++;
    else tally.wrong.push(`${what}: ${String(error)}`);
    return;
  }
  try {
    const expected = text(meaningOfProto(onnx.ModelProto.decode(canonicalModel(file))));
    if (meaning === expected) tally.agreed++;
    else tally.wrong.push(`${what}: another meaning: ${firstDifference(meaning, expected)}`);
  } catch (error) {
    if (error instanceof Unread) tally.unread++;
    else if (error instanceof Malformed)
      tally.wrong.push(`${what}: read, and the second decoder finds it malformed (${error.message})`);
    else tally.wrong.push(`${what}: the second decoder fails: ${String(error)}`);
  }
}

function firstDifference(a: string, b: string): string {
  let at = 0;
  while (a[at] === b[at]) at++;
  return `…${a.slice(Math.max(0, at - 60), at + 40)}… for …${b.slice(Math.max(0, at - 20), at + 40)}…`;
}

/** Which mutants of a file are tried: every one, or every n-th cut and every m-th flip from an offset. */
export interface Sampling {
  readonly cuts: number;
  readonly flips: number;
  readonly offset: number;
}

const ALL: Sampling = { cuts: 1, flips: 1, offset: 0 };

export interface CheckOptions {
  readonly reader?: Reader;
  readonly sampling?: Sampling;
}

function isTried(index: number, stride: number, { offset }: Sampling): boolean {
  return index % stride === offset % stride;
}

/** Cuts a file at every byte, and flips every bit. */
export async function checkWhole(
  file: Uint8Array,
  name: string,
  tally: Tally,
  { reader = featxReader, sampling = ALL }: CheckOptions = {},
): Promise<void> {
  tally.files++;
  for (let length = 0; length < file.length; length++) {
    if (!isTried(length, sampling.cuts, sampling)) continue;
    tally.cuts++;
    await judge(file.subarray(0, length), `${name} cut at ${length}`, reader, tally);
  }
  for (let bit = 0; bit < file.length * 8; bit++) {
    if (!isTried(bit, sampling.flips, sampling)) continue;
    await flip(file, bit >> 3, bit & 7, name, tally, reader);
  }
}

/**
 * Cuts a file where fields begin, have their payload and end, and flips a bit in each byte of their tags, lengths and
 * numbers.
 */
export async function checkBoundaries(
  file: Uint8Array,
  name: string,
  tally: Tally,
  { reader = featxReader, sampling = ALL }: CheckOptions = {},
): Promise<void> {
  tally.files++;
  const places = new Set<number>();
  const headers = new Set<number>();
  for (const { start, payload, end } of fieldsOf(file)) {
    for (const place of [start, payload, end]) if (place < file.length) places.add(place);
    for (let at = start; at < payload; at++) headers.add(at);
  }
  for (const [index, length] of [...places].sort((a, b) => a - b).entries()) {
    if (!isTried(index, sampling.cuts, sampling)) continue;
    tally.cuts++;
    await judge(file.subarray(0, length), `${name} cut at ${length}`, reader, tally);
  }
  for (const [index, at] of [...headers].entries()) {
    if (!isTried(index, sampling.flips, sampling)) continue;
    await flip(file, at, (at * 5 + index) % 8, name, tally, reader);
  }
}

async function flip(
  file: Uint8Array,
  at: number,
  bit: number,
  name: string,
  tally: Tally,
  reader: Reader,
): Promise<void> {
  tally.flips++;
  const flipped = file.slice();
  flipped[at] ^= 1 << bit;
  await judge(flipped, `${name} with bit ${bit} of byte ${at} flipped`, reader, tally);
}
