import assert from "node:assert/strict";
import { Writer } from "../../../../lib/base/bytes.ts";
import { type Endpoint, formatEndpoint } from "../../../../lib/base/ip.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { deriveSessionKeys } from "../../../../lib/crypto/session_keys.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { agree } from "../../../../lib/identity/sign.ts";
import { Greeter, type Greeting } from "../../../../lib/node/hello.ts";
import type { Action, NodeConfig } from "../../../../lib/node/machine.ts";
import type { Vl1 } from "../../../../lib/node/vl1.ts";
import { Armor } from "../../../../lib/wire/armor.ts";
import { decodeError } from "../../../../lib/wire/error.ts";
import {
  decodeHello,
  decodeHelloTail,
  decodeOkHello,
  decodeWorlds,
  encodeHello,
} from "../../../../lib/wire/hello.ts";
import { decodeOk, encodeInRe } from "../../../../lib/wire/ok.ts";
import {
  AT_PAYLOAD,
  buildPacket,
  Cipher,
  cipherOf,
  ErrorCode,
  packetId,
  Verb,
  verbOf,
} from "../../../../lib/wire/packet.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  endpoint,
  identityOf,
  kernel,
  packetsOf,
  peerWithPath,
  planetOf,
  ROOT,
  seeded,
  sentBy,
  vl1Of,
} from "./harness.ts";

const armor = new Armor(kernel);
const NEW_PLANET = planetOf([ROOT], { timestamp: 5n });

interface HelloOptions {
  readonly protocol?: number;
  readonly planet?: { id: bigint; timestampMs: number };
  readonly sentTo?: Endpoint;
  readonly seed?: number;
  /** Whose key it is sealed with, if not the sender's. */
  readonly sealer?: Identity;
}

/** A HELLO as another node sends it to Alice. */
function helloOf(from: Identity, options: HelloOptions = {}): Uint8Array {
  const { protocol = 11, planet = { id: 0n, timestampMs: 0 }, sentTo, seed = 1, sealer } = options;
  const w = new Writer();
  const version = { protocol, major: 1, minor: 14, revision: 1 };
  const tailAt = encodeHello(
    { version, timestampMs: 4_711, identity: from, sentTo, planet },
    [],
    w,
  );
  const id = new Uint8Array(8);
  seeded(seed)(id);
  const header = { id, destination: ALICE.address, source: from.address, verb: Verb.HELLO };
  const packet = buildPacket(header, w.finish());
  const key = agree(noblePrimitives, sealer ?? from, ALICE.publicKey)!;
  const keys = deriveSessionKeys(noblePrimitives, key);
  armor.cryptHelloTail(packet, AT_PAYLOAD + tailAt, keys);
  armor.seal(packet, keys, Cipher.POLY1305_NONE);
  return packet;
}

function alice(changes: Partial<NodeConfig> = {}): {
  vl1: Vl1;
  greeter: Greeter;
  greetings: Greeting[];
  path(at: string): ReturnType<Vl1["paths"]["get"]>;
} {
  const vl1 = vl1Of(ALICE, { planet: NEW_PLANET, ...changes });
  const greetings: Greeting[] = [];
  const greeter = new Greeter(vl1, (greeting) => greetings.push(greeting));
  return { vl1, greeter, greetings, path: (at) => vl1.paths.get(1, endpoint(at)) };
}

function validations(vl1: Vl1) {
  return actionsOf(vl1.outbox).filter((action) => action.kind === "validate");
}

Deno.test("Greeter.hello() says who, which version, which worlds, and where it goes", () => {
  const { vl1, greeter } = alice();
  const bob = peerWithPath(vl1, BOB);
  greeter.hello(bob, bob.paths[0].path);
  const [action] = actionsOf(vl1.outbox);
  assert.ok(action.kind === "send");
  assert.equal(cipherOf(action.bytes), Cipher.POLY1305_NONE);
  const [packet] = packetsOf(vl1, [action]);
  const hello = decodeHello(packet.payload);
  assert.ok(hello.identity.equals(ALICE));
  assert.equal(hello.identity.secretKey, undefined);
  assert.equal(hello.version.protocol, 11);
  assert.equal(hello.timestampMs, vl1.time.wallMs);
  assert.equal(formatEndpoint(hello.sentTo!), "44.0.0.4/9993");
  assert.deepEqual(hello.planet, { id: 1n, timestampMs: 5 });
  const whole = action.bytes.slice();
  armor.cryptHelloTail(whole, AT_PAYLOAD + hello.tailAt!, bob.keys);
  assert.deepEqual(decodeHelloTail(whole.subarray(AT_PAYLOAD + hello.tailAt!)), []);
  assert.ok(vl1.expected.find(packet.id, BOB.address, vl1.nowMs), "the answer is expected");
});

