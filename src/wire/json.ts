/** Arrays and objects inside each other that any of our JSON files has, several times over. */
const DEEPEST = 64;

/**
 * What a JSON text says. Text of deep nesting is refused before it is parsed: a file of a few megabytes can stand for
 * gigabytes of objects.
 * @throws SyntaxError if it is not JSON, or nested more than 64 deep
 */
export function parseJson(text: string): unknown {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      if (++depth > DEEPEST)
        throw new SyntaxError(`arrays and objects are nested more than ${DEEPEST} deep, at position ${at}`);
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--;
  }
  return JSON.parse(text);
}

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = Array.from('"\\[]{}', (character) =>
  character.charCodeAt(0),
);

/** Where the string that begins at `start` ends. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at;
  }
  return text.length;
}

/** JSON with sorted keys and without undefined values. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}
