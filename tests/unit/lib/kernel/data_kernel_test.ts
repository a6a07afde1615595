import assert from "node:assert/strict";
import { concat, toHex } from "../../../../lib/base/bytes.ts";
import type { Address } from "../../../../lib/base/ids.ts";
import {
  FULL,
  MALFORMED,
  REASSEMBLY_BYTES,
  ResultKind,
  SCRATCH_BYTES,
  sessionHash,
  VNET_BYTES,
} from "../../../../lib/kernel/data_kernel.ts";
import {
  checksumsHold,
  decodeVnet,
  encodeVnet,
  layersOf,
  splitTwin,
} from "../../../../lib/kernel/data_twin.ts";
import { buildPacket, setCipher, Verb } from "../../../../lib/wire/packet.ts";
import { Arena, dice, noise, PEER, type Run, SELF } from "./arena.ts";
import { ACK, type FrameShape, makeFrame, superHeader, TCP, UDP, withVnet } from "./frames.ts";

const ETHERNET_BYTES = 14;

/** Two nodes that share a key: what `from` transmits `to` receives. */
function pair(): { from: Arena; to: Arena } {
  const [from, to] = [new Arena(), new Arena()];
  to.addSession(0, PEER);
  const id = new Uint8Array(8);
  const [destination, source] = [SELF as Address, PEER as Address];
  const template = buildPacket({ id, destination, source, verb: Verb.FRAME }, noise(8, 2));
  setCipher(template, 1);
  from.put("template", template);
  return { from, to };
}

function transmit(from: Arena, bytes: Uint8Array, vnet: number, mtu: number): Run[] {
  const { frame, template, session } = from.at;
  from.put("frame", bytes);
  from.txBegin();
  assert.ok(from.kernel.transmit(frame, bytes.length, vnet, template, session, mtu, 1) > 0);
  return from.runs(from.kernel.txEnd());
}

/** Receives super-datagrams and delivers their frames. @returns the frames written, virtio headers included */
function receive(to: Arena, superDatagrams: readonly Run[]): Uint8Array[] {
  const { kernel, at } = to;
  const written: Uint8Array[] = [];
  const macs = to.put("macs", noise(12, 5));
  for (const { bytes, size } of superDatagrams) {
    kernel.rxFramesBegin(at.frames, to.size("frames"), at.writes, 256, VNET_BYTES);
    const input = to.put("input", bytes);
    for (let offset = 0, count = FULL; count === FULL; offset += kernel.rxResumeAt()) {
      to.rxBegin();
      count = kernel.receive(input + offset, bytes.length - offset, size, 1);
      for (const result of to.results(kernel.rxCount())) {
        if (result.kind !== ResultKind.FRAME) continue;
        assert.equal(
          kernel.deliver(result.at, result.bytes.length, result.etherType, macs, 1),
          0,
        );
      }
    }
    written.push(...to.writes(kernel.rxFramesEnd()).map(({ frame }) => frame));
  }
  return written;
}

/** Bodies of all segments, and a check of every one. */
function bodiesOf(written: readonly Uint8Array[]): Uint8Array[] {
  return written.flatMap((bytes) => splitTwin(bytes.slice(VNET_BYTES), decodeVnet(bytes)))
    .map((frame) => {
      assert.ok(checksumsHold(frame));
      return frame.subarray(layersOf(frame)!.body);
    });
}

Deno.test("REASSEMBLY_BYTES and SCRATCH_BYTES are what the module says", () => {
  const exports = new Arena().kernel as unknown as Record<string, WebAssembly.Global>;
  assert.equal(exports.REASSEMBLY_BYTES.value, REASSEMBLY_BYTES);
  assert.equal(exports.SCRATCH_BYTES.value, SCRATCH_BYTES);
});

Deno.test("sessionHash() agrees with the kernel", () => {
  const { kernel } = new Arena();
  const roll = dice(5);
  for (let i = 0; i < 10_000; i++) {
    const high = roll(256);
    const low = roll(0x1_0000_0000);
    const mask = 2 ** roll(24) - 1;
    assert.equal(sessionHash(high, low, mask), kernel.sessionHash(high, low, mask));
  }
});

Deno.test("a super-frame crosses: its body comes out in order, as super-frames, with every checksum right", () => {
  const roll = dice(23);
  for (let round = 0; round < 40; round++) {
    const { from, to } = pair();
    const shape: FrameShape = {
      ipv6: roll(2) === 0,
      options: roll(2) * 12,
      sequence: 0xffff_8000,
      ipId: 0xfff0,
    };
    const body = noise(1 + roll(62_000), round);
    const frame = makeFrame({ ...shape, body });
    const gsoSize = [536, 1_240, 1_348, 2_748, 2_728][roll(5)];
    const mtu = [1_280, 1_400, 1_432, 1_472][roll(4)];
    const runs = transmit(from, withVnet(frame, superHeader(frame, shape, gsoSize)), 10, mtu);
    const written = receive(to, runs);
    assert.equal(toHex(concat(...bodiesOf(written))), toHex(body), `round ${round}`);
    assert.ok(written.length <= runs.length, "merged again, run by run");
    from.assertContained();
    to.assertContained();
  }
});

