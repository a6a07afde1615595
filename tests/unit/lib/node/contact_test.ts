import assert from "node:assert/strict";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Contact } from "../../../../lib/node/contact.ts";
import { Greeter } from "../../../../lib/node/hello.ts";
import type { Vl1 } from "../../../../lib/node/vl1.ts";
import { HEADER_LENGTH, Verb } from "../../../../lib/wire/packet.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  CAROL,
  endpoint,
  identityOf,
  packetsOf,
  peerWithPath,
  ROOT,
  sentBy,
  vl1Of,
} from "./harness.ts";

/** What is answered and its id (9), time (8), versions (5), an IPv4 endpoint (7), no worlds (2). */
const OK_HELLO_BYTES = 31;

function alice() {
  const vl1 = vl1Of(ALICE);
  const contact = new Contact(vl1, new Greeter(vl1, () => {}));
  const bob = vl1.addPeer(BOB.publicOnly())!;
  bob.version = { protocol: 11, major: 1, minor: 14, revision: 1 };
  return { vl1, contact, bob };
}

const question = (vl1: Vl1) => ({
  to: BOB.address,
  verb: Verb.ECHO,
  sentMs: vl1.nowMs - 30,
  path: undefined,
});

/** A path that much came by, and nothing that proves its far end. */
function heardAt(vl1: Vl1, at: string, lengthBytes = 2_000) {
  return vl1.paths.hear(vl1.paths.get(1, endpoint(at)), lengthBytes);
}

Deno.test("Contact.probe() asks by ECHO who knows it, by HELLO who does not or may not", () => {
  const { vl1, contact, bob } = alice();
  const path = heardAt(vl1, "44.0.0.4/1");
  contact.probe(bob, path);
  contact.probe(bob, path, true);
  bob.version = { ...bob.version, protocol: 4 };
  contact.probe(bob, path);
  assert.deepEqual(sentBy(vl1).map(({ verb }) => verb), [Verb.ECHO, Verb.HELLO, Verb.HELLO]);
});

Deno.test("Contact.learn() takes up the path that answered, and says so", () => {
  const { vl1, contact, bob } = alice();
  const path = vl1.paths.get(1, endpoint("44.0.0.4/1"));
  contact.learn(bob, path, question(vl1));
  assert.equal(bob.best(vl1.nowMs)?.path, path);
  assert.equal(path.latencyMs, 30);
  assert.equal(vl1.paths.get(1, endpoint("44.0.0.4/1")), path, "the path is remembered");
  const events = actionsOf(vl1.outbox).filter((action) => action.kind === "event");
  assert.deepEqual(events, [{ kind: "event", event: { name: "direct", peer: BOB.address } }]);
});

Deno.test("Contact.learn() asks the other paths that are silent whether they still answer", () => {
  const { vl1, contact, bob } = alice();
  const old = vl1.paths.get(1, endpoint("44.0.0.4/1"));
  contact.learn(bob, old, question(vl1));
  vl1.time.nowMs += 200;
  actionsOf(vl1.outbox);
  contact.learn(bob, vl1.paths.get(1, endpoint("44.0.0.4/2")), question(vl1));
  assert.deepEqual(sentBy(vl1).map(({ to }) => formatEndpoint(to)), ["44.0.0.4/1"]);
  assert.equal(bob.find(old)!.probeSentMs, vl1.nowMs);
});

Deno.test("Contact uses no path that is forbidden, without port, on this machine or through our own networks", () => {
  const { vl1, contact, bob } = alice();
  vl1.own = [{ ip: parseIp("10.147.0.0")!, bits: 16 }];
  vl1.settings.isForbidden = ({ ip }) => ip[0] === 45;
  for (const text of ["44.0.0.4/0", "127.0.0.1/1", "10.147.3.3/1", "45.0.0.1/1", "224.0.0.1/1"]) {
    const path = vl1.paths.get(1, endpoint(text));
    contact.learn(bob, path, question(vl1));
    contact.confirm(bob, path);
    contact.punch(bob, endpoint(text), undefined, true);
    assert.equal(bob.paths.length, 0, text);
    assert.equal(actionsOf(vl1.outbox).length, 0, text);
  }
});

Deno.test("Contact uses no addresses for a root but those it is listed with", () => {
  const { vl1, contact } = alice();
  const root = vl1.peers.get(ROOT.address)!;
  contact.confirm(root, heardAt(vl1, "44.6.6.6/9993"));
  assert.equal(actionsOf(vl1.outbox).length, 0);
  contact.confirm(root, heardAt(vl1, "44.0.0.1/1234"));
  assert.equal(sentBy(vl1).length, 1, "another port of a listed address will do");
});

