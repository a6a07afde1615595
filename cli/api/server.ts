/**
 * The local API on a TCP port: sockets, limits and bodies around the pure {@linkcode answer}.
 *
 * A server of our own, because those of the runtimes differ: with Deno 2.4 `node:http` heeds none
 * of its limits, and anybody could hold every descriptor of the service. One request a connection,
 * and it is the client that closes it first: who closes first cannot bind that port again for a
 * minute, and neither could the reference (it is not to be told of our old connections by
 * `SO_REUSEADDR`).
 *
 * Source: spec 06 section 3.1; that section's keep-alive is left out.
 * @module
 */
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { messageOf, SystemError } from "../../lib/base/errors.ts";
import { type AccessPolicy, type Credentials, isManager, mayBringBody } from "./auth.ts";
import { HttpRefusal, readRequest, type RequestHead, writeAll } from "./http_request.ts";
import { type ApiResponse, headersOf } from "./response.ts";
import { answer } from "./routes.ts";
import type { ServiceView } from "./view.ts";

const MANAGER_CONNECTIONS_MAX = 128; // bounds sockets and memory
const STRANGER_CONNECTIONS_MAX = 16; // strangers get a 401 or metrics; they never use up what managers need
const HEAD_MS = 10_000; // the head of a request must have arrived by then
const REQUEST_MS = 30_000; // its body by then
const WRITE_MS = 30_000; // the answer must have been taken by then
const LINGER_MS = 1_000; // for the client to close first
const CLOSE_MS = 500; // for the answers under way when the service ends
const NO_DESCRIPTOR_MS = 100; // none was free to accept with: look again

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
  /** How long the head of a request may take; 10 s when absent. */
  headMs?: number;
}

/**
 * Listens on all IPv4 and IPv6 addresses.
 * @throws {SystemError} when the port is taken
 */
export function openApiServer(options: ApiServerOptions): ApiServer {
  return new Server(listen(options.port), options);
}

/** A socket on :: takes IPv4 too; where IPv6 is switched off there is IPv4 alone. */
function listen(port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname: "::", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) {
      throw refusal(error, port);
    }
  }
  try {
    return Deno.listen({ hostname: "0.0.0.0", port });
  } catch (error) {
    throw refusal(error, port);
  }
}

function refusal(error: unknown, port: number): SystemError {
  const operation = `listen on TCP port ${port}`;
  if (error instanceof Deno.errors.AddrInUse) {
    return new SystemError(operation, "EADDRINUSE", "another service uses it; choose one with -p");
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new SystemError(operation, "EACCES", "ports below 1024 need root");
  }
  return new SystemError(operation, messageOf(error));
}

/** One connection under way. */
interface Session {
  conn: Deno.TcpConn;
  trusted: boolean;
  /** It has shown the token: it is not to make room for others. */
  hasToken: boolean;
  /** Aborts when the client hangs up or the service ends. */
  hangup: AbortController;
  done: Promise<void>;
}

class Server implements ApiServer {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #options: ApiServerOptions;
  readonly #sessions = new Set<Session>();
  readonly #accepting: Promise<void>;
  #closed = false;

