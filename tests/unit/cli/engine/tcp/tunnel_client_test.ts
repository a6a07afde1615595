/** The race for a tunnel, against relays on loopback. */
import assert from "node:assert/strict";
import { type Endpoint, parseEndpoint, parseIp } from "../../../../../lib/base/ip.ts";
import { isAccepted, isTunnel, type SocketId } from "../../../../../lib/peer/path.ts";
import { makeCertificate } from "../../../../../cli/engine/tcp/certificate.ts";
import type { Relay } from "../../../../../cli/engine/tcp/outgoing_tunnel.ts";
import { RelayHub } from "../../../../../cli/engine/tcp/relay_hub.ts";
import { RelayListener } from "../../../../../cli/engine/tcp/relay_listener.ts";
import { parseHttpProxy } from "../../../../../cli/engine/tcp/http_proxy.ts";
import { STUCK_MAX, TunnelClient } from "../../../../../cli/engine/tcp/tunnel_client.ts";
import { startConnectProxy } from "../../../../e2e/connect_proxy.ts";

const ROOT = parseEndpoint("44.0.0.1/9993")!;
const LOOPBACK = parseIp("127.0.0.1")!;
const PATIENCE_MS = 10_000;
const random = (bytes: Uint8Array) => {
  crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
};

/** A relay before a root that answers, or does not. */
function startRelay(answers = true) {
  const hub: RelayHub = new RelayHub({
    nowMs: () => performance.now(),
    isSelf: () => true,
    isProved: () => true,
    isKnown: () => false,
    onDatagram: (socket, from, bytes) => {
      if (answers) hub.send(socket, from, bytes.slice());
    },
    onSocket: () => {},
    onHungUp: () => {},
    forwarder: () => assert.fail("nothing is forwarded"),
  });
  const listener = RelayListener.open(0, hub, makeCertificate(Date.now(), new Uint8Array(8)));
  return { hub, listener, endpoint: { ip: LOOPBACK, port: listener.port } };
}

/** A client whose node says HELLO by every socket it is given, and trusts every answer. */
function startClient() {
  const reached = new Set<SocketId>();
  const greeted = new Set<SocketId>();
  const changes: string[] = [];
  const troubles: (string | undefined)[] = [];
  const client: TunnelClient = new TunnelClient({
    random,
    version: [1, 14, 1],
    isOwn: () => false,
    isReachedBy: (sockets) => sockets.some((id) => reached.has(id)),
    onProxy: (_hop, trouble) => troubles.push(trouble?.kind),
    onDatagram: (socket) => reached.add(socket),
    onSockets: () => {
      for (const { id, ip } of client.sockets) {
        if (ip.length !== 4 || greeted.has(id)) continue;
        greeted.add(id);
        client.send(id, ROOT, new Uint8Array(64));
      }
    },
    onChange: (what) => changes.push(what),
  });
  return { client, changes, troubles };
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    assert.ok(performance.now() < untilMs, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const relay = (endpoint: Endpoint, protocol: Relay["protocol"]): Relay => ({ endpoint, protocol });

/** The same through a proxy at that port. */
function through(
  port: number,
  relays: Relay[],
  credentials = "",
  hostname = "127.0.0.1",
): Promise<Relay[]> {
  const proxy = parseHttpProxy(`http://${credentials}proxy:${port}`)!;
  const hop = { proxy, at: { ip: parseIp(hostname)!, port } };
  return Promise.resolve(relays.map((one) => ({ ...one, hop })));
}

/** An endpoint where nobody listens. */
function nobody(): Endpoint {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  taken.close();
  return { ip: LOOPBACK, port };
}

Deno.test({
  name: "TunnelClient takes the first relay by which a root answers, and closes the others",
  // Deno 2.4 keeps a connection that was ended in the middle of its TLS handshake until the far end closes it.
  sanitizeResources: false,
  fn: async () => {
    const mute = startRelay(false); // opens, but no root is behind it
    const good = startRelay();
    const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 }); // takes connections and says nothing
    const silentEndpoint = { ip: LOOPBACK, port: (silent.addr as Deno.NetAddr).port };
    const { client, changes } = startClient();
    client.dial([
      relay(silentEndpoint, "websocket"),
      relay(mute.endpoint, "reference"),
      relay(good.endpoint, "reference"),
      relay(good.endpoint, "websocket"),
    ]);
    assert.equal(client.state, "dialing");
    await until("up", () => client.state === "up");
    assert.deepEqual(client.relay, relay(good.endpoint, "reference"));
    assert.deepEqual(changes, ["up"]);
    assert.equal(client.isAnswered, true);
    assert.deepEqual(client.sockets.map(({ ip }) => ip.length), [4, 16]);
    assert.ok(client.sockets.every(({ id }) => isTunnel(id) && !isAccepted(id)));
    await until("the mute one is closed", () => mute.hub.size === 0);
    good.listener.close();
    await until("broken", () => client.state === "none");
    assert.deepEqual(changes, ["up", "broken"]);
    assert.deepEqual(client.sockets, []);
    mute.listener.close();
    silent.close();
  },
});

