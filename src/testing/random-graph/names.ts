/** Names that models have: of exporters, and odd ones that a program may trip over. */

const STYLES: readonly ((index: number) => string)[] = [
  (index) => `t${index}`,
  (index) => `/layer${index % 3}/conv${index}/Conv_output_0`,
  (index) => `${index}`,
  (index) => `onnx::Add_${index}`,
  (index) => `StatefulPartitionedCall/model/re_lu_${index}/Relu:0`,
];

const ODD = [
  'constructor',
  'toString',
  'hasOwnProperty',
  'a b',
  '*',
  '?x',
  '[0]',
  '{a,b}',
  '-x',
  '--out',
  'a=b',
  'a:b',
  'a#1',
  'a@2',
  'a,b',
  '"quoted"',
  "it's",
  'back\\slash',
  'line\nbreak',
  'tab\t',
  'ünïcödé',
  '名前',
  '😀',
  '\u202e',
  'neck:0',
  '0-2',
  '..',
  './a',
  '%s',
  '$&',
  'x'.repeat(300),
  '1',
  '2',
  'None',
  'NaN',
  ' ',
] as const;

/** A source of names, each once: those of one exporter, or odd ones among them. */
export class Names {
  constructor(
    private readonly style: number,
    private readonly isOdd: boolean,
    /** Where counting goes on; bodies beside each other may use the same names. */
    public next = 0,
  ) {}

  fresh(): string {
    const index = this.next++;
    const plain = STYLES[this.style % STYLES.length](index);
    if (!this.isOdd) return plain;
    // Every second name is odd, the first time round alone and then with a number.
    const at = index % (2 * ODD.length);
    if (at % 2 === 0) return `${plain}.`;
    const odd = ODD[(at - 1) / 2];
    return index < 2 * ODD.length ? odd : `${odd}.${index}`;
  }
}
