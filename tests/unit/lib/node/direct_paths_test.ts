import assert from "node:assert/strict";
import { Writer } from "../../../../lib/base/bytes.ts";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Bonds } from "../../../../lib/node/bonds.ts";
import { Contact } from "../../../../lib/node/contact.ts";
import { DirectPaths } from "../../../../lib/node/direct_paths.ts";
import { Greeter } from "../../../../lib/node/hello.ts";
import type { NodeSettings } from "../../../../lib/node/machine.ts";
import { PortProbing } from "../../../../lib/node/port_probing.ts";
import { Surface } from "../../../../lib/node/surface.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  decodePushDirectPaths,
  encodePushDirectPaths,
  PortNote,
} from "../../../../lib/wire/push_direct_paths.ts";
import { ALICE, BOB, CAROL, endpoint, peerWithPath, ROOT, sentBy, vl1Of } from "./harness.ts";

function alice(settings: Partial<NodeSettings> = {}) {
  const vl1 = vl1Of(ALICE, { settings });
  vl1.sockets = [{ id: 1, ip: parseIp("192.168.1.2")!, port: 9993 }];
  const surface = new Surface();
  const contact = new Contact(vl1, new Greeter(vl1, () => {}));
  const probing = new PortProbing(vl1, contact, surface);
  const bonds = new Bonds(vl1, contact);
  const direct = new DirectPaths(vl1, contact, surface, probing, bonds);
  return { vl1, surface, direct, bob: peerWithPath(vl1, BOB) };
}

/** Times at which pushes go out when asked every 100 ms. */
function pushTimes(isDirect: boolean, forMs: number): number[] {
  const { vl1, direct, bob } = alice();
  const startMs = vl1.nowMs;
  const times: number[] = [];
  for (; vl1.nowMs <= startMs + forMs; vl1.time.nowMs += 100) {
    direct.maybePush(bob, bob.paths[0].path, isDirect);
    if (sentBy(vl1).length > 0) times.push(vl1.nowMs - startMs);
  }
  return times;
}

Deno.test("DirectPaths.maybePush() pushes in a burst while relayed, then more than 30 s apart", () => {
  assert.deepEqual(pushTimes(false, 110_000), [0, 1_000, 4_000, 10_000, 41_000, 72_000, 103_000]);
});

Deno.test("DirectPaths.maybePush() pushes every two minutes while a direct path exists", () => {
  assert.deepEqual(pushTimes(true, 250_000), [0, 120_000, 240_000]);
});

Deno.test("DirectPaths.maybePush() waits sixteen times as long in low bandwidth mode, unless relayed", () => {
  const { vl1, direct, bob } = alice({ isLowBandwidth: () => true });
  const pushesAfter = (waitMs: number, isDirect: boolean) => {
    vl1.time.nowMs += waitMs;
    direct.maybePush(bob, bob.paths[0].path, isDirect);
    return sentBy(vl1).length;
  };
  assert.equal(pushesAfter(0, true), 1);
  assert.equal(pushesAfter(16 * 120_000 - 1, true), 0);
  assert.equal(pushesAfter(1, true), 1);
  assert.equal(pushesAfter(31_000, false), 1);
});

Deno.test("DirectPaths.maybePush() tells sockets, port mappings and confirmed surfaces, each once", () => {
  const { vl1, surface, direct, bob } = alice();
  vl1.sockets.push({ id: 2, ip: parseIp("127.0.0.1")!, port: 9993 });
  vl1.sockets.push({ id: 3, ip: parseIp("0.0.0.0")!, port: 9993 });
  direct.setMapped([endpoint("44.1.1.1/2000")]);
  const root = vl1.paths.get(1, endpoint("44.0.0.1/9993"));
  surface.report(ROOT.address, root, endpoint("44.1.1.1/2000"), true, vl1.nowMs);
  surface.report(BOB.address, root, endpoint("44.6.6.6/666"), false, vl1.nowMs);
  direct.maybePush(bob, bob.paths[0].path, false);
  const [push] = sentBy(vl1);
  assert.equal(push.verb, Verb.PUSH_DIRECT_PATHS);
  const told = decodePushDirectPaths(push.payload).items.map((item) =>
    formatEndpoint(item.endpoint)
  );
  assert.deepEqual(told, ["44.1.1.1/2000", "192.168.1.2/9993"]);
});

