// A server of ranges at the end of a line: a round trip for each request, two more for a new connection, and one link
// that all share. It is a model of a line inside one machine, not a measurement of one.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';

const CHUNK = 64 * 1024;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Serves files by name; `asked` counts what was asked for. */
export async function serve(files, { roundTripMs, bytesPerMs }) {
  const asked = { requests: 0, bytes: 0 };
  let linkFreeAt = 0;
  const fresh = new WeakSet();
  const server = createServer(async (request, response) => {
    const path = files[decodeURIComponent(request.url.slice(1))];
    if (path === undefined) return response.writeHead(404).end();
    asked.requests++;
    await wait(roundTripMs * (fresh.has(request.socket) ? 1 : 3));
    fresh.add(request.socket);
    const { size, mtimeMs } = statSync(path);
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const [start, end] = from === undefined ? [0, size] : [Number(from), Math.min(size, Number(to) + 1)];
    response.writeHead(from === undefined ? 200 : 206, {
      'content-length': end - start,
      'content-range': `bytes ${start}-${end - 1}/${size}`,
      etag: `"${size}-${mtimeMs}"`,
    });
    for await (const chunk of createReadStream(path, { start, end: end - 1, highWaterMark: CHUNK })) {
      const now = performance.now();
      linkFreeAt = Math.max(now, linkFreeAt) + chunk.length / bytesPerMs;
      asked.bytes += chunk.length;
      if (linkFreeAt - now > 2) await wait(linkFreeAt - now);
      if (!response.write(chunk)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    asked,
    url: (name) => `http://127.0.0.1:${server.address().port}/${name}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
