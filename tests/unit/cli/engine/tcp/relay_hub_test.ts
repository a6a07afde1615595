import assert from "node:assert/strict";
import { WireError } from "../../../../../lib/base/errors.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../../../../lib/base/ip.ts";
import { ACCEPTED_SOCKET_MIN } from "../../../../../lib/peer/path.ts";
import { decodePayload, encodePayload } from "../../../../../cli/engine/tcp/payload.ts";
import {
  encodeGreeting,
  ReferenceFraming,
} from "../../../../../cli/engine/tcp/reference_framing.ts";
import {
  type AcceptedTunnel,
  IDLE_MS,
  RelayHub,
  TUNNELS_MAX,
  TUNNELS_PER_SITE_MAX,
  UNPROVED_BYTES_MAX,
  UNPROVED_MS,
} from "../../../../../cli/engine/tcp/relay_hub.ts";

const endpoint = (text: string): Endpoint => parseEndpoint(text)!;
const ROOT = endpoint("44.0.0.1/9993");
const ROOT6 = endpoint("2001:db8::1/9993");
const PEER = endpoint("44.0.0.7/9993");
const BYSTANDER = endpoint("44.0.0.8/53");
const DATAGRAM = new Uint8Array(40).fill(9);

/** A hub, and everything it did. */
class Bench {
  nowMs = 1_000;
  proved = false;
  room = true;
  readonly log: string[] = [];
  readonly hub = new RelayHub({
    nowMs: () => this.nowMs,
    isSelf: (to) => [ROOT, ROOT6].map(formatEndpoint).includes(formatEndpoint(to)),
    isProved: () => this.proved,
    isKnown: (to) => formatEndpoint(to) === formatEndpoint(PEER),
    onDatagram: (socket, from, bytes) =>
      this.log.push(`node ${socket - ACCEPTED_SOCKET_MIN} ${formatEndpoint(from)} ${bytes.length}`),
    onSocket: () => this.log.push("socket"),
    onHungUp: (socket, from) =>
      this.log.push(`hung up ${socket - ACCEPTED_SOCKET_MIN} ${formatEndpoint(from)}`),
    forwarder: (family, onDatagram) => {
      this.log.push(`open UDP ${family}`);
      this.answer = onDatagram;
      return {
        send: (to, bytes) => this.log.push(`UDP ${formatEndpoint(to)} ${bytes.length}`),
        close: () => this.log.push("close UDP"),
      };
    },
  });
  answer: (from: Endpoint, bytes: Uint8Array) => void = () => {};

  /** A client of the reference's kind. */
  client(from: string, greets = true): Client {
    const client = new Client(this, endpoint(from));
    if (greets && client.tunnel) client.says(encodeGreeting([1, 14, 1]));
    return client;
  }

  logged(): string[] {
    return this.log.splice(0);
  }
}

class Client {
  readonly tunnel: AcceptedTunnel | undefined;
  readonly got: string[] = [];
  closed = false;
  readonly #framing = new ReferenceFraming();

  constructor(readonly bench: Bench, from: Endpoint) {
    const framing = new ReferenceFraming();
    const stream = {
      write: (bytes: Uint8Array) => {
        for (const message of framing.take(bytes)) {
          const { endpoint, datagram } = decodePayload(message)!;
          this.got.push(`${formatEndpoint(endpoint)} ${datagram.length}`);
        }
        return bench.room;
      },
      close: () => {
        this.closed = true;
        if (this.tunnel) bench.hub.remove(this.tunnel);
      },
    };
    this.tunnel = bench.hub.add(from, stream, new ReferenceFraming(), true);
  }

