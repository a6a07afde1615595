import assert from "node:assert/strict";
import { concat, toHex } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import {
  ASSEMBLED_MAX,
  FULL,
  NO_SLOT,
  ResultKind,
  Session,
} from "../../../../lib/kernel/data_kernel.ts";
import { PacketTwin } from "../../../../lib/kernel/twin.ts";
import { fragmentCount, Reassembler, split } from "../../../../lib/wire/fragment.ts";
import {
  AT_FLAGS,
  buildPacket,
  FLAG_FRAGMENTED,
  FRAGMENTS_MAX,
  setCipher,
  Verb,
} from "../../../../lib/wire/packet.ts";
import { Arena, dice, noise, PEER, SELF } from "./arena.ts";

const STRANGER = 0x12_3456_789a;
const NETWORK = 0x8056_c2e2_1c00_0001n;
const NETWORK_BYTES = Uint8Array.of(0x80, 0x56, 0xc2, 0xe2, 0x1c, 0, 0, 1);
const ETHER_TYPE = 0x86dd;
const { FRAME, OPENED, SEALED, FOREIGN, FAILED } = ResultKind;

interface PacketShape {
  readonly source?: number;
  readonly destination?: number;
  readonly verb?: number;
  readonly cipher?: 0 | 1;
  readonly hops?: number;
  readonly mtu?: number;
  readonly key?: Uint8Array;
}

function prepare(): Arena {
  const arena = new Arena();
  arena.addSession(3, PEER);
  return arena;
}

let packetsMade = 0;

/** A sealed packet, ready to be split. */
function makePacket(key: Uint8Array, payload: Uint8Array, shape: PacketShape = {}): Uint8Array {
  const packet = buildPacket({
    id: noise(8, ++packetsMade),
    destination: (shape.destination ?? SELF) as Address,
    source: (shape.source ?? PEER) as Address,
    verb: Verb.FRAME,
  }, payload);
  packet[27] = shape.verb ?? Verb.FRAME;
  setCipher(packet, shape.cipher ?? 1);
  if (fragmentCount(packet.length, shape.mtu ?? 1_432)! > 1) packet[AT_FLAGS] |= FLAG_FRAGMENTED;
  new PacketTwin().seal(packet, shape.key ?? key, shape.cipher !== 0);
  packet[AT_FLAGS] |= shape.hops ?? 0;
  return packet;
}

function frameOf(payload: Uint8Array): Uint8Array {
  return concat(NETWORK_BYTES, Uint8Array.of(ETHER_TYPE >> 8, ETHER_TYPE & 0xff), payload);
}

Deno.test("receive() opens frames of every length, whole or in pieces side by side, at any alignment", () => {
  const arena = prepare();
  let bytesOpened = 0;
  for (let length = 1; length <= 2_900; length++) {
    const payload = noise(length, length);
    const mtu = [700, 1_280, 1_432, 1_500][length % 4];
    const packet = makePacket(arena.key, frameOf(payload), { mtu });
    const datagrams = split(packet, mtu);
    const bytes = concat(...datagrams);
    const at = arena.put("input", bytes, length % 16);
    arena.rxBegin();
    assert.equal(arena.kernel.receive(at, bytes.length, datagrams[0].length, 9), 1);
    assert.equal(arena.kernel.rxResumeAt(), bytes.length);
    const [result] = arena.results(1);
    assert.deepEqual(
      { ...result, bytes: toHex(result.bytes) },
      {
        kind: FRAME,
        verb: Verb.FRAME,
        hops: 0,
        at: at + 38,
        bytes: toHex(payload),
        slot: 3,
        sourceTag: 9,
        networkId: NETWORK,
        etherType: ETHER_TYPE,
      },
      `length ${length}`,
    );
    bytesOpened += packet.length;
  }
  assert.equal(arena.session(3, Session.OPENED), 2_900);
  assert.equal(arena.session(3, Session.FAILED), 0);
  const entry = arena.at.sessions + 3 * 128;
  assert.equal(arena.view.getFloat64(entry + Session.BYTES, true), bytesOpened);
  arena.assertContained();
});

