/**
 * One small HTTP request to a router: no redirects, no proxy, bounded in size and time.
 * @module
 */
import { request as httpRequest } from "node:http";

const BODY_LENGTH_MAX = 131_072; // descriptions of routers have 2 to 20 KB
const PATIENCE_MS = 3_000; // for the whole exchange, so that one drip-feeding router does not hold us up

/** What to send. */
export interface HttpQuestion {
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly patienceMs?: number;
}

/** What came back. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks a router. @returns undefined when nothing, or too much, came back */
export type HttpCall = (url: URL, question: HttpQuestion) => Promise<HttpAnswer | undefined>;

/** {@linkcode HttpCall} over `node:http`; `fetch` would follow redirects and the environment's proxy. */
export const httpCall: HttpCall = (url, { method, headers, body, patienceMs = PATIENCE_MS }) => {
  const { promise, resolve } = Promise.withResolvers<HttpAnswer | undefined>();
  const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
  const length = bytes ? { "Content-Length": bytes.length } : {};
  const request = httpRequest(
    {
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port || 80,
      path: url.pathname + url.search,
      method,
      headers: { Host: url.host, Connection: "close", ...headers, ...length },
      agent: false,
    },
    (response) => {
      const chunks: Uint8Array[] = [];
      let lengthBytes = 0;
      response.on("data", (chunk: Uint8Array) => {
        lengthBytes += chunk.length;
        if (lengthBytes > BODY_LENGTH_MAX) request.destroy();
        else chunks.push(chunk);
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: join(chunks) }));
      response.on("error", () => resolve(undefined));
      response.on("close", () => resolve(undefined));
    },
  );
  const timer = setTimeout(() => {
    resolve(undefined);
    request.destroy();
  }, patienceMs);
  request.on("error", () => resolve(undefined));
  request.end(bytes);
  return promise.finally(() => clearTimeout(timer));
};

function join(chunks: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode();
}
