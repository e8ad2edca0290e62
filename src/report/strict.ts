import { UsageError } from '../errors.js';

/** Under `--strict` (`strict: true`) warnings are errors. @throws UsageError `FEATX_STRICT` naming every warning */
export function assertNoWarnings(warnings: readonly string[], path?: string): void {
  if (warnings.length === 0) return;
  throw new UsageError(`--strict: ${warnings.join('; ')}`, {
    code: 'FEATX_STRICT',
    path,
    hint: 'without --strict these are warnings',
  });
}
