import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../../lib/base/bytes.ts";
import { AssertionError } from "../../../../lib/base/errors.ts";
import { noblePrimitives } from "../../../../lib/crypto/noble.ts";
import type { Primitives } from "../../../../lib/crypto/primitives.ts";
import { deriveSessionKeys } from "../../../../lib/crypto/session_keys.ts";
import { agree } from "../../../../lib/identity/sign.ts";
import { Identity } from "../../../../lib/identity/identity.ts";
import { AesKernel } from "../../../../lib/kernel/aes_kernel.ts";
import { PacketKernel } from "../../../../lib/kernel/mod.ts";
import { mangledKey, type PacketCipher, PacketTwin } from "../../../../lib/kernel/twin.ts";
import { Salsa20 } from "../../../../lib/crypto/salsa20.ts";
import { Armor, type ArmorKeys } from "../../../../lib/wire/armor.ts";
import { AT_FLAGS, AT_MAC, Cipher, MASK_CIPHER, packetId } from "../../../../lib/wire/packet.ts";
import { countVectors } from "../../../vectors/count.ts";
import { loadVectors } from "../../../vectors/load.ts";

interface Keyed {
  key: string;
  aes_k0: string;
  aes_k1: string;
}
interface ArmorVectors {
  packets: (Keyed & {
    name: string;
    mode: string;
    packet_id: string;
    size: number;
    plain: string;
    mangled_key?: string;
    keystream_block_0?: string;
    poly1305_key?: string;
    armored: string;
    armored_flags: number;
    armored_packet_id: string;
    dearmor_ok: boolean;
    dearmored: string;
    trusted_path_id?: string;
  })[];
  hops: (Keyed & { hops: number; wire: string; dearmor_ok: boolean; dearmored: string })[];
  tampered: (Keyed & { name: string; have_aes_keys: boolean; wire: string; dearmor_ok: boolean })[];
  hello: (Keyed & {
    sender: string;
    receiver: string;
    crypt_field_start: number;
    plain: string;
    after_crypt_field: string;
    armored: string;
    dearmor_ok: boolean;
  })[];
  crypt_field: { key: string; start: number; len: number; before: string; after: string }[];
}
const vectors = loadVectors<ArmorVectors>("packet-armor.json");

const CIPHERS: Record<string, Cipher> = {
  salsa2012_poly1305: Cipher.POLY1305_SALSA2012,
  poly1305_none: Cipher.POLY1305_NONE,
  aes_gmac_siv: Cipher.AES_GMAC_SIV,
};
const KERNELS: [string, () => PacketCipher, Primitives][] = [
  ["kernel", () => new PacketKernel(), {
    ...noblePrimitives,
    aesPair: (k0, k1) => new AesKernel(k0, k1),
  }],
  ["twin", () => new PacketTwin(), noblePrimitives],
];

function sessionKeysOf(primitives: Primitives, v: Keyed) {
  const keys = deriveSessionKeys(primitives, fromHex(v.key));
  assert.equal(toHex(keys.k0), v.aes_k0);
  assert.equal(toHex(keys.k1), v.aes_k1);
  return keys;
}

/** What a reference sends over a trusted path: no armor at all, the MAC field names the path. */
function markTrusted(packet: Uint8Array, trustedPathId: bigint): void {
  packet[AT_FLAGS] = (packet[AT_FLAGS] & ~MASK_CIPHER) | (Cipher.TRUSTED_PATH << 3);
  new DataView(packet.buffer, packet.byteOffset).setBigUint64(AT_MAC, trustedPathId);
}

