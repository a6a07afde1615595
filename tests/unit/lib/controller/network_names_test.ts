/** What members are called, and who is told when. @module */
import assert from "node:assert/strict";
import { type Address, formatAddress } from "../../../../lib/base/ids.ts";
import { formatIp } from "../../../../lib/base/ip.ts";
import type { JsonObject } from "../../../../lib/controller/json.ts";
import {
  ANSWERED_NAMES_MAX,
  LISTED_NAMES_MAX,
  NAMED_MEMBERS_MAX,
  NAMES_EVERY_MS,
  NAMES_LENGTH_MAX,
} from "../../../../lib/controller/limits.ts";
import {
  encodeNames,
  type MemberName,
  type NameList,
} from "../../../../lib/credential/member_names.ts";
import { encodeNetworkConfig } from "../../../../lib/credential/network_config.ts";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { ALICE, BOB, configOf, memberPath, NETWORK, PATH, withNetwork } from "./cast.ts";
import { CONTROLLER, Harness, identityOf, metadata, strangerOf } from "./harness.ts";

const ASKING = metadata({ namesHeld: 0n });
const CAROL = identityOf(0x0a0b0c0d0e);
const OWN = identityOf(CONTROLLER);

/** Members ask for names, in order. */
function asks(harness: Harness, ...members: Identity[]): void {
  for (const member of members) configOf(harness.request(NETWORK, member, ASKING));
  pass(harness);
}

/** Long enough for names to be made anew, twice: after that the next change counts at once. */
function pass(harness: Harness): void {
  for (let i = 0; i < 2; i++) {
    harness.advance(5_000);
    harness.settle();
  }
}

/** What a member that asks anew is told, in the answer or after it. */
function namesOf(harness: Harness, member = ALICE): readonly MemberName[] | undefined {
  const { names } = configOf(harness.request(NETWORK, member, ASKING));
  return names?.members ?? (names && pushed(harness, member)?.members);
}

/** The list a member is sent without asking. */
function pushed(harness: Harness, { address }: Identity): NameList | undefined {
  harness.settle();
  const push = harness.take("config").findLast(({ to, requestId }) =>
    to === address && requestId === undefined
  );
  return push && configOf(push).names;
}

function labels(harness: Harness): string[] {
  return namesOf(harness)!.map(({ label }) => label);
}

Deno.test("Controller tells nobody names unless the network says so, and never who did not ask", () => {
  const harness = withNetwork({ private: false });
  asks(harness, ALICE, BOB);
  assert.equal(namesOf(harness), undefined);
  harness.post(PATH, { names: true });
  harness.settle();
  assert.equal(namesOf(harness)!.length, 2);
  const config = configOf(harness.request(NETWORK, BOB));
  assert.equal(config.names, undefined);
  const text = new TextDecoder().decode(encodeNetworkConfig(config));
  assert.ok(!/^zn/m.test(text), "a reference node gets what it got before");
  harness.post(PATH, { names: false });
  harness.settle();
  assert.equal(namesOf(harness), undefined);
});

Deno.test("Controller names members by their records, with the addresses they have", () => {
  const harness = withNetwork({
    names: true,
    private: false,
    routes: [{ target: "10.0.0.0/24" }],
    v6AssignMode: { rfc4193: true, "6plane": true },
  });
  asks(harness, ALICE, BOB);
  harness.post(memberPath(ALICE), {
    name: "Anna's laptop",
    ipAssignments: ["10.0.0.7", "10.9.9.9"],
  });
  harness.post(memberPath(BOB), { noAutoAssignIps: true });
  pass(harness);
  const [alice, bob] = namesOf(harness)!;
  assert.equal(alice.label, "anna-s-laptop");
  assert.equal(alice.address, ALICE.address);
  assert.deepEqual(alice.ips.map(formatIp), [
    "fd7d:6fc6:c765:be:ef99:9319:810b:b6a3",
    "fc18:6f78:2819:810b:b6a3::1",
    "10.0.0.7", // no route leads to the other
  ]);
  assert.deepEqual([bob.label, bob.ips], [formatAddress(BOB.address), []]);
});