Deno.test("Greeter answers a known peer with its clock, our version and where we see it", () => {
  const { vl1, greeter, greetings, path } = alice();
  const bob = peerWithPath(vl1, BOB);
  const hello = helloOf(BOB);
  greeter.receive(hello, path("44.7.7.7/77"));
  const [answer] = sentBy(vl1);
  assert.equal(answer.verb, Verb.OK);
  assert.equal(formatEndpoint(answer.to), "44.7.7.7/77", "on the path it came by");
  const ok = decodeOk(answer.payload);
  assert.deepEqual([ok.inReVerb, ok.inRePacketId], [Verb.HELLO, packetId(hello)]);
  const body = decodeOkHello(ok.body);
  assert.equal(body.timestampMs, 4_711);
  assert.equal(formatEndpoint(body.surface!), "44.7.7.7/77");
  assert.equal(body.worlds.length, 0);
  assert.equal(bob.version.protocol, 11);
  assert.equal(greetings.length, 1);
});

Deno.test("Greeter sends a newer planet to who has an older one of the same id", () => {
  const { vl1, greeter, path } = alice();
  peerWithPath(vl1, BOB);
  const worldsFor = (planet: { id: bigint; timestampMs: number }) => {
    greeter.receive(helloOf(BOB, { planet }), path("44.0.0.4/9993"));
    return decodeWorlds(decodeOkHello(decodeOk(sentBy(vl1)[0].payload).body).worlds);
  };
  assert.deepEqual(worldsFor({ id: 1n, timestampMs: 4 }).map((world) => world.timestamp), [5n]);
  assert.equal(worldsFor({ id: 1n, timestampMs: 5 }).length, 0);
  assert.equal(worldsFor({ id: 2n, timestampMs: 4 }).length, 0);
});

Deno.test("Greeter has a stranger's proof of work checked, then answers every copy", () => {
  const { vl1, greeter, path } = alice();
  const hello = helloOf(BOB);
  greeter.receive(hello.slice(), path("44.0.0.4/1"));
  const [check] = validations(vl1);
  assert.ok(check.kind === "validate" && check.identity.equals(BOB));
  greeter.receive(hello.slice(), path("44.0.0.4/2"));
  greeter.receive(hello.slice(), path("44.0.0.4/3"));
  assert.equal(validations(vl1).length, 0, "one check an identity");
  assert.equal(vl1.peers.has(BOB.address), false, "nobody is known before the verdict");
  const bob = greeter.validated(check.ticket, true);
  assert.equal(bob?.address, BOB.address);
  assert.deepEqual(sentBy(vl1).map(({ to }) => to.port), [1, 2, 3]);
});

Deno.test("Greeter takes whom an earlier run proved without another check, however many come at once", () => {
  const known = Array.from({ length: 700 }, (_, i) => identityOf(0x70_0000_0000 + i));
  const version = { protocol: 11, major: 1, minor: 14, revision: 1 };
  const { vl1, greeter, path } = alice({
    recall: (address) => {
      const identity = known.find((one) => one.address === address);
      return identity && { identity, version, endpoints: [] };
    },
  });
  for (const [i, identity] of known.entries()) {
    // All of one /24, whose budget for strangers is 240.
    const peer = greeter.receive(helloOf(identity), path(`44.5.5.${i % 250}/${1 + i}`));
    assert.equal(peer?.address, identity.address);
  }
  const actions = actionsOf(vl1.outbox);
  assert.equal(actions.filter(({ kind }) => kind === "validate").length, 0);
  assert.equal(actions.filter(({ kind }) => kind === "send").length, known.length);
});

