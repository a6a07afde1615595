/**
 * UPnP IGD: mapping a port by calls over HTTP to the router's WANIPConnection or WANPPPConnection service.
 *
 * Source: UPnP WANIPConnection 1.0 section 2.4 and 2.5; spec 03 section 23 for the description text and the order of
 * external ports. Unlike the reference we ask for a lease that ends, and take one without end only from routers that
 * know no other; a mapping of somebody else is not taken over even where the router would let us.
 * @module
 */
import { formatIp, type Ip, parseIp } from "../../../lib/base/ip.ts";
import type { HttpCall } from "./http_call.ts";
import type { MappingClient, MappingOutcome, MappingWish } from "./mapping.ts";
import { search, SEARCH_TIMING, type SearchTiming, urlAt } from "./ssdp.ts";
import type { Wire } from "./wire.ts";
import { elements, escapeXml, isPlainXml, textOf } from "./xml.ts";

const LEASE_S = 3_600; // some routers keep nothing shorter; it is renewed far more often
const PORTS_TRIED_MAX = 16; // external ports tried, one after another; reference 60
const PORT_FIRST = 1_025; // where counting up from 65535 goes on
const UNMAP_PATIENCE_MS = 500;
const ATTEMPT_MS = 15_000; // for one attempt in all: bounds how long slow or many liars keep us busy
/** Kinds of service that map ports, the best first. */
const SERVICES = [
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1",
];
const ERROR_INVALID_ARGS = 402;
const ERROR_ACTION_FAILED = 501;
const ERROR_NO_SUCH_ENTRY = 714;
const ERROR_CONFLICT = 718;
const ERROR_ONLY_PERMANENT = 725;
const ERRORS: Record<number, string> = {
  401: "it does not know the action",
  402: "it calls our arguments invalid",
  501: "the action failed",
  606: "not authorized",
  715: "it does not map for all remote hosts",
  716: "it wants to choose the port itself",
  718: "the port is taken",
  724: "it only maps to the same port",
  725: "it only knows leases without end",
  728: "its table is full",
};

/** A service of a router that maps ports. */
export interface IgdService {
  readonly type: string;
  readonly control: URL;
}

/** An entry of a router's table. */
export interface IgdEntry {
  readonly client: string;
  readonly internalPort: number;
  readonly description: string;
  /** Seconds left; 0 is without end. */
  readonly leaseS: number;
}

/** The services that map ports, in a description; those that lead to another machine are left out. */
export function parseDescription(xml: string, from: URL): IgdService[] {
  if (!isPlainXml(xml)) return [];
  const host = parseIp(from.hostname);
  if (!host) return [];
  const base = urlAt(textOf(xml, "URLBase") || from.href, host) ?? from;
  const found: IgdService[] = [];
  for (const service of elements(xml, "service")) {
    const type = textOf(service, "serviceType");
    const address = textOf(service, "controlURL");
    if (!type || !address || !SERVICES.includes(type)) continue;
    const control = urlAt(address, host, base);
    if (control) found.push({ type, control });
  }
  return found.sort((a, b) => SERVICES.indexOf(a.type) - SERVICES.indexOf(b.type));
}

