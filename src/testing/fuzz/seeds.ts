import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { arbitraryModel } from '../arbitrary-model.js';
import { encodeModel } from '../model-builder.js';
import { node, value, weights } from '../model-spec.js';
import { seededRandom } from '../random.js';
import { randomNode } from '../shapes/random-node.js';
import type { Random } from './random.js';
import { donorsOf, type Donors } from './mutate-tree.js';
import { MODEL, type MessageType } from './schema.js';
import { piecesOf, type Piece } from './tree.js';

/** What mutation starts from. */
export interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly pieces: readonly Piece[];
  readonly donors: Donors;
}

/** Seeds of one target. Those that are small are taken most: they cost little and show as much. */
export interface Corpus {
  readonly type: MessageType | null;
  readonly small: readonly Seed[];
  readonly large: readonly Seed[];
  /** One in so many executions takes a large seed. */
  readonly largeOnceIn: number;
}

interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Files of a folder under `fixtures/` with one of the endings, by name. */
export function fixtureSeeds(
  root: string,
  folder: string,
  endings: readonly string[],
  largest = Infinity,
): readonly NamedBytes[] {
  const directory = join(root, 'fixtures', folder);
  const names = readdirSync(directory)
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .sort();
  return names
    .map((name) => ({ name: `${folder}/${name}`, bytes: new Uint8Array(readFileSync(join(directory, name))) }))
    .filter(({ bytes }) => bytes.length <= largest);
}

const GENERATED = 60;
const LARGEST_SMALL = 1200;

/** Models with bodies, functions, sparse and typed tensors in every style of serializer. */
function generatedSeeds(): readonly NamedBytes[] {
  return fc
    .sample(arbitraryModel, { seed: 7, numRuns: GENERATED })
    .map(({ spec, style }, index) => ({ name: `generated ${index}`, bytes: encodeModel(spec, style) }));
}

/** More than one window of the reader, with payloads that it steps over. */
function wideSeeds(): readonly NamedBytes[] {
  const long = 'n'.repeat(600);
  const chain = Array.from({ length: 40 }, (_, index) =>
    node('Relu', [`${long}${index}`], [`${long}${index + 1}`], {}, { name: `${long}/${index}` }),
  );
  const big = encodeModel({
    metadata: [['notes', 'm'.repeat(9000)]],
    graph: {
      initializers: [weights('w0', [120, 150], 1), weights('w1', [40, 33], 2)],
      nodes: [node('MatMul', ['x', 'w0'], [`${long}0`]), ...chain],
      inputs: [value('x', [1, 120])],
      outputs: [value(`${long}40`, null)],
    },
  });
  return [{ name: 'wide', bytes: big }];
}

function corpusOf(type: MessageType | null, files: readonly NamedBytes[], largeOnceIn: number): Corpus {
  const parsed = files.map(({ name, bytes }) => ({
    name,
    bytes,
    pieces: type === null ? [] : (piecesOf(bytes, type) ?? []),
  }));
  const shared =
    type === null ? { byMessage: new Map(), all: [] } : donorsOf(parsed.map(({ pieces }) => ({ type, pieces })));
  const seeds = parsed.map(
    (seed): Seed => ({
      ...seed,
      donors: { ...shared, own: type === null ? [] : donorsOf([{ type, pieces: seed.pieces }]).all },
    }),
  );
  return {
    type,
    small: seeds.filter(({ bytes }) => bytes.length <= LARGEST_SMALL),
    large: seeds.filter(({ bytes }) => bytes.length > LARGEST_SMALL),
    largeOnceIn,
  };
}

/** Models: the fixtures, generated ones, one that is longer than a window. */
export function modelCorpus(root: string): Corpus {
  return corpusOf(MODEL, [...fixtureSeeds(root, 'models', ['.onnx']), ...generatedSeeds(), ...wideSeeds()], 32);
}

