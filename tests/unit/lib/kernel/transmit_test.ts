import assert from "node:assert/strict";
import { concat, toHex } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import { FULL, MALFORMED } from "../../../../lib/kernel/data_kernel.ts";
import {
  checksumsHold,
  evenBodyTwin,
  layersOf,
  splitTwin,
  type VnetHeader,
} from "../../../../lib/kernel/data_twin.ts";
import { PacketTwin } from "../../../../lib/kernel/twin.ts";
import type { PacketIds } from "../../../../lib/node/packet_ids.ts";
import { fragmentCount, split } from "../../../../lib/wire/fragment.ts";
import {
  AT_FLAGS,
  AT_SOURCE,
  buildPacket,
  FLAG_FRAGMENTED,
  FRAGMENT_MARKER,
  setCipher,
  Verb,
} from "../../../../lib/wire/packet.ts";
import { Arena, noise, PEER, type Run, SELF } from "./arena.ts";
import { type FrameShape, makeFrame, NO_VNET, superHeader, TCP, UDP, withVnet } from "./frames.ts";

const NETWORK = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const PATH = 42;
const MTUS = [1_280, 1_281, 1_400, 1_432, 1_444, 1_472, 1_500];
const TEMPLATE = buildPacket(
  {
    id: new Uint8Array(8),
    destination: PEER as Address,
    source: SELF as Address,
    verb: Verb.FRAME,
  },
  NETWORK,
);
setCipher(TEMPLATE, 1);

/** Twin of transmit(): the datagrams of each packet. */
function transmitTwin(
  frame: Uint8Array,
  vnet: VnetHeader,
  to: { mtu: number; key: Uint8Array; ids: PacketIds },
): Uint8Array[][] {
  let bodyMax: number | undefined;
  if (vnet.gsoType === 1 || vnet.gsoType === 4) {
    const { body } = layersOf(frame)!;
    bodyMax = vnet.gsoSize;
    if (frame.length - body > bodyMax) {
      bodyMax = evenBodyTwin(24 + body, bodyMax, (length) => fragmentCount(length, to.mtu)!);
    }
  }
  return splitTwin(frame, vnet, bodyMax).map((segment) => {
    const packet = concat(TEMPLATE, segment.subarray(12));
    packet.set(to.ids.next());
    if (fragmentCount(packet.length, to.mtu)! > 1) packet[AT_FLAGS] |= FLAG_FRAGMENTED;
    new PacketTwin().seal(packet, to.key, true);
    return split(packet, to.mtu);
  });
}

/** The datagrams of runs, which say where each ends. */
function datagramsOf(runs: readonly Run[]): Uint8Array[] {
  return runs.flatMap(({ bytes, size }) =>
    Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    )
  );
}

function prepare(): Arena {
  const arena = new Arena();
  arena.put("template", TEMPLATE);
  return arena;
}

function transmit(arena: Arena, bytes: Uint8Array, vnet: number, mtu = 1_432, offset = 0): number {
  const { template, session } = arena.at;
  const at = arena.put("frame", bytes, offset);
  return arena.kernel.transmit(at, bytes.length, vnet, template, session, mtu, PATH);
}

function assertSameDatagrams(actual: Uint8Array[], expected: Uint8Array[], what: string): void {
  assert.equal(actual.length, expected.length, `${what}: datagrams`);
  expected.forEach((datagram, i) =>
    assert.equal(toHex(actual[i]), toHex(datagram), `${what}: datagram ${i}`)
  );
}

Deno.test("transmit() seals and cuts frames of every length as the twin does, at any alignment", () => {
  const arena = prepare();
  const ids = arena.setIds(3);
  for (let length = 1; length <= 2_900; length++) {
    const frame = concat(noise(12, 1), noise(2 + length, length));
    const mtu = MTUS[length % MTUS.length];
    const what = `length ${length}, mtu ${mtu}`;
    const vnet = length % 2 * 10;
    arena.txBegin();
    const bytes = vnet === 0 ? frame : withVnet(frame, NO_VNET);
    assert.equal(transmit(arena, bytes, vnet, mtu, length % 16), 1, what);
    const expected = transmitTwin(frame, NO_VNET, { mtu, key: arena.key, ids }).flat();
    assertSameDatagrams(datagramsOf(arena.runs(arena.kernel.txEnd())), expected, what);
  }
  arena.assertContained();
});

