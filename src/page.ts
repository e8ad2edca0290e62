import { UsageError } from './errors.js';
import { called } from './options/check.js';
import type { OptionsOf } from './options/types.js';
import { option } from './options/words.js';
import { modelPage } from './pages/model-page.js';
import { pageProgram } from './pages/program.js';
import { pageNameWarnings } from './pages/shell.js';
import type { ModelPageReport } from './report/page-records.js';
import { readText } from './tensors/beside-model.js';
import { nodeFileSystem, type FileSystem } from './wire/fs.js';
import { writeFile } from './wire/sink.js';
import { BufferSource } from './wire/source.js';
import { resolveTarget } from './wire/target.js';

/** What `page` takes: the options of the table, and what only a program can give. */
export type PageOptions = OptionsOf<'page'> & { readonly fileSystem?: FileSystem };

const DEFAULT_OUTPUT = 'featx.html';

/**
 * Writes a page of one file that does in a browser what `inspect` and `extract` do, and needs no server.
 * @throws UsageError, IoError; the output is then as it was before
 */
export async function page(options: PageOptions = {}): Promise<ModelPageReport> {
  return called('page', options, () => writePage(options));
}

async function writePage(options: PageOptions): Promise<ModelPageReport> {
  const started = performance.now();
  const { output = DEFAULT_OUTPUT, fileSystem = nodeFileSystem } = options;
  const connect = [...new Set((options.connect ?? []).map(originOf))];
  const target = await resolveTarget(output, [], { ...options, inPlace: false });
  const html = modelPage(await readText(pageProgram(connect.length > 0), fileSystem), { connect });
  const bytes = new TextEncoder().encode(html);
  await writeFile(new BufferSource(new Uint8Array(0)), [bytes], target, options);
  return {
    schema: 1,
    command: 'page',
    output: target,
    connect,
    size_bytes: bytes.length,
    warnings: pageNameWarnings(target),
    elapsed_ms: Math.round(performance.now() - started),
  };
}

/** What a policy says for a URL: its origin, or `https:` for all. @throws UsageError for anything else */
function originOf(text: string): string {
  if (text === 'https:') return text;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isLocal = url?.protocol === 'http:' && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url !== null && (url.protocol === 'https:' || isLocal)) return url.origin;
  throw new UsageError(`${option('connect')}: '${text}' is not an https:// URL`, {
    code: 'FEATX_USAGE_URL',
    hint: 'give the address of a server, https: for all of them, or http://localhost:PORT',
  });
}
