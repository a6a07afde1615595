import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { FULL, VNET_BYTES } from "../../../../lib/kernel/data_kernel.ts";
import {
  checksumsHold,
  coalesceTwin,
  decodeVnet,
  finishFrame,
  layersOf,
  splitTwin,
  type TapFrame,
} from "../../../../lib/kernel/data_twin.ts";
import { Arena, dice, noise } from "./arena.ts";
import { ACK, type FrameShape, makeFrame, PSH, TCP, UDP } from "./frames.ts";

const ETHERNET_BYTES = 14;
const FIN = 0x01;
const CWR = 0x80;

/** Delivers frames, flushing when there is no room. @returns what was written */
function deliver(
  arena: Arena,
  frames: readonly TapFrame[],
  { vnet = VNET_BYTES, outBytes = arena.size("frames"), writesMax = 256 } = {},
): TapFrame[] {
  const { kernel, at } = arena;
  const written: TapFrame[] = [];
  const begin = () => kernel.rxFramesBegin(at.frames, outBytes, at.writes, writesMax, vnet);
  const end = () => written.push(...arena.writes(kernel.rxFramesEnd()));
  begin();
  frames.forEach(({ frame, tapTag }, i) => {
    const macs = arena.put("macs", frame.subarray(0, 12));
    const payload = arena.put("input", frame.subarray(ETHERNET_BYTES), i % 16);
    const etherType = (frame[12] << 8) | frame[13];
    const take = () =>
      kernel.deliver(payload, frame.length - ETHERNET_BYTES, etherType, macs, tapTag);
    if (take() === 0) return;
    end();
    begin();
    assert.equal(take(), 0, "there is room after a flush");
  });
  end();
  return written;
}

function assertSame(actual: readonly TapFrame[], expected: readonly TapFrame[], what = ""): void {
  assert.equal(actual.length, expected.length, `${what}: writes`);
  expected.forEach(({ frame, tapTag }, i) => {
    assert.equal(toHex(actual[i].frame), toHex(frame), `${what}: write ${i}`);
    assert.equal(actual[i].tapTag, tapTag);
  });
}

/** Segments of one stream, bodies of the lengths given. */
function stream(lengths: readonly number[], shape: FrameShape = {}): TapFrame[] {
  let sequence = shape.sequence ?? 0xffff_f000;
  return lengths.map((length, i) => {
    const frame = makeFrame({ ...shape, sequence, ipId: i, body: noise(length, i + 1) });
    sequence = (sequence + length) >>> 0;
    return { frame, tapTag: 1 };
  });
}

function pushed(frames: TapFrame[], index: number, flags = ACK | PSH): TapFrame[] {
  const { frame } = frames[index];
  frame[layersOf(frame)!.transport + 13] = flags;
  finishFrame(frame);
  return frames;
}

/** What goes wrong on the wire or in a hostile head, per frame. */
const TAMPERINGS: [string, (frame: Uint8Array) => void][] = [
  ["a byte of the body", (frame) => frame[frame.length - 1] ^= 1],
  ["the checksum", (frame) => frame[layersOf(frame)!.transport + 16] ^= 1],
  ["the IPv4 checksum", (frame) => frame[ETHERNET_BYTES + 10] ^= 1],
  ["the length", (frame) => frame[ETHERNET_BYTES + 3] ^= 1],
  ["a fragment offset", (frame) => refinish(frame, 7, 1)],
  ["more fragments", (frame) => refinish(frame, 6, 0x20)],
  ["the lifetime", (frame) => refinish(frame, 8, 3)],
  ["the service", (frame) => refinish(frame, 1, 2)],
  ["don't fragment", (frame) => refinish(frame, 6, 0x40)],
  ["an address", (frame) => refinish(frame, 15, 1)],
  ["a port", (frame) => refinish(frame, 21, 1)],
  ["the sequence number", (frame) => refinish(frame, 27, 1)],
  ["the acknowledgement", (frame) => refinish(frame, 31, 1)],
  ["the header length", (frame) => refinish(frame, 32, 0x10)],
  ["reserved bits", (frame) => refinish(frame, 32, 1)],
  ["the window", (frame) => refinish(frame, 35, 1)],
  ["an option", (frame) => refinish(frame, 45, 1)],
  ["FIN", (frame) => refinish(frame, 33, FIN)],
  ["CWR", (frame) => refinish(frame, 33, CWR)],
  ["no ACK", (frame) => refinish(frame, 33, ACK)],
  ["a MAC", (frame) => frame[3] ^= 1],
  ["the other MAC", (frame) => frame[11] ^= 1],
  ["the version", (frame) => frame[ETHERNET_BYTES] = 0x65],
  ["IPv4 options", (frame) => frame[ETHERNET_BYTES] = 0x46],
  ["the protocol", (frame) => frame[ETHERNET_BYTES + 9] = 1],
];

