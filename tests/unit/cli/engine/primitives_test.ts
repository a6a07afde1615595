import assert from "node:assert/strict";
import { machinePrimitives } from "../../../../cli/engine/primitives.ts";
import { toHex } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Primitives } from "../../../../lib/crypto/primitives.ts";

const ROUNDS = 12;
/** Lengths around the block sizes of everything below. */
const LENGTHS = [0, 1, 15, 16, 17, 63, 64, 65, 111, 112, 127, 128, 129, 1_000, 2_801];

function random(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Calls both and compares, saying with which input they differ. */
function same(what: (primitives: Primitives) => Uint8Array | boolean | undefined, input: string) {
  const show = (value: Uint8Array | boolean | undefined) =>
    value instanceof Uint8Array ? toHex(value) : String(value);
  const slow = what(noblePrimitives);
  assert.equal(show(what(machinePrimitives)), show(slow), `input ${input}`);
  return slow;
}

Deno.test("machinePrimitives hash as noblePrimitives do", () => {
  for (const length of LENGTHS) {
    const message = random(length);
    const key = random(length % 200); // shorter, as long as, and longer than a block of the hash
    const input = toHex(key) + " " + toHex(message);
    same((p) => p.sha512(message), input);
    same((p) => p.sha384(message), input);
    same((p) => p.hmacSha384(key, message), input);
  }
});

Deno.test("machinePrimitives agree keys as noblePrimitives do", () => {
  for (let round = 0; round < ROUNDS; round++) {
    const secret = random(32);
    const theirs = same((p) => p.x25519Public(random(32).fill(round + 1)), "fill") as Uint8Array;
    same((p) => p.x25519Public(secret), toHex(secret));
    same((p) => p.x25519(secret, theirs), toHex(secret));
    const high = theirs.slice();
    high[31] |= 0x80;
    same((p) => p.x25519(secret, high), toHex(secret));
  }
});

Deno.test("machinePrimitives and noblePrimitives refuse public keys of small order", () => {
  const one = Uint8Array.from([1, ...new Uint8Array(31)]);
  for (const theirs of [new Uint8Array(32), one]) {
    assert.equal(
      same((p) => p.x25519(new Uint8Array(32).fill(5), theirs), toHex(theirs)),
      undefined,
    );
  }
});

Deno.test("machinePrimitives sign and verify as noblePrimitives do", () => {
  for (let round = 0; round < ROUNDS; round++) {
    const seed = random(32);
    const message = random(32);
    const input = `${toHex(seed)} ${toHex(message)}`;
    const key = same((p) => p.ed25519Public(seed), input) as Uint8Array;
    const signature = same((p) => p.ed25519Sign(seed, message), input) as Uint8Array;
    assert.equal(same((p) => p.ed25519Verify(key, message, signature), input), true);
    const at = round % 64;
    const wrong = signature.slice();
    wrong[at] ^= 1;
    assert.equal(same((p) => p.ed25519Verify(key, message, wrong), input), false);
    assert.equal(same((p) => p.ed25519Verify(key, message, signature.slice(1)), input), false);
    assert.equal(same((p) => p.ed25519Verify(seed, message, signature), input), false);
  }
  const noPoint = new Uint8Array(32).fill(2);
  assert.equal(
    same((p) => p.ed25519Verify(noPoint, noPoint, new Uint8Array(64)), "no point"),
    false,
  );
});

Deno.test("machinePrimitives run AES as noblePrimitives do", () => {
  const [k0, k1] = [random(32), random(32)];
  const [fast, slow] = [machinePrimitives.aesPair(k0, k1), noblePrimitives.aesPair(k0, k1)];
  for (const length of LENGTHS) {
    const data = random(length);
    const nonce = random(12);
    const block = random(16);
    block[12] &= 0x7f; // the counter must not come round
    assert.deepEqual(fast.gmac(nonce, data), slow.gmac(nonce, data));
    assert.deepEqual(fast.encryptBlock(block), slow.encryptBlock(block));
    assert.deepEqual(fast.decryptBlock(block), slow.decryptBlock(block));
    assert.deepEqual(fast.ctr(block, data), slow.ctr(block, data));
  }
});
