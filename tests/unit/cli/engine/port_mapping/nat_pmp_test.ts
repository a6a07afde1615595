import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../../lib/base/bytes.ts";
import { formatEndpoint, formatIp } from "../../../../../lib/base/ip.ts";
import {
  decodeNatPmp,
  encodeAddressRequest,
  encodeMappingRequest,
  NatPmpClient,
} from "../../../../../cli/engine/port_mapping/nat_pmp.ts";
import { FakeWire, QUICK_MS, silence, WISH } from "./gateway.ts";

const GATEWAY = "192.168.1.1/5351";
const ADDRESS = fromHex("00800000000000002c070707");
const never = new AbortController().signal;

/** Answers as a router does; `external` is the port it gives, whatever was wished. */
function router(external?: number, result = 0): FakeWire {
  return new FakeWire((to, bytes) => {
    assert.equal(to, GATEWAY);
    if (bytes[1] === 0) return [[to, ADDRESS]];
    const answer = new Uint8Array(16);
    answer.set([0, 129, 0, result]);
    answer.set(bytes.subarray(4, 12), 8);
    if (external !== undefined) new DataView(answer.buffer).setUint16(10, external);
    return [[to, answer]];
  });
}

Deno.test("encodeAddressRequest() and encodeMappingRequest() write what RFC 6886 draws", () => {
  assert.equal(toHex(encodeAddressRequest()), "0000");
  const request = { internalPort: 31_000, externalPort: 31_001, lifetimeS: 600 };
  assert.equal(toHex(encodeMappingRequest(request)), "000100007918791900000258");
});

Deno.test("decodeNatPmp() reads addresses, mappings and refusals, and nothing else", () => {
  const address = decodeNatPmp(ADDRESS);
  assert.ok(address?.kind === "address");
  assert.equal(formatIp(address.ip), "44.7.7.7");
  assert.deepEqual(decodeNatPmp(fromHex("008100000000000a7918791900000258")), {
    kind: "mapping",
    internalPort: 31_000,
    externalPort: 31_001,
    lifetimeS: 600,
  });
  assert.deepEqual(decodeNatPmp(fromHex("0081000200000000")), {
    kind: "refused",
    operation: 1,
    result: 2,
  });
  for (const other of ["", "0000", "0080000000000000", "02800000000000002c070707"]) {
    assert.equal(decodeNatPmp(fromHex(other)), undefined, other);
  }
  for (let length = 0; length < ADDRESS.length; length++) {
    assert.equal(decodeNatPmp(ADDRESS.subarray(0, length)), undefined);
  }
});

Deno.test("NatPmpClient.map() takes the port the router gives, and asks for it again", async () => {
  const client = new NatPmpClient(WISH, QUICK_MS);
  const first = await client.map(router(40_000), never);
  assert.ok(first.kind === "mapped");
  assert.equal(formatEndpoint(first.mapping.external), "44.7.7.7/40000");
  assert.equal(first.mapping.lifetimeS, 600);
  const wire = router();
  assert.ok((await client.map(wire, never)).kind === "mapped");
  assert.equal(toHex(wire.sent[1].bytes), "0001000079189c4000000258");
});

Deno.test("NatPmpClient.map() says why it was refused, and when nobody answers", async () => {
  const refused = await new NatPmpClient(WISH, QUICK_MS).map(router(undefined, 2), never);
  assert.deepEqual(refused, { kind: "refused", reason: "not authorized" });
  const wire = silence();
  assert.deepEqual(await new NatPmpClient(WISH, QUICK_MS).map(wire, never), { kind: "silent" });
  assert.equal(wire.sent.length, QUICK_MS.length);
});

Deno.test("NatPmpClient.map() listens to the gateway only, and to answers about its own port", async () => {
  const wire = new FakeWire((to, bytes) => {
    if (bytes[1] === 0) return [["192.168.1.66/5351", ADDRESS], ["192.168.1.1/5350", ADDRESS]];
    throw new Error(`${to} must not be asked for more`);
  });
  assert.equal((await new NatPmpClient(WISH, QUICK_MS).map(wire, never)).kind, "silent");
  const other = new FakeWire((to, bytes) =>
    bytes[1] === 0 ? [[to, ADDRESS]] : [[to, fromHex("008100000000000a0001791900000258")]]
  );
  assert.equal((await new NatPmpClient(WISH, QUICK_MS).map(other, never)).kind, "silent");
});

Deno.test("NatPmpClient.map() takes neither port 0 nor a lifetime of 0 for a mapping", async () => {
  for (const bytes of ["008100000000000a7918000000000258", "008100000000000a7918791900000000"]) {
    const wire = new FakeWire((to, request) => [[to, request[1] === 0 ? ADDRESS : fromHex(bytes)]]);
    assert.equal((await new NatPmpClient(WISH, QUICK_MS).map(wire, never)).kind, "refused");
  }
});

Deno.test("NatPmpClient.unmap() asks once for a lifetime of 0", async () => {
  const wire = silence();
  await new NatPmpClient(WISH, QUICK_MS).unmap(wire);
  assert.deepEqual(wire.sent.map(({ bytes }) => toHex(bytes)), ["000100007918000000000000"]);
});
