import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ByteSource } from '../wire/source.js';

/** A file that a server has. */
export interface Served {
  readonly source: ByteSource;
  readonly etag?: string;
  readonly lastModified?: string;
}

/** What was asked of a server. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly start: number;
  /** Not itself part of the range. */
  readonly end: number;
  /** Requests that were made of it before. */
  readonly before: number;
}

/** Answers in the place of the server; false leaves it to it. */
export type Misbehaviour = (
  asked: Asked,
  response: ServerResponse,
  file: Served | undefined,
) => boolean | Promise<boolean>;

/** A server of ranges on this machine, as honest as it is told to be. */
export class RemoteServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  misbehave: Misbehaviour = () => false;

  private constructor(
    private readonly server: Server,
    readonly files: Map<string, Served>,
  ) {}

  static async start(files: Readonly<Record<string, Served>>): Promise<RemoteServer> {
    const server = createServer((request, response) => void remote.answer(request, response));
    const remote = new RemoteServer(server, new Map(Object.entries(files)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return remote;
  }

  url(name: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/${name}`;
  }

  get bytesAsked(): number {
    return this.asked.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent((request.url ?? '/').slice(1).split('?')[0]);
    const file = this.files.get(path);
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const size = file?.source.size ?? 0;
    const [start, end] = from === undefined ? [0, size] : [Number(from), Math.min(size, Number(to) + 1)];
    const asked = { path, headers: request.headers, start, end, before: this.asked.length };
    this.asked.push(asked);
    try {
      if (await this.misbehave(asked, response, file)) return;
      if (file === undefined) response.writeHead(404).end();
      else await serve(asked, file, response);
    } catch {
      response.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** The answer that was asked for. */
export async function serve(
  { headers, start, end }: Asked,
  { source, etag, lastModified }: Served,
  response: ServerResponse,
): Promise<void> {
  const wanted = headers['if-match'];
  if (wanted !== undefined && wanted !== etag) {
    response.writeHead(412).end();
    return;
  }
  const isRange = headers.range !== undefined;
  response.writeHead(isRange ? 206 : 200, {
    'content-length': end - start,
    ...(isRange ? { 'content-range': `bytes ${start}-${end - 1}/${source.size}` } : {}),
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { 'last-modified': lastModified }),
  });
  response.end(await source.read(start, end));
}
