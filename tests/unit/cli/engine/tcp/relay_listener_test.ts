/** Real connections on loopback: what a listener takes for what, and our own client against it. */
import assert from "node:assert/strict";
import { formatEndpoint, parseEndpoint, parseIp } from "../../../../../lib/base/ip.ts";
import { ACCEPTED_SOCKET_MIN } from "../../../../../lib/peer/path.ts";
import { makeCertificate } from "../../../../../cli/engine/tcp/certificate.ts";
import { OutgoingTunnel, type Relay } from "../../../../../cli/engine/tcp/outgoing_tunnel.ts";
import { RelayHub } from "../../../../../cli/engine/tcp/relay_hub.ts";
import { OPENING_MAX, RelayListener } from "../../../../../cli/engine/tcp/relay_listener.ts";
import { upgradeRequest } from "../../../../../cli/engine/tcp/upgrade.ts";
import { WebSocketFraming } from "../../../../../cli/engine/tcp/websocket_framing.ts";
import { encodePayload } from "../../../../../cli/engine/tcp/payload.ts";

const random = (bytes: Uint8Array) => {
  crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
};
const ROOT = parseEndpoint("44.0.0.1/9993")!;
const PATIENCE_MS = 10_000;

/** A relay whose node answers every datagram with itself. */
function startRelay(hostname = "127.0.0.1", openingMs?: number) {
  const heard: string[] = [];
  const hub: RelayHub = new RelayHub({
    nowMs: () => performance.now(),
    isSelf: (to) => formatEndpoint(to) === formatEndpoint(ROOT),
    isProved: () => true,
    isKnown: () => false,
    onDatagram: (socket, from, bytes) => {
      heard.push(`${formatEndpoint(from).split("/")[0]} ${bytes.length}`);
      hub.send(socket, from, bytes.slice());
    },
    onSocket: () => {},
    onHungUp: () => heard.push("hung up"),
    forwarder: () => assert.fail("nothing is forwarded"),
  });
  const serial = new Uint8Array(8);
  random(serial);
  const listener = RelayListener.open(
    0,
    hub,
    makeCertificate(Date.now(), serial),
    openingMs,
  );
  const endpoint = { ip: parseIp(hostname)!, port: listener.port };
  return { heard, hub, listener, endpoint };
}

/** Waits for something that happens elsewhere. */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    assert.ok(performance.now() < untilMs, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function dial(relay: Relay, isOwn = false) {
  const seen = { open: false, closed: false, got: [] as string[] };
  const tunnel = new OutgoingTunnel(relay, {
    random,
    version: [1, 14, 1],
    isOwn: () => isOwn,
    onProxy: () => {},
    onOpen: () => seen.open = true,
    onDatagram: (from, bytes) => seen.got.push(`${formatEndpoint(from)} ${bytes.length}`),
    onClosed: () => seen.closed = true,
  });
  return { tunnel, seen };
}

for (const protocol of ["reference", "websocket"] as const) {
  for (const hostname of ["127.0.0.1", "::1"]) {
    Deno.test(`OutgoingTunnel and RelayListener carry datagrams (${protocol}, ${hostname})`, async () => {
      const { heard, hub, listener, endpoint } = startRelay(hostname);
      const { tunnel, seen } = dial({ endpoint, protocol });
      await until("open", () => seen.open);
      for (const length of [28, 1_432, 10_000]) tunnel.send(ROOT, new Uint8Array(length));
      await until("three answers", () => seen.got.length === 3);
      assert.deepEqual(seen.got, ["44.0.0.1/9993 28", "44.0.0.1/9993 1432", "44.0.0.1/9993 10000"]);
      assert.equal(heard[0], `${hostname} 28`, "the far end is known through TLS too");
      assert.equal(hub.size, 1);
      tunnel.close();
      assert.equal(seen.closed, true);
      await until("the root hears of it", () => heard.includes("hung up"));
      assert.equal(hub.size, 0);
      listener.close();
    });
  }
}

Deno.test("OutgoingTunnel hears when its relay ends", async () => {
  for (const protocol of ["reference", "websocket"] as const) {
    const { listener, endpoint } = startRelay();
    const { seen } = dial({ endpoint, protocol });
    await until("open", () => seen.open);
    if (protocol === "reference") await new Promise((resolve) => setTimeout(resolve, 50));
    listener.close();
    await until("closed", () => seen.closed);
  }
});

Deno.test("OutgoingTunnel refuses a way through our own networks, and a port where nobody is", async () => {
  const { listener, endpoint } = startRelay();
  const own = dial({ endpoint, protocol: "reference" }, true);
  await until("closed", () => own.seen.closed);
  assert.equal(own.seen.open, false);
  listener.close();
  for (const protocol of ["reference", "websocket"] as const) {
    const { seen } = dial({ endpoint, protocol });
    await until("closed", () => seen.closed);
    assert.equal(seen.open, false);
  }
});

Deno.test("OutgoingTunnel refuses a web server that does not agree", async () => {
  const serial = new Uint8Array(8);
  random(serial);
  const { cert, key } = makeCertificate(Date.now(), serial);
  const server = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const served = server.accept().then(async (connection) => {
    await connection.read(new Uint8Array(4_096));
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
    await connection.read(new Uint8Array(1)).catch(() => null);
    connection.close();
  });
  const { port } = server.addr as Deno.NetAddr;
  const { seen } = dial({ endpoint: { ip: parseIp("127.0.0.1")!, port }, protocol: "websocket" });
  await until("closed", () => seen.closed);
  assert.equal(seen.open, false);
  await served;
  server.close();
});

/** Sends bytes as they are. @returns what came back until the end, as text */
async function say(port: number, bytes: Uint8Array): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(bytes);
  const chunks: string[] = [];
  const buffer = new Uint8Array(4_096);
  for (;;) {
    const length = await connection.read(buffer).catch(() => null);
    if (length === null) break;
    chunks.push(new TextDecoder("latin1").decode(buffer.subarray(0, length)));
  }
  connection.close();
  return chunks.join("");
}

