import assert from "node:assert/strict";
import fc from "fast-check";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import {
  type Assembled,
  fragmentCount,
  fragmentHops,
  Reassembler,
  split,
} from "../../../../lib/wire/fragment.ts";
import {
  AT_FLAGS,
  buildPacket,
  DEFAULT_PHYSICAL_MTU,
  FLAG_FRAGMENTED,
  PACKET_LENGTH_MAX,
  Verb,
} from "../../../../lib/wire/packet.ts";
import { countVectors } from "../../../vectors/count.ts";
import { packetVectors } from "../../../vectors/packets.ts";

const captured = packetVectors.packets.filter((v) => v.fragments > 1);

/** A packet of `length` bytes, all different from their neighbours, flagged for that MTU. */
function makePacket(length: number, mtu: number, id = 1): Uint8Array {
  const payload = Uint8Array.from({ length: length - 28 }, (_, i) => i * 7 + (i >> 8));
  const packet = buildPacket({
    id: Uint8Array.of(1, 2, 3, 4, 5, 6, id >> 8, id),
    destination: 0x1122334455 as Address,
    source: 0x2233445566 as Address,
    verb: Verb.FRAME,
  }, payload);
  if (fragmentCount(length, mtu)! > 1) packet[AT_FLAGS] |= FLAG_FRAGMENTED;
  return packet;
}

function addAll(
  reassembler: Reassembler,
  datagrams: readonly Uint8Array[],
  nowMs = 0,
  source = "path",
): Assembled | undefined {
  let whole: Assembled | undefined;
  for (const datagram of datagrams) whole = reassembler.add(source, datagram, nowMs) ?? whole;
  return whole;
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest])
  );
}

Deno.test("split() makes datagrams of one size that a Reassembler joins, at every length and MTU", () => {
  for (const mtu of [1_280, 1_400, 1_432, 2_000]) {
    for (let length = 28; length <= PACKET_LENGTH_MAX; length += 13) {
      const count = fragmentCount(length, mtu);
      if (count === undefined) {
        assert.ok(length > 7 * mtu - 6 * 16);
        assert.throws(() => split(makePacket(length, mtu), mtu), RangeError);
        continue;
      }
      const packet = makePacket(length, mtu);
      const datagrams = split(packet, mtu);
      assert.equal(datagrams.length, count);
      for (const datagram of datagrams.slice(0, -1)) {
        assert.equal(datagram.length, datagrams[0].length, "all but the last are of one size");
      }
      const last = datagrams.at(-1)!;
      assert.ok(last.length <= datagrams[0].length && datagrams[0].length <= mtu);
      if (count > 1) assert.ok(last.length > 16, "no fragment is empty");
      const whole = count === 1 ? packet : addAll(new Reassembler(), datagrams)!.packet;
      assert.deepEqual(whole, packet);
    }
  }
});

Deno.test("fragmentCount() is the smallest that fits", () => {
  assert.equal(fragmentCount(1_432, DEFAULT_PHYSICAL_MTU), 1);
  assert.equal(fragmentCount(1_433, DEFAULT_PHYSICAL_MTU), 2);
  assert.equal(fragmentCount(2_838, DEFAULT_PHYSICAL_MTU), 2);
  assert.deepEqual(
    split(makePacket(2_838, DEFAULT_PHYSICAL_MTU), DEFAULT_PHYSICAL_MTU).map((d) => d.length),
    [1_427, 1_427], // the example of spec 07 section 2.1
  );
  assert.equal(fragmentCount(9_928, DEFAULT_PHYSICAL_MTU), 7);
  assert.equal(fragmentCount(9_929, DEFAULT_PHYSICAL_MTU), undefined);
});

Deno.test("split() refuses a packet sealed for another number of datagrams", () => {
  const small = makePacket(100, 1_432);
  small[AT_FLAGS] |= FLAG_FRAGMENTED;
  assert.throws(() => split(small, 1_432), RangeError);
  const large = makePacket(2_000, 1_432);
  large[AT_FLAGS] &= ~FLAG_FRAGMENTED;
  assert.throws(() => split(large, 1_432), RangeError);
});

Deno.test("fragments carry id, destination, marker, numbers and no hops", () => {
  const packet = makePacket(3_000, 1_432);
  const [, second, third] = split(packet, 1_432);
  assert.equal(toHex(second.subarray(0, 16)), toHex(packet.subarray(0, 13)) + "ff" + "31" + "00");
  assert.equal(third[14], 0x32);
  third[15] = 0xfb;
  assert.equal(fragmentHops(third), 3);
});

Deno.test("Reassembler joins the captured fragments in every order, with duplicates", () => {
  for (const v of captured) {
    const datagrams = v.datagrams.map(fromHex);
    const expected = datagrams[0].slice();
    for (const order of permutations(datagrams)) {
      const reassembler = new Reassembler();
      const twice = order.flatMap((datagram) => [datagram, datagram]).slice(0, -1);
      const whole = addAll(reassembler, twice);
      assert.ok(whole, v.label);
      assert.deepEqual(whole.packet.subarray(0, expected.length), expected);
      const length = datagrams.reduce((sum, d, i) => sum + d.length - (i > 0 ? 16 : 0), 0);
      assert.equal(whole.packet.length, length, v.label);
      assert.equal(reassembler.size, 0);
    }
  }
  countVectors("packets.json: fragmented", captured.length);
});