Deno.test("DirectPaths.maybePush() says of its NAT what it knows, and the ports that come next where it counts", () => {
  const { vl1, surface, direct, bob } = alice();
  const told = () => {
    vl1.time.nowMs += 31_000;
    direct.maybePush(bob, bob.paths[0].path, false);
    const { items } = decodePushDirectPaths(sentBy(vl1)[0].payload);
    return items.map((item) => [formatEndpoint(item.endpoint), item.note]);
  };
  const see = (from: string, as: string, trusted: boolean) =>
    surface.report(
      trusted ? ROOT.address : CAROL.address,
      vl1.paths.get(1, endpoint(from)),
      endpoint(as),
      trusted,
      vl1.nowMs,
    );
  assert.deepEqual(told(), [["192.168.1.2/9993", PortNote.UNKNOWN]]);
  see("44.0.0.1/9993", "44.1.1.1/2000", true);
  see("44.0.0.5/9993", "44.1.1.1/2003", false);
  const next = [2004, 2005, 2006, 2007, 2008, 2009].map((port) => [`44.1.1.1/${port}`, undefined]);
  assert.deepEqual(told(), [
    ["44.1.1.1/2000", PortNote.DIFFERENT],
    ...next,
    ["192.168.1.2/9993", undefined],
  ]);
});

Deno.test("DirectPaths.setMapped() tells relayed fellow members at once, and the others in their turn", () => {
  const { vl1, direct, bob } = alice();
  const root = peerWithPath(vl1, ROOT);
  const carol = vl1.addPeer(CAROL.publicOnly())!;
  for (const peer of [bob, carol]) peer.lastTrustedMs = vl1.nowMs;
  direct.setMapped([endpoint("44.1.1.1/2000")]);
  const [push, ...others] = sentBy(vl1);
  assert.deepEqual([push.destination, push.verb], [CAROL.address, Verb.PUSH_DIRECT_PATHS]);
  assert.deepEqual(push.to, root.paths[0].path.endpoint);
  assert.deepEqual(others, []);
  direct.setMapped([endpoint("44.1.1.1/2000")]);
  direct.setMapped([]);
  assert.deepEqual(sentBy(vl1), [], "nothing new to tell");
  assert.deepEqual(direct.mapped, []);
});

function push(...texts: string[]): Uint8Array {
  const w = new Writer();
  const paths = texts.map((text) => ({ endpoint: endpoint(text), forget: false, redirect: false }));
  encodePushDirectPaths(paths, w);
  return w.finish();
}

Deno.test("DirectPaths.receive() probes what a peer names, eight of each scope and family", () => {
  const { vl1, direct, bob } = alice();
  const global = Array.from({ length: 20 }, (_, i) => `44.8.8.${i}/1`);
  const local = Array.from({ length: 20 }, (_, i) => `192.168.9.${i}/1`);
  direct.receive(bob, push(...global, ...local, "127.0.0.1/1", "44.8.9.9/0"));
  const probed = sentBy(vl1).map(({ to }) => formatEndpoint(to));
  assert.deepEqual(probed, [...global.slice(0, 8), ...local.slice(0, 8)]);
});

Deno.test("DirectPaths.receive() probes nothing it is told to forget, nor takes a redirect for proof", () => {
  const { vl1, direct, bob } = alice();
  const w = new Writer();
  encodePushDirectPaths([
    { endpoint: endpoint("44.8.8.1/1"), forget: true, redirect: false },
    { endpoint: endpoint("44.8.8.2/1"), forget: false, redirect: true },
  ], w);
  direct.receive(bob, w.finish());
  assert.deepEqual(sentBy(vl1).map(({ to }) => formatEndpoint(to)), ["44.8.8.2/1"]);
  assert.equal(bob.paths.length, 1);
});

Deno.test("DirectPaths.receive() does not probe its own address, which ports were opened to", () => {
  const { vl1, direct, bob } = alice();
  const w = new Writer();
  const open = { note: PortNote.OPEN, forget: false, redirect: false };
  encodePushDirectPaths([{ endpoint: endpoint("44.1.1.1/2000"), ...open }], w);
  direct.receive(bob, w.finish());
  assert.deepEqual(sentBy(vl1), []);
});

Deno.test("DirectPaths.receive() takes eight pushes at once, then one in 15 s", () => {
  const { vl1, direct, bob } = alice();
  for (let i = 0; i < 10; i++) direct.receive(bob, push());
  assert.equal(vl1.counters.drops.get("rate"), 2);
  vl1.time.nowMs += 15_000;
  direct.receive(bob, push());
  assert.equal(vl1.counters.drops.get("rate"), 2);
});
