import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { type Endpoint, formatEndpoint, parseIp } from "../../../../../lib/base/ip.ts";
import { openForwarder } from "../../../../../cli/engine/tcp/udp_forwarder.ts";

const PATIENCE_MS = 10_000;

/** A socket on loopback that answers with itself, and notes who asked. */
async function startEcho(family: 4 | 6) {
  const socket: Socket = createSocket(family === 4 ? "udp4" : "udp6");
  const asked: number[] = [];
  socket.on("message", (bytes, from) => {
    asked.push(from.port);
    socket.send(bytes, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, family === 4 ? "127.0.0.1" : "::1", resolve));
  const ip = parseIp(family === 4 ? "127.0.0.1" : "::1")!;
  return { socket, asked, endpoint: { ip, port: socket.address().port } };
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  while (!isTrue()) {
    assert.ok(performance.now() < untilMs, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const closed = (socket: Socket) => new Promise<void>((resolve) => socket.close(() => resolve()));

for (const family of [4, 6] as const) {
  Deno.test(`openForwarder() sends on and brings answers back, IPv${family}`, async () => {
    const echo = await startEcho(family);
    const got: string[] = [];
    const forwarder = openForwarder(
      family,
      (from: Endpoint, bytes) => got.push(`${formatEndpoint(from)} ${bytes.length}`),
    );
    forwarder.send(echo.endpoint, new Uint8Array(40));
    await until("an answer", () => got.length > 0);
    assert.deepEqual(got, [`${formatEndpoint(echo.endpoint)} 40`]);
    forwarder.close();
    forwarder.close();
    forwarder.send(echo.endpoint, new Uint8Array(40));
    await closed(echo.socket);
  });
}

Deno.test("openForwarder() brings nothing from who was not written to, nor what is no packet", async () => {
  const [echo, stranger] = await Promise.all([startEcho(4), startEcho(4)]);
  const got: number[] = [];
  const forwarder = openForwarder(4, (_from, bytes) => got.push(bytes.length));
  forwarder.send(echo.endpoint, new Uint8Array(15)); // its echo is too short
  await until("asked", () => echo.asked.length === 1);
  stranger.socket.send(new Uint8Array(50), echo.asked[0], "127.0.0.1");
  forwarder.send(echo.endpoint, new Uint8Array(40));
  await until("an answer", () => got.length > 0);
  assert.deepEqual(got, [40]);
  forwarder.close();
  await Promise.all([closed(echo.socket), closed(stranger.socket)]);
});
