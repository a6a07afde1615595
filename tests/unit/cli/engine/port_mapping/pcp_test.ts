import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../../lib/base/bytes.ts";
import { formatEndpoint, parseIp } from "../../../../../lib/base/ip.ts";
import { decodePcp, encodePcpMap, PcpClient } from "../../../../../cli/engine/port_mapping/pcp.ts";
import { endpoint, FakeWire, QUICK_MS, silence, WISH } from "./gateway.ts";

const never = new AbortController().signal;
const NONCE = "0102030405060708090a0b0c";
const random = (bytes: Uint8Array) => bytes.set(fromHex(NONCE));

/** Grants what is asked for, at this endpoint. */
function router(external: string, changes: { result?: number; lifetimeS?: number } = {}): FakeWire {
  return new FakeWire((to, request) => [[to, answerTo(request, external, changes)]]);
}

function answerTo(
  request: Uint8Array,
  external: string,
  { result = 0, lifetimeS = 600 }: { result?: number; lifetimeS?: number } = {},
): Uint8Array {
  const answer = request.slice();
  const view = new DataView(answer.buffer);
  answer[1] |= 128;
  answer[3] = result;
  view.setUint32(4, lifetimeS);
  answer.fill(0, 8, 24);
  const { ip, port } = endpoint(external);
  view.setUint16(42, port);
  answer.set(ip.length === 16 ? ip : [...fromHex("00000000000000000000ffff"), ...ip], 44);
  return answer;
}

Deno.test("encodePcpMap() writes what RFC 6887 draws", () => {
  const bytes = encodePcpMap({
    local: WISH.local,
    nonce: fromHex(NONCE),
    internalPort: 31_000,
    wished: endpoint("44.7.7.7/31001"),
    lifetimeS: 600,
  });
  assert.equal(
    toHex(bytes),
    "02010000" + "00000258" + "00000000000000000000ffffc0a80114" + NONCE + "11000000" + "7918" +
      "7919" + "00000000000000000000ffff2c070707",
  );
});

Deno.test("decodePcp() reads mappings and refusals, and nothing else", () => {
  const request = encodePcpMap({
    local: WISH.local,
    nonce: fromHex(NONCE),
    internalPort: 31_000,
    wished: endpoint("0.0.0.0/31000"),
    lifetimeS: 600,
  });
  assert.equal(decodePcp(request), undefined, "a request is no answer");
  const bytes = answerTo(request, "44.7.7.7/40000");
  const answer = decodePcp(bytes);
  assert.ok(answer?.kind === "mapping");
  assert.equal(formatEndpoint(answer.external), "44.7.7.7/40000");
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodePcp(bytes.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(decodePcp(new Uint8Array([...bytes, ...new Uint8Array(1_100)])), undefined);
  const natPmp = decodePcp(fromHex("0081000100000000"));
  assert.deepEqual(natPmp, { kind: "refused", result: 1, nonce: undefined });
});

Deno.test("PcpClient.map() is given what the router has, and asks for the same again", async () => {
  const client = new PcpClient(WISH, random, QUICK_MS);
  const first = await client.map(router("44.7.7.7/40000"), never);
  assert.ok(first.kind === "mapped");
  assert.equal(formatEndpoint(first.mapping.external), "44.7.7.7/40000");
  const wire = router("44.8.8.8/40000");
  const second = await client.map(wire, never);
  assert.ok(second.kind === "mapped");
  assert.equal(formatEndpoint(second.mapping.external), "44.8.8.8/40000", "its address changed");
  const again = toHex(wire.sent[0].bytes);
  assert.equal(again.slice(48, 72), NONCE);
  assert.equal(again.slice(84), "9c40" + "00000000000000000000ffff2c070707");
});

Deno.test("PcpClient.map() opens a firewall on IPv6", async () => {
  const local = parseIp("2a00::5")!;
  const wish = { ...WISH, local, gateway: parseIp("fe80::1")!, internalPort: 9993 };
  const wire = router("2a00::5/9993");
  const outcome = await new PcpClient(wish, random, QUICK_MS).map(wire, never);
  assert.ok(outcome.kind === "mapped");
  assert.equal(formatEndpoint(outcome.mapping.external), "2a00::5/9993");
  assert.equal(wire.sent[0].to, "fe80::1/5351");
  const other = await new PcpClient(wish, random, QUICK_MS).map(router("44.1.1.1/9993"), never);
  assert.equal(other.kind, "refused", "an IPv4 address for an IPv6 one is nonsense");
});

Deno.test("PcpClient.map() says why it was refused, and when nobody answers", async () => {
  const client = () => new PcpClient(WISH, random, QUICK_MS);
  const refused = await client().map(router("0.0.0.0/0", { result: 2 }), never);
  assert.deepEqual(refused, { kind: "refused", reason: "not authorized" });
  const natPmp = new FakeWire((to) => [[to, fromHex("0081000100000000")]]);
  assert.deepEqual(await client().map(natPmp, never), {
    kind: "refused",
    reason: "it does not speak PCP version 2",
  });
  assert.deepEqual(await client().map(silence(), never), { kind: "silent" });
  const nothing = await client().map(router("44.7.7.7/0", { lifetimeS: 0 }), never);
  assert.equal(nothing.kind, "refused");
});

Deno.test("PcpClient.map() ignores answers with another nonce or about another port", async () => {
  for (const at of [24, 41]) {
    const wire = new FakeWire((to, request) => {
      const answer = answerTo(request, "44.7.7.7/40000");
      answer[at] ^= 1;
      return [[to, answer]];
    });
    assert.equal((await new PcpClient(WISH, random, QUICK_MS).map(wire, never)).kind, "silent");
  }
});

Deno.test("PcpClient.unmap() asks once for a lifetime of 0 under the same nonce", async () => {
  const wire = silence();
  await new PcpClient(WISH, random, QUICK_MS).unmap(wire);
  assert.equal(wire.sent.length, 1);
  const hex = toHex(wire.sent[0].bytes);
  assert.equal(hex.slice(8, 16), "00000000");
  assert.equal(hex.slice(48, 72), NONCE);
});