Deno.test("datagrams lost, doubled and out of order: what arrives is whole and nothing else arrives", () => {
  const roll = dice(29);
  for (let round = 0; round < 60; round++) {
    const { from, to } = pair();
    const shape: FrameShape = { protocol: round % 3 === 0 ? UDP : TCP, ipv6: round % 2 === 0 };
    const body = noise(20_000 + roll(30_000), round);
    const frame = makeFrame({ ...shape, body });
    const gsoSize = 800 + roll(3_000);
    const sent = withVnet(frame, superHeader(frame, shape, gsoSize));
    const expected = new Set<string>();
    const datagrams: Uint8Array[] = [];
    for (const { bytes, size } of transmit(from, sent, 10, 1_432)) {
      for (let at = 0; at < bytes.length; at += size) datagrams.push(bytes.slice(at, at + size));
    }
    for (const whole of bodiesOf(receive(to, datagrams.map(alone)))) expected.add(toHex(whole));
    assert.equal([...expected].join("").length, 2 * body.length, "without faults all arrives");

    const lossy = datagrams.filter(() => roll(10) > 0);
    const doubled = lossy.flatMap((one) => roll(10) === 0 ? [one, one] : [one]);
    for (let i = 0; i < doubled.length; i++) {
      const j = Math.min(doubled.length - 1, i + roll(6));
      [doubled[i], doubled[j]] = [doubled[j], doubled[i]];
    }
    const arrived = bodiesOf(receive(to, regroup(doubled, roll)));
    for (const one of arrived) assert.ok(expected.has(toHex(one)));
    assert.ok(arrived.length > 0);
    to.assertContained();
  }
});

function alone(datagram: Uint8Array): Run {
  return { bytes: datagram, size: datagram.length, pathTag: 1 };
}

/** Groups neighbours of one size, the last possibly shorter, as the system does on receipt. */
function regroup(datagrams: readonly Uint8Array[], roll: (bound: number) => number): Run[] {
  const groups: Uint8Array[][] = [];
  for (const datagram of datagrams) {
    const group = groups.at(-1);
    const joins = group && group.length < 40 && group.at(-1)!.length === group[0].length &&
      datagram.length <= group[0].length && roll(12) > 0;
    if (joins) group.push(datagram);
    else groups.push([datagram]);
  }
  return groups.map((group) => ({ bytes: concat(...group), size: group[0].length, pathTag: 1 }));
}

Deno.test("transmit() and splitFrame() survive hostile frames: random bytes, lying offsets and lengths", () => {
  const { from } = pair();
  const { kernel, at } = from;
  const roll = dice(31);
  const shapes: FrameShape[] = [{}, { ipv6: true }, { protocol: UDP }, { tags: 2, options: 12 }];
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    let bytes: Uint8Array;
    if (roll(3) === 0) {
      bytes = noise(roll(200), round);
      if (bytes.length > 1) bytes[1] = [0, 1, 4, 5, 0x81, bytes[1]][roll(6)];
    } else {
      const shape = shapes[roll(4)];
      const frame = makeFrame({ ...shape, body: new Uint8Array(roll(3_000)) });
      bytes = withVnet(frame, superHeader(frame, shape, roll(1_500)));
      for (let i = roll(4); i >= 0; i--) bytes[roll(Math.min(bytes.length, 100))] = roll(256);
      bytes = bytes.subarray(0, roll(3) === 0 ? roll(bytes.length) : bytes.length);
    }
    // At the very end of its area, so that reading on would meet the canary.
    const where = from.put("frame", bytes, from.size("frame") - bytes.length);
    const vnet = [10, 10, 10, 0, 12][roll(5)];
    from.txBegin();
    const mtu = [0, 17, 100, 1_280, 1_432][roll(5)];
    const made = kernel.transmit(where, bytes.length, vnet, at.template, at.session, mtu, 1);
    assert.ok(made >= MALFORMED);
    const split = kernel.splitFrame(where, bytes.length, vnet, at.out, 100_000, at.list, 200);
    assert.ok(split >= MALFORMED && split <= 200);
    if (made === MALFORMED) refused++;
    if (round % 100 === 0) from.assertContained();
  }
  assert.ok(refused > 1_000);
  from.assertContained();
});