Deno.test("TunnelClient fails once when no relay is any good, without waiting for those that refuse", async () => {
  const { client, changes } = startClient();
  client.dial([relay(nobody(), "websocket"), relay(nobody(), "reference")]);
  await until("failed", () => changes.length > 0);
  assert.deepEqual(changes, ["failed"]);
  assert.equal(client.state, "none");
  client.dial([]);
  assert.deepEqual(changes, ["failed", "failed"]);
});

Deno.test("TunnelClient gives up a relay behind which no root answers", async () => {
  const mute = startRelay(false);
  const { client, changes } = startClient();
  client.dial([relay(mute.endpoint, "reference")]);
  await until("failed", () => changes.length > 0);
  assert.deepEqual(changes, ["failed"]);
  await until("closed", () => mute.hub.size === 0);
  mute.listener.close();
});

Deno.test("TunnelClient.hangUp() ends an attempt and a tunnel without a word", async () => {
  const good = startRelay();
  const { client, changes } = startClient();
  client.dial([relay(good.endpoint, "websocket"), relay(good.endpoint, "reference")]);
  client.hangUp();
  assert.equal(client.state, "none");
  client.dial([relay(good.endpoint, "reference")]);
  await until("up", () => client.state === "up");
  const first = client.sockets.map(({ id }) => id);
  client.hangUp();
  assert.deepEqual(client.sockets, []);
  assert.equal(client.send(first[0], ROOT, new Uint8Array(64)), false);
  client.dial([relay(good.endpoint, "reference")]);
  await until("up again", () => client.state === "up");
  assert.ok(client.sockets.every(({ id }) => !first.includes(id)), "ids are never used twice");
  client.hangUp();
  assert.deepEqual(changes, ["up", "up"]);
  good.listener.close();
  await until("closed", () => good.hub.size === 0);
});

Deno.test("TunnelClient leaves TLS alone where its handshakes hang, until the network changes", async () => {
  const good = startRelay();
  const both = [relay(good.endpoint, "websocket"), relay(good.endpoint, "reference")];
  const { client } = startClient();
  for (let i = 0; i < STUCK_MAX; i++) {
    client.dial(both);
    client.hangUp(); // in the middle of the handshake
  }
  client.dial(both);
  await until("up", () => client.state === "up");
  assert.equal(client.relay?.protocol, "reference");
  client.forgive();
  client.dial(both);
  await until("up again", () => client.state === "up");
  assert.equal(client.relay?.protocol, "websocket");
  client.hangUp();
  good.listener.close();
  await until("closed", () => good.hub.size === 0);
});

