import { deepEqual, equal, ok } from "node:assert/strict";
import { PathMtu } from "../../../../lib/node/path_mtu.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  actionsOf,
  ALICE,
  BOB,
  packetsOf,
  peerWithPath,
  START_MS,
  vl1Of,
  WHERE,
} from "./harness.ts";

Deno.test("PathMtu.use() asks with the longest datagram of a path nothing is configured for", () => {
  const vl1 = vl1Of(ALICE, { settings: { pathMtu: () => undefined } });
  const peer = peerWithPath(vl1, BOB);
  new PathMtu(vl1).use(peer, peer.paths[0].path);
  const actions = actionsOf(vl1.outbox);
  deepEqual(actions.map((action) => action.kind === "send" && action.whole), [true]);
  const [question] = packetsOf(vl1, actions);
  equal(question.verb, Verb.ECHO);
});

Deno.test("PathMtu.use() takes a configured MTU at once, asks nothing, and measures again when it is gone", () => {
  let configured: number | undefined = 1_400;
  const vl1 = vl1Of(ALICE, {
    settings: {
      pathMtu: ({ ip }) => ip.join() === WHERE.get(BOB.address)!.ip.join() ? configured : 9_000,
    },
  });
  const peer = peerWithPath(vl1, BOB);
  const { path } = peer.paths[0];
  const pathMtu = new PathMtu(vl1);
  pathMtu.use(peer, path);
  equal(path.mtu, 1_400);
  deepEqual(actionsOf(vl1.outbox), []);
  vl1.transmit(peer, path, Verb.USER_MESSAGE, new Uint8Array(1_420 - 28), {});
  const pieces = actionsOf(vl1.outbox);
  equal(pieces.length, 2);
  for (const piece of pieces) ok(piece.kind === "send" && piece.bytes.length <= 1_400);
  configured = undefined;
  pathMtu.use(peer, path);
  equal(actionsOf(vl1.outbox).length, 1);
});

Deno.test("PathMtu waits until another ECHO by the path is out of its way, sent or answered", () => {
  const vl1 = vl1Of(ALICE);
  const peer = peerWithPath(vl1, BOB);
  const { path } = peer.paths[0];
  const pathMtu = new PathMtu(vl1);
  vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(0), { probe: true });
  actionsOf(vl1.outbox);
  vl1.time.nowMs += 100;
  pathMtu.use(peer, path);
  equal(pathMtu.deadlineMs, START_MS + 170);
  vl1.time.nowMs = path.echoMs = START_MS + 160; // answered only now
  vl1.time.nowMs = START_MS + 170;
  pathMtu.handleTimeout();
  deepEqual(actionsOf(vl1.outbox), []);
  vl1.time.nowMs = START_MS + 330;
  pathMtu.handleTimeout();
  equal(actionsOf(vl1.outbox).length, 1);
  equal(path.lastOutMs, vl1.nowMs);
});

Deno.test("PathMtu asks nothing while it is open whether the path carries anything", () => {
  const vl1 = vl1Of(ALICE);
  const peer = peerWithPath(vl1, BOB);
  const [known] = peer.paths;
  const pathMtu = new PathMtu(vl1);
  known.probeSentMs = vl1.nowMs;
  pathMtu.use(peer, known.path);
  for (let i = 0; i < 5; i++) {
    vl1.time.nowMs = pathMtu.deadlineMs;
    pathMtu.handleTimeout();
  }
  deepEqual(actionsOf(vl1.outbox), []);
  equal(known.path.mtu, 1_432);
  known.probeSentMs = undefined;
  vl1.time.nowMs = pathMtu.deadlineMs;
  pathMtu.handleTimeout();
  equal(actionsOf(vl1.outbox).length, 1);
});