Deno.test("Greeter has another key under a remembered address checked like any stranger's", () => {
  const { vl1, greeter, path } = alice({
    recall: () => ({
      identity: new Identity({ address: BOB.address, publicKey: CAROL.publicKey }),
      version: { protocol: 11, major: 1, minor: 14, revision: 1 },
      endpoints: [],
    }),
  });
  assert.equal(greeter.receive(helloOf(BOB), path("44.0.0.4/1")), undefined);
  assert.equal(validations(vl1).length, 1);
});

Deno.test("Greeter forgets a stranger whose proof of work is wrong", () => {
  const { vl1, greeter, path } = alice();
  greeter.receive(helloOf(BOB), path("44.0.0.4/1"));
  const [check] = validations(vl1);
  assert.ok(check.kind === "validate");
  assert.equal(greeter.validated(check.ticket, false), undefined);
  assert.equal(greeter.validated(check.ticket, true), undefined, "a verdict counts once");
  assert.equal(vl1.peers.has(BOB.address), false);
  assert.equal(sentBy(vl1).length, 0);
});

Deno.test("Greeter checks a stranger's key before its proof of work", () => {
  const { vl1, greeter, path } = alice();
  greeter.receive(helloOf(BOB, { sealer: CAROL }), path("44.0.0.4/1"));
  assert.equal(validations(vl1).length, 0);
  assert.equal(vl1.counters.drops.get("unauthentic"), 1);
});

Deno.test("Greeter drops HELLOs whose sender and identity differ, and versions too old", () => {
  const { vl1, greeter, path } = alice();
  const stolen = helloOf(BOB);
  stolen[13] ^= 1;
  greeter.receive(stolen, path("44.0.0.4/1"));
  greeter.receive(helloOf(CAROL, { protocol: 3 }), path("44.0.0.4/1"));
  assert.equal(vl1.counters.drops.get("malformed"), 2);
  assert.equal(actionsOf(vl1.outbox).length, 0);
});

Deno.test("Greeter tells a second identity of one address that it collides, and keeps the first", () => {
  const { vl1, greeter, path } = alice();
  const first = peerWithPath(vl1, BOB);
  const other = new Identity({
    address: BOB.address,
    publicKey: CAROL.publicKey,
    secretKey: CAROL.secretKey,
  });
  const hello = helloOf(other);
  greeter.receive(hello, path("44.0.0.9/9"));
  const [action] = actionsOf(vl1.outbox);
  assert.ok(action.kind === "send");
  const packet = action.bytes.slice();
  const keys = deriveSessionKeys(noblePrimitives, agree(noblePrimitives, other, ALICE.publicKey)!);
  assert.ok(armor.open(packet, keys), "sealed with the key of the second");
  const error = decodeError(packet.subarray(AT_PAYLOAD));
  assert.equal(error.code, ErrorCode.IDENTITY_COLLISION);
  assert.deepEqual([error.inReVerb, error.inRePacketId], [Verb.HELLO, packetId(hello)]);
  assert.equal(vl1.peers.get(BOB.address), first);
});

Deno.test("Greeter has four strangers of one /24 checked at a time, and takes the next in turn", () => {
  const { vl1, greeter, path } = alice();
  const strangers = Array.from({ length: 10 }, (_, i) => identityOf(0x60_0000_0000 + i));
  for (const [i, stranger] of strangers.entries()) {
    greeter.receive(helloOf(stranger), path(`44.5.5.${i}/1`));
  }
  const first = validations(vl1);
  assert.equal(first.length, 4);
  greeter.receive(helloOf(BOB), path("44.6.6.6/1"));
  const [other] = validations(vl1);
  assert.ok(
    other.kind === "validate" && other.identity.equals(BOB),
    "another /24 is not behind them",
  );
  const seen = first.map((check) => check.kind === "validate" && check.identity.address);
  assert.ok(first[0].kind === "validate");
  let waiting = [...first];
  while (waiting.length > 0) {
    const check = waiting.shift()!;
    assert.ok(check.kind === "validate");
    greeter.validated(check.ticket, true);
    const next = validations(vl1);
    seen.push(...next.map((action) => action.kind === "validate" && action.identity.address));
    waiting = [...waiting, ...next];
  }
  assert.deepEqual(seen, strangers.map((stranger) => stranger.address));
});

