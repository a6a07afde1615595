import assert from "node:assert/strict";
import { Reader } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import { Whois } from "../../../../lib/node/whois.ts";
import { decodeOk } from "../../../../lib/wire/ok.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import { decodeOkWhois, decodeWhois } from "../../../../lib/wire/whois.ts";
import {
  ALICE,
  BOB,
  CAROL,
  peerWithPath,
  planetOf,
  ROOT,
  ROOT2,
  sentBy,
  vl1Of,
} from "./harness.ts";

function asker() {
  const vl1 = vl1Of(ALICE, { planet: planetOf([ROOT, ROOT2]) });
  for (const root of [ROOT, ROOT2]) {
    peerWithPath(vl1, root).paths[0].path.addLatency(root === ROOT ? 10 : 100);
  }
  return { vl1, whois: new Whois(vl1) };
}

Deno.test("Whois.ask() asks the best upstream once, whoever asks again", () => {
  const { vl1, whois } = asker();
  assert.ok(whois.ask(BOB.address));
  assert.ok(whois.ask(BOB.address));
  const [question, ...others] = sentBy(vl1);
  assert.equal(others.length, 0);
  assert.equal(question.verb, Verb.WHOIS);
  assert.equal(question.destination, ROOT.address);
  assert.deepEqual(decodeWhois(question.payload), [BOB.address]);
});

Deno.test("Whois.handleTimeout() retries every 500 ms, around the upstreams, for 5 s", () => {
  const { vl1, whois } = asker();
  const startMs = vl1.nowMs;
  whois.ask(BOB.address);
  const asked = sentBy(vl1).map((packet) => packet.destination);
  while (whois.isPending(BOB.address)) {
    assert.equal(whois.deadlineMs, vl1.nowMs + 500);
    vl1.time.nowMs = whois.deadlineMs;
    whois.handleTimeout();
    asked.push(...sentBy(vl1).map((packet) => packet.destination));
  }
  assert.equal(vl1.nowMs - startMs, 5_000);
  assert.equal(asked.length, 10);
  assert.equal(asked.filter((address) => address === ROOT2.address).length, 5);
  assert.equal(whois.deadlineMs, Infinity);
});

Deno.test("Whois.ask() refuses itself and addresses nobody can have", () => {
  const { vl1, whois } = asker();
  for (const address of [ALICE.address, 0 as Address, 0xff_1234_5678 as Address]) {
    assert.equal(whois.ask(address), false);
  }
  assert.equal(sentBy(vl1).length, 0);
});

Deno.test("Whois.ask() has 1024 open questions at most", () => {
  const { whois } = asker();
  for (let i = 1; i <= 1_024; i++) assert.ok(whois.ask(i as Address));
  assert.equal(whois.ask(5_000 as Address), false);
  assert.ok(whois.ask(7 as Address), "one that is open is no new one");
  whois.resolved(7 as Address);
  assert.ok(whois.ask(5_000 as Address));
});

Deno.test("Whois.ask() has 768 open questions at most that are not ours", () => {
  const { vl1, whois } = asker();
  for (let round = 0; round < 2; round++) {
    for (let i = 1; i <= 768; i++) assert.ok(whois.ask(i as Address, true));
    assert.equal(whois.ask(5_000 as Address, true), false);
    assert.ok(whois.ask(5_001 as Address), "there is room for ours");
    whois.resolved(7 as Address);
    assert.ok(whois.ask(5_000 as Address, true));
    while (whois.deadlineMs < Infinity) {
      vl1.time.nowMs = whois.deadlineMs;
      whois.handleTimeout();
    }
  }
});

Deno.test("Whois.answer() names whom it knows, itself and remembered peers included", () => {
  const version = { protocol: 11, major: 1, minor: 14, revision: 1 };
  const vl1 = vl1Of(ALICE, {
    recall: (address) =>
      address === CAROL.address
        ? { identity: CAROL.publicOnly(), version, endpoints: [] }
        : undefined,
  });
  const bob = peerWithPath(vl1, BOB);
  const whois = new Whois(vl1);
  const wanted = [ALICE.address, 0x9999999999 as Address, BOB.address, CAROL.address];
  const ok = decodeOk(whois.answer(bob, 77n, wanted)!);
  assert.equal(ok.inRePacketId, 77n);
  const named = decodeOkWhois(ok.body).items;
  assert.deepEqual(named.map((identity) => identity.address), [
    ALICE.address,
    BOB.address,
    CAROL.address,
  ]);
  assert.ok(named.every((identity) => identity.secretKey === undefined));
  assert.equal(whois.answer(bob, 78n, [0x9999999999 as Address]), undefined);
  assert.equal(new Reader(ok.body, "ok").remaining, 3 * 71);
});

Deno.test("Whois.answer() asks others only on a root's part", () => {
  const leaf = vl1Of(ALICE);
  const root = vl1Of(ROOT2, { planet: planetOf([ROOT, ROOT2]) });
  for (const vl1 of [leaf, root]) {
    peerWithPath(vl1, ROOT);
    const whois = new Whois(vl1);
    whois.answer(peerWithPath(vl1, BOB), 1n, [0x9999999999 as Address]);
    assert.equal(whois.isPending(0x9999999999 as Address), vl1 === root);
  }
});

Deno.test("Whois.answer() gives 12 identities at most, and 2048 at once to one peer", () => {
  const vl1 = vl1Of(ALICE);
  const bob = peerWithPath(vl1, BOB);
  const whois = new Whois(vl1);
  const ask = () => {
    const answer = whois.answer(bob, 1n, new Array<Address>(30).fill(BOB.address));
    return answer ? decodeOkWhois(decodeOk(answer).body).items.length : 0;
  };
  let total = 0;
  for (let count = ask(); count > 0; count = ask()) {
    assert.ok(count <= 12);
    total += count;
  }
  assert.equal(total, 2_048);
  vl1.time.nowMs += 1_000;
  assert.equal(ask(), 12);
});

Deno.test("Whois.answer() looks up or asks for 40 at once on one peer's behalf", () => {
  let looks = 0;
  const planet = planetOf([ROOT, ROOT2]);
  const vl1 = vl1Of(ROOT2, { planet, recall: () => void looks++ as undefined });
  peerWithPath(vl1, ROOT);
  const bob = peerWithPath(vl1, BOB);
  const whois = new Whois(vl1);
  for (let i = 0; i < 100; i++) whois.answer(bob, 1n, [0x1000 + i as Address]);
  assert.equal(looks, 40);
  assert.ok(whois.isPending(0x1000 + 39 as Address) && !whois.isPending(0x1000 + 40 as Address));
  assert.ok(whois.answer(bob, 2n, [BOB.address]), "whom we know is named all the same");
});
