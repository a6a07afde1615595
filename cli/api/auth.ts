/**
 * Who may use the local API: by source address first, then by token.
 *
 * Source: spec 06 section 3.2.
 * @module
 */
import { equalSecret, utf8 } from "../../lib/base/bytes.ts";
import { contains, type Ip, parseIp, type Prefix } from "../../lib/base/ip.ts";

/** What of a request decides. */
export interface Credentials {
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  /** Lower-case names. */
  headers: Record<string, string | undefined>;
  /** Source address as text. */
  remote: string;
}

/** What the service allows. */
export interface AccessPolicy {
  /** Content of `authtoken.secret`. */
  authToken: string;
  /** Content of `metricstoken.secret`. */
  metricsToken: string;
  /** `settings.allowManagementFrom`, read at every request: it may change while the service runs. */
  allowManagementFrom: () => readonly Prefix[];
}

/** Whether the request may be answered; when not, the answer is 401 whatever the path. */
export function isAuthorized(request: Credentials, policy: AccessPolicy): boolean {
  const token = presentedToken(request);
  if (request.path === "/metrics") {
    // As in the reference no address is checked here: Prometheus sits on another machine.
    return isToken(token, policy.metricsToken) || isToken(token, policy.authToken);
  }
  if (!isManager(request.remote, policy.allowManagementFrom())) return false;
  return isOpen(request.path) || isToken(token, policy.authToken);
}

/**
 * Whether the body of a request is read: only of who has the token, for a body costs memory, and in
 * many small chunks much of it. Nothing that is open to others takes one.
 */
export function mayBringBody(request: Credentials, policy: AccessPolicy): boolean {
  return isManager(request.remote, policy.allowManagementFrom()) &&
    isToken(presentedToken(request), policy.authToken);
}

/** Whether the API listens to this source address at all: loopback, or allowed by the user. */
export function isManager(remote: string, allowed: readonly Prefix[]): boolean {
  const ip = sourceIp(remote);
  if (!ip) return false;
  return isLoopback(ip) || allowed.some((prefix) => contains(prefix, ip));
}

/** Paths that need no token. */
function isOpen(path: string): boolean {
  return path === "/sso" || path === "/health" || path.startsWith("/app");
}

/** The first place that holds a token decides, right or wrong: header, query, bearer. */
function presentedToken(request: Credentials): string | undefined {
  const header = request.headers["x-zt1-auth"];
  if (header) return header; // as in the reference an empty one is none
  const query = request.query.get("auth");
  if (query !== null) return query;
  const words = request.headers["authorization"]?.trim().split(/\s+/) ?? [];
  return words.length === 2 && words[0].toLowerCase() === "bearer" ? words[1] : undefined;
}

function isToken(presented: string | undefined, token: string): boolean {
  if (presented === undefined || token === "") return false;
  return equalSecret(utf8(presented), utf8(token));
}

/** The source as a plain address: an IPv4 client of an IPv6 socket shows as ::ffff:a.b.c.d. */
function sourceIp(remote: string): Ip | undefined {
  const ip = parseIp(remote.replace(/%.*$/, ""));
  if (!ip || ip.length === 4) return ip;
  const mapped = ip.subarray(0, 10).every((byte) => byte === 0) && ip[10] === 0xff &&
    ip[11] === 0xff;
  return mapped ? ip.slice(12) : ip;
}

function isLoopback(ip: Ip): boolean {
  if (ip.length === 4) return ip[0] === 127;
  const linkLocal = ip[0] === 0xfe && ip[1] === 0x80;
  return (linkLocal || (ip[0] === 0 && ip[1] === 0)) && ip[15] === 1 &&
    ip.subarray(2, 15).every((byte) => byte === 0);
}
