import { COUNTS, EXTERNAL_KEYS, LOCATIONS, NAMES, VARINTS } from './hostile.js';
import { mutateBytes } from './mutate-bytes.js';
import type { Random } from './random.js';
import { messageNamed, type MessageType } from './schema.js';
import { branch, contentOf, joined, leaf, overlong, varintBytes, type Piece } from './tree.js';

/** Fields to put in, by the message they stood in. */
export interface Donors {
  readonly byMessage: ReadonlyMap<MessageType, readonly Piece[]>;
  readonly all: readonly Piece[];
  /** Fields of the message itself: names that it uses elsewhere. */
  readonly own: readonly Piece[];
}

/** Every field of messages, by the message that holds it. */
export function donorsOf(
  roots: readonly { readonly type: MessageType; readonly pieces: readonly Piece[] }[],
): Omit<Donors, 'own'> {
  const byMessage = new Map<MessageType, Piece[]>();
  const all: Piece[] = [];
  const collect = (type: MessageType, pieces: readonly Piece[]): void => {
    const known = byMessage.get(type) ?? [];
    byMessage.set(type, known);
    for (const piece of pieces) {
      if (piece.bytes.length > LARGEST_DONOR) continue;
      known.push(piece);
      all.push(piece);
      if (piece.type !== null && piece.children !== null) collect(piece.type, piece.children);
    }
  };
  for (const { type, pieces } of roots) collect(type, pieces);
  return { byMessage, all };
}

const LARGEST_DONOR = 4096;
/** More than the messages protobuf allows inside each other. */
const DEEPEST_NEST = 40;

/** One change somewhere in a message, lengths repaired. */
export function mutatePieces(
  pieces: readonly Piece[],
  type: MessageType | null,
  random: Random,
  donors: Donors,
): readonly Piece[] {
  const at = random.below(Math.max(1, pieces.length));
  const piece: Piece | undefined = pieces[at];
  if (piece?.children != null && random.below(16) < 13) {
    return replaced(pieces, at, [
      branch(piece.number, piece.type, mutatePieces(piece.children, piece.type, random, donors)),
    ]);
  }
  if (piece === undefined) return [donorFor(type, random, donors)];
  const op = random.below(type?.name === 'Tensor' ? 24 : 20);
  switch (op) {
    case 0:
    case 1:
      return replaced(pieces, at, []);
    case 2:
      return [...pieces.slice(0, at), ...pieces.slice(at + 1 + random.below(pieces.length))];
    case 3:
      return replaced(pieces, at, [piece, piece]);
    case 4:
      return random.once(2) ? [...pieces, piece] : [piece, ...pieces];
    case 5:
      return swapped(pieces, at, random.below(pieces.length));
    case 6:
    case 7:
      return replaced(pieces, at, [piece, donorFor(type, random, donors)]);
    case 8:
      return replaced(pieces, at, [sameField(piece, type, random, donors)]);
    case 9:
      return replaced(pieces, at, [withWireType(piece, random)]);
    case 10:
      return replaced(pieces, at, [renumbered(piece, type, random)]);
    case 11:
      return replaced(pieces, at, split(piece, random));
    case 12:
      return replaced(pieces, at, [overlong(piece, 1 + random.below(random.once(4) ? 9 : 4))]);
    case 13:
      return replaced(pieces, at, [piece, unknownField(piece, random)]);
    case 14:
      return replaced(pieces, at, nested(piece, type, random));
    default:
      return op < 20 ? replaced(pieces, at, [withValue(piece, random, donors)]) : tensorChange(pieces, op, random);
  }
}

function replaced(pieces: readonly Piece[], at: number, by: readonly Piece[]): readonly Piece[] {
  return [...pieces.slice(0, at), ...by, ...pieces.slice(at + 1)];
}

function swapped(pieces: readonly Piece[], a: number, b: number): readonly Piece[] {
  const copy = [...pieces];
  [copy[a], copy[b]] = [copy[b], copy[a]];
  return copy;
}

function donorFor(type: MessageType | null, random: Random, donors: Donors): Piece {
  const own = type === null || random.once(12) ? donors.all : (donors.byMessage.get(type) ?? donors.all);
  return own.length === 0 ? leaf(1, 0, Uint8Array.of(1)) : random.pick(own);
}

/** Another value that this field had in some seed. */
function sameField(piece: Piece, type: MessageType | null, random: Random, donors: Donors): Piece {
  const own = type === null ? [] : (donors.byMessage.get(type) ?? []);
  for (let attempt = 0; attempt < 8 && own.length > 0; attempt++) {
    const donor = random.pick(own);
    if (donor.number === piece.number) return donor;
  }
  return withValue(piece, random, donors);
}

function withWireType(piece: Piece, random: Random): Piece {
  const wireType = random.below(random.once(8) ? 8 : 6);
  const { number, payload } = piece;
  switch (wireType) {
    case 0:
      return leaf(number, 0, random.pick(VARINTS));
    case 1:
      return leaf(number, 1, padded(payload, 8));
    case 2:
      return leaf(number, 2, payload);
    case 3:
      return leaf(
        number,
        3,
        joined([piece.bytes, leaf(number + (random.once(4) ? 1 : 0), 4, new Uint8Array(0)).bytes]),
      );
    case 5:
      return leaf(number, 5, padded(payload, 4));
    default:
      return leaf(number, wireType, new Uint8Array(0));
  }
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = new Uint8Array(length);
  whole.set(bytes.subarray(0, length));
  return whole;
}

const NUMBERS: readonly number[] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 25, 26, 100, 15999, 536870911,
];

