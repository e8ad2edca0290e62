import type { TensorValue } from '../onnx/tensor-value.js';
import { elementCount } from '../onnx/types.js';
import { decodeText } from '../wire/text.js';
import { malformed, overLimit, unsupported, type Region } from './faults.js';
import { specBytes, type ArraySpec, type FileLayout } from './layout.js';
import { DEFAULT_TENSOR_LIMITS, type TensorLimits } from './limits.js';
import { byteLength, isStrings, tensorFromBytes } from './tensor.js';
import { decodeStrings } from './text-arrays.js';

/** The header of a .npy array. @see https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
export interface NpyHeader {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly littleEndian: boolean;
  readonly fortranOrder: boolean;
  /** Characters that each string has room for; strings only. */
  readonly characters?: number;
  /** Where the values begin, from the start of the array file. */
  readonly dataOffset: number;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** numpy writes a few hundred bytes; its own reader stops at 10,000. */
const LONGEST_HEADER = 65_535;
const ALIGNMENT = 64;
/** Room that numpy leaves for axis 0 to grow (digits of 2^64). */
const GROWTH_DIGITS = 21;
const MOST_DIMS = 64;

const DTYPES = new Map<string, string>([
  ['b1', 'bool'],
  ['i1', 'int8'],
  ['i2', 'int16'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['u1', 'uint8'],
  ['u2', 'uint16'],
  ['u4', 'uint32'],
  ['u8', 'uint64'],
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
]);
const DESCRIPTIONS = new Map([...DTYPES].map(([code, dtype]) => [dtype, `${code.endsWith('1') ? '|' : '<'}${code}`]));

const REFUSED: { readonly [kind: string]: readonly [string, string] } = {
  O: [
    'it holds pickled Python objects, which can run code',
    'save it with a numeric dtype: np.save(file, array.astype("float32"), allow_pickle=False)',
  ],
  c: ['it holds complex numbers', 'save the real and the imaginary part as arrays of their own'],
  S: ['it holds byte strings', 'save it as text: array.astype("U")'],
  a: ['it holds byte strings', 'save it as text: array.astype("U")'],
  V: [
    'its dtype is void, which numpy writes for types it does not know, such as bfloat16',
    'save it as .safetensors, or as float32',
  ],
  M: ['it holds dates', 'save it with a numeric dtype'],
  m: ['it holds time spans', 'save it with a numeric dtype'],
  f: ['it holds extended precision floats', 'save it as float64 or float32'],
};

/** Whether bytes begin like a .npy array. */
export function isNpy(head: Uint8Array): boolean {
  return MAGIC.every((byte, index) => head[index] === byte);
}

/** Reads the header alone. @throws ModelFormatError, UnsupportedModelError (objects, complex), PolicyError */
export async function readNpyHeader(region: Region, limits: TensorLimits = DEFAULT_TENSOR_LIMITS): Promise<NpyHeader> {
  const { source, name, start, end } = region;
  const head = await source.read(start, Math.min(end, start + 12));
  const { length, offset } = headerLength(head, name);
  if (start + offset + length > end) throw malformed(name, `the header of ${length} bytes does not fit in the file`);
  const bytes = await source.read(start + offset, start + offset + length);
  const header = { ...parseDictionary(decodeText(bytes), name), dataOffset: offset + length };
  const size = specBytes({ key: '', ...header });
  if (
    !Number.isSafeInteger(size) ||
    (header.characters === undefined && byteLength(header.dtype, header.shape) === null)
  )
    throw malformed(name, `its shape (${header.shape.join(', ')}) has more elements than can be counted`);
  const available = end - start - header.dataOffset;
  if (available < size)
    throw malformed(
      name,
      `its shape (${header.shape.join(', ')}) of ${header.dtype} takes ${size} bytes, and the file holds ${available}`,
    );
  if (available > size)
    throw malformed(name, `${available - size} bytes follow the array of shape (${header.shape.join(', ')})`);
  if (header.fortranOrder && size > limits.arrayBytes)
    throw overLimit(
      name,
      `an array of ${size} bytes in Fortran order is over the limit of ${limits.arrayBytes}`,
      'arrayBytes',
    );
  return header;
}

/** Length of the dictionary and where it begins; a header that was cut off has no length. */
export function headerLength(head: Uint8Array, name: string): { readonly length: number; readonly offset: number } {
  if (!isNpy(head) || head.length < 10) throw malformed(name, 'it is not a .npy array', 0);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const major = head[6];
  if (major < 1 || major > 3 || head[7] !== 0)
    throw malformed(name, `version ${major}.${head[7]} of the .npy format is unknown (1.0 to 3.0 are)`, 6);
  if (major > 1 && head.length < 12) throw malformed(name, 'it is cut off inside its header', 8);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > LONGEST_HEADER)
    throw overLimit(name, `a .npy header of ${length} bytes is over the limit of ${LONGEST_HEADER}`, 'headerBytes');
  return { length, offset: major === 1 ? 10 : 12 };
}

