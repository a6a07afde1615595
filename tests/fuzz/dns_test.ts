/**
 * The server of names against questions gone wrong: it is silent or answers that very question, and not at length.
 * @module
 */
import assert from "node:assert/strict";
import {
  decodeQuery,
  encodeAnswer,
  encodeName,
  udpLengthMax,
} from "../../cli/engine/dns/message.ts";
import { parseReverse, reverseName } from "../../cli/engine/dns/reverse.ts";
import { Zone } from "../../cli/engine/dns/zone.ts";
import { concat, Writer } from "../../lib/base/bytes.ts";
import type { Address, NetworkId } from "../../lib/base/ids.ts";
import { parseIp, parsePrefix } from "../../lib/base/ip.ts";
import { fuzzTarget } from "./target.ts";

const zone = new Zone({
  network: 0x8056c2e21c000001n as NetworkId,
  name: "office",
  self: 1 as Address,
  names: {
    hash: 1n,
    onDemand: false,
    members: [{ address: 1 as Address, label: "nas", ips: ["10.0.0.1", "fd00::1"].map(ip) }],
  },
  prefixes: ["10.0.0.1/22", "fd00::1/88"].map((text) => parsePrefix(text)!),
});

function ip(text: string): Uint8Array {
  return parseIp(text)!;
}

function question(name: string, type: number): Uint8Array {
  const w = new Writer().u16(7).u16(0x0100).u16(1).u16(0).u16(0).u16(1).raw(encodeName(name));
  const edns = new Writer().u8(0).u16(41).u16(1_232).u32(0).u16(4).u32(5).finish();
  return concat(w.u16(type).u16(1).finish(), edns);
}

fuzzTarget({
  name: "questions for names",
  examples: [
    question("nas.office.zt", 1),
    question("NAS.8056c2e21c000001.zt", 28),
    question("office.zt", 255),
    question("1.0.0.10.in-addr.arpa", 12),
    question(`1.${"0.".repeat(29)}d.f.ip6.arpa`, 12),
  ],
  run(bytes) {
    const query = decodeQuery(bytes);
    const asked = parseReverse(query.name);
    if (asked) assert.equal(reverseName(asked), query.name);
    const answer = encodeAnswer(query, zone.answer(query)!, udpLengthMax(query));
    assert.ok(answer.length <= udpLengthMax(query));
    assert.deepEqual(answer.subarray(0, 2), bytes.subarray(0, 2));
    assert.ok((answer[2] & 0x80) !== 0);
    const { length } = query.question;
    assert.deepEqual(answer.subarray(12, 12 + length), bytes.subarray(12, 12 + length));
  },
});
