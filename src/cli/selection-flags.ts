import { UsageError } from '../errors.js';
import { FeatureInfo, type FeatureEntry } from '../features/feature-info.js';
import type { FlagsOf } from '../options/types.js';
import { FileSource } from '../wire/file-source.js';
import type { FileSystem } from '../wire/fs.js';
import { parseJson } from '../wire/json.js';
import { decodeText } from '../wire/text.js';

/**
 * What `--features` names, read, and the files that were read for it. @throws UsageError where flags exclude each
 * other, IoError
 */
export async function givenFeatures(
  flags: Pick<FlagsOf<'inspect'>, 'select' | 'features'>,
  fs: FileSystem,
): Promise<{ readonly features?: readonly FeatureEntry[]; readonly reads: readonly string[] }> {
  const { select = [], features } = flags;
  const isOut = select.some((selector) => selector.by === 'index' && selector.group === undefined);
  if (isOut && select.some(({ by }) => by === 'last'))
    throw new UsageError('--out and --last both say which indices', { hint: 'give one of them' });
  if (features === '') throw new UsageError('--features is an empty path');
  return features === undefined ? { reads: [] } : { features: await readFeatureInfo(features, fs), reads: [features] };
}

/** A FeatureInfo of any size that is one; more is another kind of file. */
const LARGEST_FEATURE_INFO = 16 * 1024 * 1024;

/**
 * The entries of a `--features` file: timm's list, or anything that has one under `feature_info` (a report of inspect).
 * @throws IoError, UsageError
 */
async function readFeatureInfo(path: string, fs: FileSystem): Promise<readonly FeatureEntry[]> {
  const source = await FileSource.open(path, fs);
  try {
    if (source.size > LARGEST_FEATURE_INFO)
      throw new UsageError(
        `${path} is too large for a FeatureInfo: ${source.size} bytes, at most ${LARGEST_FEATURE_INFO}`,
        { path },
      );
    const text = decodeText(await source.read(0, source.size));
    return FeatureInfo.fromJSON(featureList(text)).toJSON();
  } catch (error) {
    if (error instanceof UsageError)
      throw new UsageError(`${path}: ${error.message}`, { code: error.code, hint: error.hint, path, cause: error });
    throw error;
  } finally {
    await source.close();
  }
}

function featureList(text: string): string | readonly unknown[] {
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    // FeatureInfo says what is wrong with it.
    return text;
  }
  const list: unknown =
    typeof parsed === 'object' && parsed !== null && 'feature_info' in parsed ? parsed.feature_info : parsed;
  return Array.isArray(list) ? list : text;
}