Deno.test("Contact.confirm() asks one unknown address of a peer once a second", () => {
  const { vl1, contact, bob } = alice();
  const path = () => heardAt(vl1, "44.0.0.4/1");
  contact.confirm(bob, path());
  vl1.time.nowMs += 999;
  contact.confirm(bob, path());
  assert.equal(sentBy(vl1).length, 1);
  contact.confirm(bob, heardAt(vl1, "44.0.0.4/2"));
  assert.equal(sentBy(vl1).length, 1, "another address has a second of its own");
  vl1.time.nowMs += 1;
  contact.confirm(bob, path());
  assert.equal(sentBy(vl1).length, 1);
  for (let port = 1; port < 500; port++) {
    contact.confirm(bob, vl1.paths.get(1, endpoint(`44.0.0.4/${port}`)));
  }
  assert.ok(bob.probed!.size <= 64);
});

Deno.test("Contact.confirm() asks where copies came from so often that a reference's are enough, and new packets all the same", () => {
  const { vl1, contact, bob } = alice();
  assert.ok(!contact.isCopy(bob, 7n) && contact.isCopy(bob, 7n));
  const asked = (from: number, isNew: boolean) => {
    const ports = Array.from({ length: 40 }, (_, i) => from + i);
    const paths = ports.map((port) => heardAt(vl1, `44.0.0.4/${port}`));
    return paths.filter((path) => contact.confirm(bob, path, isNew)).length;
  };
  contact.confirm(bob, heardAt(vl1, "44.0.0.4/1"));
  assert.deepEqual([asked(100, false), asked(200, true)], [16, 32]);
});

Deno.test("Contact.confirm() sends no more to an address than came from it", () => {
  const { vl1, contact, bob } = alice();
  bob.version = { ...bob.version, protocol: 0 };
  contact.confirm(bob, heardAt(vl1, "44.0.0.4/1", HEADER_LENGTH));
  assert.deepEqual(sentBy(vl1).map(({ verb }) => verb), [Verb.ECHO], "a HELLO would be too long");
  vl1.time.nowMs = contact.deadlineMs;
  contact.handleTimeout();
  assert.equal(sentBy(vl1).length, 0);
  assert.equal(vl1.counters.drops.get("unproven"), 1);
});

Deno.test("Contact.punch() opens our NAT first, then asks five times over two seconds", () => {
  const { vl1, contact, bob } = alice();
  const startMs = vl1.nowMs;
  contact.punch(bob, endpoint("44.0.0.9/9"), 1, true);
  const [opener, probe] = actionsOf(vl1.outbox);
  assert.ok(opener.kind === "send" && opener.ttl === 2 && opener.bytes.length === 4);
  assert.ok(probe.kind === "send" && probe.ttl === undefined);
  const times = [0];
  while (contact.deadlineMs < Infinity) {
    vl1.time.nowMs = contact.deadlineMs;
    contact.handleTimeout();
    times.push(...sentBy(vl1).map(() => vl1.nowMs - startMs));
  }
  assert.deepEqual(times, [0, 150, 400, 900, 1_700]);
});

Deno.test("Contact.punch() asks from one socket first, and now and then from all, unless one is named", () => {
  const { vl1, contact, bob } = alice();
  vl1.sockets = [1, 2, 3].map((id) => ({ ...vl1.sockets[0], id }));
  const asked = (socket?: number) => {
    const sockets: number[][] = [];
    contact.punch(bob, endpoint(`44.0.0.${socket ?? 9}/9`), socket, false);
    while (contact.deadlineMs < Infinity) {
      sockets.push(sentBy(vl1).map((sent) => sent.socket));
      vl1.time.nowMs = contact.deadlineMs;
      contact.handleTimeout();
    }
    return [...sockets, sentBy(vl1).map((sent) => sent.socket)];
  };
  assert.deepEqual(asked(), [[1], [1], [1, 2, 3], [1], [1, 2, 3]]);
  assert.deepEqual(asked(2), [[2], [2], [2], [2], [2]]);
});

Deno.test("Contact.punch() begins with a HELLO where the peer was not told of us: one round trip, not two", () => {
  const { vl1, contact, bob } = alice();
  contact.punch(bob, endpoint("44.0.0.9/9"), 1, false);
  const first = actionsOf(vl1.outbox);
  assert.deepEqual(packetsOf(vl1, first).map(({ verb }) => verb), [Verb.HELLO]);
  const answers = HEADER_LENGTH + OK_HELLO_BYTES + HEADER_LENGTH; // and the ECHO by which we prove ourselves
  assert.ok(first[0].kind === "send" && first[0].bytes.length >= answers);
  vl1.time.nowMs = contact.deadlineMs;
  contact.handleTimeout();
  assert.deepEqual(sentBy(vl1).map(({ verb }) => verb), [Verb.ECHO]);
});

Deno.test("Contact.punch() asks one target 16 times at once, then once a second", () => {
  const { vl1, contact, bob } = alice();
  const target = endpoint("44.0.0.9/9");
  for (let i = 0; i < 100; i++) contact.punch(bob, target, 1, false);
  const first = sentBy(vl1).length;
  assert.ok(first <= 16);
  vl1.time.nowMs += 10_000;
  contact.handleTimeout();
  assert.ok(first + sentBy(vl1).length <= 26);
});