function renumbered(piece: Piece, type: MessageType | null, random: Random): Piece {
  const number = type !== null && random.once(2) ? random.pick([...type.fields.keys(), 1]) : random.pick(NUMBERS);
  return leaf(
    number,
    piece.wireType === 3 ? 0 : piece.wireType,
    piece.wireType === 3 ? Uint8Array.of(1) : piece.payload,
  );
}

/** A message in two occurrences, which a reader must merge; a list of numbers in two runs. */
function split(piece: Piece, random: Random): readonly Piece[] {
  const { number, children, type, payload } = piece;
  if (children !== null) {
    const at = random.below(children.length + 1);
    const parts = [branch(number, type, children.slice(0, at)), branch(number, type, children.slice(at))];
    return random.once(4) ? [parts[1], parts[0]] : parts;
  }
  if (piece.wireType !== 2)
    return [
      piece,
      leaf(number, piece.wireType === 3 ? 0 : piece.wireType, piece.wireType === 3 ? Uint8Array.of(1) : payload),
    ];
  const at = random.below(payload.length + 1);
  return [leaf(number, 2, payload.subarray(0, at)), leaf(number, 2, payload.subarray(at))];
}

function unknownField(piece: Piece, random: Random): Piece {
  const number = random.pick([17, 99, 9001, 100_000]);
  if (random.once(3)) {
    let content = piece.bytes;
    for (let depth = random.below(random.once(20) ? 110 : 3); depth >= 0; depth--)
      content = leaf(number, 3, joined([content, leaf(number, 4, new Uint8Array(0)).bytes])).bytes;
    return leaf(number, 3, joined([content, leaf(number, 4, new Uint8Array(0)).bytes]));
  }
  return random.once(2) ? leaf(number, 2, piece.bytes) : leaf(number, 0, random.pick(VARINTS));
}

const [NODE, ATTRIBUTE, GRAPH, TYPE, ELEMENT] = (['Node', 'Attribute', 'Graph', 'Type', 'Element'] as const).map(
  messageNamed,
);

/** The message inside itself: bodies in bodies, types in types. */
function nested(piece: Piece, type: MessageType | null, random: Random): readonly Piece[] {
  const depth = random.once(16) ? random.below(DEEPEST_NEST) : 1 + random.below(3);
  if (type === GRAPH || type === NODE || piece.type === NODE) {
    let inner = piece.type === NODE ? piece : leaf(1, 2, contentOf([piece]));
    for (let level = 0; level < depth; level++) {
      const body = branch(random.once(4) ? 11 : 6, GRAPH, [inner]);
      inner = branch(1, NODE, [
        leaf(4, 2, NAMES[random.below(NAMES.length)]),
        branch(5, ATTRIBUTE, [leaf(1, 2, new Uint8Array(0)), body]),
      ]);
    }
    return [piece, inner];
  }
  if (piece.type !== TYPE || piece.children === null) return [piece, piece];
  let inner = piece.children;
  for (let level = 0; level < depth; level++)
    inner = [branch(random.once(2) ? 4 : 9, ELEMENT, [branch(1, TYPE, inner)])];
  return [branch(piece.number, TYPE, inner)];
}

/** Another value of the same field: hostile, or one that stands elsewhere. */
function withValue(piece: Piece, random: Random, donors: Donors): Piece {
  const { number, wireType, payload } = piece;
  if (wireType === 0) return leaf(number, 0, random.pick(VARINTS));
  if (wireType === 1 || wireType === 5)
    return leaf(
      number,
      wireType,
      Uint8Array.from(payload, () => random.pick([0, 0x7f, 0x80, 0xff])),
    );
  if (wireType === 3) return leaf(number, 3, payload.slice(0, -1));
  switch (random.below(6)) {
    case 0:
    case 1:
      return leaf(number, 2, random.pick(NAMES));
    case 2:
    case 3: {
      const from = random.once(8) ? donors.all : donors.own;
      return leaf(number, 2, from.length === 0 ? payload : random.pick(from).payload);
    }
    case 4:
      return leaf(
        number,
        2,
        random.once(500) ? new Uint8Array(65_537).fill(97) : mutateBytes(payload, random, payload),
      );
    default:
      return piece.children === null
        ? leaf(number, 2, joined(Array.from({ length: random.below(6) }, () => random.pick(VARINTS))))
        : branch(number, piece.type, []);
  }
}

const ENTRY = messageNamed('StringStringEntry');

function tensorChange(pieces: readonly Piece[], op: number, random: Random): readonly Piece[] {
  switch (op) {
    case 20: {
      const dims = Array.from({ length: 1 + random.below(4) }, () => random.pick(VARINTS));
      const others = pieces.filter(({ number }) => number !== 1);
      return random.once(2)
        ? [leaf(1, 2, joined(dims)), ...others]
        : [...dims.map((dim) => leaf(1, 0, dim)), ...others];
    }
    case 21:
      return [...pieces, leaf(2, 0, varintBytes(random.below(32)))];
    case 22: {
      const external = [
        leaf(13, 2, contentOf([leaf(1, 2, EXTERNAL_KEYS[0]), leaf(2, 2, random.pick(LOCATIONS))])),
        leaf(14, 0, random.once(6) ? random.pick(VARINTS) : Uint8Array.of(1)),
      ];
      return [...pieces.filter(({ number }) => number !== 9 || random.once(4)), ...external];
    }
    default: {
      const value = random.once(2) ? random.pick(COUNTS) : random.pick(LOCATIONS);
      return [
        ...pieces,
        branch(13, ENTRY, [leaf(1, 2, random.pick(EXTERNAL_KEYS)), leaf(2, 2, value)]),
        leaf(14, 0, Uint8Array.of(1)),
      ];
    }
  }
}
