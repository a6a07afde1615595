/**
 * Somebody who shares a key with a victim: what they can say to it, and what they understand of its answers.
 * @module
 */
import { machinePrimitives } from "../../../cli/engine/primitives.ts";
import { Reader, Writer } from "../../../lib/base/bytes.ts";
import type { Address } from "../../../lib/base/ids.ts";
import type { Endpoint } from "../../../lib/base/ip.ts";
import { deriveSessionKeys, type SessionKeys } from "../../../lib/crypto/session_keys.ts";
import type { Identity } from "../../../lib/identity/identity.ts";
import { agree } from "../../../lib/identity/sign.ts";
import { PacketKernel } from "../../../lib/kernel/mod.ts";
import { Armor } from "../../../lib/wire/armor.ts";
import { encodeHello } from "../../../lib/wire/hello.ts";
import { encodeInRe } from "../../../lib/wire/ok.ts";
import {
  AT_PAYLOAD,
  buildPacket,
  Cipher,
  HEADER_LENGTH,
  isFragment,
  packetId,
  Verb,
  verbOf,
} from "../../../lib/wire/packet.ts";

const VERSION = { protocol: 11, major: 1, minor: 14, revision: 1 };
/** One for all speakers of a process: each has a page of memory. */
const armor = new Armor(new PacketKernel());

export class Speaker {
  readonly #id = crypto.getRandomValues(new Uint8Array(8));
  readonly #counter = new DataView(this.#id.buffer);
  readonly #keys: SessionKeys;

  /** @param mine With the secret whose half the key is agreed with */
  constructor(readonly mine: Identity, readonly victim: Identity, readonly victimAt: Endpoint) {
    const key = agree(machinePrimitives, mine, victim.publicKey)!;
    this.#keys = deriveSessionKeys(machinePrimitives, key);
  }

  #packet(source: Address, verb: Verb, payload: Uint8Array, to = this.victim.address): Uint8Array {
    this.#counter.setUint32(0, (this.#counter.getUint32(0) + 1) >>> 0);
    return buildPacket({ id: this.#id, destination: to, source, verb }, payload);
  }

  /** A HELLO as a zt node sends it. @param identity Whose, when the key is shared by many */
  hello(identity: Identity = this.mine): Uint8Array {
    const w = new Writer();
    const hello = {
      version: VERSION,
      timestampMs: Date.now(),
      identity,
      sentTo: this.victimAt,
      planet: { id: 1n, timestampMs: 1 },
    };
    const tailAt = encodeHello(hello, [], w);
    const packet = this.#packet(identity.address, Verb.HELLO, w.finish());
    armor.cryptHelloTail(packet, AT_PAYLOAD + tailAt, this.#keys);
    armor.seal(packet, this.#keys, Cipher.POLY1305_NONE);
    return packet;
  }

  /** Any verb, encrypted. */
  sealed(verb: Verb, payload: Uint8Array, source: Address = this.mine.address): Uint8Array {
    const packet = this.#packet(source, verb, payload);
    armor.seal(packet, this.#keys, Cipher.POLY1305_SALSA2012);
    return packet;
  }

  /** A packet for somebody else, to be relayed: what is in it is nobody's business. */
  forAnother(to: Address, source: Address, lengthBytes: number): Uint8Array {
    const payload = crypto.getRandomValues(new Uint8Array(lengthBytes - HEADER_LENGTH));
    const packet = this.#packet(source, Verb.FRAME, payload, to);
    armor.seal(packet, this.#keys, Cipher.POLY1305_SALSA2012);
    return packet;
  }

  /** The answer to an ECHO that {@linkcode Speaker.open} opened. */
  answer(echo: Uint8Array, source: Address = this.mine.address): Uint8Array {
    const w = new Writer();
    encodeInRe({ inReVerb: Verb.ECHO, inRePacketId: packetId(echo) }, w);
    return this.sealed(Verb.OK, w.raw(echo.subarray(AT_PAYLOAD)).finish(), source);
  }

  /** Opens a packet in place. @returns false when it is none for us */
  open(packet: Uint8Array): boolean {
    return packet.length >= HEADER_LENGTH && !isFragment(packet) &&
      armor.open(packet, this.#keys);
  }
}

/** The verb an opened packet answers with OK, or 0 for one that is no OK. */
export function answered(packet: Uint8Array): number {
  return verbOf(packet) === Verb.OK && packet.length > AT_PAYLOAD ? packet[AT_PAYLOAD] : 0;
}

/** The id of what an opened OK answers. */
export function answeredId(packet: Uint8Array): bigint {
  return new Reader(packet, "OK", AT_PAYLOAD + 1).u64();
}
