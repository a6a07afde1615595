/**
 * The local API on a TCP port: sockets, limits and bodies around the pure {@linkcode answer}.
 *
 * `node:http` rather than `Deno.serve`: it refuses unknown methods and bounds connections.
 *
 * Source: spec 06 section 3.1.
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { SystemError } from "../../lib/base/errors.ts";
import { type AccessPolicy, isManager } from "./auth.ts";
import { type ApiRequest, type ApiResponse, headersOf } from "./response.ts";
import { answer } from "./routes.ts";
import type { ServiceView } from "./view.ts";

const BODY_MAX_BYTES = 4 * 1024 * 1024; // bounds memory a request takes; a network with 1,024 rules has 200 KB
const MANAGER_CONNECTIONS_MAX = 128; // bounds sockets and memory
const STRANGER_CONNECTIONS_MAX = 16; // strangers get a 401 or metrics; they never use up what managers need
const KEEP_ALIVE_MS = 5_000; // reference: 5 s
const REQUEST_MS = 30_000; // a request must have arrived by then
const HEADERS_MS = 10_000; // its headers by then

/** A listening API. */
export interface ApiServer {
  /** The port in use, also when 0 was asked for. */
  readonly port: number;
  /** Stops listening and drops every connection. */
  close(): Promise<void>;
}

/** What to serve and where. */
export interface ApiServerOptions {
  view: ServiceView;
  policy: AccessPolicy;
  /** 0 picks a free one. */
  port: number;
}

/**
 * Listens on all IPv4 and IPv6 addresses.
 * @throws {SystemError} when the port is taken
 */
export async function openApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const server = makeServer(options);
  // A socket on :: takes IPv4 too; where IPv6 is switched off there is IPv4 alone.
  const port = await listen(server, "::", options.port).catch((error: SystemError) => {
    if (error.code === "EADDRINUSE" || error.code === "EACCES") throw error;
    return listen(server, "0.0.0.0", options.port);
  });
  return { port, close: () => close(server) };
}

function makeServer({ view, policy }: ApiServerOptions): Server {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: REQUEST_MS,
      headersTimeout: HEADERS_MS,
      requireHostHeader: false, // the reference's zerotier-cli sends none
    },
    (request, response) => serve(request, response, view, policy),
  );
  server.maxConnections = MANAGER_CONNECTIONS_MAX + STRANGER_CONNECTIONS_MAX;
  let managers = 0;
  let strangers = 0;
  server.on("connection", (socket: Socket) => {
    const trusted = isManager(socket.remoteAddress ?? "", policy.allowManagementFrom());
    const open = trusted ? ++managers : ++strangers;
    socket.once("close", () => trusted ? managers-- : strangers--);
    if (open > (trusted ? MANAGER_CONNECTIONS_MAX : STRANGER_CONNECTIONS_MAX)) socket.destroy();
  });
  server.on("clientError", (_error: Error, socket: Socket) => {
    if (socket.writable) {
      socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
  });
  return server;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error & { code?: string }) => {
      const remedy = error.code === "EADDRINUSE"
        ? "another service uses it; choose one with -p"
        : error.code === "EACCES"
        ? "ports below 1024 need root"
        : undefined;
      reject(new SystemError(`listen on TCP port ${port}`, error.code ?? error.message, remedy));
    };
    server.once("error", failed);
    server.listen({ host, port }, () => {
      server.off("error", failed);
      const bound = server.address();
      resolve(typeof bound === "object" && bound ? bound.port : port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  view: ServiceView,
  policy: AccessPolicy,
): Promise<void> {
  const hangup = new AbortController();
  response.once("close", () => hangup.abort());
  const body = await readBody(request);
  if (body === undefined) {
    send(request, response, { status: 413, body: "", headers: { Connection: "close" } });
    return;
  }
  const whole = wholeRequest(request, body, hangup.signal);
  send(request, response, whole ? await answer(whole, view, policy) : { status: 400, body: "" });
}

/** @returns undefined when the target is no path */
function wholeRequest(
  request: IncomingMessage,
  body: string,
  signal: AbortSignal,
): ApiRequest | undefined {
  const target = request.url ?? "";
  if (!target.startsWith("/")) return undefined;
  const [path, ...query] = target.split("?");
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    headers[name] = Array.isArray(value) ? value[0] : value;
  }
  return {
    method: request.method ?? "",
    path,
    query: new URLSearchParams(query.join("?")),
    headers,
    remote: request.socket.remoteAddress ?? "",
    body,
    signal,
  };
}

/** @returns undefined when the body is larger than we take, or never came whole */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  if (encoding === undefined && Number(length ?? 0) === 0) return ""; // Deno 2.4 would wait for its end for ever
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  try {
    for await (const chunk of request) {
      lengthBytes += chunk.length;
      if (lengthBytes > BODY_MAX_BYTES) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined; // the client hung up in the middle
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(request: IncomingMessage, response: ServerResponse, reply: ApiResponse): void {
  if (response.destroyed) return;
  response.writeHead(reply.status, headersOf(reply));
  response.end(request.method === "HEAD" ? undefined : reply.body);
}