/** Changes bits of a byte of an IPv4 packet and corrects its checksums. */
function refinish(frame: Uint8Array, at: number, bits: number): void {
  frame[ETHERNET_BYTES + at] ^= bits;
  if (layersOf(frame)) finishFrame(frame);
}

Deno.test("deliver() writes single frames of every length as they came, behind a header of zeros", () => {
  const arena = new Arena();
  const frames = Array.from({ length: 2_901 }, (_, i) => ({
    frame: noise(ETHERNET_BYTES + i, i + 1),
    tapTag: i,
  }));
  for (const vnet of [0, VNET_BYTES]) {
    const written = deliver(arena, frames, { vnet });
    assert.equal(written.length, frames.length);
    written.forEach(({ frame, tapTag }, i) => {
      assert.equal(toHex(frame.subarray(vnet)), toHex(frames[i].frame));
      assert.ok(frame.subarray(0, vnet).every((byte) => byte === 0));
      assert.equal(tapTag, i);
    });
  }
  arena.assertContained();
});

Deno.test("deliver() merges a stream of segments of every length", () => {
  const arena = new Arena();
  for (let length = 1; length <= 2_900; length++) {
    const shape = { ipv6: length % 2 === 0, options: [0, 12, 40][length % 3] };
    const frames = stream([length, length, length, (length + 1) >> 1], shape);
    const written = deliver(arena, frames);
    assertSame(written, coalesceTwin(frames, false), `length ${length}`);
    assert.equal(written.length, 1);
    const header = decodeVnet(written[0].frame);
    assert.equal(header.gsoType, shape.ipv6 ? 4 : 1);
    assert.equal(header.gsoSize, length);
  }
  arena.assertContained();
});

Deno.test("deliver() makes super-frames that split into what was merged", () => {
  const arena = new Arena();
  for (const ipv6 of [false, true]) {
    const frames = pushed(stream([1_348, 1_348, 1_348, 700], { ipv6, options: 12 }), 3);
    const [{ frame }] = deliver(arena, frames);
    const again = splitTwin(frame.slice(VNET_BYTES), decodeVnet(frame));
    assert.deepEqual(again.map(toHex), frames.map((original) => toHex(original.frame)));
  }
});

Deno.test("deliver() begins anew after PSH, a shorter body, a longer one, another tap, at 65,535 bytes", () => {
  const arena = new Arena();
  const check = (frames: TapFrame[], sizes: number[]) => {
    const written = deliver(arena, frames);
    assertSame(written, coalesceTwin(frames, false));
    assert.deepEqual(
      written.map(({ frame }) =>
        frame.length - VNET_BYTES - layersOf(frame.slice(VNET_BYTES))!.body
      ),
      sizes,
    );
  };
  check(pushed(stream([100, 100, 100, 100]), 1), [200, 200]);
  check(pushed(stream([100, 100]), 0), [100, 100]);
  check(stream([100, 100, 99, 99, 99]), [299, 198]);
  check(stream([100, 101, 101]), [100, 202]);
  check(stream([0, 0, 100, 0, 100]), [0, 0, 100, 0, 100]);
  const taps = stream([100, 100, 100, 100]);
  check([taps[0], taps[1], { ...taps[2], tapTag: 2 }, { ...taps[3], tapTag: 2 }], [200, 200]);
  check(stream(Array.from({ length: 50 }, () => 2_748)), [23 * 2_748, 23 * 2_748, 4 * 2_748]);
  check(
    stream(Array.from({ length: 50 }, () => 2_748), { ipv6: true }),
    [23 * 2_748, 23 * 2_748, 4 * 2_748],
  );
});