  constructor(listener: Deno.TcpListener, options: ApiServerOptions) {
    this.#listener = listener;
    this.#options = options;
    this.port = listener.addr.port;
    this.#accepting = this.#acceptAll();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.close();
    await this.#accepting;
    const sessions = [...this.#sessions];
    for (const { hangup } of sessions) hangup.abort();
    const ended = Promise.all(sessions.map(({ done }) => done));
    const patience = wait(CLOSE_MS);
    await Promise.race([ended, patience.over]);
    patience.cancel();
    for (const { conn } of sessions) drop(conn);
    await ended;
  }

  async #acceptAll(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#take(await this.#listener.accept());
      } catch {
        if (!this.#closed) await wait(NO_DESCRIPTOR_MS).over;
      }
    }
  }

  #take(conn: Deno.TcpConn): void {
    const { allowManagementFrom } = this.#options.policy;
    const trusted = isManager(conn.remoteAddr.hostname, allowManagementFrom());
    if (!this.#makeRoom(trusted)) return drop(conn);
    const hangup = new AbortController();
    const session: Session = { conn, trusted, hasToken: false, hangup, done: Promise.resolve() };
    this.#sessions.add(session);
    session.done = serve(session, this.#options)
      .catch(() => {}) // the connection broke
      .finally(() => {
        drop(conn);
        this.#sessions.delete(session);
      });
  }

  /**
   * Whether one more may come. When all places are taken, the one that has been there for longest
   * without showing the token gives up its own: any user of this machine could hold them all.
   */
  #makeRoom(trusted: boolean): boolean {
    const alike = [...this.#sessions].filter((session) => session.trusted === trusted);
    if (alike.length < (trusted ? MANAGER_CONNECTIONS_MAX : STRANGER_CONNECTIONS_MAX)) return true;
    const leaving = alike.find(({ hasToken }) => !hasToken);
    if (!leaving) return false;
    this.#sessions.delete(leaving);
    leaving.hangup.abort();
    drop(leaving.conn);
    return true;
  }
}

async function serve(session: Session, options: ApiServerOptions): Promise<void> {
  const { conn, hangup } = session;
  let patience = dropAfter(conn, options.headMs ?? HEAD_MS);
  const request = await readRequest(conn, (head) => {
    patience.cancel();
    patience = dropAfter(conn, REQUEST_MS);
    session.hasToken = mayBringBody(credentialsOf(head, conn), options.policy);
    return session.hasToken;
  }).catch((error) => {
    if (error instanceof HttpRefusal) return error;
    throw error;
  }).finally(() => patience.cancel());
  if (!request) return;
  const gone = untilGone(conn).finally(() => hangup.abort());
  const isHead = !(request instanceof HttpRefusal) && request.method === "HEAD";
  const response = request instanceof HttpRefusal
    ? { status: request.status, body: "" }
    : await answer(
      {
        ...credentialsOf(request, conn),
        method: request.method,
        body: request.body,
        signal: hangup.signal,
      },
      options.view,
      options.policy,
    );
  patience = dropAfter(conn, WRITE_MS);
  await writeAll(conn, responseBytes(response, isHead)).finally(() => patience.cancel());
  const linger = wait(LINGER_MS);
  await Promise.race([gone, linger.over]);
  linger.cancel();
}

function credentialsOf({ target, fields }: RequestHead, conn: Deno.TcpConn): Credentials {
  const [path, ...query] = target.split("?");
  return {
    path,
    query: new URLSearchParams(query.join("?")),
    headers: Object.fromEntries(fields),
    remote: conn.remoteAddr.hostname,
  };
}

/** Resolves when the client has closed its side or is gone; what else it sends is not looked at. */
async function untilGone(conn: Deno.Conn): Promise<void> {
  const unread = new Uint8Array(1_024);
  try {
    while (await conn.read(unread) !== null);
  } catch {
    // Gone, or closed by us.
  }
}

const REASONS: Record<number, string> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  413: "Content Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};

function responseBytes(response: ApiResponse, isHead: boolean): Uint8Array {
  const { status, body } = response;
  const fields = Object.entries({
    ...headersOf(response),
    "Connection": "close",
    "Date": new Date().toUTCString(),
  });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = utf8(`HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines}\r\n`);
  if (isHead) return head;
  return concat(head, typeof body === "string" ? utf8(body) : body);
}

/** A wait that may be called off. */
interface Wait {
  over: Promise<void>;
  cancel: () => void;
}

function wait(timeMs: number): Wait {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeMs);
  return { over: promise, cancel: () => clearTimeout(timer) };
}

function dropAfter(conn: Deno.Conn, timeMs: number): Pick<Wait, "cancel"> {
  const timer = setTimeout(() => drop(conn), timeMs);
  return { cancel: () => clearTimeout(timer) };
}

/** Closes a connection, also one that is closed already. */
function drop(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // It was.
  }
}