Deno.test("receive() stamps the session with when and how its frames came", () => {
  const arena = prepare();
  const packet = makePacket(arena.key, frameOf(noise(9, 1)));
  arena.kernel.setTick(5_000);
  arena.receive(packet, 0, 11);
  packet[AT_FLAGS] |= 2;
  arena.kernel.setTick(6_000);
  const [relayed] = arena.receive(packet, packet.length, 12);
  assert.equal(relayed.hops, 2);
  assert.equal(arena.session(3, Session.DIRECT_TICK), 5_000);
  assert.equal(arena.session(3, Session.RELAYED_TICK), 6_000);
  assert.equal(arena.session(3, Session.DIRECT_PATH), 11);
  assert.equal(arena.session(3, Session.RELAYED_PATH), 12);
  // Control is handed what is no frame, and knows what its verb tells: an ECHO does not show that the sender hears us.
  arena.kernel.setTick(7_000);
  arena.receive(makePacket(arena.key, noise(20, 1), { verb: Verb.ECHO }), 0, 11);
  assert.equal(arena.session(3, Session.OPENED), 3);
  assert.equal(arena.session(3, Session.DIRECT_TICK), 5_000);
});

Deno.test("receive() tells what it opened from what it left to others", () => {
  const arena = prepare();
  arena.addSession(1, 0x22_2222_2222, 0);
  const key = arena.key;
  const payload = frameOf(noise(60, 1));
  const cases: [PacketShape, Uint8Array, number, number][] = [
    [{ verb: Verb.ECHO }, payload, OPENED, 3],
    [{ verb: Verb.FRAME | 0x80 }, payload, OPENED, 3], // compressed
    [{ verb: Verb.EXT_FRAME }, payload, OPENED, 3],
    [{ verb: Verb.FRAME }, payload.subarray(0, 9), OPENED, 3], // truncated
    [{ verb: Verb.FRAME }, new Uint8Array(0), OPENED, 3],
    [{ verb: Verb.HELLO, cipher: 0 }, payload, SEALED, 3],
    [{ source: STRANGER }, payload, SEALED, NO_SLOT],
    [{ source: 0x22_2222_2222 }, payload, SEALED, 1], // not to be opened here
    [{ destination: STRANGER }, payload, FOREIGN, NO_SLOT],
    [{ source: SELF }, payload, FAILED, NO_SLOT],
    [{ key: noise(32, 1) }, payload, FAILED, 3],
  ];
  for (const [shape, body, kind, slot] of cases) {
    const packet = makePacket(key, body, { ...shape, hops: 1 });
    const [result, ...more] = arena.receive(packet, packet.length, 5);
    const what = JSON.stringify(shape);
    assert.deepEqual(
      [result.kind, result.slot, result.hops, result.sourceTag],
      [kind, slot, 1, 5],
      what,
    );
    assert.equal(more.length, 0);
    assert.equal(result.at, arena.at.input, what);
    if (kind === OPENED) {
      assert.equal(result.verb, shape.verb, what);
      assert.equal(toHex(result.bytes.subarray(28)), toHex(body), what);
    } else {
      assert.equal(toHex(result.bytes), toHex(packet), `${what}: untouched`);
    }
  }
  assert.equal(arena.session(3, Session.FAILED), 1);
});

Deno.test("receive() leaves ciphers 2 to 7 to others", () => {
  const arena = prepare();
  for (const cipher of [2, 3, 4, 5, 6, 7]) {
    const packet = makePacket(arena.key, frameOf(noise(60, 1)));
    packet[AT_FLAGS] = cipher << 3;
    assert.deepEqual(arena.receive(packet, 0).map(({ kind }) => kind), [SEALED]);
  }
});

