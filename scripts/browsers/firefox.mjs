// Firefox, through WebDriver BiDi.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { overSocket } from './socket.mjs';
import { found, start } from './start.mjs';

/** Where it is; null if it is nowhere. */
export const firefox = () => found([process.env.FEATX_FIREFOX, 'firefox-esr', 'firefox']);

/** A browser with one page; what it downloads goes to `downloads`. */
export async function openFirefox(program, downloads) {
  const preferences = {
    'browser.download.dir': downloads,
    'browser.download.folderList': 2,
    'browser.download.useDownloadDir': true,
    // It would take the focus.
    'browser.download.alwaysOpenPanel': false,
    'browser.download.always_ask_before_handling_new_types': false,
    'browser.helperApps.neverAsk.saveToDisk': 'application/octet-stream',
    'browser.shell.checkDefaultBrowser': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'remote.active-protocols': 1,
  };
  const browser = await start(
    program,
    (profile) => ['--headless', '--no-remote', '--remote-debugging-port=0', '--profile', profile, 'about:blank'],
    {
      ready: /WebDriver BiDi listening on (ws:\S+)/,
      prepare: (profile) =>
        writeFileSync(
          join(profile, 'user.js'),
          Object.entries(preferences)
            .map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`)
            .join(''),
        ),
    },
  );
  const { send, on, close } = await overSocket(`${browser.url}/session`);
  const messages = [];
  const requests = [];
  on('log.entryAdded', ({ level, text }) => messages.push(`${level}: ${text}`));
  on('network.beforeRequestSent', ({ request }) => requests.push(request.url));
  await send('session.new', { capabilities: {} });
  await send('session.subscribe', { events: ['log.entryAdded', 'network.beforeRequestSent'] });
  // The window that it starts with has no focus, and takes no keys.
  const { context } = await send('browsingContext.create', { type: 'window' });
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send('script.evaluate', {
      expression: `Promise.resolve(${expression}).then((value) => JSON.stringify(value ?? null))`,
      target: { context },
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text);
    return JSON.parse(result.value);
  };
  const act = (id, type, actions, more = {}) =>
    send('input.performActions', { context, actions: [{ type, id, ...more, actions }] });
  return {
    name: 'Firefox',
    pid: browser.pid,
    messages,
    requests,
    evaluate,
    go: (url) => send('browsingContext.navigate', { context, url, wait: 'complete' }),
    setFiles: async (selector, files) => {
      const { nodes } = await send('browsingContext.locateNodes', {
        context,
        locator: { type: 'css', value: selector },
      });
      await send('input.setFiles', { context, element: { sharedId: nodes[0].sharedId }, files });
    },
    click: (x, y) =>
      act('mouse', 'pointer', [
        { type: 'pointerMove', x: Math.round(x), y: Math.round(y) },
        { type: 'pointerDown', button: 0 },
        { type: 'pointerUp', button: 0 },
      ]),
    press: (key) => {
      const value = { Tab: '\uE004', Enter: '\uE007' }[key] ?? key;
      return act('keyboard', 'key', [
        { type: 'keyDown', value },
        { type: 'keyUp', value },
      ]);
    },
    downloadsTo: () => undefined,
    size: (width, height) => send('browsingContext.setViewport', { context, viewport: { width, height } }),
    // It takes another only when it starts.
    schemes: ['light'],
    scheme: () => undefined,
    screenshot: async () => {
      const { data } = await send('browsingContext.captureScreenshot', { context, origin: 'document' });
      return Buffer.from(data, 'base64');
    },
    close: async () => {
      close();
      await browser.end();
    },
  };
}