Deno.test("deliver() merges only what continues the run: any other bit keeps a segment apart", () => {
  const arena = new Arena();
  for (const [what, tamper] of TAMPERINGS) {
    for (const which of [0, 1, 2]) {
      const frames = stream([400, 400, 400, 400], { options: 12 });
      tamper(frames[which].frame);
      const written = deliver(arena, frames);
      assertSame(written, coalesceTwin(frames, false), `${what} of ${which}`);
      assert.ok(written.length > 1, what);
      const alone = written.filter(({ frame }) =>
        toHex(frame.subarray(VNET_BYTES)) === toHex(frames[which].frame)
      );
      if (which === 1) assert.equal(alone.length, 1, `${what}: delivered as it came`);
    }
  }
});

Deno.test("deliver() keeps an IPv6 segment apart when flow label, hop limit or an address differs", () => {
  const arena = new Arena();
  for (const at of [1, 3, 4, 6, 7, 8, 23, 24, 39]) {
    const frames = stream([400, 400, 400], { ipv6: true });
    frames[1].frame[ETHERNET_BYTES + at] ^= 1;
    if (at !== 4 && at !== 6) finishFrame(frames[1].frame);
    const written = deliver(arena, frames);
    assertSame(written, coalesceTwin(frames, false), `byte ${at}`);
    assert.ok(written.length > 1, `byte ${at}`);
  }
});

Deno.test("deliver() never merges a segment whose checksum does not hold", () => {
  const arena = new Arena();
  const roll = dice(3);
  for (let round = 0; round < 300; round++) {
    const frames = stream(Array.from({ length: 6 }, () => 300), { ipv6: round % 2 === 0 });
    const { frame } = frames[roll(6)];
    const bad = frame.length - 1 - roll(300);
    frame[bad] ^= 1 + roll(255);
    assert.ok(!checksumsHold(frame));
    const written = deliver(arena, frames);
    assertSame(written, coalesceTwin(frames, false));
    assert.ok(written.some((write) => toHex(write.frame.subarray(VNET_BYTES)) === toHex(frame)));
  }
});

Deno.test("deliver() merges nothing for a TAP without virtio header", () => {
  const frames = stream([500, 500, 500]);
  const written = deliver(new Arena(), frames, { vnet: 0 });
  assertSame(written, frames);
});

Deno.test("deliver() merges UDP of one flow and one size, once told that the TAP takes it", () => {
  const arena = new Arena();
  const flow = (lengths: number[], shape: FrameShape = {}) =>
    stream(lengths, { ...shape, protocol: UDP });
  const cases: [TapFrame[], number][] = [
    [flow([800, 800, 800, 300, 800]), 2],
    [flow([800, 800, 801]), 2],
    [flow([800, 800], { ipv6: true }), 1],
    [flow([1, 1, 1]), 1],
    [flow([0, 0, 8, 8]), 3],
    [flow(Array.from({ length: 130 }, () => 100)), 3], // at most 64 of them
    [[...flow([50, 50]), ...flow([50, 50], { sourcePort: 1 })], 2],
    [[...flow([50, 50]), ...stream([50, 50], { protocol: TCP }), ...flow([50])], 3],
  ];
  for (const [frames, writes] of cases) {
    arena.kernel.setUso(0);
    const plain = deliver(arena, frames);
    assertSame(plain, coalesceTwin(frames, false));
    arena.kernel.setUso(1);
    const merged = deliver(arena, frames);
    assertSame(merged, coalesceTwin(frames, true));
    assert.equal(merged.length, writes);
    for (const { frame } of merged) {
      if (decodeVnet(frame).gsoType !== 5) continue;
      for (const again of splitTwin(frame.slice(VNET_BYTES), decodeVnet(frame))) {
        assert.ok(checksumsHold(again));
      }
    }
  }
});

