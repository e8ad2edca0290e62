/** How text for people is drawn; pure data, so that a test or a page can ask for any of it. */
export interface TextStyle {
  readonly color: boolean;
  /** Whether the terminal shows more than ASCII. */
  readonly unicode: boolean;
  /** Columns to fit into; null if there is no terminal to fit. */
  readonly width: number | null;
}

/** Text for a file or a pipe: no colour, no width. */
export const PLAIN: TextStyle = { color: false, unicode: true, width: null };

type Emphasis = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan';

/** SGR on and off codes. @see https://ecma-international.org/publications-and-standards/standards/ecma-48/ 8.3.117 */
const ANSI_CODES: { readonly [K in Emphasis]: readonly [number, number] } = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  yellow: [33, 39],
  green: [32, 39],
  cyan: [36, 39],
};

/** `text` emphasised where colour is on; `text` itself elsewhere. */
export function paint(style: TextStyle, emphasis: Emphasis, text: string): string {
  if (!style.color || text === '') return text;
  const [on, off] = ANSI_CODES[emphasis];
  return `\x1b[${on}m${text}\x1b[${off}m`;
}
