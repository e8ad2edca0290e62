// Chromium, through the Chrome DevTools Protocol.
import { overPipes } from './socket.mjs';
import { found, start } from './start.mjs';

/** Where it is; null if it is nowhere. */
export const chromium = () =>
  found([process.env.FEATX_CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome', 'chrome']);

/** A browser with one page. */
export async function openChromium(program) {
  const browser = await start(
    program,
    (profile) => [
      '--headless=new',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
      '--no-first-run',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      // A container has no user namespaces, and the pages are our own.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      'about:blank',
    ],
    {},
  );
  const socket = overPipes(browser.pipes);
  const { targetInfos } = await socket.send('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }) => type === 'page');
  const { sessionId } = await socket.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => socket.send(method, params, { sessionId });
  const messages = [];
  const requests = [];
  socket.on('Runtime.consoleAPICalled', ({ type, args }) =>
    messages.push(`${type}: ${args.map(({ value, description }) => value ?? description).join(' ')}`),
  );
  socket.on('Runtime.exceptionThrown', ({ exceptionDetails }) =>
    messages.push(exceptionDetails.exception?.description ?? exceptionDetails.text),
  );
  socket.on('Log.entryAdded', ({ entry }) => messages.push(`${entry.level}: ${entry.text}`));
  socket.on('Network.requestWillBeSent', ({ request }) => requests.push(request.url));
  for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'DOM']) await send(`${domain}.enable`);
  let loaded = () => undefined;
  socket.on('Page.loadEventFired', () => loaded());
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  return {
    name: 'Chromium',
    pid: browser.pid,
    messages,
    requests,
    evaluate,
    go: async (url) => {
      const done = new Promise((resolve) => (loaded = resolve));
      await send('Page.navigate', { url });
      await done;
    },
    setFiles: async (selector, files) => {
      const { root } = await send('DOM.getDocument');
      const { nodeId } = await send('DOM.querySelector', { nodeId: root.nodeId, selector });
      await send('DOM.setFileInputFiles', { nodeId, files });
    },
    drop: async (selector, files) => {
      const [x, y] = await evaluate(
        `(() => { const box = document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()`,
      );
      const data = { items: [], files, dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop']) await send('Input.dispatchDragEvent', { type, x, y, data });
    },
    click: async (x, y) => {
      for (const type of ['mousePressed', 'mouseReleased'])
        await send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
    },
    press: async (key, text) => {
      const more =
        key === 'Enter'
          ? { windowsVirtualKeyCode: 13, text: '\r' }
          : key === 'Tab'
            ? { windowsVirtualKeyCode: 9 }
            : key === ' '
              ? { windowsVirtualKeyCode: 32, text: ' ' }
              : { text };
      for (const type of ['keyDown', 'keyUp'])
        await send('Input.dispatchKeyEvent', {
          type,
          key,
          code: key === ' ' ? 'Space' : key,
          ...(type === 'keyDown' ? more : { windowsVirtualKeyCode: more.windowsVirtualKeyCode }),
        });
    },
    downloadsTo: (folder) => socket.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder }),
    size: (width, height) =>
      send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }),
    schemes: ['light', 'dark'],
    scheme: (value) => send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] }),
    screenshot: async () => {
      const {
        cssContentSize: { width, height },
      } = await send('Page.getLayoutMetrics');
      const { data } = await send('Page.captureScreenshot', {
        captureBeyondViewport: true,
        clip: { x: 0, y: 0, width, height: Math.min(height, 6000), scale: 1 },
      });
      return Buffer.from(data, 'base64');
    },
    close: async () => {
      socket.close();
      await browser.end();
    },
  };
}
