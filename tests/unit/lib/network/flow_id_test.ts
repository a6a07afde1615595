import assert from "node:assert/strict";
import { flowOf } from "../../../../lib/network/flow_id.ts";
import { NO_FLOW } from "../../../../lib/peer/bond_flows.ts";

const IPV4 = 0x0800;
const IPV6 = 0x86dd;

/** An IPv4 packet with these ports behind a header of that many bytes, and three bytes before it. */
function ipv4(protocol: number, source: number, destination: number, headerBytes = 20): Uint8Array {
  const bytes = new Uint8Array(3 + headerBytes + 8);
  const at = 3;
  bytes[at] = 0x40 | (headerBytes / 4);
  bytes[at + 9] = protocol;
  bytes.set([source >> 8, source & 0xff, destination >> 8, destination & 0xff], at + headerBytes);
  return bytes;
}

function ipv6(protocol: number, source: number, destination: number): Uint8Array {
  const bytes = new Uint8Array(3 + 48);
  bytes[3] = 0x60;
  bytes[3 + 6] = protocol;
  bytes.set([source >> 8, source & 0xff, destination >> 8, destination & 0xff], 3 + 40);
  return bytes;
}

const flow = (bytes: Uint8Array, etherType: number) =>
  flowOf(bytes, 3, bytes.length - 3, etherType);

Deno.test("flowOf() is source port ^ destination port ^ protocol of TCP, UDP, SCTP and UDP-Lite", () => {
  for (const protocol of [6, 17, 0x84, 0x88]) {
    const wanted = 0x1234 ^ 0xbeef ^ protocol;
    assert.equal(flow(ipv4(protocol, 0x1234, 0xbeef), IPV4), wanted);
    assert.equal(flow(ipv4(protocol, 0xbeef, 0x1234, 24), IPV4), wanted, "the same both ways");
    assert.equal(flow(ipv6(protocol, 0x1234, 0xbeef), IPV6), wanted);
  }
});

Deno.test("flowOf() finds no flow in anything else", () => {
  assert.equal(flow(ipv4(1, 8, 0), IPV4), NO_FLOW, "ICMP");
  assert.equal(flow(ipv4(6, 1, 2), 0x0806), NO_FLOW, "ARP");
  assert.equal(flow(ipv6(58, 1, 2), IPV6), NO_FLOW, "ICMPv6");
  assert.equal(flow(new Uint8Array(3), IPV4), NO_FLOW);
  const fragment = ipv4(17, 1, 2);
  fragment[3 + 7] = 1;
  assert.equal(flow(fragment, IPV4), NO_FLOW, "later fragments have no ports");
  assert.equal(flowOf(ipv4(6, 1, 2), 3, 23, IPV4), NO_FLOW, "cut before the second port");
});