Deno.test("deliver() leaves alone UDP without checksum or with a length that lies", () => {
  const arena = new Arena();
  arena.kernel.setUso(1);
  for (const at of [4, 6]) {
    const frames = stream([400, 400, 400], { protocol: UDP });
    const { transport } = layersOf(frames[1].frame)!;
    frames[1].frame.fill(0, transport + at, transport + at + 2);
    const written = deliver(arena, frames);
    assertSame(written, coalesceTwin(frames, true));
    assert.equal(written.length, 3);
  }
});

Deno.test("deliver() agrees with the twin on random mixtures, with little room or much", () => {
  const arena = new Arena();
  const roll = dice(17);
  for (let round = 0; round < 200; round++) {
    const uso = round % 2;
    arena.kernel.setUso(uso);
    const frames: TapFrame[] = [];
    while (frames.length < 60) {
      const shape = {
        ipv6: roll(2) === 0,
        protocol: roll(4) === 0 ? UDP : TCP,
        options: roll(2) * 12,
        sequence: roll(3) * 0x7fff_ffff,
        sourcePort: roll(2),
      };
      const unit = 1 + roll(1_400);
      const some = stream(
        Array.from({ length: 1 + roll(8) }, () => roll(6) ? unit : roll(unit + 5)),
        shape,
      );
      if (roll(3) === 0 && shape.protocol === TCP) pushed(some, roll(some.length));
      if (roll(4) === 0) some[roll(some.length)].frame[roll(60)] ^= 1 << roll(8);
      if (roll(6) === 0) some.splice(roll(some.length), 1);
      frames.push(...some.map(({ frame }) => ({ frame, tapTag: roll(10) === 0 ? 2 : 1 })));
    }
    assertSame(deliver(arena, frames), coalesceTwin(frames, uso === 1), `round ${round}`);
    // With little room more writes come out, but the same bytes to the same taps once split again.
    const outBytes = 4_000 + roll(4_000);
    const tight = deliver(arena, frames, { outBytes, writesMax: 1 + roll(10) });
    const split = (written: readonly TapFrame[]) =>
      written.flatMap(({ frame, tapTag }) => {
        const vnet = decodeVnet(frame);
        return splitTwin(frame.slice(VNET_BYTES), vnet)
          .map((again) => `${tapTag} ${toHex(bodyOf(again))}`);
      });
    assert.deepEqual(
      split(tight),
      frames.map(({ frame, tapTag }) => `${tapTag} ${toHex(bodyOf(frame))}`),
    );
  }
  arena.assertContained();
});

/** From the transport ports on but without what splitting makes anew. */
function bodyOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(layersOf(frame)?.body ?? 0);
}

Deno.test("deliver() says when there is no room and then has done nothing", () => {
  const arena = new Arena();
  const { kernel, at } = arena;
  const [first, second] = stream([1_000, 1_000]);
  const take = ({ frame }: TapFrame) => {
    const macs = arena.put("macs", frame.subarray(0, 12));
    const payload = arena.put("input", frame.subarray(ETHERNET_BYTES));
    return kernel.deliver(payload, frame.length - ETHERNET_BYTES, 0x0800, macs, 1);
  };
  kernel.rxFramesBegin(at.frames, 1_500, at.writes, 9, VNET_BYTES);
  assert.equal(take(first), 0);
  assert.equal(take(second), FULL);
  assertSame(arena.writes(kernel.rxFramesEnd()), coalesceTwin([first], false));
  kernel.rxFramesBegin(at.frames, 1_500, at.writes, 0, VNET_BYTES);
  assert.equal(take(first), FULL);
  assert.equal(kernel.rxFramesEnd(), 0);
});
