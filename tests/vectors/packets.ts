/**
 * The captured packets of `packets.json`: their shape, and the steps every test of them begins with.
 * @module
 */
import { fromHex } from "../../lib/base/bytes.ts";
import { noblePrimitives } from "../../lib/crypto/noble.ts";
import { deriveSessionKeys, type SessionKeys } from "../../lib/crypto/session_keys.ts";
import { PacketTwin } from "../../lib/kernel/twin.ts";
import { Armor } from "../../lib/wire/armor.ts";
import { Reassembler } from "../../lib/wire/fragment.ts";
import { AT_PAYLOAD, Cipher, cipherOf } from "../../lib/wire/packet.ts";
import { loadVectors } from "./load.ts";

export interface PacketField {
  name: string;
  offset: number;
  length: number;
  hex: string;
  value?: string | number;
}

export interface PacketVector {
  label: string;
  verb: string;
  inReVerb?: string;
  from: string;
  to: string;
  packetId: string;
  flagsByte: string;
  cipher: number;
  hops: number;
  fragments: number;
  compressed: boolean;
  datagrams: string[];
  datagramsBeforeRelay?: string[];
  plaintext: string;
  uncompressed?: string;
  cryptFieldOffset?: number;
  helloDecrypted?: string;
  fields: PacketField[];
}

export interface PacketVectors {
  identities: Record<string, { address: string; public: string; secret: string }>;
  sharedKeys: Record<string, { agreed: string; salsaKey: string; aesK0: string; aesK1: string }>;
  network: { id: string; controller: string };
  planets: { older: string; newer: string };
  packets: PacketVector[];
  other: { label: string; to: string; udpSource: string; datagram: string; note: string }[];
}

export const packetVectors = loadVectors<PacketVectors>("packets.json");

/** Keys of the two ends of a captured packet. */
export function keysOf(vector: PacketVector): SessionKeys {
  const name = [vector.from, vector.to].sort().join("-");
  return deriveSessionKeys(noblePrimitives, fromHex(packetVectors.sharedKeys[name].agreed));
}

/** One packet of the datagrams, as they were on the wire. */
export function assembled(datagrams: readonly string[]): Uint8Array {
  if (datagrams.length === 1) return fromHex(datagrams[0]);
  const reassembler = new Reassembler();
  for (const datagram of datagrams) {
    const whole = reassembler.add("path", fromHex(datagram), 0);
    if (whole) return whole.packet;
  }
  throw new Error("the datagrams are not a whole packet");
}

/** The packet authenticated and decrypted; undefined when it does not authenticate. */
export function opened(vector: PacketVector): Uint8Array | undefined {
  const packet = assembled(vector.datagrams);
  if (cipherOf(packet) === Cipher.TRUSTED_PATH) return packet;
  return new Armor(new PacketTwin()).open(packet, keysOf(vector)) ? packet : undefined;
}

/** The payload of the packet as its `fields` describe it. */
export function payloadOf(vector: PacketVector): Uint8Array {
  const packet = vector.helloDecrypted ?? vector.uncompressed ?? vector.plaintext;
  return fromHex(packet).subarray(AT_PAYLOAD);
}
