import { IoError } from '../errors.js';
import { isRecord } from '../options/schema.js';
import { parseJson } from '../wire/json.js';
import { decodeText } from '../wire/text.js';
import { assertPrivate, parseAddress, shownUrl } from './address.js';
import { misbehaved, refusal } from './answers.js';
import { silenced, trying, wholeBody, type HttpOptions } from './http-file.js';
import { Route } from './route.js';
import { PATIENCE, SilenceWatch } from './waiting.js';

/** A file of a package, as an index of Python packages lists it. */
export interface IndexedFile {
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
  /** In bytes. */
  readonly size: number;
}

/** The index that pip asks by default. */
export const PYTHON_INDEX = 'https://pypi.org/simple';
const JSON_PAGE = 'application/vnd.pypi.simple.v1+json';
/** The pages of the packages with most files are a tenth of it. */
const LONGEST_PAGE = 64 * 1024 * 1024;

/**
 * The files of a package that are not withdrawn and whose size and digest the index says.
 * @throws IoError if it does not answer, or not in JSON; UsageError for a URL that is not read
 * @see https://packaging.python.org/specifications/simple-repository-api
 */
export async function indexedFiles(
  index: string,
  packageName: string,
  options: HttpOptions = {},
): Promise<readonly IndexedFile[]> {
  const address = parseAddress(`${index.replace(/\/+$/, '')}/${packageName}/`);
  const { silenceMs } = { ...PATIENCE, ...options.patience };
  const { text, url } = await trying(address, { ...PATIENCE, ...options.patience }, options.signal, async () => {
    const watch = new SilenceWatch(silenceMs, options.signal);
    try {
      const { response, place } = await new Route(address, options).walk({ accept: JSON_PAGE }, watch.signal);
      if (response.status !== 200) throw refusal(response, address.shown);
      const page = await wholeBody(response, LONGEST_PAGE, watch);
      if (page === null) throw misbehaved(address.shown, `its page is longer than ${LONGEST_PAGE} bytes`);
      return { text: decodeText(page), url: place.url };
    } catch (error) {
      throw silenced(error, watch, address);
    } finally {
      watch.end();
    }
  });
  return filesOf(text, address.shown).map((file) => ({ ...file, url: absolute(file.url, url) }));
}

function filesOf(text: string, shown: string): readonly IndexedFile[] {
  let page: unknown;
  try {
    page = parseJson(text);
  } catch (cause) {
    throw new IoError(`${shown} does not answer with the JSON of an index of Python packages`, {
      code: 'FEATX_REMOTE',
      path: shown,
      hint: 'name an index that speaks it (PEP 691), as that of Python itself does',
      cause,
    });
  }
  const files = isRecord(page) && Array.isArray(page.files) ? page.files : [];
  return files.flatMap((file: unknown) => {
    if (!isRecord(file) || (file.yanked !== undefined && file.yanked !== false)) return [];
    const { filename: name, url, size, hashes } = file;
    const sha256 = isRecord(hashes) ? hashes.sha256 : undefined;
    const isWhole =
      typeof name === 'string' &&
      typeof url === 'string' &&
      typeof sha256 === 'string' &&
      /^[0-9a-f]{64}$/.test(sha256) &&
      Number.isSafeInteger(size) &&
      Number(size) >= 0;
    return isWhole ? [{ name, url, sha256, size: size as number }] : [];
  });
}

/** @throws UsageError for one that goes over a network in the clear; IoError for what is not a URL */
function absolute(url: string, page: string): string {
  try {
    const whole = new URL(url, page);
    assertPrivate(whole);
    return whole.href;
  } catch (cause) {
    throw misbehaved(shownUrl(new URL(page)), `it names a file at a place that is not read: ${String(cause)}`);
  }
}