Deno.test("transmit() makes nothing of a frame without payload", () => {
  const arena = prepare();
  arena.txBegin();
  assert.equal(transmit(arena, noise(14, 1), 0), 0);
  assert.equal(transmit(arena, withVnet(noise(14, 1), NO_VNET), 10), 0);
  assert.equal(arena.kernel.txEnd(), 0);
});

const SHAPES: FrameShape[] = [
  { protocol: TCP },
  { protocol: TCP, options: 12 },
  { protocol: TCP, options: 40, tags: 1, flags: 0x99 },
  { protocol: TCP, ipv6: true },
  { protocol: TCP, ipv6: true, options: 12, tags: 2, flags: 0x19 },
  { protocol: UDP },
  { protocol: UDP, ipv6: true },
];

Deno.test("transmit() cuts super-frames as the twin does: IPv4, IPv6, TCP, UDP, options, tags", () => {
  const arena = prepare();
  const ids = arena.setIds(4);
  let seed = 0;
  for (const shape of SHAPES) {
    for (const gsoSize of [1, 100, 536, 1_239, 1_240, 1_371, 1_400, 2_747, 2_748, 9_000]) {
      for (const bodyLength of [0, 1, gsoSize - 1, gsoSize, gsoSize + 1, gsoSize * 5 + 7]) {
        const frame = makeFrame({ ...shape, ipId: 0xfffe, body: noise(bodyLength, ++seed) });
        const vnet = superHeader(frame, shape, gsoSize);
        const mtu = MTUS[seed % MTUS.length];
        const what = `${JSON.stringify(shape)}, ${bodyLength} in ${gsoSize}, mtu ${mtu}`;
        arena.txBegin();
        if (frame.length > 60_000) continue;
        const longest = layersOf(frame)!.body + 24 + Math.min(gsoSize, bodyLength);
        const made = transmit(arena, withVnet(frame, vnet), 10, mtu, seed % 16);
        if (fragmentCount(longest, mtu) === undefined) {
          assert.equal(made, MALFORMED, what);
          continue;
        }
        const packets = transmitTwin(frame, vnet, { mtu, key: arena.key, ids });
        assert.equal(made, packets.length, what);
        const runs = arena.runs(arena.kernel.txEnd());
        assertSameDatagrams(datagramsOf(runs), packets.flat(), what);
      }
    }
  }
  arena.assertContained();
});

Deno.test("transmit() gives a bulk transfer to the system in few calls, packets kept whole in them", () => {
  for (const mtu of MTUS) {
    for (const ipv6 of [false, true]) {
      const arena = prepare();
      const shape = { ipv6, options: 12 };
      const frame = makeFrame({ ...shape, body: noise(61_000, mtu) });
      const gsoSize = ipv6 ? 2_728 : 2_748;
      arena.txBegin();
      const made = transmit(arena, withVnet(frame, superHeader(frame, shape, gsoSize)), 10, mtu);
      assert.ok(made > 0);
      const runs = arena.runs(arena.kernel.txEnd());
      assert.ok(runs.length <= 3, `${runs.length} runs at mtu ${mtu}`);
      assert.ok(datagramsOf(runs).length / runs.length >= 16, `mtu ${mtu}`);
      for (const { bytes, size, pathTag } of runs) {
        assert.equal(pathTag, PATH);
        assert.ok(size <= mtu && bytes.length <= 65_000 && bytes.length / size <= 64);
        assert.notEqual(bytes[AT_SOURCE], FRAGMENT_MARKER, "a run begins with a head");
      }
    }
  }
});