Deno.test("Reassembler attributes a packet to where its head came from", () => {
  const [head, fragment] = split(makePacket(2_000, 1_432), 1_432);
  for (const order of [[head, fragment], [fragment, head]]) {
    const reassembler = new Reassembler();
    reassembler.add(order[0] === head ? "a" : "b", order[0], 0);
    assert.equal(reassembler.add(order[1] === head ? "a" : "b", order[1], 0)?.source, "a");
  }
});

Deno.test("Reassembler keeps nothing of what no sender makes", () => {
  const [head, fragment] = split(makePacket(2_000, 1_432), 1_432);
  const numbered = (byte: number) => {
    const copy = fragment.slice();
    copy[14] = byte;
    return copy;
  };
  const whole = makePacket(100, 1_432);
  const ignored = [
    numbered(0x11), // one fragment in all
    numbered(0x81), // more than seven
    numbered(0x20), // number 0 is the head's
    numbered(0x22), // number beyond the total
    fragment.subarray(0, 16), // nothing in it
    head.subarray(0, 27),
    whole, // not flagged
    new Uint8Array(0),
  ];
  const reassembler = new Reassembler();
  for (const datagram of ignored) assert.equal(reassembler.add("a", datagram, 0), undefined);
  assert.equal(reassembler.size, 0);
});

Deno.test("Reassembler gives up a packet that would be too long", () => {
  const reassembler = new Reassembler();
  const head = new Uint8Array(PACKET_LENGTH_MAX - 10);
  head[AT_FLAGS] = FLAG_FRAGMENTED;
  assert.equal(reassembler.add("a", head, 0), undefined);
  const fragment = new Uint8Array(16 + 11);
  fragment[13] = 0xff;
  fragment[14] = 0x21;
  assert.equal(reassembler.add("a", fragment, 0), undefined);
  assert.equal(reassembler.size, 0);
});

Deno.test("Reassembler takes a smaller total from a later fragment", () => {
  const [head, fragment] = split(makePacket(2_000, 1_432), 1_432);
  const liar = fragment.slice();
  liar[14] = 0x32; // the third of three
  const reassembler = new Reassembler();
  assert.equal(addAll(reassembler, [liar, head]), undefined);
  const whole = reassembler.add("path", fragment, 0);
  assert.equal(whole?.packet.length, 2_000);
});

Deno.test("Reassembler forgets a packet after its time", () => {
  const [head, fragment] = split(makePacket(2_000, 1_432), 1_432);
  const reassembler = new Reassembler();
  reassembler.add("a", head, 1_000);
  assert.ok(reassembler.add("a", fragment, 2_999));
  reassembler.add("a", head, 1_000);
  assert.equal(reassembler.add("a", fragment, 3_000), undefined);
});

Deno.test("Reassembler bounds one source, which then loses its own oldest packet", () => {
  const reassembler = new Reassembler({ slotsMax: 100, slotsPerSourceMax: 4, expiryMs: 2_000 });
  const honest = split(makePacket(2_000, 1_432, 1_000), 1_432);
  reassembler.add("honest", honest[0], 0);
  const flood = Array.from({ length: 50 }, (_, id) => split(makePacket(2_000, 1_432, id), 1_432));
  for (const [head] of flood) reassembler.add("flooder", head, 0);
  assert.equal(reassembler.size, 1 + 4);
  assert.equal(reassembler.add("flooder", flood[45][1], 0), undefined, "evicted");
  assert.ok(reassembler.add("flooder", flood[49][1], 0));
  assert.ok(reassembler.add("honest", honest[1], 0));
});

Deno.test("Reassembler bounds all sources, and the greediest loses first", () => {
  const reassembler = new Reassembler({ slotsMax: 8, slotsPerSourceMax: 6, expiryMs: 2_000 });
  const packets = Array.from({ length: 12 }, (_, id) => split(makePacket(2_000, 1_432, id), 1_432));
  for (let i = 0; i < 6; i++) reassembler.add("greedy", packets[i][0], 0);
  for (let i = 6; i < 10; i++) reassembler.add(`modest ${i}`, packets[i][0], 0);
  assert.equal(reassembler.size, 8);
  for (let i = 6; i < 10; i++) assert.ok(reassembler.add("any", packets[i][1], 0));
});

Deno.test("Reassembler stays within its bounds whatever comes", () => {
  const datagram = fc.record({
    source: fc.integer({ min: 0, max: 5 }),
    id: fc.integer({ min: 0, max: 30 }),
    numbers: fc.option(fc.integer({ min: 0, max: 255 })),
    length: fc.integer({ min: 0, max: 4_000 }),
    stepMs: fc.integer({ min: 0, max: 300 }),
  });
  fc.assert(
    fc.property(fc.array(datagram, { maxLength: 200 }), (sent) => {
      const limits = { slotsMax: 10, slotsPerSourceMax: 3, expiryMs: 2_000 };
      const reassembler = new Reassembler(limits);
      let nowMs = 0;
      for (const { source, id, numbers, length, stepMs } of sent) {
        const bytes = new Uint8Array(Math.max(length, 16));
        bytes[7] = id;
        if (numbers === null) bytes[AT_FLAGS] = FLAG_FRAGMENTED;
        else bytes.set([0xff, numbers], 13);
        nowMs += stepMs;
        const whole = reassembler.add(`${source}`, bytes, nowMs);
        if (whole) assert.ok(whole.packet.length <= PACKET_LENGTH_MAX);
        assert.ok(reassembler.size <= limits.slotsMax);
      }
    }),
    { numRuns: 200, seed: 1 },
  );
});
