import { deepEqual, equal, notDeepEqual, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import type { Address } from "../../../../lib/base/ids.ts";
import type { Rule } from "../../../../lib/credential/rule_codec.ts";
import { RuleType } from "../../../../lib/credential/rule_codec.ts";
import { UDP_IN_AT } from "../../../../lib/dataplane/arena.ts";
import { PACKET_ROOM } from "../../../../lib/dataplane/records.ts";
import { Stat } from "../../../../lib/dataplane/stats.ts";
import { splitTwin } from "../../../../lib/kernel/data_twin.ts";
import { PacketIds, packetIdState } from "../../../../lib/node/packet_ids.ts";
import { Cipher, cipherOf } from "../../../../lib/wire/packet.ts";
import { noise } from "../kernel/arena.ts";
import { makeFrame, NO_VNET, PSH, superHeader, UDP, withVnet } from "../kernel/frames.ts";
import {
  ACCEPT,
  addressed,
  ALICE,
  Bench,
  BOB,
  CAROL,
  datagrams,
  dictionary,
  DROP,
  noCredentials,
  pair,
  PORT,
} from "./rig.ts";

const T = RuleType;
const rule = (type: number, fields: Record<string, unknown>) =>
  ({ type, not: false, or: false, ...fields }) as unknown as Rule;
const destinationPort = (port: number) =>
  rule(T.MATCH_IP_DEST_PORT_RANGE, { kind: "range", start: port, end: port });
const CIPHERS: Record<number, string> = {
  0: "under Salsa20/12",
  1: "under AES-GMAC-SIV",
  300: "long ones under AES-GMAC-SIV",
};
const frameOf = (length: number, seed = 1) =>
  addressed(makeFrame({ body: noise(length, seed) }), ALICE, BOB);

Deno.test("Plane.fromUdp() lets out what could be a packet and drops the rest by length", () => {
  const bench = new Bench(ALICE);
  for (const length of [17, 28, PACKET_ROOM]) bench.udp(noise(length, length));
  for (const length of [0, 16, PACKET_ROOM + 1]) bench.udp(noise(length, length));
  bench.plane.fromUdp(UDP_IN_AT, -1, 1, bench.source); // cut by the system
  bench.udp(noise(28, 1), 28, { ...bench.source, ipLength: 0 }); // from nobody
  const escaped = bench.takeEscaped();
  deepEqual(escaped.map(({ how, bytes }) => [how, bytes.length]), [
    ["sealed", 17],
    ["sealed", 28],
    ["sealed", PACKET_ROOM],
  ]);
  deepEqual([bench.stat(Stat.DATAGRAMS_IN), bench.stat(Stat.DROPPED_LENGTH)], [8, 5]);
});

Deno.test("Plane.fromTap() lets out frames that have a header, of a port without a network", () => {
  const bench = new Bench(ALICE);
  const frames = [14, 1514].map((length) => noise(length, length));
  bench.tap(new Uint8Array(0), new Uint8Array(13), ...frames);
  deepEqual(bench.takeEscaped(), frames.map((bytes) => ({ how: "frame", bytes, from: PORT })));
  deepEqual([bench.stat(Stat.FRAMES_IN), bench.stat(Stat.DROPPED_LENGTH)], [4, 2]);
});

for (const aesFrom of [0, 1, 300]) {
  Deno.test(`a frame into one plane comes out of another unchanged, whatever its length and the path's MTU, ${CIPHERS[aesFrom]}`, () => {
    const lengths = fc.integer({ min: 0, max: 2_746 });
    const mtus = fc.constantFrom(1_232, 1_280, 1_332, 1_432, 9_000);
    fc.assert(
      fc.property(fc.array(lengths, { minLength: 1, maxLength: 12 }), mtus, (list, mtu) => {
        const [alice, bob] = pair({ mtu, aesFrom });
        const frames = list.map((length, i) => frameOf(length, i));
        const runs = alice.tap(...frames).takeRuns();
        for (const bytes of datagrams(runs)) ok(bytes.length <= mtu, `${bytes.length} over ${mtu}`);
        for (const run of runs) bob.udp(run.bytes, run.segment);
        deepEqual(bob.takeWritten(), frames.map((bytes) => ({ port: PORT, bytes })));
        equal(alice.takeEscaped().length + bob.takeEscaped().length, 0);
      }),
      { numRuns: 40 },
    );
  });
}

Deno.test("Plane seals packets of a session's length and longer with AES-GMAC-SIV, shorter ones with Salsa20/12", () => {
  const [alice, bob] = pair({ aesFrom: 300 });
  const cipherOfLength = (length: number) => {
    const [run] = alice.tap(frameOf(length)).takeRuns();
    bob.udp(run.bytes, run.segment);
    return [run.bytes.length, cipherOf(run.bytes)];
  };
  const overhead = cipherOfLength(0)[0] as number;
  deepEqual(cipherOfLength(299 - overhead), [299, Cipher.POLY1305_SALSA2012]);
  deepEqual(cipherOfLength(300 - overhead), [300, Cipher.AES_GMAC_SIV]);
  equal(bob.takeWritten().length, 3);
  const counts = [alice, bob].map((bench) =>
    [Stat.PACKETS_SEALED, Stat.AES_SEALED, Stat.PACKETS_OPENED, Stat.AES_OPENED]
      .map((stat) => bench.stat(stat))
  );
  deepEqual(counts, [[3, 1, 0, 0], [0, 0, 3, 1]]);
});

Deno.test("Plane leaves packets under AES-GMAC-SIV to control when the session has no keys for it", () => {
  const [alice, bob] = pair({ aesFrom: 1 });
  bob.meet(0, ALICE);
  bob.udp(alice.tap(frameOf(100)).takeRuns()[0].bytes);
  deepEqual(bob.takeEscaped().map(({ how }) => how), ["sealed"]);
});

Deno.test("datagrams of one packet find together in any order, from different receives", () => {
  const [alice, bob] = pair();
  const frames = [2_700, 2_600, 2_500].map((length) => frameOf(length));
  const pieces = datagrams(alice.tap(...frames).takeRuns());
  equal(pieces.length, 6);
  equal(alice.stat(Stat.PACKETS_SEALED), 3);
  for (const i of [5, 0, 3, 1, 2, 4]) bob.udp(pieces[i]);
  deepEqual(
    bob.takeWritten().map(({ bytes }) => bytes.length).sort(),
    frames.map(({ length }) => length).sort(),
  );
  equal(bob.stat(Stat.PACKETS_OPENED), 3);
});

for (const ipv6 of [false, true]) {
  Deno.test(`a TCP super-frame over IPv${ipv6 ? 6 : 4} arrives as the segments it stands for, joined again`, () => {
    const [alice, bob] = pair({ vnet: 10 });
    const shape = { ipv6, options: 12, flags: PSH | 0x10 };
    const whole = addressed(makeFrame({ ...shape, body: noise(50_000, 3) }), ALICE, BOB);
    alice.tap(withVnet(whole, superHeader(whole, shape, 1_348)));
    const runs = alice.takeRuns();
    const count = datagrams(runs).length;
    ok(runs.length <= 1 + count / 16, `${count} datagrams in ${runs.length} runs`);
    bob.udp(runs[0].bytes, runs[0].segment);
    for (const run of runs.slice(1)) bob.udp(run.bytes, run.segment);
    const written = bob.takeWritten();
    const received = written.flatMap(({ bytes }) => {
      const view = new DataView(bytes.buffer);
      const vnet = { ...NO_VNET, gsoType: bytes[1], gsoSize: view.getUint16(4, true) };
      return splitTwin(bytes.slice(10), vnet);
    });
    const headers = 14 + (ipv6 ? 40 : 20) + 32;
    const body = received.reduce((sum, frame) => sum + frame.length - headers, 0);
    equal(body, 50_000);
    const sent = splitTwin(whole, { ...superHeader(whole, shape, received[0].length - headers) });
    deepEqual(received, sent);
    ok(written.length <= runs.length, "what came in one piece is written in one");
  });
}

Deno.test("rules decide on both sides: what may not leave does not, what may not enter does not", () => {
  const rules = [destinationPort(443), DROP, ACCEPT];
  const [strict, open] = [{ rules }, { rules: [ACCEPT] }];
  const to443 = frameOf(100); // makeFrame()'s destination port
  const to53 = addressed(makeFrame({ protocol: UDP, body: noise(100, 1) }), ALICE, BOB);
  const [alice] = pair(strict);
  alice.tap(to443, to53);
  equal(datagrams(alice.takeRuns()).length, 1);
  equal(alice.stat(Stat.DROPPED_RULES), 1);
  const [sender] = pair(open);
  const [, receiver] = pair(strict);
  for (const run of sender.tap(to443, to53).takeRuns()) receiver.udp(run.bytes, run.segment);
  deepEqual(receiver.takeWritten(), [{ port: PORT, bytes: to53 }]);
  equal(receiver.stat(Stat.DROPPED_RULES), 1);
  equal(receiver.takeEscaped().length, 0);
});

Deno.test("no rules let nothing pass", () => {
  const [alice] = pair({ rules: [] });
  alice.tap(frameOf(100));
  const [sender] = pair();
  const [, bob] = pair({ rules: [] });
  for (const run of sender.tap(frameOf(100)).takeRuns()) bob.udp(run.bytes, run.segment);
  equal(alice.takeRuns().length + bob.takeWritten().length, 0);
  deepEqual([alice.stat(Stat.DROPPED_RULES), bob.stat(Stat.DROPPED_RULES)], [1, 1]);
});

for (const type of ["ACTION_TEE", "ACTION_WATCH", "ACTION_REDIRECT"] as const) {
  Deno.test(`${type} is control's to carry out, on both sides, with the frame whole`, () => {
    const copy = rule(T[type], { kind: "forward", address: CAROL, flags: 0, length: 64 });
    const [alice] = pair({ rules: [copy, ACCEPT] });
    const frame = frameOf(100);
    alice.tap(frame);
    deepEqual(alice.takeEscaped(), [{ how: "frame", bytes: frame, from: PORT }]);
    const [sender] = pair();
    const [, bob] = pair({ rules: [copy, ACCEPT] });
    const [run] = sender.tap(frame).takeRuns();
    bob.udp(run.bytes, run.segment);
    const [escaped, ...more] = bob.takeEscaped();
    deepEqual([escaped.how, more.length], ["opened", 0]);
    // The packet in clear: its header as it came, the frame behind network id and ethertype.
    deepEqual(escaped.bytes.subarray(0, 8), run.bytes.subarray(0, 8));
    deepEqual(escaped.bytes.subarray(36, 38), frame.subarray(12, 14));
    deepEqual(escaped.bytes.subarray(38), frame.subarray(14));
    equal(alice.takeRuns().length + bob.takeWritten().length, 0);
    equal(alice.stat(Stat.DROPPED_RULES) + bob.stat(Stat.DROPPED_RULES), 0);
  });
}

Deno.test("rules that look at segments are asked about each: a long one may be dropped, the short last one pass", () => {
  const long = rule(T.MATCH_FRAME_SIZE_RANGE, { kind: "range", start: 1_000, end: 9_000 });
  const [alice, bob] = pair({ vnet: 10, rules: [long, DROP, ACCEPT] });
  const shape = {};
  const whole = addressed(makeFrame({ body: noise(3_300, 3) }), ALICE, BOB);
  const header = superHeader(whole, shape, 1_000);
  alice.tap(withVnet(whole, header));
  const segments = splitTwin(whole, header);
  for (const run of alice.takeRuns()) bob.udp(run.bytes, run.segment);
  deepEqual(bob.takeWritten().map(({ bytes }) => bytes.slice(10)), [segments[3]]);
  equal(alice.stat(Stat.DROPPED_RULES), 3);
});

Deno.test("copies of segments are control's, one by one, when the rules look at segments", () => {
  const short = rule(T.MATCH_FRAME_SIZE_RANGE, { kind: "range", start: 1, end: 900 });
  const tee = rule(T.ACTION_TEE, { kind: "forward", address: CAROL, flags: 0, length: 64 });
  const [alice] = pair({ vnet: 10, rules: [short, tee, ACCEPT] });
  const whole = addressed(makeFrame({ body: noise(3_300, 3) }), ALICE, BOB);
  const header = superHeader(whole, {}, 1_000);
  alice.tap(withVnet(whole, header));
  const last = splitTwin(whole, header)[3];
  deepEqual(alice.takeEscaped(), [{ how: "frame", bytes: last, from: PORT }]);
  equal(datagrams(alice.takeRuns()).length, 3);
});

Deno.test("what the tables do not know escapes whole: other members, other machines' frames, no route, super-frames cut", () => {
  const shape = {};
  const [alice] = pair({ vnet: 10 });
  const whole = addressed(makeFrame({ body: noise(3_000, 1) }), ALICE, CAROL); // no member here
  const header = superHeader(whole, shape, 1_000);
  alice.tap(withVnet(whole, header));
  deepEqual(
    alice.takeEscaped(),
    splitTwin(whole, header).map((bytes) => ({ how: "frame", bytes, from: PORT })),
  );
  const bridged = addressed(makeFrame({ body: noise(100, 1) }), CAROL, BOB); // not from this machine
  alice.tap(withVnet(bridged, NO_VNET));
  deepEqual(alice.takeEscaped(), [{ how: "frame", bytes: bridged, from: PORT }]);
  const group = frameOf(100);
  group[0] |= 1;
  alice.tap(withVnet(group, NO_VNET));
  deepEqual(alice.takeEscaped(), [{ how: "frame", bytes: group, from: PORT }]);
  alice.apply({ kind: "no-route", session: 0 });
  const plain = frameOf(100);
  alice.tap(withVnet(plain, NO_VNET));
  deepEqual(alice.takeEscaped(), [{ how: "frame", bytes: plain, from: PORT }]);
  equal(alice.takeRuns().length, 0);
});

Deno.test("Plane.fromTap() drops frames and segments over the network's MTU", () => {
  const [alice] = pair({ vnet: 10, config: { mtu: 1_400 } });
  const fits = addressed(makeFrame({ body: noise(1_400 - 40, 1) }), ALICE, BOB);
  const long = addressed(makeFrame({ body: noise(1_401 - 40, 1) }), ALICE, BOB);
  alice.tap(withVnet(fits, NO_VNET), withVnet(long, NO_VNET));
  equal(datagrams(alice.takeRuns()).length, 2); // one packet in two pieces
  equal(alice.stat(Stat.DROPPED_LENGTH), 1);
  const large = addressed(makeFrame({ body: noise(9_000, 1) }), ALICE, BOB);
  alice.tap(withVnet(large, superHeader(large, {}, 2_000)));
  equal(alice.takeRuns().length, 0);
  equal(alice.stat(Stat.DROPPED_LENGTH), 2);
});

Deno.test("Plane.fromUdp() drops frames over the network's MTU", () => {
  const [sender] = pair({ config: { mtu: 2_800 } });
  const [, bob] = pair({ config: { mtu: 1_400 } });
  const frames = [1_361, 1_360].map((body) => frameOf(body));
  for (const run of sender.tap(...frames).takeRuns()) bob.udp(run.bytes, run.segment);
  deepEqual(bob.takeWritten(), [{ port: PORT, bytes: frames[1] }]);
  equal(bob.stat(Stat.DROPPED_LENGTH), 1);
});

Deno.test("only admitted members' frames are delivered: others' go to control, opened", () => {
  const [alice, bob] = pair();
  const runs = alice.tap(frameOf(100)).takeRuns();
  const receive = () => {
    bob.udp(runs[0].bytes, runs[0].segment);
    return bob.takeEscaped().map(({ how }) => how);
  };
  bob.admit(0, false);
  deepEqual(receive(), ["opened"]);
  bob.apply({ kind: "no-member", slot: 0 });
  deepEqual(receive(), ["opened"]);
  equal(bob.takeWritten().length, 0);
  bob.admit(0);
  deepEqual(receive(), []);
  equal(bob.takeWritten().length, 1);
  bob.apply({ kind: "no-network", slot: 0 });
  deepEqual(receive(), ["opened"]);
  equal(bob.takeWritten().length, 0);
});

for (const aesFrom of [0, 1]) {
  Deno.test(`nothing sealed with another key is delivered or given to control as opened, ${CIPHERS[aesFrom]}`, () => {
    const [alice, bob] = pair({ aesFrom });
    const [run] = alice.tap(frameOf(100)).takeRuns();
    for (let at = 0; at < run.bytes.length; at++) {
      const bent = run.bytes.slice();
      bent[at] ^= 1;
      bob.udp(bent);
      const escaped = bob.takeEscaped();
      ok(escaped.every(({ how }) => how === "sealed"), `byte ${at}`);
      // Hops are not authenticated: they change on the way.
      const isHops = at === 18;
      equal(bob.takeWritten().length, isHops ? 1 : 0, `byte ${at}`);
    }
    const other = noise(32, 99);
    const aes = aesFrom > 0 ? { k0: other, k1: other, from: aesFrom } : undefined;
    bob.apply({ kind: "session", slot: 0, address: ALICE, key: other, aes });
    bob.udp(run.bytes);
    deepEqual([bob.takeWritten().length, bob.takeEscaped().length], [0, 0]);
    ok(bob.stat(Stat.DROPPED_UNAUTHENTIC) > 0);
  });
}

Deno.test("a packet from one member cannot speak for another, nor for a network its sender is not on", () => {
  const bob = new Bench(BOB).meet(0, ALICE).meet(1, CAROL).join().admit(0);
  const carol = new Bench(CAROL).meet(0, BOB).join().admit(0);
  const [run] = carol.tap(addressed(frameOf(100), CAROL, BOB)).takeRuns();
  bob.udp(run.bytes); // a session, but no member
  deepEqual(bob.takeEscaped().map(({ how }) => how), ["opened"]);
  const forged = run.bytes.slice();
  forged.set([0x89, 0xe9, 0x2c, 0xee, 0xe5], 13); // says it comes from Alice
  bob.udp(forged);
  equal(bob.takeWritten().length, 0);
  equal(bob.stat(Stat.DROPPED_UNAUTHENTIC), 1);
});

Deno.test("packets that claim to come from ourselves go nowhere", () => {
  const [alice] = pair();
  const own = noise(100, 1);
  own.set([0x89, 0xe9, 0x2c, 0xee, 0xe5], 8);
  own.set([0x89, 0xe9, 0x2c, 0xee, 0xe5], 13);
  alice.udp(own);
  deepEqual([alice.takeEscaped().length, alice.stat(Stat.DROPPED_UNAUTHENTIC)], [0, 1]);
});

Deno.test("packets for others, of unknown senders and in other ciphers escape sealed, those in pieces put together", () => {
  const [alice, bob] = pair();
  const whole = alice.tap(frameOf(100)).takeRuns()[0].bytes;
  const pieces = alice.tap(frameOf(2_700)).takeRuns()[0];
  bob.apply({ kind: "no-session", slot: 0 });
  bob.udp(whole);
  bob.udp(pieces.bytes, pieces.segment);
  const [first, second, ...rest] = bob.takeEscaped();
  deepEqual([first.how, first.bytes, rest.length], ["sealed", whole, 0]);
  deepEqual([second.how, second.bytes.length], ["sealed", 28 + 10 + 2_740]);
  const foreign = whole.slice();
  foreign[8] ^= 0xff;
  bob.udp(foreign);
  deepEqual(bob.takeEscaped(), [{ how: "sealed", bytes: foreign, from: 77 }]);
  const [, again] = pair();
  const aes = whole.slice();
  aes[18] = (aes[18] & ~0x38) | (3 << 3);
  again.udp(aes);
  deepEqual(again.takeEscaped(), [{ how: "sealed", bytes: aes, from: 77 }]);
});

Deno.test("a session says by which path and when it was heard, direct and relayed", () => {
  const [alice, bob] = pair();
  const direct = alice.tap(frameOf(100)).takeRuns()[0].bytes;
  const { sessions } = bob.plane;
  equal(sessions.directTick(0), 0);
  const relayed = direct.slice();
  relayed[18] |= 1;
  bob.udp(relayed, relayed.length, { ...bob.source, tag: 5 });
  deepEqual([sessions.directTick(0), sessions.relayedTick(0)], [0, 5_000]);
  equal(sessions.relayedTag(0), 5);
  bob.udp(direct, direct.length, { ...bob.source, tag: 6 });
  deepEqual([sessions.directTick(0), sessions.directTag(0)], [5_000, 6]);
  deepEqual([sessions.packets(0), sessions.bytes(0)], [2, 2 * direct.length]);
  deepEqual([alice.plane.sent(0), bob.plane.sent(0)], [1, 0]);
  deepEqual([alice.plane.delivered(0), bob.plane.delivered(0)], [0, 1]); // the copy was none of it
});

Deno.test("tables change between batches: a new configuration moves its members to new rules and another port", () => {
  const [alice, bob] = pair();
  alice.join(dictionary([DROP]));
  alice.tap(frameOf(100));
  equal(alice.stat(Stat.DROPPED_RULES), 1);
  alice.join(dictionary([ACCEPT]));
  const [run] = alice.tap(frameOf(100)).takeRuns();
  bob.plane.setPort(9, 0);
  bob.join(dictionary(), 9);
  bob.udp(run.bytes);
  deepEqual(bob.takeWritten().map(({ port }) => port), [9]);
  bob.tap(addressed(frameOf(100), BOB, ALICE)); // from the port that is no network's now
  deepEqual(bob.takeEscaped().map(({ how }) => how), ["frame"]);
});

Deno.test("a member's credentials decide with its network's rules", () => {
  // A tag both must have, and this member does not.
  const tags = rule(T.MATCH_TAGS_EQUAL, { kind: "tag", id: 1, value: 7 });
  const [alice] = pair({ rules: [tags, ACCEPT] });
  alice.tap(frameOf(100));
  deepEqual([alice.takeRuns().length, alice.stat(Stat.DROPPED_RULES)], [0, 1]);
});

Deno.test("full areas are emptied on the way: one receive of more results than the list holds loses nothing", () => {
  const [alice, bob] = pair();
  const size = datagrams(alice.tap(frameOf(10)).takeRuns())[0].length;
  const frames = Array.from({ length: Math.floor(65_000 / size) }, (_, i) => frameOf(10, i));
  const one = datagrams(alice.tap(...frames).takeRuns());
  equal(one.length, frames.length);
  const many = new Uint8Array(size * one.length);
  one.forEach((bytes, i) => many.set(bytes, i * size));
  bob.udp(many, size);
  const written = bob.takeWritten();
  equal(written.length, frames.length);
  written.forEach(({ bytes }, i) => deepEqual(bytes, frames[i]));
});

Deno.test("every packet has an id of its own, and the same frame never looks the same twice", () => {
  const [alice] = pair();
  const sent = Array.from({ length: 300 }, () => alice.tap(frameOf(50)).takeRuns()[0].bytes);
  equal(new Set(sent.map((bytes) => bytes.subarray(0, 8).join())).size, 300);
  notDeepEqual(sent[0].subarray(27), sent[1].subarray(27));
});

Deno.test("Plane.setIds() goes on with ids of another block, between batches", () => {
  const block = { key: Uint32Array.of(9, 8, 7, 6), low: 0xffff_ffff, high: 3 };
  const twin = new PacketIds(() => block);
  const [alice] = pair();
  alice.tap(frameOf(50)).takeRuns();
  alice.plane.setIds(packetIdState(block));
  for (let i = 0; i < 3; i++) {
    const [run] = alice.tap(frameOf(50)).takeRuns();
    deepEqual(run.bytes.subarray(0, 8), twin.next());
  }
});

Deno.test("a member before its network or session is a bug of control's", () => {
  throws(() => new Bench(ALICE).meet(0, BOB).admit(0), /network and session come first/);
  throws(() => new Bench(ALICE).join().admit(0), /network and session come first/);
  const slots = { slot: 3, network: 0, session: 9, admitted: true };
  const bench = new Bench(ALICE).join().meet(0, BOB).admit(0);
  throws(() => bench.apply({ kind: "member", ...slots, credentials: noCredentials() }));
});

Deno.test("frames of one batch to many members leave in runs of one session each", () => {
  const others = Array.from({ length: 20 }, (_, i) => 0x10_0000_0001 + i * 7_919 as Address);
  const alice = new Bench(ALICE).join();
  others.forEach((address, i) => alice.meet(i, address).admit(i));
  const frames = Array.from(
    { length: 100 },
    (_, i) => addressed(frameOf(100, i), ALICE, others[i % 20]),
  );
  const runs = alice.tap(...frames).takeRuns();
  const packets = runs.flatMap(({ session, bytes, segment }) =>
    datagrams([{ session, bytes, segment }]).map(() => session)
  );
  deepEqual(packets, frames.map((_, i) => i % 20));
});