  says(message: Uint8Array): void {
    this.bench.hub.take(this.tunnel!, this.#framing.wrap(message));
  }

  sends(to: Endpoint, datagram = DATAGRAM): void {
    this.says(encodePayload({ endpoint: to, datagram }));
  }
}

Deno.test("RelayHub hands what is for the root to the node, and its answers back from the same endpoint", () => {
  const bench = new Bench();
  const client = bench.client("44.0.9.9/50000");
  client.sends(ROOT);
  client.sends(ROOT6);
  client.sends(ROOT);
  assert.deepEqual(bench.logged(), [
    "socket",
    "node 0 44.0.9.9/50000 40",
    "socket",
    "node 1 44.0.9.9/50000 40",
    "node 0 44.0.9.9/50000 40",
  ]);
  assert.deepEqual(bench.hub.sockets.map(({ ip }) => ip.length), [4, 16]);
  const to = endpoint("44.0.9.9/50000");
  assert.equal(bench.hub.send(ACCEPTED_SOCKET_MIN + 1, to, DATAGRAM), true);
  assert.equal(bench.hub.send(ACCEPTED_SOCKET_MIN, to, DATAGRAM), true);
  assert.deepEqual(client.got, ["2001:db8::1/9993 40", "44.0.0.1/9993 40"]);
  assert.equal(bench.hub.send(ACCEPTED_SOCKET_MIN, endpoint("44.0.9.9/50001"), DATAGRAM), false);
  assert.equal(bench.hub.send(ACCEPTED_SOCKET_MIN + 2, to, DATAGRAM), false);
  bench.room = false;
  assert.equal(bench.hub.send(ACCEPTED_SOCKET_MIN, to, DATAGRAM), false);
});

Deno.test("RelayHub is no reflector: nothing goes to strangers, and nothing for strangers", () => {
  const bench = new Bench();
  const client = bench.client("44.0.9.9/50000");
  client.sends(PEER); // it has proved nothing yet
  client.sends(BYSTANDER);
  assert.deepEqual(bench.logged(), []);
  bench.proved = true;
  client.sends(ROOT);
  client.sends(BYSTANDER);
  client.sends(endpoint("127.0.0.1/9993"));
  assert.deepEqual(bench.logged(), ["socket", "node 0 44.0.9.9/50000 40"]);
  client.sends(PEER);
  client.sends(PEER);
  assert.deepEqual(bench.logged(), [
    "open UDP 4",
    "UDP 44.0.0.7/9993 40",
    "UDP 44.0.0.7/9993 40",
  ]);
  bench.answer(PEER, DATAGRAM);
  assert.deepEqual(client.got, ["44.0.0.7/9993 40"]);
});

Deno.test("RelayHub drops what is too short to be a packet", () => {
  const bench = new Bench();
  const client = bench.client("44.0.9.9/50000");
  client.sends(ROOT, new Uint8Array(15));
  assert.deepEqual(bench.logged(), []);
  client.sends(ROOT, new Uint8Array(16));
  assert.deepEqual(bench.logged(), ["socket", "node 0 44.0.9.9/50000 16"]);
});

Deno.test("RelayHub closes on who does not greet, and on nonsense", () => {
  const bench = new Bench();
  assert.throws(() => bench.client("44.0.9.9/1", false).sends(ROOT), WireError);
  const client = bench.client("44.0.9.9/2");
  assert.throws(() => client.says(Uint8Array.of(9, 9, 9, 9, 9, 9, 9)), WireError);
  assert.throws(() => bench.hub.take(client.tunnel!, new Uint8Array(9)), WireError);
  assert.deepEqual(bench.logged(), []);
});

Deno.test("RelayHub takes little from who has not proved itself, and does not wait long", () => {
  const bench = new Bench();
  const client = bench.client("44.0.9.9/50000");
  const big = new Uint8Array(8_000);
  let sent = 0;
  assert.throws(() => {
    for (; sent < 100; sent++) client.sends(ROOT, big);
  }, WireError);
  assert.equal(sent, Math.floor(UNPROVED_BYTES_MAX / 8_012));

  const late = bench.client("44.0.9.9/50001");
  late.sends(ROOT);
  bench.nowMs += UNPROVED_MS - 1;
  bench.hub.sweep();
  assert.equal(late.closed, false);
  bench.nowMs += 1;
  bench.hub.sweep();
  assert.equal(late.closed, true);
  assert.ok(bench.logged().includes("hung up 0 44.0.9.9/50001"));
});

Deno.test("RelayHub lets a proved client send on, and cuts it when it is idle", () => {
  const bench = new Bench();
  const client = bench.client("44.0.9.9/50000");
  bench.proved = true;
  const big = new Uint8Array(8_000);
  for (let i = 0; i < 100; i++) client.sends(ROOT, big);
  client.sends(PEER);
  bench.nowMs += IDLE_MS - 1;
  bench.hub.sweep();
  assert.equal(client.closed, false);
  bench.logged();
  bench.nowMs += 1;
  bench.hub.sweep();
  assert.equal(client.closed, true);
  assert.deepEqual(bench.logged(), ["close UDP", "hung up 0 44.0.9.9/50000"]);
  assert.equal(bench.hub.size, 0);
});

Deno.test("RelayHub bounds the rate of one client", () => {
  const bench = new Bench();
  bench.proved = true;
  const client = bench.client("44.0.9.9/50000");
  client.sends(ROOT);
  bench.logged();
  const big = new Uint8Array(16_000);
  for (let i = 0; i < 1_000; i++) client.sends(ROOT, big); // 16 MB at once
  const through = bench.logged().length * big.length;
  assert.ok(through > 3_900_000 && through <= 4_194_304, `${through} bytes of the burst`);
  bench.nowMs += 100;
  for (let i = 0; i < 1_000; i++) client.sends(ROOT, big);
  const more = bench.logged().length * big.length;
  assert.ok(more > 800_000 && more < 860_000, `${more} bytes in a tenth of a second`);
});

/** @returns whether there was room for a node from there, which proves to be one at once */
function joins(bench: Bench, from: string): boolean {
  const client = bench.client(from);
  if (client.tunnel) client.sends(ROOT);
  return client.tunnel !== undefined;
}

Deno.test("RelayHub bounds clients in all and from one host, but not those of our own proxy", () => {
  for (
    const [host, same, other] of [
      ["44.0.9.9", "44.0.9.9", "44.0.9.10"],
      ["2600::9", "2600::a:8", "2600:0:0:1::9"],
    ]
  ) {
    const bench = new Bench();
    bench.proved = true;
    for (let i = 0; i < TUNNELS_MAX / 2; i++) assert.ok(joins(bench, `127.0.0.1/${10_000 + i}`));
    for (let i = 0; i < TUNNELS_PER_SITE_MAX; i++) assert.ok(joins(bench, `${host}/${1_000 + i}`));
    assert.ok(!joins(bench, `${same}/5000`));
    assert.ok(joins(bench, `${other}/5000`));
    for (let i = bench.hub.size; i < TUNNELS_MAX; i++) {
      assert.ok(joins(bench, `${i % 2 === 0 ? "127.0.0.1" : "::1"}/${1_000 + i}`));
    }
    assert.ok(!joins(bench, "44.0.9.11/1000"));
    assert.equal(bench.hub.size, TUNNELS_MAX);
    bench.hub.close();
    assert.equal(bench.hub.size, 0);
    assert.ok(joins(bench, `${host}/1000`));
  }
});

Deno.test("RelayHub lets an office of hundreds in, but not as many who prove nothing", () => {
  const bench = new Bench();
  bench.proved = true;
  for (let i = 0; i < TUNNELS_MAX / 2; i++) assert.ok(joins(bench, `44.0.9.9/${1_000 + i}`));
  assert.ok(!joins(bench, "44.0.9.9/5000"), "half of the places are for others");
  assert.ok(joins(bench, "44.0.9.10/5000"));
  const other = new Bench();
  for (let i = 0; i < 2 * TUNNELS_PER_SITE_MAX; i++) other.client(`44.0.9.9/${1_000 + i}`);
  assert.equal(other.hub.size, TUNNELS_PER_SITE_MAX);
});

Deno.test("RelayHub lets nodes in while strangers fill all places, and keeps those it has", () => {
  const bench = new Bench();
  bench.proved = true;
  assert.ok(joins(bench, "44.0.9.9/1000"));
  bench.proved = false;
  const strangers = Array.from(
    { length: TUNNELS_MAX - 1 },
    (_, i) => bench.client(`45.0.${i >> 8}.${i & 0xff}/1000`),
  );
  const late = bench.client("44.0.9.10/1000");
  assert.ok(late.tunnel, "a place is made");
  assert.deepEqual(strangers.filter(({ closed }) => closed), strangers.slice(0, 1), "the oldest");
  bench.proved = true;
  late.sends(ROOT);
  bench.proved = false;
  for (let i = 0; i < 2 * TUNNELS_MAX; i++) bench.client(`46.0.${i >> 8}.${i & 0xff}/1000`);
  assert.equal(bench.hub.size, TUNNELS_MAX);
  assert.equal(late.closed, false);
});
