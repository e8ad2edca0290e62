import { option } from '../options/words.js';
import { UsageError } from '../errors.js';

/** Under `--strict` (`strict: true`) warnings are errors. @throws UsageError `FEATX_STRICT` naming every warning */
export function assertNoWarnings(warnings: readonly string[], path?: string): void {
  if (warnings.length === 0) return;
  throw new UsageError(`${option('strict')}: ${warnings.join('; ')}`, {
    code: 'FEATX_STRICT',
    path,
    hint: `without ${option('strict')} these are warnings`,
  });
}
