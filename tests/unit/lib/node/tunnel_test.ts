/** A node and a root joined by TCP, while UDP passes or does not. */
import assert from "node:assert/strict";
import { formatEndpoint, parseIp } from "../../../../lib/base/ip.ts";
import { Node } from "../../../../lib/node/node.ts";
import type { Input } from "../../../../lib/node/machine.ts";
import {
  ACCEPTED_SOCKET_MIN,
  isTunnel,
  type LocalSocket,
  TUNNEL_SOCKET_MIN,
} from "../../../../lib/peer/path.ts";
import { Relay } from "../../../../lib/root/relay.ts";
import { Verb } from "../../../../lib/wire/packet.ts";
import {
  ALICE,
  BOB,
  configOf,
  endpoint,
  peerWithPath,
  ROOT,
  sentBy,
  START_MS,
  vl1Of,
  WHERE,
} from "./harness.ts";

const UDP: LocalSocket = { id: 1, ip: parseIp("0.0.0.0")!, port: 9993 };
const TUNNEL: LocalSocket = { id: TUNNEL_SOCKET_MIN, ip: parseIp("0.0.0.0")!, port: 0 };
const ACCEPTED: LocalSocket = { id: ACCEPTED_SOCKET_MIN, ip: parseIp("0.0.0.0")!, port: 0 };
const TCP_FROM = endpoint("44.0.0.3/50123"); // the far end of the connection, as the root sees it

class Pair {
  readonly alice = new Node(configOf(ALICE));
  readonly root = new Node(configOf(ROOT));
  readonly time = { nowMs: START_MS, wallMs: 1_790_000_000_000 };
  udpPasses = false;
  /** Datagrams Alice sent, by socket. */
  readonly sent = new Map<number, number>();
  readonly #queue: (() => void)[] = []; // what is on its way

  constructor() {
    this.give(this.root, { kind: "links", sockets: [UDP, ACCEPTED], own: [] });
    this.give(this.alice, { kind: "links", sockets: [UDP, TUNNEL], own: [] });
  }

  give(node: Node, input: Input): void {
    node.handle(input, this.time);
    for (let action = node.poll(); action; action = node.poll()) {
      if (action.kind === "send") this.#carry(node, action);
      if (action.kind === "validate") {
        this.give(node, { kind: "validated", ticket: action.ticket, valid: true });
      }
    }
  }

  #carry(
    from: Node,
    { socket, to, bytes }: { socket: number; to: typeof TCP_FROM; bytes: Uint8Array },
  ) {
    if (from === this.alice) {
      this.sent.set(socket, (this.sent.get(socket) ?? 0) + 1);
      assert.equal(formatEndpoint(to), formatEndpoint(WHERE.get(ROOT.address)!));
      if (isTunnel(socket)) this.#arrive(this.root, ACCEPTED.id, TCP_FROM, bytes);
      else if (this.udpPasses) this.#arrive(this.root, UDP.id, WHERE.get(ALICE.address)!, bytes);
    } else if (isTunnel(socket)) {
      assert.equal(formatEndpoint(to), formatEndpoint(TCP_FROM));
      this.#arrive(this.alice, TUNNEL.id, WHERE.get(ROOT.address)!, bytes);
    } else if (this.udpPasses) {
      this.#arrive(this.alice, UDP.id, WHERE.get(ROOT.address)!, bytes);
    }
  }

  #arrive(node: Node, socket: number, from: typeof TCP_FROM, bytes: Uint8Array): void {
    this.#queue.push(() => this.give(node, { kind: "datagram", socket, from, bytes }));
  }

  /** Runs both until a time has passed. */
  run(durationMs: number): void {
    const untilMs = this.time.nowMs + durationMs;
    for (;;) {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) next();
      const dueMs = Math.min(this.alice.deadlineMs, this.root.deadlineMs);
      if (dueMs > untilMs) break;
      this.time.nowMs = Math.max(this.time.nowMs, dueMs);
      for (const node of [this.alice, this.root]) {
        if (node.deadlineMs <= this.time.nowMs) this.give(node, { kind: "timeout" });
      }
    }
    this.time.nowMs = untilMs;
  }

  /** Whether Alice's way to the root, and the root's to Alice, are tunnels. */
  get ways(): [boolean | undefined, boolean | undefined] {
    const way = (node: Node, who: typeof ALICE) =>
      node.vl1.peers.get(who.address)?.best(this.time.nowMs)?.path.isTunnel;
    return [way(this.alice, ROOT), way(this.root, ALICE)];
  }
}

Deno.test("Node is online over a tunnel, and each side reaches the other by it", () => {
  const pair = new Pair();
  pair.run(1_000);
  assert.equal(pair.alice.isOnline, true);
  assert.deepEqual(pair.ways, [true, true]);
});

Deno.test("Node goes on looking for UDP while a tunnel carries it, every five seconds or so", () => {
  const pair = new Pair();
  pair.run(30_000);
  pair.sent.clear();
  pair.run(60_000);
  const tries = pair.sent.get(UDP.id) ?? 0;
  assert.ok(tries >= 8 && tries <= 17, `${tries} by UDP`);
  assert.ok((pair.sent.get(TUNNEL.id) ?? 0) < 12, "and the tunnel is only kept alive");
});

