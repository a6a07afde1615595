/** Which addresses a member gets (spec 05 section 3.6). @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Address, NetworkId } from "../../../../lib/base/ids.ts";
import { contains, formatPrefix, parsePrefix } from "../../../../lib/base/ip.ts";
import {
  assignAddresses,
  type AssignedAddresses,
} from "../../../../lib/controller/ip_assignment.ts";
import { compileNetwork } from "../../../../lib/controller/compiled_network.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import { updateNetwork } from "../../../../lib/controller/network_record.ts";
import { seededRandom } from "./harness.ts";

const ID = 0x7d6fc6c76500beefn as NetworkId;

interface Case {
  member?: number;
  stored?: string[];
  taken?: string[];
  noAutoAssign?: boolean;
  seed?: number;
}

function assign(network: JsonObject, given: Case = {}): AssignedAddresses {
  const taken = new Set(given.taken);
  return assignAddresses({
    network: compileNetwork(updateNetwork(undefined, network, "7d6fc6c76500beef", 0), ID),
    member: (given.member ?? 0x19810bb6a3) as Address,
    stored: given.stored ?? [],
    noAutoAssign: given.noAutoAssign ?? false,
    isTaken: (ip) => taken.has(ip),
    random: seededRandom(given.seed ?? 1),
  });
}

const texts = (assigned: AssignedAddresses) => assigned.prefixes.map(formatPrefix);
const pool = (ipRangeStart: string, ipRangeEnd: string) => ({ ipRangeStart, ipRangeEnd });
const v4 = (target: string, ...pools: JsonObject[]): JsonObject => ({
  v4AssignMode: { zt: true },
  routes: [{ target }],
  ipAssignmentPools: pools,
});
const v6 = (target: string, ...pools: JsonObject[]): JsonObject => ({
  v6AssignMode: { zt: true },
  routes: [{ target }],
  ipAssignmentPools: pools,
});

Deno.test("assignAddresses() finds the addresses measured at the reference", () => {
  const lab = v4("10.147.17.0/24", pool("10.147.17.10", "10.147.17.250"));
  assert.deepEqual(texts(assign(lab, { member: 0x19810bb6a3 })), ["10.147.17.45/24"]);
  assert.deepEqual(texts(assign(lab, { member: 0xcab3262c6a })), ["10.147.17.212/24"]);
  const other = v4("10.200.0.0/24", pool("10.200.0.1", "10.200.0.254"));
  assert.deepEqual(texts(assign(other, { member: 0xcab3262c6a })), ["10.200.0.101/24"]);
  const six = v6("fd00:1::/64", pool("fd00:1::", "fd00:1::ffff:ffff:ffff:ffff"));
  assert.deepEqual(texts(assign(six)), ["fd00:1::19:810b:b6a3/64"]);
});

Deno.test("assignAddresses() gives a fresh member its IPv6 before its IPv4 address, after the derived ones", () => {
  const dual = {
    v4AssignMode: { zt: true },
    v6AssignMode: { zt: true, rfc4193: true, "6plane": true },
    routes: [{ target: "10.147.17.0/24" }, { target: "fd00:1::/64" }],
    ipAssignmentPools: [
      pool("10.147.17.10", "10.147.17.250"),
      pool("fd00:1::", "fd00:1::ffff:ffff:ffff:ffff"),
    ],
  };
  const assigned = assign(dual);
  assert.deepEqual(texts(assigned), [
    "fd7d:6fc6:c765:be:ef99:9319:810b:b6a3/88",
    "fc18:6f78:2819:810b:b6a3::1/40",
    "fd00:1::19:810b:b6a3/64",
    "10.147.17.45/24",
  ]);
  assert.deepEqual(assigned.added, ["fd00:1::19:810b:b6a3", "10.147.17.45"]);
  assert.equal(assigned.ndpEmulation, true);
});

Deno.test("assignAddresses() goes to the next address when one is taken or ends in .255", () => {
  const lab = v4("10.147.17.0/24", pool("10.147.17.10", "10.147.17.250"));
  const taken = ["10.147.17.45", "10.147.17.46"];
  assert.deepEqual(texts(assign(lab, { taken })), ["10.147.17.47/24"]);
  const wide = v4("10.0.0.0/16", pool("10.0.0.0", "10.0.255.0"));
  assert.deepEqual(texts(assign(wide, { member: 0xff })), ["10.0.1.0/16"], ".0 may be");
  assert.equal(assign(wide, { member: 0xff }).trials, 2);
});

Deno.test("assignAddresses() never hands out the end of a pool, unless it is the start too", () => {
  const three = v4("10.0.0.0/24", pool("10.0.0.1", "10.0.0.3"));
  const taken = ["10.0.0.1", "10.0.0.2"];
  assert.deepEqual(texts(assign(three, { taken })), []);
  assert.deepEqual(texts(assign(v4("10.0.0.0/24", pool("10.0.0.9", "10.0.0.9")))), ["10.0.0.9/24"]);
});

Deno.test("assignAddresses() skips pools that are backward, begin at 0.0.0.0 or have no route", () => {
  const cases = [
    v4("10.0.0.0/24", pool("10.0.0.9", "10.0.0.1")),
    v4("0.0.0.0/8", pool("0.0.0.0", "0.0.0.9")),
    v4("10.0.0.0/24", pool("10.0.1.1", "10.0.1.9")),
    v4("0.0.0.0/0", pool("10.0.1.1", "10.0.1.9")),
    v4("10.0.0.1/24", pool("10.0.0.1", "10.0.0.9")), // host bits set: never matches
    v6("fd00::/64", pool("fd01::", "fd01::ffff:ffff:ffff:ffff")),
  ];
  for (const network of cases) {
    assert.deepEqual(texts(assign(network)), [], JSON.stringify(network));
  }
});

Deno.test("assignAddresses() goes on to the next pool, and stops after 1000 tries in one", () => {
  const two = v4("10.0.0.0/8", pool("10.0.0.1", "10.0.0.2"), pool("10.9.0.1", "10.9.0.2"));
  assert.deepEqual(texts(assign(two, { taken: ["10.0.0.1"] })), ["10.9.0.1/8"]);
  const full = v4("10.0.0.0/8", pool("10.0.0.0", "10.255.255.255"));
  const none = assignAddresses({
    network: compileNetwork(updateNetwork(undefined, full, "7d6fc6c76500beef", 0), ID),
    member: 1 as Address,
    stored: [],
    noAutoAssign: false,
    isTaken: () => true,
    random: seededRandom(1),
  });
  assert.deepEqual([none.trials, none.prefixes], [1_000, []]);
});

Deno.test("assignAddresses() keeps stored addresses that a route covers, with its longest prefix", () => {
  const network: JsonObject = {
    ...v4("10.0.0.0/8", pool("10.0.0.1", "10.0.0.9")),
    routes: [{ target: "0.0.0.0/0", via: "10.0.0.1" }, { target: "10.0.0.0/8" }, {
      target: "10.7.0.0/16",
      via: "10.0.0.1",
    }],
  };
  const stored = ["10.7.0.1", "10.1.0.1", "192.168.0.1", "fd00::1", "bogus"];
  const assigned = assign(network, { stored });
  assert.deepEqual(texts(assigned), ["10.7.0.1/16", "10.1.0.1/8", "192.168.0.1/0"]);
  assert.deepEqual(assigned.added, []);
});

Deno.test("assignAddresses() adds another address when the stored one lies outside every route", () => {
  const lab = v4("10.147.17.0/24", pool("10.147.17.10", "10.147.17.250"));
  assert.deepEqual(texts(assign(lab, { stored: ["192.168.0.1"] })), ["10.147.17.45/24"]);
  assert.deepEqual(texts(assign(lab, { stored: ["10.147.17.9"] })), ["10.147.17.9/24"]);
});

Deno.test("assignAddresses() does not count derived addresses as managed, and obeys noAutoAssign", () => {
  const network = {
    ...v6("fd00:1::/64", pool("fd00:1::", "fd00:1::ffff:ffff:ffff:ffff")),
    v6AssignMode: { zt: true, rfc4193: true },
  };
  assert.equal(assign(network).prefixes.length, 2);
  const quiet = assign(network, { noAutoAssign: true, stored: ["fd00:1::5"] });
  assert.deepEqual(texts(quiet), ["fd00:1::5/64"]);
  assert.equal(quiet.ndpEmulation, false);
});

Deno.test("assignAddresses() searches small IPv6 pools at random, over both halves", () => {
  const small = v6("fd00:1::/64", pool("fd00:1::10", "fd00:1::20"));
  const [prefix] = assign(small, { taken: ["fd00:1::15"] }).prefixes;
  assert.ok(contains(parsePrefix("fd00:1::/64")!, prefix.ip));
  assert.ok(prefix.ip[15] >= 0x10 && prefix.ip[15] < 0x20 && prefix.ip[15] !== 0x15);
  const tall = v6("fd00::/16", pool("fd00:1::", "fd00:9::ffff"));
  const highs = [1, 2, 3, 4, 5, 6].map((seed) => assign(tall, { seed }).prefixes[0].ip[3]);
  assert.ok(new Set(highs).size > 1);
});

Deno.test("assignAddresses() takes the prefix of the last route without gateway that covers an IPv6 address", () => {
  const network: JsonObject = {
    ...v6("fd00:1::/64", pool("fd00:1::", "fd00:1::ffff:ffff:ffff:ffff")),
    routes: [{ target: "fd00:1::/64" }, { target: "fd00::/16" }, {
      target: "fd00:1::/96",
      via: "fd00:1::1",
    }],
  };
  assert.deepEqual(texts(assign(network)), ["fd00:1::19:810b:b6a3/16"]);
});

Deno.test("assignAddresses() gives at most 32 addresses", () => {
  const stored = Array.from({ length: 60 }, (_, i) => `10.0.0.${i}`);
  assert.equal(assign(v4("10.0.0.0/8"), { stored }).prefixes.length, 32);
});

Deno.test("assignAddresses() takes nothing from a pool for a member that has 32 addresses", () => {
  const network = {
    ...v4("10.147.17.0/24", pool("10.147.17.10", "10.147.17.250")),
    routes: [{ target: "10.147.17.0/24" }, { target: "fd00:1::/64" }],
  };
  const stored = Array.from({ length: 32 }, (_, i) => `fd00:1::${i + 1}`);
  assert.deepEqual(assign(network, { stored }).added, []);
  assert.equal(assign(network, { stored: stored.slice(1) }).added.length, 1);
});

Deno.test("assignAddresses() hands out only free addresses inside the pool, whatever is taken", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 0xfe_ffff_ffff }),
    fc.integer({ min: 0, max: 600 }),
    fc.uniqueArray(fc.integer({ min: 0, max: 600 }), { maxLength: 50 }),
    (member, size, taken) => {
      const text = (number: number) => `10.0.${number >> 8}.${number & 255}`;
      const network = v4("10.0.0.0/16", pool("10.0.0.0", text(size)));
      const takenTexts = taken.map(text);
      const { added } = assign(network, { member, taken: takenTexts });
      const last = Math.max(size - 1, 0);
      const free = Array.from({ length: last + 1 }, (_, i) => i)
        .filter((i) => (i & 255) !== 255 && !takenTexts.includes(text(i)));
      assert.equal(added.length, free.length > 0 ? 1 : 0);
      for (const ip of added) assert.ok(free.some((i) => text(i) === ip));
    },
  ));
});