Deno.test("RelayListener hangs up on what it does not know, and says 404 to browsers", async () => {
  const { hub, listener } = startRelay();
  const text = (line: string) => new TextEncoder().encode(line);
  assert.equal(await say(listener.port, text("SSH-2.0-x\r\n")), "");
  assert.equal(await say(listener.port, Uint8Array.of(0x17, 3, 1, 0, 4)), "");
  assert.equal(await say(listener.port, Uint8Array.of(0x17, 3, 3, 0xff, 0xff)), "");
  assert.match(
    await say(listener.port, text("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
    /^HTTP\/1.1 404 /,
  );
  assert.equal(await say(listener.port, text(`GET / HTTP/1.1\r\n${"A".repeat(20_000)}`)), "");
  const noHello = Uint8Array.of(0x16, 3, 1, 0, 4, 0xff, 0, 0, 0);
  const alert = await say(listener.port, noHello);
  assert.ok(alert === "" || alert.charCodeAt(0) === 0x15, "at most a TLS alert");
  await until("nobody is left", () => hub.size === 0);
  listener.close();
});

Deno.test("RelayListener gives nobody long to become a tunnel, wherever it stops", async () => {
  const { listener } = startRelay("127.0.0.1", 200);
  const stalls = [
    Uint8Array.of(),
    Uint8Array.of(0x16, 3, 1, 0, 200, 1), // the beginning of a ClientHello
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a"),
  ];
  const said = await Promise.all(stalls.map((bytes) => say(listener.port, bytes)));
  assert.deepEqual(said, ["", "", ""]);
  listener.close();
});

Deno.test("RelayListener lets clients in while as many as it waits for say nothing", async () => {
  const { listener, endpoint } = startRelay();
  const silent: Deno.Conn[] = [];
  for (let i = 0; i < OPENING_MAX; i++) {
    silent.push(await Deno.connect({ hostname: "127.0.0.1", port: listener.port }));
  }
  for (const protocol of ["reference", "websocket"] as const) {
    const { tunnel, seen } = dial({ endpoint, protocol });
    await until(`open (${protocol})`, () => seen.open);
    await until("an answer", () => {
      tunnel.send(ROOT, new Uint8Array(64));
      return seen.got.length > 0;
    });
    tunnel.close();
  }
  assert.equal(await silent[0].read(new Uint8Array(1)).catch(() => null), null, "the oldest went");
  for (const conn of silent) conn.close();
  listener.close();
});

/** Whether the kernel still holds the end at `port` of the connection from port `from`. */
function isHeld(port: number, from: number): boolean {
  const hex = (number: number) => number.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`:${hex(port)} [0-9A-F]+:${hex(from)} 01 `); // 01: established
  return line.test(Deno.readTextFileSync("/proc/net/tcp6"));
}

Deno.test("RelayListener ends a tunnel that is cut, though its far end takes nothing any more", async () => {
  const { heard, hub, listener } = startRelay();
  const middle = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const endpoint = { ip: parseIp("127.0.0.1")!, port: (middle.addr as Deno.NetAddr).port };
  const { tunnel } = dial({ endpoint, protocol: "websocket" });
  const near = await middle.accept();
  const far = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  void near.readable.pipeTo(far.writable).catch(() => {});
  void (async () => {
    const buffer = new Uint8Array(16_384);
    while (heard.length === 0) await near.write(buffer.subarray(0, await far.read(buffer) ?? 0));
  })(); // from then on nobody takes what the relay says
  await until("heard", () => {
    tunnel.send(ROOT, new Uint8Array(64));
    return heard.length > 0;
  });
  const { port } = far.localAddr as Deno.NetAddr;
  const client = { ip: endpoint.ip, port };
  let refused = 0;
  await until("there is no room for more", () => {
    refused++;
    while (hub.send(ACCEPTED_SOCKET_MIN, client, new Uint8Array(10_000))) refused = 0;
    return refused > 40;
  });
  hub.close();
  await until("it is cut", () => heard.includes("hung up"));
  await until("the kernel has forgotten it", () => !isHeld(listener.port, port));
  listener.close();
  tunnel.close();
  far.close();
  middle.close();
});

Deno.test("RelayListener takes a WebSocket without TLS, as a web server in front passes it on", async () => {
  const { heard, listener } = startRelay();
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  const framing = new WebSocketFraming({ random, reply: () => {} });
  const frame = framing.wrap(encodePayload({ endpoint: ROOT, datagram: new Uint8Array(64) }));
  const request = upgradeRequest("relay", new Uint8Array(16));
  await connection.write(Uint8Array.of(...request, ...frame)); // in one piece: nothing may get lost
  await until("heard", () => heard.length > 0);
  assert.deepEqual(heard, ["127.0.0.1 64"]);
  connection.close();
  listener.close();
});

Deno.test("RelayListener refuses a taken port, saying what to do", () => {
  const { hub, listener } = startRelay();
  const serial = new Uint8Array(8);
  assert.throws(
    () => RelayListener.open(listener.port, hub, makeCertificate(Date.now(), serial)),
    /EADDRINUSE.*another program uses it/,
  );
  listener.close();
});