for (const [name, makeKernel, primitives] of KERNELS) {
  const armor = new Armor(makeKernel());
  const sessionKeys = (v: Keyed) => sessionKeysOf(primitives, v);

  Deno.test(`Armor.seal() and open() give the recorded packets (${name})`, () => {
    for (const v of vectors.packets) {
      const keys = sessionKeys(v);
      const packet = fromHex(v.plain);
      assert.equal(packet.length, v.size);
      if (v.mode === "trusted_path") {
        markTrusted(packet, BigInt(`0x${v.trusted_path_id}`));
      } else {
        armor.seal(packet, keys, CIPHERS[v.mode]);
      }
      assert.equal(toHex(packet), v.armored, v.name);
      if (v.mode !== "trusted_path") {
        assert.equal(packet[18], v.armored_flags);
        assert.equal(packetId(packet), BigInt(`0x${v.armored_packet_id}`));
      }
      assert.equal(armor.open(packet, keys), v.dearmor_ok, v.name);
      if (v.dearmor_ok) assert.equal(toHex(packet), v.dearmored, v.name);
    }
    if (name === "kernel") countVectors("packet-armor.json: packets", vectors.packets.length);
  });

  Deno.test(`Armor.open() does not mind the hop count (${name})`, () => {
    for (const v of vectors.hops) {
      const packet = fromHex(v.wire);
      assert.equal(armor.open(packet, sessionKeys(v)), v.dearmor_ok);
      assert.equal(toHex(packet), v.dearmored);
      assert.equal(packet[18] & 7, v.hops);
    }
    if (name === "kernel") countVectors("packet-armor.json: hops", vectors.hops.length);
  });

  Deno.test(`Armor.open() refuses what was tampered with (${name})`, () => {
    for (const v of vectors.tampered) {
      const full = sessionKeys(v);
      const keys: ArmorKeys = v.have_aes_keys ? full : { salsa: full.salsa };
      assert.equal(armor.open(fromHex(v.wire), keys), v.dearmor_ok, v.name);
    }
    if (name === "kernel") countVectors("packet-armor.json: tampered", vectors.tampered.length);
  });

  Deno.test(`Armor gives the recorded HELLOs (${name})`, () => {
    for (const v of vectors.hello) {
      const sender = Identity.parse(v.sender);
      const receiver = Identity.parse(v.receiver);
      const key = agree(noblePrimitives, receiver, sender.publicKey)!;
      assert.equal(toHex(key), v.key);
      const keys = sessionKeys(v);
      const packet = fromHex(v.plain);
      armor.cryptHelloTail(packet, v.crypt_field_start, keys);
      assert.equal(toHex(packet), v.after_crypt_field);
      armor.seal(packet, keys, Cipher.POLY1305_NONE);
      assert.equal(toHex(packet), v.armored);
      assert.equal(armor.open(packet, keys), v.dearmor_ok);
      armor.cryptHelloTail(packet, v.crypt_field_start, keys);
      assert.equal(toHex(packet.subarray(27)), v.plain.slice(2 * 27));
    }
    if (name === "kernel") countVectors("packet-armor.json: hello", vectors.hello.length);
  });

  Deno.test(`Armor.cryptHelloTail() masks as recorded (${name})`, () => {
    for (const v of vectors.crypt_field) {
      const packet = fromHex(v.before);
      const keys = deriveSessionKeys(noblePrimitives, fromHex(v.key));
      // Recorded with bytes behind the field; in a HELLO it always reaches to the end.
      armor.cryptHelloTail(packet.subarray(0, v.start + v.len), v.start, keys);
      assert.equal(toHex(packet), v.after);
    }
    if (name === "kernel") {
      countVectors("packet-armor.json: crypt_field", vectors.crypt_field.length);
    }
  });

  Deno.test(`Armor.open() refuses every truncation (${name})`, () => {
    for (const v of vectors.packets.filter(({ size }) => size < 100)) {
      const whole = fromHex(v.armored);
      const keys = sessionKeys(v);
      for (let length = 0; length < whole.length; length++) {
        assert.equal(armor.open(whole.slice(0, length), keys), false, `${v.name}, ${length} bytes`);
      }
    }
  });
}

Deno.test("mangledKey() and the first block of keystream are as recorded", () => {
  let count = 0;
  for (const v of vectors.packets) {
    if (v.mangled_key === undefined) continue;
    const packet = fromHex(v.armored);
    const mangled = mangledKey(packet, fromHex(v.key).subarray(0, 32));
    assert.equal(toHex(mangled), v.mangled_key);
    const block = toHex(new Salsa20(12, mangled, packet.slice(0, 8)).crypt(new Uint8Array(64)));
    assert.equal(block, v.keystream_block_0);
    assert.equal(block.slice(0, 64), v.poly1305_key);
    count++;
  }
  countVectors("packet-armor.json: key mangling", count);
});

Deno.test("Armor.seal() refuses packets with hops, short ones, and ciphers that do not seal", () => {
  const armor = new Armor(new PacketKernel());
  const keys = deriveSessionKeys(noblePrimitives, new Uint8Array(48));
  const travelled = new Uint8Array(40);
  travelled[18] = 1;
  const { POLY1305_NONE, TRUSTED_PATH } = Cipher;
  assert.throws(() => armor.seal(travelled, keys, POLY1305_NONE), AssertionError);
  assert.throws(() => armor.seal(new Uint8Array(27), keys, POLY1305_NONE), AssertionError);
  assert.throws(() => armor.seal(new Uint8Array(40), keys, TRUSTED_PATH), RangeError);
});

Deno.test("Armor.cryptHelloTail() leaves a HELLO alone that ends before the moon count", () => {
  const packet = fromHex(vectors.crypt_field[0].before);
  const before = toHex(packet);
  const keys = deriveSessionKeys(noblePrimitives, new Uint8Array(48));
  new Armor(new PacketKernel()).cryptHelloTail(packet, packet.length, keys);
  assert.equal(toHex(packet), before);
});
