/**
 * Talks to a running service. `node:http` rather than `fetch`, which would ask a proxy of the environment.
 *
 * Source: spec 06 section 5.
 * @module
 */
import { request as httpRequest } from "node:http";
import { ApiError } from "../../lib/base/errors.ts";
import { formatJson, isObject, type Json, parseJson } from "../engine/json.ts";

const ANSWER_MAX_BYTES = 256 * 1024 * 1024; // bounds memory; a controller with a million members answers 20 MB
const PATIENCE_MS = 30_000; // longer than any route takes, but a long poll says its own

/** Where the service is and how to be let in. */
export interface ApiTarget {
  /** Address of the service; 127.0.0.1 unless the user says otherwise. */
  host: string;
  port: number;
  token: string;
}

/** What came back. */
export interface ApiReply {
  /** HTTP status, 0 when nothing answered. */
  status: number;
  /** The body, or why nothing answered. */
  text: string;
}

/** No service runs there, or it does not answer. */
export class NoServiceError extends ApiError {
  override name = "NoServiceError";

  /** @param where Said first, e.g. "no service answers at 127.0.0.1:9993"; then what to do */
  constructor(where: string, remedy = "start one with: zt service --background") {
    super(0, `${where}; ${remedy}`);
  }
}

/** The local API as a command sees it. */
export class ApiClient {
  constructor(readonly target: ApiTarget) {}

  /**
   * One request. Never throws for what the service says: look at the status.
   * @param path With query, e.g. "/network/8056c2e21c000001"
   * @param body Sent as JSON text
   */
  send(method: string, path: string, body?: string, patienceMs = PATIENCE_MS): Promise<ApiReply> {
    const { host, port, token } = this.target;
    const headers: Record<string, string | number> = { "X-ZT1-Auth": token };
    const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
    if (bytes) {
      headers["Content-Type"] = "application/json";
      headers["Content-Length"] = bytes.length;
    }
    return new Promise((resolve) => {
      const failed = () => resolve({ status: 0, text: "connection failed" });
      const request = httpRequest(
        { host, port, method, path, headers, agent: false, timeout: patienceMs },
        (response) => {
          const chunks: Uint8Array[] = [];
          let lengthBytes = 0;
          response.on("data", (chunk: Uint8Array) => {
            lengthBytes += chunk.length;
            if (lengthBytes > ANSWER_MAX_BYTES) request.destroy();
            chunks.push(chunk);
          });
          response.on(
            "end",
            () => resolve({ status: response.statusCode ?? 0, text: decode(chunks, lengthBytes) }),
          );
          response.on("error", failed);
        },
      );
      request.on("error", failed);
      request.on("timeout", () => request.destroy(new Error("no answer in time")));
      request.end(bytes);
    });
  }

  /**
   * One request whose answer must be 200.
   * @throws {ApiError} saying what went wrong and what to do
   */
  async call(method: string, path: string, body?: Json, patienceMs?: number): Promise<Json> {
    const text = body === undefined ? undefined : formatJson(body);
    const reply = await this.send(method, path, text, patienceMs);
    if (reply.status !== 200) throw this.#errorOf(reply, path);
    try {
      return parseJson(reply.text);
    } catch {
      throw new ApiError(
        reply.status,
        `${this.#where()} did not answer in JSON: is it a ZeroTier service?`,
      );
    }
  }

  #where(): string {
    return `${this.target.host}:${this.target.port}`;
  }

  #errorOf({ status, text }: ApiReply, path: string): ApiError {
    if (status === 0) {
      return new NoServiceError(`no service answers at ${this.#where()}`);
    }
    if (status === 401) {
      return new ApiError(401, `the service at ${this.#where()} refused the token; check -D or -T`);
    }
    return new ApiError(status, descriptionOf(text) ?? `the service answered ${status} to ${path}`);
  }
}

function decode(chunks: Uint8Array[], lengthBytes: number): string {
  const whole = new Uint8Array(lengthBytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return new TextDecoder().decode(whole);
}

function descriptionOf(text: string): string | undefined {
  try {
    const value = parseJson(text);
    return isObject(value) && typeof value.description === "string" ? value.description : undefined;
  } catch {
    return undefined;
  }
}