Deno.test("Controller lists no member that is not authorized, also not one put out again", () => {
  const harness = withNetwork({ names: true });
  harness.post(memberPath(ALICE), { authorized: true });
  harness.request(NETWORK, BOB, ASKING);
  harness.post(memberPath(BOB), { name: "bob" });
  harness.post(memberPath(CAROL), { authorized: true, name: "carol" });
  pass(harness);
  assert.deepEqual(labels(harness), [formatAddress(ALICE.address), "carol"]);
  harness.post(memberPath(CAROL), { authorized: false });
  pass(harness);
  assert.deepEqual(labels(harness), [formatAddress(ALICE.address)]);
});

/** A controller that was started on these members: label wanted and address, oldest first. */
function started(
  named: readonly (readonly [name: string, address: number])[],
  fields: JsonObject = {},
): Harness {
  const ids = { id: NETWORK, nwid: NETWORK };
  const routes = [{ target: "10.0.0.0/24" }];
  return new Harness({
    networks: [{ ...ids, objtype: "network", private: false, names: true, routes }],
    members: named.map(([name, number], index): JsonObject => {
      const address = formatAddress(number as Address);
      const record = { address, name, authorized: true, creationTime: index + 1, ...fields };
      return { ...ids, id: address, objtype: "member", ...record };
    }),
  });
}

Deno.test("Controller gives one name once: the oldest record has it, others' end in their addresses", () => {
  const harness = started([
    ["nas", 0xbb00000002],
    ["NAS", 0xaa00000001],
    ["nas-cc00000003", 0xdd00000004],
    ["nas", 0xcc00000003],
    ["x".repeat(63), 0xee00000005],
    ["x".repeat(70), 0xee00000006],
    ["bb00000002", 0xee00000007], // another's address
    ["EE00000008", 0xee00000008],
  ]);
  assert.deepEqual(labels(harness).slice(0, 8), [
    "nas",
    "nas-aa00000001",
    "nas-cc00000003",
    "cc00000003",
    "x".repeat(63),
    `${"x".repeat(52)}-ee00000006`,
    "bb00000002-ee00000007",
    "ee00000008",
  ]);
});

Deno.test("Controller pushes changed names to those who want them, at once and then now and then", () => {
  const harness = withNetwork({ names: true, private: false });
  asks(harness, ALICE, BOB);
  configOf(harness.request(NETWORK, CAROL));
  pass(harness);
  harness.actions = [];
  const rename = (name: string) => {
    harness.post(memberPath(BOB), { name });
    harness.settle();
    return harness.take("config").filter(({ to }) => to === ALICE.address)
      .map(({ config }) =>
        config.names!.members!.find(({ address }) => address === BOB.address)!.label
      );
  };
  assert.deepEqual(rename("one"), ["one"]);
  assert.deepEqual(rename("two"), [], "too soon");
  assert.deepEqual(rename("three"), []);
  harness.advance(NAMES_EVERY_MS + 1_000);
  harness.settle();
  const pushes = harness.take("config");
  assert.deepEqual(pushes.map(({ to }) => to).sort(), [ALICE.address, BOB.address].sort());
  assert.equal(pushes[0].config.names!.members!.some(({ label }) => label === "three"), true);
});

Deno.test("Controller pushes no names when a change leaves them as they are", () => {
  const harness = withNetwork({ names: true, private: false });
  asks(harness, ALICE, BOB);
  harness.post(memberPath(BOB), { name: "nas" });
  pass(harness);
  harness.actions = [];
  harness.post(memberPath(BOB), { name: "NAS" });
  harness.post(memberPath(BOB), { authenticationExpiryTime: 5 });
  pass(harness);
  assert.deepEqual(
    new Set(harness.take("config").map(({ to }) => to)),
    new Set([BOB.address]),
    "its own record only",
  );
});

Deno.test("Controller sends a list once: whoever holds it is told that it stands", () => {
  const harness = withNetwork({ names: true, private: false });
  asks(harness, ALICE, BOB);
  const { names } = configOf(harness.request(NETWORK, ALICE, ASKING));
  const again = harness.request(NETWORK, ALICE, metadata({ namesHeld: names!.hash }));
  assert.deepEqual(configOf(again).names, { ...names, onDemand: false, members: undefined });
});