Deno.test("transmit() reads nothing outside the frame: bytes around it change nothing", () => {
  const outputs: string[] = [];
  for (const fill of [0x00, 0xff]) {
    const { from } = pair();
    const again = dice(37);
    const frame = makeFrame({ ipv6: true, body: noise(4_001, 1) });
    const bytes = withVnet(frame, superHeader(frame, { ipv6: true }, 1_000));
    for (let round = 0; round < 500; round++) {
      const cut = bytes.slice(0, 1 + again(bytes.length));
      if (cut.length > 9) cut.set(encodeVnet({ ...decodeVnet(bytes), checksumStart: again(200) }));
      from.bytes.fill(fill, from.at.frame, from.at.frame + from.size("frame"));
      from.put("frame", cut, 1_000);
      from.txBegin();
      const { kernel, at } = from;
      const made = kernel.transmit(
        at.frame + 1_000,
        cut.length,
        10,
        at.template,
        at.session,
        1_432,
        1,
      );
      const runs = from.runs(kernel.txEnd()).map(({ bytes }) => toHex(bytes)).join();
      const key = `${made} ${runs}`;
      if (fill === 0x00) outputs.push(key);
      else assert.equal(key, outputs[round]);
    }
  }
});

Deno.test("receive() survives hostile datagrams: random bytes, heads and fragments of every kind", () => {
  const { to } = pair();
  const roll = dice(41);
  const self = Uint8Array.of(0x89, 0xe9, 0x2c, 0xee, 0xe5);
  let tick = 0;
  for (let round = 0; round < 8_000; round++) {
    const bytes = noise(1 + roll(roll(40) === 0 ? 8_000 : 400), round);
    const segment = [0, 1, 16, 17, 28, 60, bytes.length][roll(7)] || 1 + roll(bytes.length);
    for (let at = 0; at < bytes.length; at += segment) {
      const left = bytes.length - at;
      if (left < 19 || segment < 19) continue;
      if (roll(8) > 0) bytes.set(self, at + 8);
      if (roll(2) === 0) bytes.fill(roll(3), at, at + 8); // few ids, so that pieces meet
      if (roll(2) === 0) bytes[at + 13] = 0xff;
      if (roll(2) === 0) bytes[at + 14] = (2 + roll(6) << 4) | 1 + roll(6);
      if (roll(4) === 0) bytes[at + 18] |= 0x40;
    }
    to.kernel.setTick(tick += roll(400));
    const offset = to.size("input") - bytes.length;
    const at = to.put("input", bytes, offset);
    for (let from = 0, count = FULL; count === FULL; from += to.kernel.rxResumeAt()) {
      to.rxBegin(1 + roll(50));
      count = to.kernel.receive(at + from, bytes.length - from, segment, roll(4));
      for (const { kind, at: where, bytes: body } of to.results(to.kernel.rxCount())) {
        assert.ok(
          kind === ResultKind.SEALED || kind === ResultKind.FOREIGN || kind === ResultKind.FAILED,
        );
        const inInput = where >= at && where + body.length <= at + bytes.length;
        const inSlots = where >= to.at.slots &&
          where + body.length <= to.at.slots + REASSEMBLY_BYTES;
        assert.ok(inInput || inSlots);
      }
    }
    if (round % 100 === 0) to.assertContained();
  }
  to.assertContained();
});

Deno.test("deliver() survives hostile payloads", () => {
  const { to } = pair();
  const { kernel, at } = to;
  const roll = dice(43);
  kernel.setUso(1);
  const shapes: FrameShape[] = [{}, { ipv6: true }, { protocol: UDP }, { options: 40, flags: ACK }];
  for (let round = 0; round < 300; round++) {
    kernel.rxFramesBegin(at.frames, to.size("frames"), at.writes, 256, VNET_BYTES);
    let delivered = 0;
    for (let i = 0; i < 50; i++) {
      const frame = makeFrame({ ...shapes[roll(4)], body: new Uint8Array(roll(200)) });
      const payload = roll(4) === 0 ? noise(roll(100), i) : frame.slice(ETHERNET_BYTES);
      for (let j = roll(3); j > 0 && payload.length > 0; j--) {
        payload[roll(Math.min(90, payload.length))] = roll(256);
      }
      const cut = roll(4) === 0 ? payload.subarray(0, roll(payload.length + 1)) : payload;
      const where = to.put("input", cut, to.size("input") - cut.length);
      const macs = to.put("macs", noise(12, roll(2)));
      const type = roll(2) === 0 ? 0x0800 : 0x86dd;
      if (kernel.deliver(where, cut.length, type, macs, 1) === 0) delivered++;
    }
    assert.equal(delivered, 50);
    const writes = kernel.rxFramesEnd();
    assert.ok(writes > 0 && writes <= 50);
    to.writes(writes);
    if (round % 10 === 0) to.assertContained();
  }
  to.assertContained();
});