/** HELLOs of strangers, one each, from so many addresses of a /24; numbered from the first. */
function crowd(at: ReturnType<typeof alice>, net: string, first: number, count: number): void {
  for (let i = 0; i < count; i++) {
    at.greeter.receive(helloOf(identityOf(0x70_0000_0000 + first + i)), at.path(`${net}.${i}/1`));
  }
}

/** The answer to the first ECHO among actions that asks a stranger whether it is there. */
function answerOf(stranger: Identity, actions: readonly Action[]): Uint8Array {
  const key = agree(noblePrimitives, stranger, ALICE.publicKey)!;
  const keys = deriveSessionKeys(noblePrimitives, key);
  const [asked] = actions.flatMap((action) => {
    if (action.kind !== "send") return [];
    const packet = action.bytes.slice();
    return armor.open(packet, keys) && verbOf(packet) === Verb.ECHO ? [packet] : [];
  });
  assert.ok(asked, "it is asked");
  const w = new Writer();
  encodeInRe({ inReVerb: Verb.ECHO, inRePacketId: packetId(asked) }, w);
  const header = { destination: ALICE.address, source: stranger.address, verb: Verb.OK };
  const ok = buildPacket({ id: new Uint8Array(8).fill(9), ...header }, w.finish());
  armor.seal(ok, keys, Cipher.POLY1305_SALSA2012);
  return ok;
}

/** A stranger answers the ECHO that asks it. @returns the checks this brings about */
function answerEcho(at: ReturnType<typeof alice>, stranger: Identity) {
  const ok = answerOf(stranger, actionsOf(at.vl1.outbox));
  assert.ok(at.greeter.strangers.answered(stranger.address, ok));
  return validations(at.vl1);
}

Deno.test("Greeter, when many strangers come, has only those checked that are where they say", () => {
  const at = alice();
  for (let net = 0; net < 100; net++) crowd(at, `44.5.${net}`, 10 * net, 1);
  let unasked = validations(at.vl1).length;
  for (let ticket = 1; ticket <= 100; ticket++) {
    at.greeter.validated(ticket, false);
    unasked += validations(at.vl1).length;
  }
  assert.equal(unasked, 64);
  at.greeter.receive(helloOf(BOB), at.path("44.6.6.6/1"));
  assert.deepEqual(at.greeter.strangers.size, 1, "verdicts on the others were given");
  assert.equal(answerEcho(at, BOB).length, 1);
});

Deno.test("Greeter asks a stranger again that says HELLO again, and sends it no more than came from it", () => {
  const at = alice();
  for (let net = 0; net < 64; net++) crowd(at, `44.5.${net}`, 10 * net, 1);
  actionsOf(at.vl1.outbox);
  const hello = helloOf(BOB);
  const places = ["44.6.6.6/1", "44.6.6.7/1", "44.6.6.8/1"];
  const sent = places.map(() => 0);
  let answer: Uint8Array | undefined;
  const count = () => {
    const actions = actionsOf(at.vl1.outbox);
    for (const action of actions) {
      if (action.kind !== "send") continue;
      sent[places.indexOf(formatEndpoint(action.to))] += action.bytes.length;
      answer ??= answerOf(BOB, actions);
    }
  };
  for (let round = 1; round <= 6; round++) {
    for (const place of places) at.greeter.receive(hello.slice(), at.path(place));
    count();
    for (const bytes of sent) assert.ok(bytes > 0 && bytes <= round * hello.length);
  }
  assert.ok(at.greeter.strangers.answered(BOB.address, answer!));
  for (let ticket = 1; ticket <= 65; ticket++) at.greeter.validated(ticket, ticket === 65);
  assert.ok(at.vl1.peers.has(BOB.address));
  count();
  for (const bytes of sent) assert.ok(bytes <= 6 * hello.length, `${bytes} bytes`);
});

