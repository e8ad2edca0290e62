import { onnx } from '../onnx-proto.js';
import protobuf from 'protobufjs';
import type { OnnxModel } from '../../onnx/records.js';
import { judge, type Rule, type Verdict } from './judge.js';
import { EXACT, LOSSY, meaningOfDecoded, meaningOfModel, type Decoded, type Dialect } from './meaning.js';
import { MESSAGES } from './schema.js';
import { Violation } from './target.js';

/**
 * The differential oracle: whether featx accepts what protobuf accepts, and reads in it what two other decoders read.
 */

interface Decoder {
  readonly name: string;
  readonly dialect: Dialect;
  readonly decode: (bytes: Uint8Array) => Decoded;
}

/** Our own schema for protobufjs; names stay bytes, so that those that are not UTF-8 can be compared. */
function ownSchema(): protobuf.Type {
  const nested = Object.fromEntries(
    [...MESSAGES].map(([name, { fields }]) => {
      const read = [...fields].filter(([, field]) => !field.unread);
      const members = read.filter(([, { oneof }]) => oneof !== null).map(([, field]) => field.name);
      return [
        name,
        {
          fields: Object.fromEntries(
            read.map(([id, field]) => [
              field.name,
              {
                id,
                type: field.word === 'string' ? 'bytes' : field.word,
                ...(field.repeated ? { rule: 'repeated' } : {}),
              },
            ]),
          ),
          // Only members of a oneof are told apart from their defaults.
          ...(members.length > 0 ? { oneofs: { value: { oneof: members } } } : {}),
        },
      ];
    }),
  );
  return protobuf.Root.fromJSON({ nested }).lookupType('Model');
}

const schema = ownSchema();

const DECODERS: readonly Decoder[] = [
  { name: 'protobufjs', dialect: EXACT, decode: (bytes) => schema.decode(bytes) },
  {
    name: 'onnx-proto',
    dialect: LOSSY,
    decode: (bytes) =>
      onnx.ModelProto.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)) as unknown as Decoded,
  },
];

/** Codes by which featx refuses what protobuf takes, and when it may. */
const OWN_REFUSALS: { readonly [code: string]: (verdict: Verdict) => boolean } = {
  FEATX_UNSUPPORTED_FILE: () => true,
  FEATX_GRAPH_MISSING: ({ hasGraph }) => !hasGraph,
  FEATX_GRAPH_DIMS: ({ hugeDimension, mostAxes }) => hugeDimension || mostAxes > 1024,
  FEATX_GRAPH_VERSION: ({ hugeVersion }) => hugeVersion,
  FEATX_LIMIT_NAME: ({ longestName }) => longestName > 64 * 1024,
};

/**
 * Compares what featx made of bytes with protobuf's rules and two decoders.
 * @param model what featx read; null where it threw `code`
 * @throws Violation where they differ for no reason that has a name
 */
export function compareReaders(bytes: Uint8Array, model: OnnxModel | null, code: string): void {
  const verdict = judge(bytes);
  if (model === null) return assertRefusal(bytes, verdict, code);
  if (verdict.rejected !== null || verdict.plain === null)
    throw new Violation('accepts-what-protobuf-rejects', `rule ${verdict.rejected}`);
  for (const { name, dialect, decode } of DECODERS) {
    assertExplained(name, decodes(decode, bytes), true, verdict, []);
    if (!decodes(decode, verdict.plain)) throw new Violation('plain-form-is-rejected', `by ${name}`);
    const want = meaningOfDecoded(decode(verdict.plain), dialect);
    const got = meaningOfModel(model, bytes, dialect);
    if (JSON.stringify(want) !== JSON.stringify(got))
      throw new Violation('means-something-else', `to ${name}: ${firstDifference(got, want)}`);
  }
}

function assertRefusal(bytes: Uint8Array, verdict: Verdict, code: string): void {
  if (verdict.rejected === null) {
    if (OWN_REFUSALS[code]?.(verdict) !== true) throw new Violation('rejects-what-protobuf-accepts', code);
    return;
  }
  for (const { name, decode } of DECODERS)
    assertExplained(
      name,
      decodes(decode, bytes),
      false,
      verdict,
      verdict.rejected === 'truncated' ? [] : [verdict.rejected],
    );
}

/** Where a lenient decoder comes to another verdict, one of the rules must say why. */
function assertExplained(
  name: string,
  accepts: boolean,
  wanted: boolean,
  { rules, rejected }: Verdict,
  also: readonly Rule[],
): void {
  if (accepts === wanted || rules.size + also.length > 0) return;
  throw new Violation(
    'unexplained-verdict',
    `${name} ${accepts ? 'accepts' : 'rejects'} what protobuf ${wanted ? 'accepts' : `rejects (${rejected})`}`,
  );
}

function decodes(decode: Decoder['decode'], bytes: Uint8Array): boolean {
  try {
    decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Where two meanings part: `[5, 1, 0]: …, not …`. */
function firstDifference(got: unknown, want: unknown, path: readonly number[] = []): string {
  if (Array.isArray(got) && Array.isArray(want)) {
    for (let index = 0; index < Math.max(got.length, want.length); index++) {
      if (JSON.stringify(got[index]) !== JSON.stringify(want[index]))
        return firstDifference(got[index], want[index], [...path, index]);
    }
  }
  const short = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 200);
  return `at [${path.join(', ')}]: ${short(got)}, not ${short(want)}`;
}