Deno.test("Contact.punch() asks 64 addresses at once for one peer, then four a second", () => {
  const { vl1, contact, bob } = alice();
  for (let i = 0; i < 200; i++) contact.punch(bob, endpoint(`44.1.1.${i}/9`), 1, false);
  assert.equal(sentBy(vl1).length, 64);
  vl1.time.nowMs += 10_000;
  contact.handleTimeout();
  assert.ok(sentBy(vl1).length <= 40);
});

Deno.test("Contact.punch() works on 256 introductions at a time", () => {
  const { vl1, contact, bob } = alice();
  for (let i = 0; i < 1_000; i++) {
    contact.punch(bob, endpoint(`44.1.${i >> 8}.${i & 255}/9`), 1, true);
  }
  const openers = actionsOf(vl1.outbox).filter((action) =>
    action.kind === "send" && action.ttl === 2
  );
  assert.equal(openers.length, 256);
});

Deno.test("Contact.punch() has room for introductions, whatever strangers say of where they are", () => {
  const { vl1, contact } = alice();
  for (let i = 0; i < 20; i++) {
    const stranger = vl1.addPeer(identityOf(0x5000000000 + i))!;
    for (let j = 0; j < 40; j++) contact.punch(stranger, endpoint(`44.1.${i}.${j}/9`), 1, false);
  }
  actionsOf(vl1.outbox);
  const carol = vl1.addPeer(CAROL.publicOnly())!;
  carol.lastTrustedMs = vl1.nowMs;
  const bob = vl1.peers.get(BOB.address)!;
  contact.punch(bob, endpoint("44.0.0.4/9993"), 1, true);
  contact.punch(carol, endpoint("44.0.0.5/9993"), 1, false);
  assert.deepEqual(sentBy(vl1).map(({ destination }) => destination), [BOB.address, CAROL.address]);
});

Deno.test("Contact.punch() follows an introduction to where strangers say they are too", () => {
  const { vl1, contact, bob } = alice();
  const target = endpoint("44.0.0.4/9993");
  const stranger = vl1.addPeer(CAROL.publicOnly())!;
  for (let i = 0; i < 40; i++) contact.punch(stranger, target, 1, false);
  actionsOf(vl1.outbox);
  contact.punch(bob, target, 1, true);
  assert.deepEqual(sentBy(vl1).map(({ destination }) => destination), [BOB.address]);
});

Deno.test("Contact.tryHints() tries remembered addresses ever more rarely", () => {
  const { vl1, contact, bob } = alice();
  contact.hints.add(BOB.address, [endpoint("44.0.0.4/1")], vl1.nowMs);
  const startMs = vl1.nowMs;
  const times: number[] = [];
  for (let i = 0; i < 6; i++) {
    const nextMs = contact.tryHints(bob);
    times.push(...sentBy(vl1).map(() => vl1.nowMs - startMs));
    vl1.time.nowMs = nextMs;
  }
  assert.deepEqual(times, [0, 1_000, 3_000, 7_000, 15_000, 31_000]);
});

Deno.test("Contact.lose() forgets a path, remembers the address, and says so when it was the last", () => {
  const vl1 = vl1Of(ALICE);
  const contact = new Contact(vl1, new Greeter(vl1, () => {}));
  const bob = peerWithPath(vl1, BOB);
  bob.learn(vl1.paths.get(1, endpoint("44.0.0.4/2")), vl1.nowMs);
  contact.lose(bob, bob.paths[0]);
  assert.equal(actionsOf(vl1.outbox).length, 0);
  contact.lose(bob, bob.paths[0]);
  assert.deepEqual(actionsOf(vl1.outbox), [
    { kind: "event", event: { name: "relayed", peer: BOB.address } },
  ]);
  assert.equal(contact.hints.of(BOB.address).length, 2);
});

Deno.test("Contact.confirm() asks three times, until the peer answers", () => {
  const askedTimes = (answeredAfter: number) => {
    const { vl1, contact, bob } = alice();
    const startMs = vl1.nowMs;
    contact.confirm(bob, heardAt(vl1, "44.0.0.4/1"));
    const times = [0];
    sentBy(vl1);
    while (contact.deadlineMs < Infinity) {
      vl1.time.nowMs = contact.deadlineMs;
      if (vl1.nowMs - startMs > answeredAfter && bob.paths.length === 0) {
        contact.learn(bob, vl1.paths.get(1, endpoint("44.0.0.4/1")), question(vl1));
      }
      contact.handleTimeout();
      times.push(...sentBy(vl1).map(() => vl1.nowMs - startMs));
    }
    return times;
  };
  assert.deepEqual(askedTimes(Infinity), [0, 500, 1_500]);
  assert.deepEqual(askedTimes(600), [0, 500]);
  assert.deepEqual(askedTimes(20), [0]);
});

Deno.test("Contact.punch() stops once the peer answers there", () => {
  const { vl1, contact, bob } = alice();
  contact.punch(bob, endpoint("44.0.0.9/9"), 1, false);
  contact.learn(bob, vl1.paths.get(1, endpoint("44.0.0.9/9")), question(vl1));
  sentBy(vl1);
  vl1.time.nowMs += 5_000;
  contact.handleTimeout();
  assert.deepEqual(sentBy(vl1), []);
});
