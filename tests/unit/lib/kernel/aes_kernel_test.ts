import assert from "node:assert/strict";
import { toHex } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { aesExports, AesKernel } from "../../../../lib/kernel/aes_kernel.ts";
import { KERNEL_BYTES, packetExports } from "../../../../lib/kernel/mod.ts";
import { PacketTwin } from "../../../../lib/kernel/twin.ts";

const HEADER_BYTES = 28;
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

function pairs(seed: number) {
  const [k0, k1] = [noise(32, seed), noise(32, seed + 1)];
  return { kernel: new AesKernel(k0, k1), noble: noblePrimitives.aesPair(k0, k1) };
}

Deno.test("AesKernel.gmac() and ctr() give noble's bytes at every length from 0 to 2900", () => {
  const { kernel, noble } = pairs(3);
  for (let length = 0; length <= LENGTH_MAX; length++) {
    const data = noise(length, length + 1);
    const nonce = noise(12, length + 5);
    assert.equal(toHex(kernel.gmac(nonce, data)), toHex(noble.gmac(nonce, data)), `${length}`);
    const counter = noise(16, length + 9);
    counter[12] &= 0x7f;
    assert.equal(toHex(kernel.ctr(counter, data)), toHex(noble.ctr(counter, data)), `${length}`);
  }
});

Deno.test("AesKernel.seal() gives the twin's packet at every length, and both open it", () => {
  const { kernel, noble } = pairs(7);
  for (let length = HEADER_BYTES; length <= LENGTH_MAX; length++) {
    const packet = noise(length, length);
    const plain = toHex(packet.subarray(27));
    const fast = packet.slice();
    kernel.seal(fast);
    noble.seal(packet);
    assert.equal(toHex(fast), toHex(packet), `length ${length}`);
    packet[18] ^= length & 7; // hops are not authenticated
    assert.equal(kernel.open(packet), true, `length ${length}`);
    assert.equal(noble.open(fast), true, `length ${length}`);
    assert.equal(toHex(packet.subarray(27)), plain);
    assert.equal(toHex(fast.subarray(27)), plain);
  }
});

Deno.test("AesKernel encrypts and decrypts as noble does under many keys", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { kernel, noble } = pairs(seed * 31);
    const block = noise(16, seed);
    const sealed = kernel.encryptBlock(block);
    assert.equal(toHex(sealed), toHex(noble.encryptBlock(block)), `seed ${seed}`);
    assert.equal(toHex(kernel.decryptBlock(sealed)), toHex(block), `seed ${seed}`);
    assert.equal(toHex(kernel.decryptBlock(block)), toHex(noble.decryptBlock(block)));
    const nonce = noise(12, seed);
    assert.equal(toHex(kernel.gmac(nonce, block)), toHex(noble.gmac(nonce, block)));
  }
});

Deno.test("AesKernel runs every byte through the S-box in every place", () => {
  const { kernel, noble } = pairs(11);
  for (let byte = 0; byte < 256; byte++) {
    const block = new Uint8Array(16).fill(byte);
    assert.equal(toHex(kernel.encryptBlock(block)), toHex(noble.encryptBlock(block)));
    assert.equal(toHex(kernel.decryptBlock(block)), toHex(noble.decryptBlock(block)));
  }
});

Deno.test("AesKernel.gmac() agrees with noble on every single bit of two blocks", () => {
  const { kernel, noble } = pairs(13);
  const nonce = noise(12, 1);
  for (let bit = 0; bit < 256; bit++) {
    const data = new Uint8Array(32);
    data[bit >> 3] = 0x80 >> (bit & 7);
    assert.equal(toHex(kernel.gmac(nonce, data)), toHex(noble.gmac(nonce, data)), `bit ${bit}`);
  }
  const ones = new Uint8Array(160).fill(0xff);
  assert.equal(toHex(kernel.gmac(nonce, ones)), toHex(noble.gmac(nonce, ones)));
});

Deno.test("AesKernel.open() refuses any changed byte and leaves the packet as it was", () => {
  const { kernel } = pairs(17);
  const sealed = noise(150, 5);
  kernel.seal(sealed);
  for (let at = 0; at < sealed.length; at++) {
    const packet = sealed.slice();
    packet[at] ^= at === 18 ? 0x08 : 0x80;
    const before = toHex(packet);
    assert.equal(kernel.open(packet), false, `byte ${at}`);
    assert.equal(toHex(packet), before);
  }
});

Deno.test("AesKernels of one thread do not mix up their keys", () => {
  const all = [19, 23, 29].map(pairs);
  for (let round = 0; round < 20; round++) {
    const { kernel, noble } = all[round % 3];
    const packet = noise(100, round + 1);
    const expected = packet.slice();
    kernel.seal(packet);
    noble.seal(expected);
    assert.equal(toHex(packet), toHex(expected));
    assert.equal(all[(round + 1) % 3].kernel.open(packet), false);
    assert.equal(kernel.open(packet), true);
  }
});

Deno.test("AesKernel refuses keys of another length, and more data than fits its memory", () => {
  assert.throws(() => new AesKernel(new Uint8Array(16), new Uint8Array(32)), RangeError);
  assert.throws(() => pairs(1).kernel.seal(new Uint8Array(65_536)), RangeError);
});

Deno.test("aesExports() shares a memory with the packet kernel, at any alignment, and touches only what is its own", () => {
  const memory = new WebAssembly.Memory({ initial: 3, maximum: 3 });
  const bytes = new Uint8Array(memory.buffer);
  const aes = aesExports(memory);
  const packets = packetExports(memory);
  const [k0, k1, salsaKey] = [noise(32, 31), noise(32, 32), noise(32, 33)];
  const twin = noblePrimitives.aesPair(k0, k1);
  const [atKeys, atPair] = [20_001, 30_003];
  bytes.set(k0, atKeys);
  bytes.set(k1, atKeys + 32);
  bytes.set(salsaKey, atKeys + 64);
  aes.expandPair(atKeys, atKeys + 32, atPair);
  const end = atPair + aes.PAIR_BYTES.value;
  assert.ok(bytes.subarray(end).every((byte) => byte === 0), "a pair is as long as it says");
  for (let offset = 0; offset < 16; offset++) {
    const at = 70_000 + offset;
    const packet = noise(333, offset + 1);
    const [byAes, bySalsa] = [packet.slice(), packet.slice()];
    twin.seal(byAes);
    new PacketTwin().seal(bySalsa, salsaKey, true);
    const before = bytes.slice();
    bytes.set(packet, at);
    packets.seal(at, packet.length, atKeys + 64, 1);
    assert.equal(toHex(bytes.subarray(at, at + packet.length)), toHex(bySalsa));
    bytes.set(packet, at);
    aes.seal(at, packet.length, atPair);
    assert.equal(toHex(bytes.subarray(at, at + packet.length)), toHex(byAes));
    assert.equal(aes.open(at, packet.length, atPair), 1);
    bytes.set(before.subarray(at, at + packet.length), at);
    const changed = bytes.findLastIndex((byte, index) => byte !== before[index]);
    assert.ok(changed < KERNEL_BYTES, `wrote at ${changed}`);
  }
});
