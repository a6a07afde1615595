/**
 * SSDP: finding the router's description by asking who is an Internet gateway. Answers come from
 * anyone on the link, so a description is only taken from the very machine that answered.
 *
 * Source: UPnP Device Architecture 1.1 section 1.3.
 * @module
 */
import { text as textOfBytes, utf8 } from "../../../lib/base/bytes.ts";
import { type Endpoint, formatIp, type Ip, parseIp, sameIp } from "../../../lib/base/ip.ts";
import { pause, type Wire } from "./wire.ts";

const SSDP_PORT = 1900;
const SSDP_GROUP = parseIp("239.255.255.250")!;
const TARGETS = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
];
const LOCATION_LENGTH_MAX = 1_024;
const CANDIDATES_MAX = 8; // routers looked into: bounds what a link full of liars costs
const POLL_MS = 50;

/** How long a search takes. */
export interface SearchTiming {
  /** Nobody has answered until then: there is none. */
  readonly silenceMs: number;
  /** After the first answer, how long others may still come. */
  readonly othersMs: number;
}

/** Routers may take a second to answer (MX); the reference waits 5 s. */
export const SEARCH_TIMING: SearchTiming = { silenceMs: 2_500, othersMs: 300 };

/** A search for gateways, to be sent by UDP to {@linkcode SSDP_GROUP} or to a router. */
function searchText(target: string): string {
  return 'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\n' +
    `MX: 1\r\nST: ${target}\r\n\r\n`;
}

/**
 * Where a router that answered keeps its description.
 * @param from Who sent the answer: the description must be there
 * @returns undefined when the bytes are no such answer
 */
export function parseSearchAnswer(bytes: Uint8Array, from: Ip): URL | undefined {
  const [status, ...lines] = textOfBytes(bytes).split("\r\n");
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined;
  for (const line of lines) {
    const match = /^location[ \t]*:[ \t]*(\S+)[ \t]*$/i.exec(line);
    if (match) return urlAt(match[1], from);
  }
  return undefined;
}

/** The URL, if it is plain HTTP at that machine: nobody makes us ask a third party. */
export function urlAt(address: string, host: Ip, base?: URL): URL | undefined {
  if (address.length > LOCATION_LENGTH_MAX || !URL.canParse(address, base)) return undefined;
  const url = new URL(address, base);
  const ip = parseIp(url.hostname.replace(/^\[|\]$/g, ""));
  const isPlain = url.protocol === "http:" && url.username === "" && url.password === "";
  return isPlain && ip && sameIp(ip, host) ? url : undefined;
}

/**
 * Asks the link, and the gateway itself, for descriptions of Internet gateways.
 * @returns those that answered in time, the gateway's own first
 */
export async function search(
  wire: Wire,
  gateway: Ip,
  signal: AbortSignal,
  timing: SearchTiming = SEARCH_TIMING,
): Promise<URL[]> {
  const places: Endpoint[] = [{ ip: SSDP_GROUP, port: SSDP_PORT }, {
    ip: gateway,
    port: SSDP_PORT,
  }];
  for (const to of places) for (const target of TARGETS) wire.send(to, utf8(searchText(target)));
  const found = new Map<string, URL>();
  let endMs = timing.silenceMs;
  for (let waitedMs = 0; waitedMs < endMs && !signal.aborted; waitedMs += POLL_MS) {
    await pause(POLL_MS, signal);
    for (const { bytes, from } of wire.receive()) {
      const url = parseSearchAnswer(bytes, from.ip);
      if (!url || found.size >= CANDIDATES_MAX) continue;
      if (found.size === 0) endMs = Math.min(endMs, waitedMs + timing.othersMs);
      found.set(url.href, url);
    }
  }
  const own = formatIp(gateway);
  return [...found.values()].sort((a, b) =>
    Number(b.hostname === own) - Number(a.hostname === own)
  );
}