/** Models with something to resolve: small networks, and some graphs of real ones. */
export function networkCorpus(root: string): Corpus {
  const files = [
    ...fixtureSeeds(root, 'models', ['.onnx']),
    ...fixtureSeeds(root, 'zoo', ['.onnx'], 40_000),
    ...networkSeeds(),
  ];
  return corpusOf(MODEL, files, 6);
}

/** Pyramids of three stages, with module names in the ways of the exporters. */
function networkSeeds(): readonly NamedBytes[] {
  const stages = (style: 'scopes' | 'paths' | 'none', tokens: boolean): Uint8Array => {
    const nodes = [];
    let last = 'x';
    let side = 224;
    const valueInfo = [];
    for (const [index, stride] of [4, 2, 2].entries()) {
      side /= stride;
      for (const op of ['Conv', 'Relu']) {
        const next = style === 'scopes' ? `/layer${index}/${op}_output_0` : `t${index}${op}`;
        const metadata =
          style === 'paths' ? [['pkg.torch.onnx.name_scopes', `['', 'layer${index}', '${op}']`] as const] : undefined;
        nodes.push(
          node(
            op,
            op === 'Conv' ? [last, `layer${index}.weight`] : [last],
            [next],
            op === 'Conv' ? { strides: { ints: [stride, stride] } } : {},
            { name: style === 'scopes' ? `/layer${index}/${op}` : '', metadata },
          ),
        );
        valueInfo.push(value(next, [1, 8 << index, side, side]));
        last = next;
      }
    }
    if (tokens) {
      nodes.push(
        node('Reshape', [last, 'shape'], ['tokens']),
        node('Transpose', ['tokens'], ['nlc'], { perm: { ints: [0, 2, 1] } }),
      );
      valueInfo.push(value('tokens', [1, 32, 196]), value('nlc', [1, 196, 32]));
      last = 'nlc';
    }
    const initializers = [0, 1, 2].map((index) => ({
      name: `layer${index}.weight`,
      dims: [8 << index, index === 0 ? 3 : 4 << index, 3, 3],
      external: [
        ['location', 'w.bin'],
        ['offset', '0'],
      ] as const,
    }));
    return encodeModel({
      graph: { nodes, initializers, valueInfo, inputs: [value('x', [1, 3, 224, 224])], outputs: [value(last, null)] },
    });
  };
  return (['scopes', 'paths', 'none'] as const).flatMap((style) =>
    [false, true].map((tokens) => ({
      name: `network ${style}${tokens ? ' tokens' : ''}`,
      bytes: stages(style, tokens),
    })),
  );
}

const RANDOM_NODES = 500;

/** Models with shapes to infer: nodes of every operator, their inputs of fixed and of open sizes, beside networks. */
export function shapesCorpus(root: string): Corpus {
  const nodes = Array.from({ length: RANDOM_NODES }, (_empty, seed) =>
    [false, true].map((isSymbolic) => {
      const { opType, spec } = randomNode(seededRandom(seed + 1), isSymbolic);
      return { name: `${opType} ${seed}`, bytes: encodeModel(spec) };
    }),
  );
  const files = [
    ...fixtureSeeds(root, 'models', ['.onnx']),
    ...fixtureSeeds(root, 'zoo', ['.onnx'], 20_000),
    ...networkSeeds(),
    ...generatedSeeds(),
    ...nodes.flat(),
  ];
  return corpusOf(MODEL, files, 12);
}

/** Array files, as bytes that nothing is known of. */
export function arrayCorpus(root: string): Corpus {
  return corpusOf(null, fixtureSeeds(root, 'tensors', ['.npy', '.npz', '.safetensors', '.pb'], 4096), 1_000_000);
}

/** One seed: mostly a small one. */
export function pickSeed({ small, large, largeOnceIn }: Corpus, random: Random): Seed {
  return large.length > 0 && (small.length === 0 || random.once(largeOnceIn)) ? random.pick(large) : random.pick(small);
}
