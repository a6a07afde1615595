import assert from "node:assert/strict";
import { concat, fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Primitives } from "../../../../lib/crypto/primitives.ts";
import { poly1305 } from "../../../../lib/crypto/poly1305.ts";
import { Salsa20 } from "../../../../lib/crypto/salsa20.ts";
import { deriveSessionKeys, kbkdf, kbkdfMessage } from "../../../../lib/crypto/session_keys.ts";
import { AesKernel } from "../../../../lib/kernel/aes_kernel.ts";
import { packetExports, PacketKernel } from "../../../../lib/kernel/mod.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";

interface Symmetric {
  salsa20: { rounds: 12 | 20; key: string; iv: string; plaintext: string; ciphertext: string }[];
  poly1305: { key: string; message: string; tag: string }[];
  hash: { message: string; sha512: string; sha384: string }[];
  hmac_sha384: { key: string; message: string; mac: string }[];
  kbkdf: {
    key: string;
    label: string;
    context: number;
    iter: number;
    hmac_input: string;
    out: string;
  }[];
  aes256_block: { key: string; plaintext: string; ciphertext: string }[];
  aes_gmac_siv: Record<
    | "k0"
    | "k1"
    | "iv"
    | "aad"
    | "plaintext"
    | "gmac"
    | "tag_input_block"
    | "tag"
    | "ctr_initial_block"
    | "ciphertext",
    string
  >[];
}
const vectors = loadVectors<Symmetric>("symmetric.json");

Deno.test("Salsa20.crypt() gives the recorded ciphertexts", () => {
  for (const v of vectors.salsa20) {
    const cipher = new Salsa20(v.rounds, fromHex(v.key), fromHex(v.iv));
    assert.equal(toHex(cipher.crypt(fromHex(v.plaintext))), v.ciphertext);
  }
  countVectors("symmetric.json: salsa20", vectors.salsa20.length);
});

Deno.test("Salsa20.crypt() goes on from block to block and loses the tail of the last", () => {
  const whole = new Salsa20(20, new Uint8Array(32), new Uint8Array(8)).crypt(new Uint8Array(192));
  const pieces = new Salsa20(20, new Uint8Array(32), new Uint8Array(8));
  assert.deepEqual(pieces.crypt(new Uint8Array(70)), whole.slice(0, 70));
  assert.deepEqual(pieces.crypt(new Uint8Array(64)), whole.slice(128));
});

Deno.test("PacketKernel.salsa12() gives the recorded ciphertexts of twelve rounds", () => {
  const kernel = new PacketKernel();
  const twelve = vectors.salsa20.filter((v) => v.rounds === 12);
  for (const v of twelve) {
    const data = fromHex(v.plaintext);
    kernel.salsa12(data, fromHex(v.key), fromHex(v.iv));
    assert.equal(toHex(data), v.ciphertext);
  }
  assert.ok(twelve.length > 0);
});

Deno.test("poly1305() gives the recorded tags, and the kernel their first eight bytes", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const bytes = new Uint8Array(memory.buffer);
  const kernel = packetExports(memory);
  for (const v of vectors.poly1305) {
    const key = fromHex(v.key);
    const message = fromHex(v.message);
    assert.equal(toHex(poly1305(key, message)), v.tag);
    bytes.set(key, 2_048);
    bytes.set(message, 4_096);
    const tag = new DataView(new ArrayBuffer(8));
    tag.setBigInt64(0, kernel.poly1305(2_048, 4_096, message.length), true);
    assert.equal(toHex(new Uint8Array(tag.buffer)), v.tag.slice(0, 16));
  }
  countVectors("symmetric.json: poly1305", vectors.poly1305.length);
});

const AES_PAIRS: [string, Primitives["aesPair"]][] = [
  ["kernel", (k0, k1) => new AesKernel(k0, k1)],
  ["noble", noblePrimitives.aesPair],
];

