import { deepEqual, equal } from "node:assert/strict";
import {
  leadsInto,
  parseReverse,
  reverseDomainOf,
  reverseDomains,
  reverseName,
} from "../../../../../cli/engine/dns/reverse.ts";
import { formatPrefix, parseIp, parsePrefix } from "../../../../../lib/base/ip.ts";

const prefix = (text: string) => parsePrefix(text)!;

Deno.test("parseReverse() reads what reverseName() writes", () => {
  const names = {
    "10.147.17.5/32": "5.17.147.10.in-addr.arpa",
    "10.147.0.0/16": "147.10.in-addr.arpa",
    "0.0.0.0/0": "in-addr.arpa",
    "fd7d:6f00::/24": "f.6.d.7.d.f.ip6.arpa",
    "fd70::/12": "7.d.f.ip6.arpa",
    "2001:db8::1/128": `1.${"0.".repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`,
  };
  for (const [text, name] of Object.entries(names)) {
    equal(reverseName(prefix(text)), name);
    equal(formatPrefix(parseReverse(name)!).split("/")[1], text.split("/")[1]);
  }
  equal(formatPrefix(parseReverse("5.17.147.10.in-addr.arpa")!), "10.147.17.5/32");
  equal(formatPrefix(parseReverse("7.d.f.ip6.arpa")!), "fd70::/12");
});

Deno.test("parseReverse() takes nothing else", () => {
  const names = [
    "nas.office.zt",
    "arpa",
    "256.10.in-addr.arpa",
    "01.10.in-addr.arpa",
    "1.2.3.4.5.in-addr.arpa",
    ".10.in-addr.arpa",
    "g.ip6.arpa",
    "10.ip6.arpa",
    `${"0.".repeat(33)}ip6.arpa`,
  ];
  for (const name of names) equal(parseReverse(name), undefined, name);
});

Deno.test("reverseDomains() holds a prefix and nothing more", () => {
  const domains: Record<string, string[]> = {
    "10.147.17.5/24": ["17.147.10.in-addr.arpa"],
    "10.147.17.5/22": [16, 17, 18, 19].map((byte) => `${byte}.147.10.in-addr.arpa`),
    "10.147.17.5/16": ["147.10.in-addr.arpa"],
    "10.147.17.5/32": ["5.17.147.10.in-addr.arpa"],
    "10.147.17.5/31": ["4", "5"].map((byte) => `${byte}.17.147.10.in-addr.arpa`),
    "10.147.17.5/17": [], // 128 of them
    "10.147.17.5/8": [], // more than one network's
    "0.0.0.0/0": [],
    "fc18:6f78:2819::1/40": ["8.2.8.7.f.6.8.1.c.f.ip6.arpa"],
    "fc18:6f78:2819::1/39": ["8.2", "9.2"].map((digits) => `${digits}.8.7.f.6.8.1.c.f.ip6.arpa`),
    "fd00::/8": [],
  };
  for (const [text, expected] of Object.entries(domains)) {
    deepEqual(reverseDomains(prefix(text)), expected, text);
  }
});

Deno.test("leadsInto() knows what is below a prefix", () => {
  const office = prefix("10.147.17.5/22");
  const leads = (name: string) => leadsInto(office, parseReverse(name)!);
  for (const name of ["1.16.147.10.in-addr.arpa", "19.147.10.in-addr.arpa"]) {
    equal(leads(name), true);
  }
  for (const name of ["147.10.in-addr.arpa", "1.20.147.10.in-addr.arpa", "1.0.0.0.ip6.arpa"]) {
    equal(leads(name), false, name);
  }
  equal(leadsInto(prefix("0.0.0.0/0"), parseReverse("1.0.0.10.in-addr.arpa")!), false);
  equal(reverseDomainOf(office, parseIp("10.147.18.9")!), "18.147.10.in-addr.arpa");
});
