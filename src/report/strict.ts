import { PolicyError } from '../errors.js';

/** Under `--strict` (`strict: true`) warnings are errors. @throws PolicyError `FEATX_STRICT` naming every warning */
export function assertNoWarnings(warnings: readonly string[], path?: string): void {
  if (warnings.length === 0) return;
  throw new PolicyError(`${path ?? 'the model'} gives ${warnings.length === 1 ? 'a warning' : `${warnings.length} warnings`}: ${warnings.join('; ')}`, {
    code: 'FEATX_STRICT', path, hint: 'without --strict these are warnings',
  });
}