Deno.test("transmit() joins runs over frames while size and path stay the same", () => {
  const arena = prepare();
  arena.txBegin();
  const { template, session } = arena.at;
  const send = (length: number, path: number) => {
    const at = arena.put("frame", noise(length, 1));
    assert.equal(arena.kernel.transmit(at, length, 0, template, session, 1_432, path), 1);
  };
  for (const length of [300, 300, 300, 200, 200, 300, 300, 1_500, 1_500, 1_501, 1_501, 300]) {
    send(length, 1);
  }
  send(300, 2);
  for (let i = 0; i < 70; i++) send(100, 3);
  for (let i = 0; i < 50; i++) send(1_400, 4);
  const runs = arena.runs(arena.kernel.txEnd());
  assert.deepEqual(
    runs.map(({ bytes, size, pathTag }) => [bytes.length, size, pathTag]),
    [
      [3 * 324 + 224, 324, 1], // a shorter one closes
      [224, 224, 1],
      [2 * 324, 324, 1],
      [4 * 770, 770, 1],
      [1_541, 771, 1],
      [1_541, 771, 1],
      [324, 324, 1],
      [324, 324, 2],
      [64 * 124, 124, 3],
      [6 * 124, 124, 3],
      [45 * 1_424, 1_424, 4],
      [5 * 1_424, 1_424, 4],
    ],
  );
});

Deno.test("transmit() completes the checksum the local stack left to it", () => {
  const arena = prepare();
  for (let length = 0; length <= 2_900; length++) {
    const shape = { protocol: length % 3 === 0 ? UDP : TCP, ipv6: length % 2 === 0 };
    const frame = makeFrame({ ...shape, body: noise(length, length) });
    const { transport } = layersOf(frame)!;
    const vnet = { ...superHeader(frame, shape, 0), gsoType: 0 };
    const at = transport + vnet.checksumOffset;
    const partial = frame.slice();
    // What the stack leaves: the folded sum of the pseudo-header, here found from the complete checksum.
    partial.fill(0, at, at + 2);
    const view = new DataView(partial.buffer);
    view.setUint16(at, pseudoSum(partial, transport, shape));
    const [split] = splitTwin(partial, vnet);
    assert.ok(checksumsHold(split));
    arena.bytes.fill(0xa5, arena.at.out, arena.at.out + 4_000);
    const bytes = withVnet(partial, vnet);
    const from = arena.put("frame", bytes, length % 16);
    const { out, list } = arena.at;
    assert.equal(arena.kernel.splitFrame(from, bytes.length, 10, out, 4_000, list, 1), 1);
    assert.equal(arena.view.getUint32(list + 4, true), frame.length);
    assert.equal(toHex(arena.bytes.slice(out, out + frame.length)), toHex(split));
    assert.equal(arena.bytes[out + frame.length], 0xa5);
  }
});