Deno.test("receive() drops a frame without payload", () => {
  const arena = prepare();
  assert.deepEqual(arena.receive(makePacket(arena.key, frameOf(new Uint8Array(0))), 0), []);
  assert.equal(arena.session(3, Session.OPENED), 1);
});

Deno.test("receive() ignores the two verb bits that mean nothing", () => {
  const arena = prepare();
  for (const verb of [0x26, 0x46, 0x66]) {
    const [result] = arena.receive(makePacket(arena.key, frameOf(noise(5, 1)), { verb }), 0);
    assert.equal(result.kind, FRAME);
  }
});

Deno.test("receive() hands on what is too odd to be a packet", () => {
  const arena = prepare();
  const whole = makePacket(arena.key, frameOf(noise(60, 1)));
  for (const length of [1, 4, 13, 16, 17, 27]) {
    const [result, ...more] = arena.receive(whole.slice(0, length), 0);
    assert.deepEqual([result.kind, result.bytes.length, more.length], [SEALED, length, 0]);
  }
  const huge = noise(10_025, 3);
  assert.equal(arena.receive(huge, 0)[0].kind, SEALED);
  assert.deepEqual(arena.receive(new Uint8Array(0), 0), []);
  const [, fragment] = split(makePacket(arena.key, noise(2_000, 1), {}), 1_432);
  for (const numbers of [0x00, 0x10, 0x11, 0x12, 0x20, 0x22, 0x81, 0xf1, 0x77]) {
    const odd = fragment.slice();
    odd[14] = numbers;
    assert.equal(arena.receive(odd, 0)[0].kind, SEALED, numbers.toString(16));
  }
});

Deno.test("receive() names fragments for others by their hops", () => {
  const arena = prepare();
  const packet = makePacket(arena.key, noise(2_000, 1), { destination: STRANGER });
  const [, fragment] = split(packet, 1_432);
  fragment[15] = 2;
  const [result] = arena.receive(fragment, 0);
  assert.deepEqual([result.kind, result.hops, toHex(result.bytes)], [FOREIGN, 2, toHex(fragment)]);
});