const TOKEN =
  /\s*(?:(?<word>True|False)|(?<integer>\d{1,19})L?|(?<quote>['"])(?<text>[^'"\\]*)\k<quote>|(?<mark>[{}(),:[\]]))/y;

interface Token {
  readonly kind: 'word' | 'integer' | 'text' | 'mark';
  readonly value: string;
}

/** Reads the Python dictionary of a header: exactly its three keys, in any order. */
function parseDictionary(text: string, name: string): Omit<NpyHeader, 'dataOffset'> {
  const tokens = tokenize(text, name);
  let at = 0;
  const is = (value: string): boolean => tokens[at]?.kind === 'mark' && tokens[at].value === value;
  const expect = (value: string): void => {
    if (!is(value))
      throw malformed(
        name,
        `its header is not a dictionary numpy writes: expected ${value} at ${tokens[at]?.value ?? 'the end'}`,
      );
    at++;
  };
  const next = (kind: Token['kind'], what: string): string => {
    const token = tokens[at++];
    if (token?.kind !== kind)
      throw malformed(name, `its header has ${token?.value ?? 'nothing'} where ${what} should be`);
    return token.value;
  };
  const tuple = (): number[] => {
    const dims: number[] = [];
    expect('(');
    while (!is(')')) {
      dims.push(Number(next('integer', 'a size')));
      if (!is(')')) expect(',');
    }
    expect(')');
    return dims;
  };
  let dtype: Pick<NpyHeader, 'dtype' | 'littleEndian' | 'characters'> | undefined;
  let fortran: boolean | undefined;
  let shape: number[] | undefined;
  expect('{');
  while (!is('}')) {
    const key = next('text', 'a key');
    expect(':');
    if (key === 'descr' && dtype === undefined) dtype = dtypeOf(is('[') ? '[' : next('text', 'a dtype'), name);
    else if (key === 'fortran_order' && fortran === undefined) fortran = next('word', 'True or False') === 'True';
    else if (key === 'shape' && shape === undefined) shape = tuple();
    else
      throw malformed(
        name,
        `its header has the key '${key}' where descr, fortran_order and shape should be, each once`,
      );
    if (!is('}')) expect(',');
  }
  expect('}');
  if (at !== tokens.length || dtype === undefined || fortran === undefined || shape === undefined)
    throw malformed(name, 'its header lacks one of descr, fortran_order and shape');
  if (shape.length > MOST_DIMS) throw malformed(name, `it has ${shape.length} axes; numpy allows ${MOST_DIMS}`);
  if (elementCount(shape) === null)
    throw malformed(name, `its shape (${shape.join(', ')}) has more elements than can be counted`);
  return { ...dtype, fortranOrder: fortran && shape.length > 1, shape };
}

function tokenize(text: string, name: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw malformed(name, `its header cannot be read from character ${from} on`);
    const kind =
      groups.word !== undefined
        ? 'word'
        : groups.integer !== undefined
          ? 'integer'
          : groups.text !== undefined
            ? 'text'
            : 'mark';
    tokens.push({ kind, value: groups[kind] });
  }
  return tokens;
}

function dtypeOf(description: string, name: string): Pick<NpyHeader, 'dtype' | 'littleEndian' | 'characters'> {
  if (description === '[')
    throw unsupported(name, 'it holds records of several fields', 'save each field as an array of its own');
  const [, order, code] = /^([<>=|]?)([A-Za-z?]\d*)/.exec(description) ?? [];
  const dtype = DTYPES.get(code === '?' ? 'b1' : (code ?? ''));
  if (dtype !== undefined && description === `${order}${code}`) return { dtype, littleEndian: order !== '>' };
  const [, text] = /^[<>=]U(\d{1,9})$/.exec(description) ?? [];
  if (text !== undefined) return { dtype: 'string', littleEndian: order !== '>', characters: Number(text) };
  const [what, hint] = REFUSED[code?.[0] ?? ''] ?? [`its dtype is unknown`, 'save it with a numeric dtype'];
  throw unsupported(name, `${what} (dtype '${description}')`, hint);
}

/** The tensor of a header and the bytes of its values. */
export function arrayOf(header: NpyHeader, bytes: Uint8Array, name = 'the array'): TensorValue {
  const { dtype, shape, littleEndian, fortranOrder, characters } = header;
  const tensor =
    characters === undefined
      ? tensorFromBytes(dtype, shape, bytes, littleEndian)
      : {
          dtype,
          shape,
          data: decodeStrings(bytes, { count: elementCount(shape) ?? 0, characters, littleEndian, name }),
        };
  return fortranOrder ? fromFortran(tensor) : tensor;
}

/** Values that lie with the first axis fastest, in C order. */
function fromFortran({ dtype, shape, data }: TensorValue): TensorValue {
  const ordered = isStrings(data) ? [...data] : data.slice();
  const axes = shape.length;
  const strides: number[] = [];
  let stride = 1;
  for (const dim of shape) {
    strides.push(stride);
    stride *= dim;
  }
  const position = Array.from({ length: axes }, () => 0);
  let from = 0;
  for (let to = 0; to < data.length; to++) {
    ordered[to] = data[from];
    for (let axis = axes - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++position[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      position[axis] = 0;
    }
  }
  return { dtype, shape, data: ordered };
}

/** numpy's code of a dtype, or null if .npy cannot say it. */
export function npyDescription(dtype: string): string | null {
  return DESCRIPTIONS.get(dtype) ?? null;
}

/** A .npy file: its header, then the values. */
export function npyLayout(array: ArraySpec): FileLayout {
  const header = npyHeader(array.dtype, array.shape, array.key, array.characters);
  return {
    size: header.length + specBytes(array),
    offsets: [header.length],
    checksumSeeds: null,
    frame: () => [{ position: 0, bytes: header }],
  };
}

/**
 * The bytes before the values, as numpy writes them: version 1.0, padded to 64 bytes, with room for axis 0 to grow.
 * @throws UnsupportedModelError for dtypes numpy does not know
 */
export function npyHeader(dtype: string, shape: readonly number[], name: string, characters?: number): Uint8Array {
  const description = characters === undefined ? DESCRIPTIONS.get(dtype) : `<U${characters}`;
  if (description === undefined)
    throw unsupported(name, `.npy and .npz have no dtype ${dtype}`, 'write .safetensors or a directory of .pb');
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dictionary = `{'descr': '${description}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const growth = shape.length === 0 ? 0 : GROWTH_DIGITS - String(shape[0]).length;
  const length = dictionary.length + growth + 1;
  const padded = length + ALIGNMENT - ((10 + length) % ALIGNMENT);
  if (padded > 0xffff)
    throw unsupported(name, `a shape of ${shape.length} axes does not fit a .npy header`, 'write .safetensors');
  const header = new Uint8Array(10 + padded).fill(0x20);
  header.set([...MAGIC, 1, 0, padded & 0xff, padded >>> 8]);
  for (let index = 0; index < dictionary.length; index++) header[10 + index] = dictionary.charCodeAt(index);
  header[header.length - 1] = 0x0a;
  return header;
}
