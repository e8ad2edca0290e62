// Features of uploaded pictures over HTTP: node server.mjs backbone.onnx [port]
// featx in node_modules: npm pack in a clone, then npm install its tarball here; or npm install featx (README, Set-up).
//   curl --data-binary @cat.jpg 'http://localhost:8080/features' -o features.npz
import { createServer } from 'node:http';
import { encodeArrays, FeatureDictNet, ModelFormatError, PolicyError, UsageError } from 'featx';

const LARGEST_UPLOAD = 20 * 1024 * 1024;
const [model, port = '8080'] = process.argv.slice(2);

// A child process with a time limit: what ends ONNX Runtime does not end the service.
const net = await FeatureDictNet.create(model, { isolate: true, timeoutMs: 30_000 });

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > LARGEST_UPLOAD) throw new PolicyError(`a picture has at most ${LARGEST_UPLOAD} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const server = createServer(async (request, response) => {
  const answer = (status, type, body) => response.writeHead(status, { 'content-type': type }).end(body);
  if (request.method !== 'POST' || request.url !== '/features')
    return answer(404, 'text/plain', 'POST a picture to /features\n');
  try {
    const picture = await net.readPictures([await bodyOf(request)]);
    answer(200, 'application/octet-stream', encodeArrays(await net.forward(picture), 'npz'));
  } catch (error) {
    const isTheirs = error instanceof UsageError || error instanceof ModelFormatError || error instanceof PolicyError;
    if (!isTheirs) console.error(error);
    answer(isTheirs ? 400 : 500, 'text/plain', `${isTheirs ? error.message : 'the features could not be computed'}\n`);
  }
});
server.listen(Number(port), () => console.log(`http://localhost:${server.address().port}/features`));

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    server.close();
    void net.dispose();
  });