Deno.test("receive() puts pieces together in any order, with duplicates, over many super-datagrams", () => {
  const roll = dice(7);
  const arena = prepare();
  for (let round = 0; round < 300; round++) {
    const mtu = [200, 700, 1_280, 1_432][roll(4)];
    const length = 1 + roll(Math.min(9_900, (mtu - 16) * FRAGMENTS_MAX - 40));
    const payload = noise(length, round);
    const packet = makePacket(arena.key, frameOf(payload), { mtu });
    const datagrams = split(packet, mtu);
    if (datagrams.length === 1) continue;
    const order = datagrams.map((_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = roll(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    // No duplicate of the piece that completes it: what comes afterwards begins a packet anew.
    for (let i = order.length - 1; i > 0; i--) {
      if (roll(3) === 0) order.splice(i, 0, order[roll(i)]);
    }
    const results = order.flatMap((number, i) =>
      arena.receive(datagrams[number], 0, number === 0 ? 50 : 60 + i)
    );
    assert.equal(results.length, 1, `round ${round}`);
    assert.equal(results[0].kind, FRAME);
    assert.equal(results[0].sourceTag, 50, "the head's path");
    assert.equal(toHex(results[0].bytes), toHex(payload), `round ${round}`);
  }
  arena.assertContained();
});

Deno.test("receive() agrees with Reassembler on random series of pieces, tampered ones included", () => {
  const roll = dice(11);
  for (let round = 0; round < 60; round++) {
    const arena = prepare();
    // Packets of a stranger come out as they went in, so that there is something to compare.
    const twin = new Reassembler({ slotsMax: 64, slotsPerSourceMax: 8, expiryMs: 2_000 });
    const pool: Uint8Array[] = [];
    for (let i = 0; i < 6; i++) {
      const packet = makePacket(arena.key, noise(300 + roll(4_000), i), {
        source: STRANGER,
        mtu: 900,
      });
      pool.push(...split(packet, 900));
    }
    let nowMs = 1_000;
    for (let step = 0; step < 120; step++) {
      const piece = pool[roll(pool.length)].slice();
      if (roll(8) === 0 && piece[13] === 0xff) piece[14] = (2 + roll(6) << 4) | 1 + roll(6);
      if (piece[13] !== 0xff && (piece[AT_FLAGS] & FLAG_FRAGMENTED) === 0) continue;
      const path = roll(3);
      nowMs += roll(150);
      arena.kernel.setTick(nowMs);
      const expected = twin.add(String(path), piece, nowMs);
      // Odd numbers are handed on; a whole packet has a source.
      const results = arena.receive(piece, 0, path).filter(({ bytes }) => bytes[13] !== 0xff);
      assert.equal(results.length, expected ? 1 : 0, `round ${round}, step ${step}`);
      if (!expected) continue;
      assert.equal(toHex(results[0].bytes), toHex(expected.packet));
      assert.equal(String(results[0].sourceTag), expected.source);
    }
    arena.assertContained();
  }
});

Deno.test("receive() forgets pieces after two seconds", () => {
  const arena = prepare();
  for (const [waitMs, results] of [[1_999, 1], [2_000, 0]]) {
    const [head, fragment] = split(makePacket(arena.key, frameOf(noise(2_000, 1))), 1_432);
    arena.kernel.setTick(0xffff_ff00); // the clock may wrap
    arena.receive(fragment, 0);
    arena.kernel.setTick((0xffff_ff00 + waitMs) >>> 0);
    assert.equal(arena.receive(head, 0).length, results);
  }
});

Deno.test("receive() lets a flood of pieces from one path push out only that path's own", () => {
  const arena = prepare();
  const honest = split(makePacket(arena.key, frameOf(noise(2_000, 1))), 1_432);
  arena.receive(honest[1], 0, 1);
  for (let i = 0; i < 500; i++) {
    arena.receive(split(makePacket(arena.key, noise(2_000, i)), 1_432)[1], 0, 2);
  }
  assert.equal(arena.receive(honest[0], 0, 1)[0].kind, FRAME);
  // From many paths: whoever holds least keeps it longest.
  arena.receive(honest[1], 0, 1);
  for (let i = 0; i < 500; i++) {
    arena.receive(split(makePacket(arena.key, noise(2_000, i)), 1_432)[1], 0, 2 + i % 20);
  }
  assert.equal(arena.receive(honest[0], 0, 1)[0].kind, FRAME);
});

Deno.test("receive() stops when results are full and goes on where it stopped", () => {
  const arena = prepare();
  const payloads = Array.from({ length: 20 }, (_, i) => noise(500, i));
  const datagrams = payloads.map((payload) => makePacket(arena.key, frameOf(payload)));
  const bytes = concat(...datagrams);
  const segment = datagrams[0].length;
  const at = arena.put("input", bytes);
  const opened: string[] = [];
  let from = 0;
  for (const expected of [FULL, FULL, 6]) {
    arena.rxBegin(7);
    const count = arena.kernel.receive(at + from, bytes.length - from, segment, 1);
    assert.equal(count, expected);
    opened.push(...arena.results(arena.kernel.rxCount()).map((result) => toHex(result.bytes)));
    from += arena.kernel.rxResumeAt();
  }
  assert.deepEqual(opened, payloads.map(toHex));
});

Deno.test("receive() keeps packets it put together until they are drained", () => {
  const arena = prepare();
  const payloads = Array.from({ length: ASSEMBLED_MAX + 3 }, (_, i) => noise(2_000, i));
  const pairs = payloads.map((payload) => split(makePacket(arena.key, frameOf(payload)), 1_432));
  // Tail first: nothing can be joined where it lies.
  const bytes = concat(...pairs.flatMap(([head, fragment]) => [fragment, head]));
  const segment = pairs[0][0].length;
  assert.equal(pairs[0][1].length, segment);
  const fitting = Math.floor(65_536 / segment / 2);
  const received = arena.receive(bytes.slice(0, fitting * segment * 2), segment);
  assert.equal(received.length, fitting);
  received.forEach(({ bytes }, i) => assert.equal(toHex(bytes), toHex(payloads[i])));
  arena.rxBegin();
  const results = [];
  for (const pair of pairs) {
    const both = concat(pair[1], pair[0]);
    const count = arena.kernel.receive(arena.put("input", both), both.length, segment, 1);
    if (count === FULL) break;
    results.push(count);
  }
  assert.deepEqual(results, results.map((_, i) => i + 1));
  assert.equal(results.length, ASSEMBLED_MAX);
  assert.equal(arena.kernel.rxResumeAt(), 0, "nothing of the next was touched");
  arena.results(arena.kernel.rxCount())
    .forEach(({ bytes }, i) => assert.equal(toHex(bytes), toHex(payloads[i])));
  arena.assertContained();
});

Deno.test("receive() finds sessions wherever they are in the index", () => {
  const arena = new Arena();
  // Same low bits: all begin their search at the same entry.
  const addresses = Array.from({ length: 8 }, (_, i) => PEER + i * 0x1_0000);
  addresses.forEach((address, slot) => arena.addSession(slot, address));
  addresses.forEach((source, slot) => {
    const [result] = arena.receive(makePacket(arena.key, frameOf(noise(5, 1)), { source }), 0);
    assert.deepEqual([result.kind, result.slot], [FRAME, slot]);
  });
  const source = PEER + 9 * 0x1_0000;
  const [result] = arena.receive(makePacket(arena.key, frameOf(noise(5, 1)), { source }), 0);
  assert.deepEqual([result.kind, result.slot], [SEALED, NO_SLOT]);
  // An index without a free entry does not hold it for ever.
  for (let i = 0; i < 16; i++) arena.view.setUint32(arena.at.index + 4 * i, 1, true);
  assert.equal(arena.receive(makePacket(arena.key, noise(5, 1), { source }), 0)[0].slot, NO_SLOT);
});

Deno.test("receive() puts together nothing longer than a packet may be", () => {
  const arena = prepare();
  for (const [length, results] of [[10_024, 1], [10_025, 0]]) {
    const packet = noise(length, length);
    packet.set(makePacket(arena.key, noise(2_000, 1), { source: STRANGER }).subarray(0, 28));
    const size = 1_446; // of which seven are more than enough
    const pieces = [packet.subarray(0, size)];
    for (let at = size; at < length; at += size - 16) {
      const header = concat(packet.subarray(0, 13), Uint8Array.of(0xff, 0x70 + pieces.length, 0));
      pieces.push(concat(header, packet.subarray(at, at + size - 16)));
    }
    assert.equal(pieces.length, FRAGMENTS_MAX);
    assert.equal(arena.receive(concat(...pieces), size).length, results, "side by side");
    const apart = pieces.reverse().flatMap((piece) => arena.receive(piece, 0));
    assert.equal(apart.length, results, "apart");
  }
});

Deno.test("receive() keeps eight packets under assembly for a path, the latest, even with room for more", () => {
  const arena = prepare();
  const pairs = Array.from(
    { length: 9 },
    (_, i) => split(makePacket(arena.key, frameOf(noise(2_000, i))), 1_432),
  );
  for (const [head] of pairs) arena.receive(head, 0, 1);
  assert.equal(arena.receive(pairs[0][1], 0, 2).length, 0, "the first gave way");
  for (const [, fragment] of pairs.slice(1)) {
    assert.equal(arena.receive(fragment, 0, 2).length, 1);
  }
});