Deno.test("Greeter lets a newcomer in whose /24 is quiet, though others hold all places", () => {
  const at = alice();
  for (let net = 0; net < 5; net++) {
    at.vl1.time.nowMs += 1_000; // for key agreements, of which there are so many a second
    crowd(at, `44.5.${net}`, 1_000 * net, 128);
  }
  assert.equal(at.greeter.strangers.size, 512);
  validations(at.vl1);
  at.greeter.receive(helloOf(BOB), at.path("44.6.6.6/1"));
  answerEcho(at, BOB);
  at.greeter.validated(1, false);
  const [check] = validations(at.vl1);
  assert.ok(check?.kind === "validate" && check.identity.equals(BOB), "and it is checked next");
  at.greeter.validated(check.ticket, true);
  assert.deepEqual(at.greetings.map(({ peer }) => peer.address), [BOB.address]);
  assert.equal(
    at.vl1.counters.drops.get("rate"),
    5 * 128 + 1 - 512,
    "those silent for longest made room",
  );
});

Deno.test("Greeter has 128 strangers of one /24 wait, though there is room for more", () => {
  const at = alice();
  crowd(at, "44.5.0", 0, 130);
  assert.equal(at.greeter.strangers.size, 128);
  at.greeter.receive(helloOf(BOB), at.path("44.6.6.6/1"));
  assert.equal(at.greeter.strangers.size, 129);
});

Deno.test("Greeter checks a newcomer before those who wait of prefixes that have checks under way", () => {
  const at = alice();
  for (let i = 0; i < 4; i++) crowd(at, `44.5.${i}`, 100 * i, 8);
  const [done] = validations(at.vl1); // 16 are under way, and each prefix has more waiting
  at.greeter.receive(helloOf(BOB), at.path("44.6.6.6/1"));
  assert.deepEqual(validations(at.vl1), []);
  assert.ok(done.kind === "validate");
  at.greeter.validated(done.ticket, false);
  const [next] = validations(at.vl1);
  assert.ok(next.kind === "validate" && next.identity.equals(BOB));
});

Deno.test("Greeter keeps eight copies of one HELLO", () => {
  const { vl1, greeter, path } = alice();
  const hello = helloOf(BOB);
  for (let i = 0; i < 12; i++) greeter.receive(hello.slice(), path(`44.0.0.4/${i + 1}`));
  assert.equal(vl1.counters.drops.get("rate"), 4);
});

Deno.test("Greeter.receive() opens a copy: what it is handed stays as it was, and may change afterwards", () => {
  const at = alice();
  const hello = helloOf(BOB);
  const receive = (place: string) => {
    const lent = hello.slice();
    at.greeter.receive(lent, at.path(place));
    assert.deepEqual(lent, hello);
    lent.fill(0);
  };
  receive("44.0.0.4/1"); // a stranger's
  receive("44.0.0.4/2"); // a copy of it
  at.greeter.validated(1, true);
  assert.equal(at.greetings.length, 2);
  receive("44.0.0.4/3"); // a peer's
  assert.equal(at.greetings.length, 3);
});

Deno.test("Greeter asks strangers whose copies come from everywhere 200 times a second at most, once each had eight", () => {
  const at = alice();
  for (let i = 0; i < 64; i++) {
    at.greeter.receive(helloOf(identityOf(0x61_0000_0000 + i)), at.path(`44.7.${i}.1/1`));
  }
  const echoes = () => actionsOf(at.vl1.outbox).filter(({ kind }) => kind === "send").length;
  echoes();
  const hellos = [BOB, CAROL].map((stranger) => helloOf(stranger));
  const flood = (copies: number) => {
    for (let i = 0; i < copies; i++) {
      for (const hello of hellos) {
        at.greeter.receive(hello.slice(), at.path(`44.8.${i >> 8}.${i & 0xff}/1`));
      }
    }
    return echoes();
  };
  assert.equal(flood(1_000), 2 * 8 + 200);
  at.vl1.time.nowMs += 500;
  assert.equal(flood(1_000), 100);
});

Deno.test("Greeter.accept() reads a HELLO under any cipher, and throws nothing away but the version", () => {
  const { vl1, greeter, greetings, path } = alice();
  const bob = peerWithPath(vl1, BOB);
  const packet = helloOf(BOB, { sentTo: endpoint("44.1.2.3/4") });
  assert.ok(vl1.armor.open(packet, bob.keys));
  greeter.accept(bob, packet, path("44.0.0.4/9993"));
  assert.equal(formatEndpoint(greetings[0].hello.sentTo!), "44.1.2.3/4");
});
