// Commands and events of a browser, as Chrome's DevTools Protocol and WebDriver BiDi both have them.

/** Over a WebSocket. Node.js has one from 22 on; 20 has it with `--experimental-websocket`. */
export async function overSocket(url) {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error(`${url} cannot be reached`)), { once: true });
  });
  const line = commands(
    (text) => socket.send(text),
    () => socket.close(),
  );
  socket.addEventListener('message', ({ data }) => line.receive(data));
  return line;
}

/** Over two pipes, as Chromium takes and gives it: texts that end in NUL. */
export function overPipes([to, from]) {
  const line = commands(
    (text) => to.write(`${text}\0`),
    () => to.destroy(),
  );
  let rest = '';
  for (const pipe of [to, from]) pipe.on('error', () => undefined);
  from.setEncoding('utf8').on('data', (text) => {
    const parts = (rest + text).split('\0');
    rest = parts.pop();
    for (const part of parts) line.receive(part);
  });
  return line;
}

/** `send` gives the result of a command, `on` is called with every event of a name. */
function commands(write, close) {
  let last = 0;
  const waiting = new Map();
  const listeners = [];
  return {
    receive: (text) => {
      const { id, method, params, result, error, message } = JSON.parse(text);
      const asked = waiting.get(id);
      if (asked === undefined) {
        for (const [name, listener] of listeners) if (name === method) listener(params);
        return;
      }
      waiting.delete(id);
      if (error === undefined) asked.resolve(result);
      else asked.reject(new Error(`${asked.what}: ${message ?? error.message ?? JSON.stringify(error)}`));
    },
    send: (method, params = {}, more = {}) =>
      new Promise((resolve, reject) => {
        waiting.set(++last, { resolve, reject, what: method });
        write(JSON.stringify({ id: last, method, params, ...more }));
      }),
    on: (name, listener) => listeners.push([name, listener]),
    close,
  };
}
