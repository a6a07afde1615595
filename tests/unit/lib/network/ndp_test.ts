import assert from "node:assert/strict";
import { type Address, macOf, type NetworkId } from "../../../../lib/base/ids.ts";
import { rfc4193, sixPlane } from "../../../../lib/base/ip.ts";
import { buildFrame, ETHERTYPE_IPV6, parseFrame } from "../../../../lib/network/ethernet.ts";
import { emulateNdp } from "../../../../lib/network/ndp.ts";

const NETWORK = 0xb52e931836000001n as NetworkId;
const SELF = 0x5811208aac as Address;
const PEER = 0xb3e8c4e1ab as Address;
const own = [rfc4193(NETWORK, SELF), sixPlane(NETWORK, SELF)];
const host = { networkId: NETWORK, self: SELF, staticIps: own };

/** A neighbour solicitation for an address. */
function solicit(target: Uint8Array, change: (packet: Uint8Array) => void = () => {}) {
  const payload = new Uint8Array(72);
  payload[0] = 0x60;
  payload[6] = 58;
  payload[40] = 0x87;
  payload.set(target, 48);
  change(payload);
  const destination = 0x3333_ff00_0001 as never;
  return { destination, source: macOf(SELF, NETWORK), etherType: ETHERTYPE_IPV6, payload };
}

function answerTo(target: Uint8Array) {
  const bytes = emulateNdp(host, solicit(target));
  return bytes && parseFrame(bytes);
}

/** One's complement sum over pseudo-header and ICMPv6, which is 0xffff when the checksum is right. */
function checksum(packet: Uint8Array): number {
  let sum = packet.length - 40 + 58;
  for (let at = 8; at < packet.length; at += 2) sum += (packet[at] << 8) | packet[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

Deno.test("emulateNdp() answers for both derived kinds of address, with a right checksum", () => {
  for (const { ip } of [rfc4193(NETWORK, PEER), sixPlane(NETWORK, PEER)]) {
    const frame = answerTo(ip)!;
    assert.equal(frame.source, macOf(PEER, NETWORK));
    assert.equal(frame.destination, macOf(SELF, NETWORK));
    assert.equal(frame.payload[40], 0x88);
    assert.deepEqual(frame.payload.subarray(8, 24), ip);
    assert.deepEqual(frame.payload.subarray(48, 64), ip);
    assert.equal(checksum(frame.payload), 0xffff);
  }
});

Deno.test("emulateNdp() answers for the whole /80 of a member in 6PLANE", () => {
  const { ip } = sixPlane(NETWORK, PEER);
  ip[15] = 0x77;
  assert.equal(answerTo(ip)?.source, macOf(PEER, NETWORK));
});

Deno.test("emulateNdp() leaves foreign addresses, our own and address 0 to multicast", () => {
  const foreign = sixPlane(NETWORK, PEER).ip;
  foreign[2] ^= 1;
  for (const ip of [foreign, own[0].ip, own[1].ip, sixPlane(NETWORK, 0 as Address).ip]) {
    assert.equal(answerTo(ip), undefined);
  }
  assert.equal(
    emulateNdp({ ...host, staticIps: [] }, solicit(sixPlane(NETWORK, PEER).ip)),
    undefined,
  );
});

Deno.test("emulateNdp() takes nothing else for a solicitation", () => {
  const { ip } = sixPlane(NETWORK, PEER);
  assert.ok(emulateNdp(host, solicit(ip)));
  assert.equal(emulateNdp(host, solicit(ip, (packet) => packet[6] = 17)), undefined);
  assert.equal(emulateNdp(host, solicit(ip, (packet) => packet[40] = 0x88)), undefined);
  assert.equal(emulateNdp(host, { ...solicit(ip), etherType: 0x0800 }), undefined);
  const short = solicit(ip);
  assert.equal(emulateNdp(host, { ...short, payload: short.payload.subarray(0, 63) }), undefined);
});

Deno.test("parseFrame() reads what buildFrame() wrote, and nothing shorter than a header", () => {
  const frame = solicit(own[0].ip);
  assert.deepEqual(parseFrame(buildFrame(frame)), frame);
  assert.equal(parseFrame(new Uint8Array(13)), undefined);
});
