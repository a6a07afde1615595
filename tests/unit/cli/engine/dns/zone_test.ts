import { deepEqual, equal } from "node:assert/strict";
import {
  type Answer,
  decodeQuery,
  encodeName,
  RecordType,
  ResponseCode,
} from "../../../../../cli/engine/dns/message.ts";
import { Zone, zoneDomains, type ZoneParts } from "../../../../../cli/engine/dns/zone.ts";
import { Writer } from "../../../../../lib/base/bytes.ts";
import type { Address, NetworkId } from "../../../../../lib/base/ids.ts";
import { formatIp, parseIp, parsePrefix } from "../../../../../lib/base/ip.ts";

const NETWORK = 0x8056c2e21c000001n as NetworkId;
const NAS = 0x19810bb6a3 as Address;
const PHONE = 0xcab3262c6a as Address;
const ip = (text: string) => parseIp(text)!;

function zoneWith(changes: Partial<ZoneParts> = {}): Zone {
  return new Zone({
    network: NETWORK,
    name: "The Office",
    self: PHONE,
    names: {
      hash: 1n,
      onDemand: false,
      members: [
        { address: NAS, label: "nas", ips: ["10.147.17.5", "fd00::5", "10.99.0.5"].map(ip) },
        { address: PHONE, label: "phone", ips: [ip("10.147.17.6")] },
      ],
    },
    prefixes: ["10.147.17.6/24", "fd00::6/88"].map((text) => parsePrefix(text)!),
    ...changes,
  });
}

const ZONE = zoneWith();

function ask(name: string, type: number = RecordType.A, zone = ZONE): Answer | undefined {
  const w = new Writer().u16(7).u16(0).u16(1).u16(0).u32(0);
  return zone.answer(decodeQuery(w.raw(encodeName(name)).u16(type).u16(1).finish()));
}

function addresses(answer: Answer | undefined): string[] {
  return answer!.answers.map(({ data }) => formatIp(data));
}

function target(answer: Answer | undefined): Uint8Array {
  return answer!.answers[0].data;
}

Deno.test("Zone knows members by name and address, under the network's name and id, in any case", () => {
  for (const member of ["nas", "19810bb6a3", "NAS"]) {
    for (const network of ["the-office", "8056c2e21c000001", "The-OFFICE"]) {
      const name = `${member}.${network}.zt`;
      deepEqual(addresses(ask(name)), ["10.147.17.5", "10.99.0.5"], name);
      deepEqual(addresses(ask(name, RecordType.AAAA)), ["fd00::5"], name);
    }
  }
  equal(ask("nas.the-office.zt", RecordType.ANY)!.answers.length, 3);
});

Deno.test("Zone tells a name that is not there from one without such a record", () => {
  const missing = ask("printer.the-office.zt")!;
  equal(missing.code, ResponseCode.NXDOMAIN);
  deepEqual(missing.authorities.map(({ name, type }) => [name, type]), [["the-office.zt", 6]]);
  equal(ask("www.nas.the-office.zt")!.code, ResponseCode.NXDOMAIN);
  const other = ask("phone.the-office.zt", RecordType.AAAA)!;
  deepEqual([other.code, other.answers.length, other.authorities.length], [0, 0, 1]);
});

Deno.test("Zone says what it is and who serves it", () => {
  deepEqual(target(ask("the-office.zt", RecordType.NS)), encodeName("phone.the-office.zt"));
  const soa = ask("the-office.zt", RecordType.SOA)!.answers;
  equal(soa.length, 1);
  equal(ask("17.147.10.in-addr.arpa", RecordType.SOA)!.answers.length, 1);
  const unlisted = zoneWith({ self: 0x1122334455 as Address });
  const server = ask("the-office.zt", RecordType.NS, unlisted);
  deepEqual(target(server), encodeName("1122334455.the-office.zt"));
});

Deno.test("Zone finds names by addresses", () => {
  const nas = encodeName("nas.the-office.zt");
  deepEqual(target(ask("5.17.147.10.in-addr.arpa", RecordType.PTR)), nas);
  const v6 = `5.${"0.".repeat(29)}d.f.ip6.arpa`;
  deepEqual(target(ask(v6, RecordType.PTR)), nas);
  deepEqual(target(ask("5.0.99.10.in-addr.arpa", RecordType.PTR)), nas, "behind a route");
  equal(ask("7.17.147.10.in-addr.arpa", RecordType.PTR)!.code, ResponseCode.NXDOMAIN);
  const half = ask(`0.0.${"0.".repeat(20)}0.0.d.f.ip6.arpa`, RecordType.PTR)!;
  deepEqual([half.code, half.answers.length], [0, 0]);
});

Deno.test("Zone refuses everything else", () => {
  const names = [
    "zt",
    "example.com",
    "nas.zt",
    "nas.home.zt",
    "xthe-office.zt",
    "nas.the-office.zt.example.com",
    "1.18.147.10.in-addr.arpa",
    "147.10.in-addr.arpa",
    "x.in-addr.arpa",
  ];
  for (const name of names) equal(ask(name)!.code, ResponseCode.REFUSED, name);
  equal(ZONE.answer(decodeQuery(new Uint8Array(12)))!.code, ResponseCode.FORMERR);
});

Deno.test("Zone lets no controller name this machine's own addresses or the internet's", () => {
  const ips = ["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "::ffff:127.0.0.1", "8.8.8.8"];
  const members = [{ address: NAS, label: "nas", ips: ips.map(ip) }];
  const zone = zoneWith({ names: { hash: 1n, onDemand: false, members } });
  deepEqual(addresses(ask("nas.the-office.zt", RecordType.ANY, zone)), ["8.8.8.8"]);
  const reversed = "8.8.8.8.in-addr.arpa";
  equal(ask(reversed, RecordType.PTR, zone)!.code, ResponseCode.REFUSED);
  const inside = zoneWith({
    names: { hash: 1n, onDemand: false, members },
    prefixes: [parsePrefix("8.8.8.9/24")!],
  });
  equal(ask(reversed, RecordType.PTR, inside)!.answers.length, 1);
});

Deno.test("Zone of a large network leaves to the controller what it does not know", () => {
  const names = {
    hash: 1n,
    onDemand: true,
    members: [{ address: NAS, label: "nas", ips: [ip("10.147.17.5")] }],
  };
  const zone = zoneWith({ names });
  deepEqual(addresses(ask("nas.the-office.zt", RecordType.A, zone)), ["10.147.17.5"]);
  equal(ask("phone.the-office.zt", RecordType.A, zone), undefined);
  equal(ask("6.17.147.10.in-addr.arpa", RecordType.PTR, zone), undefined);
  equal(ask("example.com", RecordType.A, zone)!.code, ResponseCode.REFUSED);
});

Deno.test("zoneDomains() takes no name that looks like another network's id", () => {
  deepEqual(zoneDomains(NETWORK, "Büro 2"), ["buro-2.zt", "8056c2e21c000001.zt"]);
  deepEqual(zoneDomains(NETWORK, "8056C2E21C000002"), ["8056c2e21c000001.zt"]);
  deepEqual(zoneDomains(NETWORK, "..."), ["8056c2e21c000001.zt"]);
});
