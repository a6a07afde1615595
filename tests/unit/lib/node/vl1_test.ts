import assert from "node:assert/strict";
import type { Identity } from "../../../../lib/identity/identity.ts";
import { Reassembler } from "../../../../lib/wire/fragment.ts";
import { DEFAULT_PHYSICAL_MTU, HEADER_LENGTH, Verb } from "../../../../lib/wire/packet.ts";
import { actionsOf, ALICE, BOB, CAROL, peerWithPath, sentBy, vl1Of } from "./harness.ts";

Deno.test("Vl1.send() keeps sixteen packets for each who is not known yet, whatever the others have", () => {
  const vl1 = vl1Of(ALICE);
  const asked = new Set<number>();
  vl1.whois = (address) => asked.add(address);
  const send = (to: Identity, number: number) =>
    vl1.send(to.address, Verb.ECHO, Uint8Array.of(number));
  send(CAROL, 1);
  for (let number = 1; number <= 100; number++) send(BOB, number);
  assert.deepEqual([...asked], [CAROL.address, BOB.address]);
  const flushed = (to: Identity) => {
    vl1.flushQueue(peerWithPath(vl1, to));
    return sentBy(vl1).map(({ payload }) => payload[0]);
  };
  assert.deepEqual(flushed(CAROL), [1]);
  assert.deepEqual(flushed(BOB), Array.from({ length: 16 }, (_, i) => 85 + i), "the latest");
});

Deno.test("Vl1.reply() sends in pieces what is too long for the path, as any packet", () => {
  const vl1 = vl1Of(ALICE);
  const bob = peerWithPath(vl1, BOB);
  vl1.reply(bob, bob.paths[0].path, Verb.OK, new Uint8Array(3_000).fill(7));
  const pieces = actionsOf(vl1.outbox).flatMap((action) =>
    action.kind === "send" ? [action.bytes] : []
  );
  assert.equal(pieces.length, 3);
  assert.ok(pieces.every(({ length }) => length <= DEFAULT_PHYSICAL_MTU));
  const reassembler = new Reassembler();
  const joined = pieces.map((piece) => reassembler.add("a", piece, vl1.nowMs, "a"));
  assert.equal(joined.at(-1)?.packet.length, HEADER_LENGTH + 3_000);
});

Deno.test("Vl1.transmit() remembers what it asks made-up addresses apart from what it asks others", () => {
  const vl1 = vl1Of(ALICE);
  const bob = peerWithPath(vl1, BOB);
  const ask = (path = bob.paths[0].path, unasked = false) =>
    vl1.transmit(bob, path, Verb.ECHO, new Uint8Array(0), { probe: true, unasked });
  const strange = (i: number) =>
    vl1.paths.get(1, { ip: Uint8Array.of(44, 1, i >> 8, i & 0xff), port: 1 });
  const proved = ask();
  const introduced = ask(strange(0), true);
  for (let i = 1; i <= 10_000; i++) ask(strange(i));
  assert.ok(vl1.expected.find(proved, BOB.address, vl1.nowMs));
  assert.ok(vl1.expected.find(introduced, BOB.address, vl1.nowMs));
  assert.equal(vl1.expected.size, 2 + 2_048);
});
