import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import {
  KERNEL_BYTES,
  KERNEL_PACKET_MAX,
  packetExports,
  PacketKernel,
  WorkKernel,
} from "../../../../lib/kernel/mod.ts";
import { PacketTwin, workTwin } from "../../../../lib/kernel/twin.ts";

const LENGTH_MIN = 28;
const LENGTH_MAX = 2_900;

/** Bytes that look random and are the same in every run. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed >>> 0 || 1;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

function allLengths(): number[] {
  return Array.from({ length: LENGTH_MAX - LENGTH_MIN + 1 }, (_, i) => LENGTH_MIN + i);
}

Deno.test("PacketKernel.seal() gives the twin's bytes at every length, encrypted or not", () => {
  const kernel = new PacketKernel();
  const twin = new PacketTwin();
  for (const length of allLengths()) {
    const key = noise(32, length + 1);
    for (const encrypt of [false, true]) {
      const fast = noise(length, length * 2 + Number(encrypt));
      const slow = fast.slice();
      kernel.seal(fast, key, encrypt);
      twin.seal(slow, key, encrypt);
      assert.equal(toHex(fast), toHex(slow), `length ${length}, encrypt ${encrypt}`);
    }
  }
});

Deno.test("PacketKernel.open() undoes seal() at every length, with any hop count", () => {
  const kernel = new PacketKernel();
  for (const length of allLengths()) {
    const key = noise(32, length + 1);
    for (const encrypt of [false, true]) {
      const packet = noise(length, length * 2 + Number(encrypt));
      const before = packet.slice();
      kernel.seal(packet, key, encrypt);
      packet[18] = (packet[18] & 0xf8) | (length & 7);
      assert.equal(kernel.open(packet, key, encrypt), true, `length ${length}`);
      assert.equal(toHex(packet.subarray(27)), toHex(before.subarray(27)), `length ${length}`);
    }
  }
});

Deno.test("PacketKernel.open() opens what the twin seals and the other way round", () => {
  const kernel = new PacketKernel();
  const twin = new PacketTwin();
  const key = noise(32, 5);
  // Beyond 10,203 bytes the kernel has no room for the whole keystream.
  for (const length of [28, 91, 219, 220, 475, 1_427, 2_827, 10_024, 10_203, 10_204, 20_000]) {
    const packet = noise(length, length);
    const plain = toHex(packet.subarray(27));
    twin.seal(packet, key, true);
    assert.equal(kernel.open(packet, key, true), true);
    assert.equal(toHex(packet.subarray(27)), plain);
    kernel.seal(packet, key, true);
    assert.equal(twin.open(packet, key, true), true);
    assert.equal(toHex(packet.subarray(27)), plain);
  }
});

Deno.test("PacketKernel.open() refuses any changed byte and leaves the packet as it was", () => {
  const kernel = new PacketKernel();
  const twin = new PacketTwin();
  const key = noise(32, 9);
  const sealed = noise(100, 3);
  kernel.seal(sealed, key, true);
  for (let at = 0; at < sealed.length; at++) {
    const packet = sealed.slice();
    packet[at] ^= at === 18 ? 0x08 : 0x80;
    const before = toHex(packet);
    assert.equal(kernel.open(packet, key, true), false, `byte ${at}`);
    assert.equal(toHex(packet), before);
    assert.equal(twin.open(packet, key, true), false, `byte ${at}, twin`);
  }
});

Deno.test("PacketKernel agrees with the twin where Poly1305 carries the most", () => {
  const kernel = new PacketKernel();
  const twin = new PacketTwin();
  for (const fill of [0x00, 0xff]) {
    for (let seed = 1; seed <= 50; seed++) {
      const fast = new Uint8Array(28 + 16 * seed).fill(fill);
      const slow = fast.slice();
      const key = noise(32, seed);
      kernel.seal(fast, key, false);
      twin.seal(slow, key, false);
      assert.equal(toHex(fast), toHex(slow), `fill ${fill}, seed ${seed}`);
    }
  }
});

Deno.test("PacketKernel.salsa12() gives the twin's bytes at every length up to 600", () => {
  const kernel = new PacketKernel();
  const twin = new PacketTwin();
  for (let length = 0; length <= 600; length++) {
    const fast = noise(length, length + 7);
    const slow = fast.slice();
    kernel.salsa12(fast, noise(32, length), noise(8, length));
    twin.salsa12(slow, noise(32, length), noise(8, length));
    assert.equal(toHex(fast), toHex(slow), `length ${length}`);
  }
});

Deno.test("PacketKernel.seal() refuses more than fits its memory", () => {
  const packet = new Uint8Array(KERNEL_PACKET_MAX + 1);
  assert.throws(() => new PacketKernel().seal(packet, noise(32, 1), true), RangeError);
});

Deno.test("packetExports() works on any memory, at any alignment, and touches only the packet and its own bytes", () => {
  const memory = new WebAssembly.Memory({ initial: 3, maximum: 3 });
  const bytes = new Uint8Array(memory.buffer);
  const kernel = packetExports(memory);
  const key = noise(32, 2);
  for (let offset = 0; offset < 16; offset++) {
    const at = 70_000 + offset;
    const keyAt = 130_000 + offset;
    const packet = noise(333, offset + 1);
    const expected = packet.slice();
    new PacketTwin().seal(expected, key, true);
    bytes.fill(0xa5);
    bytes.set(packet, at);
    bytes.set(key, keyAt);
    kernel.seal(at, packet.length, keyAt, 1);
    assert.equal(toHex(bytes.subarray(at, at + packet.length)), toHex(expected));
    bytes.fill(0xa5, at, at + packet.length);
    bytes.fill(0xa5, keyAt, keyAt + 32);
    const changed = bytes.findLastIndex((byte) => byte !== 0xa5);
    assert.ok(changed < KERNEL_BYTES, `wrote at ${changed}`);
  }
});

Deno.test("WorkKernel.work() gives the twin's digest, also when used again", () => {
  const kernel = new WorkKernel(noblePrimitives.sha512);
  for (const seed of [1, 2]) {
    const publicKey = noise(64, seed);
    const expected = toHex(workTwin(noblePrimitives.sha512, publicKey));
    assert.equal(toHex(kernel.work(publicKey)), expected);
  }
});