Deno.test("Node takes UDP back as soon as it works, both ways, and never a tunnel instead of it", () => {
  const pair = new Pair();
  pair.run(10_000);
  pair.udpPasses = true;
  pair.run(7_000);
  assert.deepEqual(pair.ways, [false, false]);
  pair.run(120_000);
  assert.deepEqual(pair.ways, [false, false], "though the tunnel answers as well");
});

Deno.test("Node goes over to a tunnel it has when UDP stops", () => {
  const pair = new Pair();
  pair.udpPasses = true;
  pair.run(10_000);
  assert.deepEqual(pair.ways, [false, false]);
  pair.udpPasses = false;
  pair.run(22_000); // keepalive, when nothing else is sent
  assert.equal(pair.ways[0], true);
});

Deno.test("Node forgets at once who came by a tunnel that ended, and not where it was", () => {
  const pair = new Pair();
  pair.run(1_000);
  const { contact, vl1 } = pair.root;
  const alice = vl1.peers.get(ALICE.address)!;
  assert.equal(alice.paths.length, 1);
  pair.give(pair.root, { kind: "hung-up", socket: ACCEPTED.id, from: TCP_FROM });
  assert.equal(alice.paths.length, 0);
  assert.deepEqual(contact.hints.of(ALICE.address), [], "a TCP port is nothing to try by UDP");
});

Deno.test("Node forgets with a peer by which tunnel it came, though that stays open", () => {
  const pair = new Pair();
  pair.run(1_000);
  const { root, time } = pair;
  assert.equal(root.contact.tunnelledSize, 1);
  time.nowMs += 600_000; // nothing of the peer's comes any more
  while (root.deadlineMs <= time.nowMs) pair.give(root, { kind: "timeout" });
  assert.equal(root.vl1.peers.has(ALICE.address), false);
  assert.equal(root.contact.tunnelledSize, 0);
});

Deno.test("Node loses what went by a tunnel when it is gone, and doubts nothing else", () => {
  const pair = new Pair();
  pair.udpPasses = true;
  pair.run(10_000);
  const root = pair.alice.vl1.peers.get(ROOT.address)!;
  assert.equal(root.paths.length, 2);
  pair.give(pair.alice, { kind: "links", sockets: [UDP], own: [] });
  assert.deepEqual(root.paths.map(({ path }) => path.socket), [UDP.id]);
  assert.equal(root.best(pair.time.nowMs)?.path.socket, UDP.id);
});

Deno.test("Vl1.socketsFor() offers tunnels of ours for upstreams only, last; others' never", () => {
  const vl1 = vl1Of(ALICE);
  vl1.sockets = [UDP, TUNNEL, ACCEPTED];
  const to = endpoint("44.0.0.9/1");
  assert.deepEqual(vl1.socketsFor(to, ROOT.address), [UDP, TUNNEL]);
  assert.deepEqual(vl1.socketsFor(to, BOB.address), [UDP]);
});

Deno.test("Vl1.mayUse() takes a tunnel of others from anywhere but our own networks", () => {
  const vl1 = vl1Of(ROOT);
  vl1.sockets = [UDP, ACCEPTED];
  const loopback = endpoint("127.0.0.1/40000"); // a web server of the owner in front of us
  assert.equal(vl1.mayUse(ALICE.address, vl1.paths.get(ACCEPTED.id, loopback)), true);
  assert.equal(vl1.mayUse(ALICE.address, vl1.paths.get(UDP.id, loopback)), false);
  vl1.own = [{ ip: parseIp("10.9.0.1")!, bits: 24 }];
  const inside = endpoint("10.9.0.7/40000");
  assert.equal(vl1.mayUse(ALICE.address, vl1.paths.get(ACCEPTED.id, inside)), false);
});

Deno.test("Relay.introduce() never names the end of a tunnel", () => {
  const vl1 = vl1Of(ROOT);
  vl1.sockets = [UDP, ACCEPTED];
  const bob = peerWithPath(vl1, BOB);
  const alice = vl1.addPeer(ALICE.publicOnly())!;
  const path = vl1.paths.get(ACCEPTED.id, TCP_FROM);
  vl1.paths.keep(path);
  alice.learn(path, vl1.nowMs);
  const relay = new Relay(vl1);
  relay.introduce(alice, bob);
  assert.deepEqual(sentBy(vl1), []);
  peerWithPath(vl1, ALICE);
  relay.introduce(alice, bob);
  assert.deepEqual(sentBy(vl1).map(({ verb }) => verb), [Verb.RENDEZVOUS, Verb.RENDEZVOUS]);
});

Deno.test("Paths.knows() counts endpoints proved over UDP, has() any", () => {
  const vl1 = vl1Of(ROOT);
  vl1.paths.keep(vl1.paths.get(ACCEPTED.id, TCP_FROM));
  assert.equal(vl1.paths.has(ACCEPTED.id, TCP_FROM), true);
  assert.equal(vl1.paths.has(UDP.id, TCP_FROM), false);
  assert.equal(vl1.paths.knows(TCP_FROM), false);
  vl1.paths.keep(vl1.paths.get(UDP.id, TCP_FROM));
  assert.equal(vl1.paths.knows(TCP_FROM), true);
});