Deno.test("Controller sends a long list after the answer, and not again to whoever holds it", () => {
  const crowd = Array.from({ length: ANSWERED_NAMES_MAX }, (_, i) => [`m ${i}`, 0x1000000000 + i]);
  const harness = started(crowd as [string, number][]);
  const { names } = configOf(harness.request(NETWORK, ALICE, ASKING));
  assert.equal(names!.members!.length, ANSWERED_NAMES_MAX, "short, and without herself");
  pass(harness);
  harness.take("config");
  const announced = configOf(harness.request(NETWORK, ALICE, ASKING)).names!;
  assert.equal(announced.members, undefined);
  const list = pushed(harness, ALICE)!;
  assert.deepEqual([list.hash, list.members!.length], [announced.hash, ANSWERED_NAMES_MAX + 1]);
  configOf(harness.request(NETWORK, ALICE, metadata({ namesHeld: list.hash })));
  assert.equal(pushed(harness, ALICE), undefined);
});

Deno.test("Controller sends a long list a few times to who never says that it holds it, and then rarely", () => {
  const crowd = Array.from({ length: ANSWERED_NAMES_MAX }, (_, i) => [`m ${i}`, 0x1000000000 + i]);
  const harness = started(crowd as [string, number][]);
  configOf(harness.request(NETWORK, ALICE, ASKING));
  pass(harness);
  harness.take("config");
  const sent = Array.from({ length: 20 }, () => {
    configOf(harness.request(NETWORK, ALICE, ASKING));
    return pushed(harness, ALICE);
  });
  const count = sent.filter((list) => list !== undefined).length;
  assert.ok(count >= 4 && count <= 6, `${count} in 40 s`);
  harness.advance(30_000);
  configOf(harness.request(NETWORK, ALICE, ASKING));
  assert.ok(pushed(harness, ALICE));
});

Deno.test("Controller in a large network tells members where to ask, and all names to its own node", () => {
  const crowd = Array.from(
    { length: LISTED_NAMES_MAX },
    (_, i) => [`member ${i}`, 0x1000000000 + i] as const,
  );
  const small = started([...crowd.slice(1), ["authority", CONTROLLER]]);
  const [first] = crowd[1];
  assert.equal(namesOf(small, strangerOf(crowd[1][1]))!.length, LISTED_NAMES_MAX, first);
  const large = started([...crowd, ["authority", CONTROLLER]]);
  const { names } = configOf(large.request(NETWORK, strangerOf(crowd[0][1]), ASKING));
  assert.equal(names!.onDemand, true);
  assert.deepEqual(names!.members!.map(({ label }) => label), ["authority"]);
  configOf(large.request(NETWORK, OWN, ASKING));
  const own = pushed(large, OWN)!;
  assert.deepEqual([own.onDemand, own.members!.length], [false, LISTED_NAMES_MAX + 1]);
});

Deno.test("Controller keeps a list within its bounds, however many members and however long their names", () => {
  const address = (i: number) => 0x1000000000 + i;
  const many = started(
    Array.from({ length: NAMED_MEMBERS_MAX + 10 }, (_, i) => ["", address(i)] as const),
  );
  assert.equal(namesOf(many, OWN)!.length, NAMED_MEMBERS_MAX);
  const wide = { ipAssignments: Array.from({ length: 32 }, (_, i) => `10.0.0.${i}`) };
  const long = started(
    Array.from({ length: LISTED_NAMES_MAX }, (_, i) => [`${i} ${"x".repeat(60)}`, address(i)]),
    wide,
  );
  const { length } = encodeNames(namesOf(long, OWN)!, false);
  assert.equal(configOf(long.request(NETWORK, ALICE, ASKING)).names!.onDemand, true);
  assert.ok(length <= NAMES_LENGTH_MAX && length > NAMES_LENGTH_MAX - 250, `${length} bytes`);
});
