import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, verify } from "node:crypto";
import { connect } from "node:tls";
import { makeCertificate } from "../../../../../cli/engine/tcp/certificate.ts";

const wallMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const serial = Uint8Array.of(0xff, 0, 0, 0, 0, 0, 0, 1);

Deno.test("makeCertificate() signs its own body with the key it names", () => {
  const { cert, key } = makeCertificate(wallMs, serial);
  const der = Buffer.from(cert.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const element = (at: number) => {
    const first = der[at + 1];
    const extra = first < 0x80 ? 0 : first & 0x7f;
    let length = extra === 0 ? first : 0;
    for (let i = 0; i < extra; i++) length = length * 256 + der[at + 2 + i];
    const from = at + 2 + extra;
    return { at, from, end: from + length };
  };
  const whole = element(0);
  assert.equal(whole.end, der.length);
  const body = element(whole.from);
  const algorithm = element(body.end);
  const signature = element(algorithm.end);
  assert.equal(signature.end, der.length);
  const signed = der.subarray(body.at, body.end);
  const publicKey = createPublicKey(createPrivateKey(key));
  assert.ok(verify("sha256", signed, publicKey, der.subarray(signature.from + 1, signature.end)));
  assert.ok(
    !verify("sha256", der.subarray(1, body.end), publicKey, der.subarray(signature.from + 1)),
  );
  const text = der.toString("latin1");
  assert.ok(
    text.includes("260101030405Z") && text.includes("270202030405Z"),
    "a day back, 397 long",
  );
  assert.ok(der.includes(publicKey.export({ type: "spki", format: "der" })));
});

Deno.test("makeCertificate() is good enough for TLS that does not authenticate", async () => {
  const { cert, key } = makeCertificate(Date.now(), serial);
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const served = (async () => {
    const connection = await listener.accept();
    const buffer = new Uint8Array(16);
    const length = await connection.read(buffer);
    await connection.write(buffer.subarray(0, length ?? 0));
    await connection.read(buffer).catch(() => null); // until the client goes
    connection.close();
  })();
  const { port } = listener.addr as Deno.NetAddr;
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  const echo = await new Promise<string>((resolve, reject) => {
    socket.once("secureConnect", () => socket.write("hello"));
    socket.once("data", (bytes) => resolve(String(bytes)));
    socket.once("error", reject);
  });
  assert.equal(echo, "hello");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await Promise.all([served, closed]);
  listener.close();
});
