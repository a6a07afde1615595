/**
 * The HTTP proxy an office may require: how `local.conf` and the usual environment variables name
 * one, and for which relays it is used.
 *
 * Source: RFC 7617 (Basic authentication); the variables as curl reads them.
 * @module
 */
import { Buffer } from "node:buffer";
import { contains, type Ip, parsePrefix } from "../../../lib/base/ip.ts";

/** In the order they are looked at; the first that says anything counts. */
const VARIABLES = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS = ["no_proxy", "NO_PROXY"];
const DEFAULT_PORT = 80; // of http:

/** A proxy and what to say to it. */
export interface HttpProxy {
  /** A name, or an IP without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of Proxy-Authorization. Secret: nothing may show it. */
  readonly authorization?: string;
}

/** The proxy in force, as {@linkcode chooseProxy} found it. */
export interface ProxyChoice {
  /** Undefined when what the variable says is none we can use. */
  readonly proxy: HttpProxy | undefined;
  /** Who named it: "local.conf" or a variable. */
  readonly source: string;
  /** Whether that relay is to be reached without it. */
  readonly isBypassed: (ip: Ip) => boolean;
}

/**
 * @param text "http://[user:password@]host[:port]", user and password percent-encoded; the
 * "http://" may be left out
 */
export function parseHttpProxy(text: string): HttpProxy | undefined {
  const trimmed = text.trim();
  const parsed = URL.parse(trimmed.includes("://") ? trimmed : `http://${trimmed}`);
  if (parsed?.protocol !== "http:") return undefined;
  // A password with a "/", "?" or "#" in it would leave its first half where the port is.
  if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "") return undefined;
  const port = parsed.port === "" ? DEFAULT_PORT : Number(parsed.port);
  if (port === 0) return undefined;
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  if (parsed.username === "" && parsed.password === "") return { host, port };
  const user = decoded(parsed.username);
  if (user.includes(":")) return undefined; // Basic cannot say it
  const credentials = Buffer.from(`${user}:${decoded(parsed.password)}`).toString("base64");
  return { host, port, authorization: `Basic ${credentials}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a "%" that stands for itself
  }
}

/** "host:port": what may be shown. */
export function formatHttpProxy({ host, port }: HttpProxy): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * @param setting Of `local.conf`; undefined when it leaves the choice to the environment
 * @param variable Reads an environment variable
 * @returns undefined when there is no proxy
 */
export function chooseProxy(
  setting: HttpProxy | "none" | undefined,
  variable: (name: string) => string | undefined,
): ProxyChoice | undefined {
  if (setting === "none") return undefined;
  if (setting) return { proxy: setting, source: "local.conf", isBypassed: () => false };
  const source = VARIABLES.find((name) => variable(name)?.trim());
  if (source === undefined) return undefined;
  const exceptions = EXCEPTIONS.map(variable).find((text) => text?.trim()) ?? "";
  return {
    proxy: parseHttpProxy(variable(source)!),
    source,
    isBypassed: bypassOf(exceptions),
  };
}

/** Relays are known by address alone: names among the exceptions say nothing of them. */
function bypassOf(exceptions: string): (ip: Ip) => boolean {
  const words = exceptions.split(/[\s,]+/);
  if (words.includes("*")) return () => true;
  const prefixes = words.flatMap((word) => parsePrefix(word.replace(/^\[|\]$/g, "")) ?? []);
  return (ip) => prefixes.some((prefix) => contains(prefix, ip));
}