Deno.test("noblePrimitives hash as recorded", () => {
  for (const v of vectors.hash) {
    assert.equal(toHex(noblePrimitives.sha512(fromHex(v.message))), v.sha512);
    assert.equal(toHex(noblePrimitives.sha384(fromHex(v.message))), v.sha384);
  }
  for (const v of vectors.hmac_sha384) {
    assert.equal(toHex(noblePrimitives.hmacSha384(fromHex(v.key), fromHex(v.message))), v.mac);
  }
  countVectors("symmetric.json: hash, hmac", vectors.hash.length + vectors.hmac_sha384.length);
});

Deno.test("kbkdf() authenticates the recorded input and gives the recorded keys", () => {
  for (const v of vectors.kbkdf) {
    const input = { label: v.label, context: v.context, iteration: v.iter };
    assert.equal(toHex(kbkdfMessage(input)), v.hmac_input);
    assert.equal(toHex(kbkdf(noblePrimitives, fromHex(v.key), input)), v.out);
  }
  countVectors("symmetric.json: kbkdf", vectors.kbkdf.length);
});

for (const [name, aesPair] of AES_PAIRS) {
  Deno.test(`AesPair encrypts and decrypts single blocks as recorded (${name})`, () => {
    for (const v of vectors.aes256_block) {
      const aes = aesPair(new Uint8Array(32), fromHex(v.key));
      assert.equal(toHex(aes.encryptBlock(fromHex(v.plaintext))), v.ciphertext);
      assert.equal(toHex(aes.decryptBlock(fromHex(v.ciphertext))), v.plaintext);
    }
    if (name === "kernel") {
      countVectors("symmetric.json: aes256_block", vectors.aes256_block.length);
    }
  });

  Deno.test(`AesPair gives every recorded step of AES-GMAC-SIV (${name})`, () => {
    for (const v of vectors.aes_gmac_siv) {
      const aes = aesPair(fromHex(v.k0), fromHex(v.k1));
      const iv = fromHex(v.iv);
      const aad = new Uint8Array(Math.ceil(v.aad.length / 32) * 16);
      aad.set(fromHex(v.aad));
      const nonce = new Uint8Array(12);
      nonce.set(iv);
      const gmac = aes.gmac(nonce, concat(aad, fromHex(v.plaintext)));
      assert.equal(toHex(gmac), v.gmac);
      const folded = Uint8Array.from({ length: 8 }, (_, i) => gmac[i] ^ gmac[8 + i]);
      assert.equal(toHex(concat(iv, folded)), v.tag_input_block);
      const tag = aes.encryptBlock(concat(iv, folded));
      assert.equal(toHex(tag), v.tag);
      const counter = tag.slice();
      counter[12] &= 0x7f;
      assert.equal(toHex(counter), v.ctr_initial_block);
      assert.equal(toHex(aes.ctr(counter, fromHex(v.plaintext))), v.ciphertext);
      assert.equal(toHex(aes.decryptBlock(tag)), v.tag_input_block);
    }
    if (name === "kernel") {
      countVectors("symmetric.json: aes_gmac_siv", vectors.aes_gmac_siv.length);
    }
  });
}

Deno.test("deriveSessionKeys() derives AES keys once asked, and sets AES up once", () => {
  let derivations = 0;
  const counting = {
    ...noblePrimitives,
    hmacSha384: (key: Uint8Array, message: Uint8Array) => {
      derivations++;
      return noblePrimitives.hmacSha384(key, message);
    },
  };
  const keys = deriveSessionKeys(counting, new Uint8Array(48).fill(7));
  assert.deepEqual(keys.salsa, new Uint8Array(32).fill(7));
  assert.equal(derivations, 0);
  assert.equal(keys.aes, keys.aes);
  assert.equal(derivations, 2);
  assert.throws(() => deriveSessionKeys(noblePrimitives, new Uint8Array(32)), RangeError);
});