function pseudoSum(frame: Uint8Array, transport: number, shape: FrameShape): number {
  const addresses = shape.ipv6 ? frame.subarray(22, 54) : frame.subarray(26, 34);
  let sum = shape.protocol! + frame.length - transport;
  for (let i = 0; i < addresses.length; i += 2) sum += (addresses[i] << 8) | addresses[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

Deno.test("transmit() sends a UDP checksum of zero as 0xffff", () => {
  const arena = prepare();
  const body = new Uint8Array(2);
  const frame = makeFrame({ protocol: UDP, body });
  const { transport } = layersOf(frame)!;
  const view = new DataView(frame.buffer);
  // Two bytes that make the sum come out as all ones: the checksum so far, complemented by being added.
  view.setUint16(transport + 8, view.getUint16(transport + 6));
  view.setUint16(transport + 6, 0);
  view.setUint16(transport + 6, pseudoSum(frame, transport, { protocol: UDP }));
  const vnet = { ...superHeader(frame, { protocol: UDP }, 0), gsoType: 0 };
  const bytes = withVnet(frame, vnet);
  const at = arena.put("frame", bytes);
  const { out, list } = arena.at;
  assert.equal(arena.kernel.splitFrame(at, bytes.length, 10, out, 4_000, list, 1), 1);
  assert.equal(arena.view.getUint16(out + transport + 6), 0xffff);
});

Deno.test("transmit() writes nothing when there is no room for all of a frame, and works after a flush", () => {
  const arena = prepare();
  const frame = makeFrame({ body: noise(20_000, 1) });
  const bytes = withVnet(frame, superHeader(frame, {}, 1_300));
  arena.txBegin(30_000);
  assert.equal(transmit(arena, bytes, 10), 16);
  assert.equal(transmit(arena, bytes, 10), FULL);
  const ids = arena.bytes.slice(arena.at.ids, arena.at.ids + 116);
  const runs = arena.kernel.txEnd();
  assert.equal(transmit(arena, bytes, 10), FULL);
  assert.deepEqual(arena.bytes.slice(arena.at.ids, arena.at.ids + 116), ids, "no id was used");
  assert.equal(arena.kernel.txEnd(), runs);
  arena.txBegin(30_000);
  assert.equal(transmit(arena, bytes, 10), 16);
  arena.txBegin(20_000);
  assert.equal(transmit(arena, bytes, 10), MALFORMED, "it never fits");
  arena.txBegin(30_000, 0);
  assert.equal(transmit(arena, bytes, 10), MALFORMED, "nor without runs");

  arena.txBegin();
  transmit(arena, bytes, 10);
  const needed = arena.runs(arena.kernel.txEnd()).reduce((sum, run) => sum + run.bytes.length, 0);
  arena.bytes.fill(0xa5, arena.at.out, arena.at.out + 40_000);
  arena.txBegin(needed);
  assert.equal(transmit(arena, bytes, 10), 16, "a room that just suffices");
  const behind = arena.bytes.subarray(arena.at.out + needed, arena.at.out + 40_000);
  assert.ok(behind.every((byte) => byte === 0xa5));
  arena.txBegin(needed - 1);
  assert.equal(transmit(arena, bytes, 10), MALFORMED);
});

Deno.test("splitFrame() gives the twin's frames", () => {
  const arena = prepare();
  const { out, list } = arena.at;
  for (const shape of SHAPES) {
    for (const gsoSize of [700, 1_240, 2_747]) {
      const frame = makeFrame({ ...shape, body: noise(30_001, gsoSize) });
      const vnet = superHeader(frame, shape, gsoSize);
      const bytes = withVnet(frame, vnet);
      const at = arena.put("frame", bytes, gsoSize % 16);
      const expected = splitTwin(frame, vnet);
      const made = arena.kernel.splitFrame(at, bytes.length, 10, out, 60_000, list, 100);
      assert.equal(made, expected.length);
      expected.forEach((segment, i) => {
        const from = arena.view.getUint32(list + 8 * i, true);
        const length = arena.view.getUint32(list + 8 * i + 4, true);
        assert.equal(toHex(arena.bytes.slice(from, from + length)), toHex(segment));
        assert.ok(checksumsHold(segment));
      });
      const short = arena.kernel.splitFrame(at, bytes.length, 10, out, 60_000, list, made - 1);
      assert.equal(short, FULL);
      assert.equal(arena.kernel.splitFrame(at, bytes.length, 10, out, 30_001, list, 100), FULL);
    }
  }
  arena.assertContained();
});

Deno.test("transmit() and splitFrame() refuse a frame whose headers or offsets lie", () => {
  const arena = prepare();
  const outcome = (frame: Uint8Array, vnet: VnetHeader): number => {
    const bytes = withVnet(frame, vnet);
    arena.txBegin();
    const made = transmit(arena, bytes, 10);
    const { frame: at, out, list } = arena.at;
    assert.equal(arena.kernel.splitFrame(at, bytes.length, 10, out, 60_000, list, 100), made);
    return made;
  };
  const changed = (frame: Uint8Array, at: number, byte: number) => {
    const copy = frame.slice();
    copy[at] = byte;
    return copy;
  };
  const plain = makeFrame({ body: noise(100, 1) });
  const checksum = { ...NO_VNET, flags: 1 };
  const end = plain.length;
  for (
    const [checksumStart, checksumOffset, made] of [
      [14, 0, 1],
      [13, 0, MALFORMED],
      [0, 16, MALFORMED],
      [34, end - 36, 1],
      [34, end - 35, MALFORMED],
      [end - 2, 0, 1],
      [end - 1, 0, MALFORMED],
      [0xffff, 0xffff, MALFORMED],
      [34, 0xffff, MALFORMED],
    ]
  ) {
    const vnet = { ...checksum, checksumStart, checksumOffset };
    assert.equal(outcome(plain, vnet), made, `checksum at ${checksumStart} + ${checksumOffset}`);
  }

  const v4 = makeFrame({ options: 12, body: noise(100, 1) });
  const v6 = makeFrame({ ipv6: true, body: noise(100, 1) });
  const good4 = superHeader(v4, { options: 12 }, 50);
  const good6 = superHeader(v6, { ipv6: true }, 50);
  const udp = superHeader(v4, { protocol: UDP }, 50);
  assert.equal(outcome(v4, good4), 2);
  assert.equal(outcome(v6, good6), 2);
  const refused: [string, Uint8Array, VnetHeader][] = [
    ["no segment size", v4, { ...good4, gsoSize: 0 }],
    ["IPv4 as IPv6", v4, { ...good4, gsoType: 4 }],
    ["IPv6 as IPv4", v6, { ...good6, gsoType: 1 }],
    ["IP fragmentation of UDP", v4, { ...udp, gsoType: 3 }],
    ["an unknown type", v4, { ...good4, gsoType: 2 }],
    ["TCP as UDP", v4, udp],
    ["another start of the transport header", v4, { ...good4, checksumStart: 38 }],
    ["another one in IPv6", v6, { ...good6, checksumStart: 58 }],
    ["another EtherType", changed(v4, 13, 6), good4],
    ["another version", changed(v4, 14, 0x65), good4],
    ["an IPv4 header of 16 bytes", changed(v4, 14, 0x44), good4],
    ["a TCP header of 16 bytes", changed(v4, 46, 0x40), good4],
    ["a TCP header beyond the end", changed(v4.subarray(0, 60), 46, 0xf0), good4],
    ["half an IPv4 header", v4.subarray(0, 30), good4],
    ["half a TCP header", v4.subarray(0, 50), good4],
    ["half an IPv6 header", v6.subarray(0, 50), good6],
    ["extension headers of unknown length", changed(v6, 20, 0), { ...good6, flags: 0 }],
  ];
  for (const [what, frame, vnet] of refused) assert.equal(outcome(frame, vnet), MALFORMED, what);
  const two = makeFrame({ tags: 2, body: noise(100, 1) });
  const tagged = concat(two.subarray(0, 12), Uint8Array.of(0x81, 0, 0, 7), two.subarray(12));
  assert.equal(outcome(tagged, superHeader(tagged, { tags: 3 }, 50)), MALFORMED, "three tags");
  for (const length of [0, 9, 10, 23]) {
    arena.txBegin();
    assert.equal(transmit(arena, noise(length, 1), 10), MALFORMED, `${length} bytes`);
  }
  arena.txBegin();
  assert.equal(transmit(arena, noise(100, 1), 12), MALFORMED, "a virtio header of 12 bytes");
  assert.equal(transmit(arena, noise(13, 1), 0), MALFORMED);
  assert.equal(transmit(arena, noise(10_001, 1), 0, 10_324), MALFORMED, "too long a packet");
  assert.equal(transmit(arena, noise(10_000, 1), 0, 10_324), 1);
});

Deno.test("transmit() takes the sender's word for where IPv6 extension headers end", () => {
  const arena = prepare();
  const shape = { ipv6: true, options: 12 };
  const frame = makeFrame({ ...shape, body: noise(3_000, 1) });
  // Eight bytes of hop-by-hop options between IPv6 and TCP.
  const extended = concat(
    frame.subarray(0, 54),
    Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0),
    frame.subarray(54),
  );
  extended[20] = 0;
  const vnet = superHeader(frame, shape, 1_000);
  const bytes = withVnet(extended, { ...vnet, checksumStart: vnet.checksumStart + 8 });
  const at = arena.put("frame", bytes);
  const { out, list } = arena.at;
  assert.equal(arena.kernel.splitFrame(at, bytes.length, 10, out, 60_000, list, 100), 3);
  for (let i = 0; i < 3; i++) {
    const from = arena.view.getUint32(list + 8 * i, true);
    const length = arena.view.getUint32(list + 8 * i + 4, true);
    const segment = arena.bytes.slice(from, from + length);
    assert.equal((segment[18] << 8) | segment[19], length - 54, "IPv6 payload length");
    // Without the extension it is a segment as any other, but for the length.
    const bare = concat(segment.subarray(0, 54), segment.subarray(62));
    bare[20] = TCP;
    assert.ok(checksumsHold(bare));
  }
});