for (const protocol of ["websocket", "reference"] as const) {
  for (const hostname of ["127.0.0.1", "::1"]) {
    Deno.test(`TunnelClient finds a way through a proxy where there is no other (${protocol}, ${hostname})`, async () => {
      const good = startRelay();
      const endpoint = { ip: parseIp(hostname)!, port: good.endpoint.port };
      const proxy = startConnectProxy(hostname, 0, "me:secret");
      const { client, changes, troubles } = startClient();
      const proxied = through(proxy.port, [relay(endpoint, protocol)], "me:secret@", hostname);
      client.dial([relay(nobody(), protocol)], proxied);
      await until("up", () => client.state === "up");
      assert.deepEqual(client.relay?.endpoint, endpoint);
      assert.equal(client.relay?.hop?.at.port, proxy.port);
      assert.deepEqual([changes, troubles], [["up"], [undefined]]);
      assert.deepEqual(proxy.answered, [`${hostname}/${endpoint.port} 200`]);
      const [{ id }] = client.sockets;
      assert.equal(client.send(id, ROOT, new Uint8Array(1_400)), true);
      client.hangUp();
      await until("closed", () => good.hub.size === 0);
      good.listener.close();
      proxy.close();
    });
  }
}

Deno.test("TunnelClient prefers the direct way, and closes what it asked a proxy for", async () => {
  const good = startRelay();
  const proxy = startConnectProxy("127.0.0.1", 0, undefined);
  const { client } = startClient();
  const relays = [relay(good.endpoint, "reference")];
  client.dial(relays, through(proxy.port, relays));
  await until("up", () => client.state === "up");
  assert.equal(client.relay?.hop, undefined);
  client.hangUp();
  await until("closed", () => good.hub.size === 0);
  good.listener.close();
  proxy.close();
});

Deno.test("TunnelClient connects directly whatever a wrong proxy does", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 }); // takes connections and says nothing
  const ports = [(silent.addr as Deno.NetAddr).port, nobody().port];
  for (const port of ports) {
    const good = startRelay();
    const { client, changes } = startClient();
    const proxied = through(port, [relay(good.endpoint, "reference")]);
    const never = relay({ ip: LOOPBACK, port: ports[0] }, "reference");
    client.dial([never, never, relay(good.endpoint, "reference")], proxied);
    await until("up", () => client.state === "up");
    assert.deepEqual([client.relay?.hop, changes], [undefined, ["up"]]);
    client.hangUp();
    good.listener.close();
    await until("closed", () => good.hub.size === 0);
  }
  silent.close();
});

Deno.test("TunnelClient gives a proxy a wrong password once in an attempt", async () => {
  const good = startRelay();
  const proxy = startConnectProxy("127.0.0.1", 0, "me:secret");
  const { client, changes, troubles } = startClient();
  const relays = [relay(good.endpoint, "websocket"), relay(good.endpoint, "reference")];
  client.dial([relay(nobody(), "reference")], through(proxy.port, relays, "me:wrong@"));
  await until("failed", () => changes.length > 0);
  assert.deepEqual([changes, troubles], [["failed"], ["password"]]);
  assert.equal(proxy.answered.length, 1);
  good.listener.close();
  proxy.close();
});

Deno.test("TunnelClient.hangUp() ends what waits for a proxy's address, and what a proxy is asked", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = silent.addr as Deno.NetAddr;
  const { client, changes, troubles } = startClient();
  const late = Promise.withResolvers<Relay[]>();
  client.dial([relay(nobody(), "reference")], late.promise);
  assert.equal(client.state, "dialing");
  client.hangUp();
  late.resolve(await through(port, [relay(nobody(), "reference")]));
  await late.promise;
  assert.equal(client.state, "none");
  client.dial([], through(port, [relay(nobody(), "reference")]));
  const conn = await silent.accept();
  await until("asked", () => client.state === "dialing");
  client.hangUp();
  const buffer = new Uint8Array(1_000);
  while (await conn.read(buffer) !== null); // our end is closed
  assert.deepEqual([client.state, changes, troubles], ["none", [], []]);
  conn.close();
  silent.close();
});
