import { openUrl } from '../core.js';
import { RemoteSidecars } from '../remote/remote-sidecars.js';
import { RemoteSource } from '../remote/remote-source.js';
import { NO_SIDECARS } from '../wire/source.js';
import { byId } from './dom.js';
import { opened, type ChosenModel } from './model.js';
import { open } from './program.js';

/** The program of a page that may fetch models, too. */

byId('address').addEventListener('submit', (event) => {
  event.preventDefault();
  const url = byId('url');
  if (url instanceof HTMLInputElement && url.value !== '') void open(url.value, () => openAddress(url.value));
});

/** The model behind a URL, read by ranges. @throws UsageError, IoError, and what `indexModel` throws */
async function openAddress(address: string): Promise<ChosenModel> {
  const source = await openUrl(address);
  const name = (source.path ?? '').split('/').at(-1);
  return opened(
    name === undefined || name === '' ? 'model.onnx' : name,
    source,
    source instanceof RemoteSource ? new RemoteSidecars(source) : NO_SIDECARS,
    [],
  );
}