/** A call in SOAP's clothes. */
export function soapBody(
  type: string,
  action: string,
  args: Readonly<Record<string, string | number>>,
): string {
  const inner = Object.entries(args).map(([name, value]) =>
    `<${name}>${escapeXml(String(value))}</${name}>`
  ).join("");
  return `<?xml version="1.0"?>\r\n` +
    `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
    `s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` +
    `<u:${action} xmlns:u="${type}">${inner}</u:${action}></s:Body></s:Envelope>\r\n`;
}

/** What a call came to: the answer's XML, or the router's error code (0 when it is none we can read). */
type CallResult = { readonly xml: string } | { readonly error: number } | undefined;

/** Calls on one service. */
class Igd {
  constructor(readonly service: IgdService, readonly http: HttpCall) {}

  async #call(
    action: string,
    args: Readonly<Record<string, string | number>>,
    patienceMs?: number,
  ): Promise<CallResult> {
    const { type, control } = this.service;
    const headers = {
      "Content-Type": 'text/xml; charset="utf-8"',
      SOAPAction: `"${type}#${action}"`,
    };
    const body = soapBody(type, action, args);
    const answer = await this.http(control, { method: "POST", headers, body, patienceMs });
    if (!answer || !isPlainXml(answer.body)) return undefined;
    if (answer.status === 200) return { xml: answer.body };
    const error = Number(textOf(answer.body, "errorCode") ?? 0);
    return { error: Number.isInteger(error) ? error : 0 };
  }

  /** @returns undefined when it has none, so that it is not the way out */
  async externalIp(): Promise<Ip | undefined> {
    const result = await this.#call("GetExternalIPAddress", {});
    if (!result || !("xml" in result)) return undefined;
    const ip = parseIp(textOf(result.xml, "NewExternalIPAddress") ?? "");
    return ip?.length === 4 && ip[0] !== 0 && ip[0] !== 127 && ip[0] < 224 ? ip : undefined;
  }

  /** @returns the entry of a port, "free" when there is none, undefined when it does not say */
  async entry(externalPort: number): Promise<IgdEntry | "free" | undefined> {
    const result = await this.#call("GetSpecificPortMappingEntry", {
      NewRemoteHost: "",
      NewExternalPort: externalPort,
      NewProtocol: "UDP",
    });
    if (!result) return undefined;
    if ("error" in result) return result.error === ERROR_NO_SUCH_ENTRY ? "free" : undefined;
    return {
      client: textOf(result.xml, "NewInternalClient") ?? "",
      internalPort: Number(textOf(result.xml, "NewInternalPort") ?? 0),
      description: textOf(result.xml, "NewPortMappingDescription") ?? "",
      leaseS: Number(textOf(result.xml, "NewLeaseDuration") ?? 0) || 0,
    };
  }

  /** @returns 0 when done, else the router's error code; undefined when it does not answer */
  async add(
    externalPort: number,
    to: { client: string; internalPort: number; description: string },
    leaseS: number,
  ): Promise<number | undefined> {
    const result = await this.#call("AddPortMapping", {
      NewRemoteHost: "",
      NewExternalPort: externalPort,
      NewProtocol: "UDP",
      NewInternalPort: to.internalPort,
      NewInternalClient: to.client,
      NewEnabled: 1,
      NewPortMappingDescription: to.description,
      NewLeaseDuration: leaseS,
    });
    if (!result) return undefined;
    return "xml" in result ? 0 : result.error || ERROR_ACTION_FAILED;
  }

  async delete(externalPort: number): Promise<void> {
    const args = { NewRemoteHost: "", NewExternalPort: externalPort, NewProtocol: "UDP" };
    await this.#call("DeletePortMapping", args, UNMAP_PATIENCE_MS);
  }
}

/** What a UPnP client is made with. */
export interface UpnpOptions {
  /** Ten digits; names our entries in the router's table. */
  readonly address: string;
  readonly http: HttpCall;
  readonly timing?: SearchTiming;
}

/** UPnP IGD towards one router. */
export class UpnpClient implements MappingClient {
  readonly protocol = "upnp";
  readonly #description: string;
  #igd: Igd | undefined;
  #granted: { externalPort: number; permanent: boolean } | undefined;

  constructor(readonly wish: MappingWish, readonly options: UpnpOptions) {
    this.#description = `ZeroTier/${options.address}@${wish.internalPort}`;
  }

  async map(wire: Wire, signal: AbortSignal): Promise<MappingOutcome> {
    const known = this.#igd;
    const found = known ? await this.#mapAt(known, signal) : undefined;
    if (found?.kind === "mapped") return found;
    // It may have restarted at another port, or another router may have taken its place.
    this.#igd = undefined;
    let refused: MappingOutcome | undefined = found?.kind === "refused" ? found : undefined;
    const endMs = performance.now() + ATTEMPT_MS;
    for (const location of await search(wire, this.wish.gateway, signal, this.#timing)) {
      const description = await this.options.http(location, { method: "GET" });
      if (description?.status !== 200) continue;
      for (const service of parseDescription(description.body, location)) {
        if (signal.aborted || performance.now() > endMs) return refused ?? { kind: "silent" };
        const igd = new Igd(service, this.options.http);
        const outcome = await this.#mapAt(igd, signal);
        if (outcome.kind === "mapped") {
          this.#igd = igd;
          return outcome;
        }
        if (outcome.kind === "refused") refused ??= outcome;
      }
    }
    return refused ?? { kind: "silent" };
  }

  get #timing(): SearchTiming {
    return this.options.timing ?? SEARCH_TIMING;
  }

  async #mapAt(igd: Igd, signal: AbortSignal): Promise<MappingOutcome> {
    const ip = await igd.externalIp();
    if (!ip) return { kind: "silent" };
    let externalPort = this.#granted?.externalPort ?? this.wish.internalPort;
    let error: number | undefined = ERROR_CONFLICT;
    const endMs = performance.now() + ATTEMPT_MS;
    for (let tries = 0; tries < PORTS_TRIED_MAX && !signal.aborted; tries++) {
      if (performance.now() > endMs) return { kind: "silent" };
      const leaseS = await this.#take(igd, externalPort);
      if (typeof leaseS === "number") {
        this.#granted = { externalPort, permanent: leaseS === 0 };
        const external = { ip, port: externalPort };
        const lifetimeS = leaseS === 0 ? Infinity : leaseS;
        return { kind: "mapped", mapping: { external, lifetimeS } };
      }
      error = leaseS.error;
      if (error !== ERROR_CONFLICT) break;
      externalPort = externalPort >= 65_535 ? PORT_FIRST : externalPort + 1;
    }
    this.#granted = undefined;
    if (error === undefined) return { kind: "silent" };
    return { kind: "refused", reason: ERRORS[error] ?? `error ${error}` };
  }

  /** Takes one external port. @returns the lease, 0 for one without end, or why not */
  async #take(
    igd: Igd,
    externalPort: number,
  ): Promise<number | { readonly error: number | undefined }> {
    const client = formatIp(this.wish.local);
    const { internalPort } = this.wish;
    const entry = await igd.entry(externalPort);
    if (entry !== undefined && entry !== "free") {
      const isOurs = entry.client === client && entry.internalPort === internalPort;
      if (!isOurs) return { error: ERROR_CONFLICT };
      if (entry.leaseS === 0 && entry.description === this.#description) return 0;
    }
    const to = { client, internalPort, description: this.#description };
    if (this.#granted?.permanent) {
      const error = await igd.add(externalPort, to, 0);
      return error === 0 ? 0 : { error };
    }
    const error = await igd.add(externalPort, to, LEASE_S);
    if (error === 0) return LEASE_S;
    if (!LEASE_ERRORS.has(error ?? 0)) return { error };
    const second = await igd.add(externalPort, to, 0);
    return second === 0 ? 0 : { error: second };
  }

  async unmap(): Promise<void> {
    if (this.#igd && this.#granted) await this.#igd.delete(this.#granted.externalPort);
  }
}

/** What routers say that know only leases without end: 725 by the book, the others in practice. */
const LEASE_ERRORS = new Set([ERROR_ONLY_PERMANENT, ERROR_INVALID_ARGS, ERROR_ACTION_FAILED]);
