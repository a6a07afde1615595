import assert from "node:assert/strict";
import { Block } from "../../../../ffi/linux/block.ts";
import { hasFastAes, LibcryptoAes } from "../../../../ffi/linux/libcrypto.ts";
import { toHex } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import { AesKernel } from "../../../../lib/kernel/aes_kernel.ts";
import { noise } from "../../lib/kernel/arena.ts";

const HEADER_BYTES = 28;
const LENGTH_MAX = 2_900;
const SESSION = 7;
/** Without the library there is nothing to hold to its twin; the data plane then uses the twin. */
const ignore = !hasFastAes();

function station(seed = 1) {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  const aes = LibcryptoAes.open(new Block(memory.buffer));
  assert.ok(aes, "the library opens and passes its own check");
  const [k0, k1] = [noise(32, seed), noise(32, seed + 1)];
  aes.setKeys(SESSION, k0, k1);
  return { aes, bytes: new Uint8Array(memory.buffer), k0, k1 };
}

Deno.test({
  name: "LibcryptoAes.seal() gives the kernel's packet at every length and alignment, and opens it",
  ignore,
  fn() {
    const { aes, bytes, k0, k1 } = station();
    const kernel = new AesKernel(k0, k1);
    for (let length = HEADER_BYTES; length <= LENGTH_MAX; length++) {
      const packet = noise(length, length);
      const at = 1_000 + length % 8;
      bytes.fill(0xa5, 0, 8_192);
      bytes.set(packet, at);
      aes.seal(at, length, SESSION);
      const sealed = packet.slice();
      kernel.seal(sealed);
      assert.equal(toHex(bytes.subarray(at, at + length)), toHex(sealed), `length ${length}`);
      bytes[at + 18] ^= length & 7; // hops are not authenticated
      assert.equal(aes.open(at, length, SESSION), 1, `length ${length}`);
      const opened = bytes.subarray(at + 27, at + length);
      assert.equal(toHex(opened), toHex(packet.subarray(27)), `length ${length}`);
      bytes.fill(0xa5, at, at + length);
      assert.ok(bytes.subarray(0, 8_192).every((byte) => byte === 0xa5), "nothing else is touched");
    }
  },
});

Deno.test({
  name: "LibcryptoAes.seal() gives noble's packet under many keys, each session its own",
  ignore,
  fn() {
    const { aes, bytes } = station();
    for (let seed = 1; seed <= 50; seed++) {
      aes.setKeys(seed % 5, noise(32, seed * 31), noise(32, seed * 37));
    }
    for (let session = 0; session < 5; session++) {
      const seed = session === 0 ? 50 : 45 + session;
      const packet = noise(1_400, seed);
      bytes.set(packet, 64);
      aes.seal(64, 1_400, session);
      noblePrimitives.aesPair(noise(32, seed * 31), noise(32, seed * 37)).seal(packet);
      assert.equal(toHex(bytes.subarray(64, 64 + 1_400)), toHex(packet));
      aes.removeKeys(session);
      aes.removeKeys(session);
    }
  },
});

Deno.test({
  name: "LibcryptoAes.open() refuses a packet with any bit changed and leaves it as it was",
  ignore,
  fn() {
    const { aes, bytes } = station();
    const length = 60;
    bytes.set(noise(length, 5), 32);
    aes.seal(32, length, SESSION);
    const sealed = bytes.slice(32, 32 + length);
    for (let bit = 0; bit < length * 8; bit++) {
      if (bit >> 3 === 18 && bit % 8 < 3) continue; // hops
      bytes.set(sealed, 32);
      bytes[32 + (bit >> 3)] ^= 1 << bit % 8;
      const before = toHex(bytes.subarray(32, 32 + length));
      assert.equal(aes.open(32, length, SESSION), 0, `bit ${bit}`);
      assert.equal(toHex(bytes.subarray(32, 32 + length)), before, `bit ${bit}`);
    }
  },
});

Deno.test({
  name: "LibcryptoAes allocates nothing once it is warm",
  ignore,
  fn() {
    const { aes, bytes } = station();
    bytes.set(noise(1_400, 5), 32);
    let opened = 0;
    const run = (packets: number) => {
      for (let i = 0; i < packets; i++) {
        const at = 32 + i % 1_000;
        aes.seal(at, 1_400, SESSION);
        opened += aes.open(at, 1_400, SESSION);
      }
    };
    run(50_000);
    const costs = Array.from({ length: 25 }, () => {
      const before = Deno.memoryUsage().heapUsed;
      run(4_000);
      return (Deno.memoryUsage().heapUsed - before) / 4_000;
    });
    assert.equal(opened, 150_000);
    const cost = costs.sort((a, b) => a - b)[12];
    assert.ok(cost < 2, `${cost} bytes a packet`);
  },
});
