/**
 * Gateways in memory, for tests of the clients: what is sent to them is answered at once, or not at all.
 * @module
 */
import { text, utf8 } from "../../../../../lib/base/bytes.ts";
import {
  type Endpoint,
  formatEndpoint,
  parseEndpoint,
  parseIp,
} from "../../../../../lib/base/ip.ts";
import type { HttpAnswer, HttpCall } from "../../../../../cli/engine/port_mapping/http_call.ts";
import type { MappingWish } from "../../../../../cli/engine/port_mapping/mapping.ts";
import type { Datagram, Wire } from "../../../../../cli/engine/port_mapping/wire.ts";

/** Tries short enough for tests of silence. */
export const QUICK_MS = [40, 40];
export const QUICK_SEARCH = { silenceMs: 120, othersMs: 60 };
export const PUBLIC = "44.7.7.7";

export const WISH: MappingWish = {
  gateway: parseIp("192.168.1.1")!,
  local: parseIp("192.168.1.20")!,
  device: "eth0",
  internalPort: 31_000,
};

export function endpoint(of: string): Endpoint {
  return parseEndpoint(of)!;
}

/** A wire whose far side is a function. */
export class FakeWire implements Wire {
  readonly sent: { to: string; bytes: Uint8Array }[] = [];
  readonly #waiting: Datagram[] = [];
  isClosed = false;

  /** @param answer What comes back: from whom ("ip/port", or from the one asked), and which bytes */
  constructor(
    readonly answer: (to: string, bytes: Uint8Array) => readonly [from: string, Uint8Array][],
  ) {}

  send(to: Endpoint, bytes: Uint8Array): boolean {
    const name = formatEndpoint(to);
    this.sent.push({ to: name, bytes });
    for (const [from, reply] of this.answer(name, bytes)) this.arrive(from, reply);
    return true;
  }

  arrive(from: string, bytes: Uint8Array): void {
    this.#waiting.push({ from: endpoint(from), bytes });
  }

  receive(): Datagram[] {
    return this.#waiting.splice(0);
  }

  close(): void {
    this.isClosed = true;
  }
}

/** Nobody there. */
export function silence(): FakeWire {
  return new FakeWire(() => []);
}

/** An entry of a fake router's table. */
export interface Entry {
  client: string;
  internalPort: number;
  description: string;
  leaseS: number;
}

/** A router that speaks UPnP IGD; what it is like is set by the test. */
export class FakeIgd {
  readonly table = new Map<number, Entry>();
  readonly calls: string[] = [];
  externalIp = PUBLIC;
  onlyPermanent = false;
  /** Answers every AddPortMapping with this error. */
  refusal: number | undefined;
  ip = "192.168.1.1";
  description = describe("/ctl/IPConn");

  /** Answers searches, as anybody may. */
  wire(): FakeWire {
    return new FakeWire((to, bytes) => {
      if (!to.endsWith("/1900") || !text(bytes).startsWith("M-SEARCH")) return [];
      const location = `http://${this.ip}:5000/root.xml`;
      return [[`${this.ip}/1900`, utf8(searchAnswer(location))]];
    });
  }

  readonly http: HttpCall = (url, { method, headers, body }) => {
    this.calls.push(`${method} ${url.href}`);
    if (url.hostname !== this.ip) return Promise.resolve(undefined);
    if (method === "GET") return Promise.resolve({ status: 200, body: this.description });
    const action = /#(\w+)"/.exec(headers?.SOAPAction ?? "")?.[1] ?? "";
    return Promise.resolve(this.#act(action, body ?? ""));
  };

  #act(action: string, body: string): HttpAnswer {
    const arg = (name: string) => new RegExp(`<${name}>(.*?)</${name}>`).exec(body)?.[1] ?? "";
    const port = Number(arg("NewExternalPort"));
    switch (action) {
      case "GetExternalIPAddress":
        return ok(`<NewExternalIPAddress>${this.externalIp}</NewExternalIPAddress>`);
      case "GetSpecificPortMappingEntry": {
        const entry = this.table.get(port);
        return entry ? ok(entryXml(entry)) : failed(714);
      }
      case "DeletePortMapping":
        return this.table.delete(port) ? ok("") : failed(714);
      case "AddPortMapping": {
        const leaseS = Number(arg("NewLeaseDuration"));
        if (this.refusal !== undefined) return failed(this.refusal);
        if (this.onlyPermanent && leaseS !== 0) return failed(725);
        const client = arg("NewInternalClient");
        if ((this.table.get(port)?.client ?? client) !== client) return failed(718);
        const internalPort = Number(arg("NewInternalPort"));
        const description = arg("NewPortMappingDescription");
        this.table.set(port, { client, internalPort, description, leaseS });
        return ok("");
      }
      default:
        return failed(401);
    }
  }
}

export function searchAnswer(location: string): string {
  return `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: urn:x\r\nLocation: ${location}\r\n\r\n`;
}

/** The description of an IGD with one service. */
export function describe(
  controlUrl: string,
  type = "urn:schemas-upnp-org:service:WANIPConnection:1",
): string {
  return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType>
<controlURL>/ctl/Common</controlURL></service><service>
<serviceType>${type}</serviceType><controlURL>${controlUrl}</controlURL></service></serviceList>
</device></deviceList></device></root>`;
}

function ok(inner: string): HttpAnswer {
  return {
    status: 200,
    body: `<?xml version="1.0"?><s:Envelope xmlns:s="x"><s:Body><u:Response>${inner}</u:Response>` +
      "</s:Body></s:Envelope>",
  };
}

function failed(code: number): HttpAnswer {
  return {
    status: 500,
    body: `<s:Envelope><s:Body><s:Fault><detail><UPnPError xmlns="urn:x"><errorCode>${code}` +
      "</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>",
  };
}

function entryXml({ client, internalPort, description, leaseS }: Entry): string {
  return `<NewInternalPort>${internalPort}</NewInternalPort><NewInternalClient>${client}` +
    `</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>${description}` +
    `</NewPortMappingDescription><NewLeaseDuration>${leaseS}</NewLeaseDuration>`;
}
