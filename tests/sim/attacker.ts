/**
 * A hostile host: any address, any bytes, keys of its own. It speaks no protocol; it sends what it
 * is told and counts what comes back.
 * @module
 */
import { Writer } from "../../lib/base/bytes.ts";
import type { Address } from "../../lib/base/ids.ts";
import type { Endpoint, Ip } from "../../lib/base/ip.ts";
import { deriveSessionKeys, type SessionKeys } from "../../lib/crypto/session_keys.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import { agree } from "../../lib/identity/sign.ts";
import { Armor } from "../../lib/wire/armor.ts";
import { encodeHello } from "../../lib/wire/hello.ts";
import { encodeInRe } from "../../lib/wire/ok.ts";
import {
  AT_PAYLOAD,
  buildPacket,
  Cipher,
  HEADER_LENGTH,
  packetId,
  sourceOf,
  Verb,
  verbOf,
} from "../../lib/wire/packet.ts";
import type { Datagram } from "./internet.ts";
import type { Rng } from "./rng.ts";
import type { SimHost } from "./host.ts";
import type { World } from "./world.ts";

export class Attacker {
  readonly identity: Identity;
  readonly rng: Rng;
  readonly endpoint: Endpoint;
  /** What came back. */
  readonly received: Datagram[] = [];
  bytesOut = 0;
  bytesIn = 0;
  readonly #answering = new Map<Address, SimHost>();
  readonly #armor: Armor;
  readonly #keys = new Map<SimHost, SessionKeys>();

  /** @param identity A genuine one unless given */
  constructor(readonly world: World, name = "attacker", identity?: Identity) {
    this.rng = world.rng.fork(name);
    this.identity = identity ?? world.makeIdentity(this.rng);
    this.endpoint = { ip: world.publicIp(), port: 9_993 };
    this.#armor = new Armor(world.kernel);
    this.listen(this.endpoint.ip);
  }

  /** Hears what comes to an address nobody else has. */
  listen(ip: Ip): void {
    const receive = (datagram: Datagram) => {
      this.bytesIn += datagram.bytes.length;
      this.received.push(datagram);
      if (this.#answering.size > 0) this.#answer(datagram);
    };
    this.world.internet.attach(ip, { link: this.world.link(), receive });
  }

  /** From now on answers what a host asks to see whether we are where we claim to be. */
  answerEchos(host: SimHost): void {
    this.#answering.set(host.address, host);
  }

  #answer({ bytes, from }: Datagram): void {
    const host = bytes.length >= HEADER_LENGTH && this.#answering.get(sourceOf(bytes));
    const packet = host && this.opened(host, bytes);
    if (packet && verbOf(packet) === Verb.ECHO) this.send(this.echoed(host, packet), from);
  }

  /** The answer to an ECHO. */
  echoed(host: SimHost, packet: Uint8Array): Uint8Array {
    const w = new Writer();
    encodeInRe({ inReVerb: Verb.ECHO, inRePacketId: packetId(packet) }, w);
    w.raw(packet.subarray(AT_PAYLOAD));
    return this.sealed(host, Verb.OK, w.finish(), Cipher.POLY1305_SALSA2012);
  }

  /** A packet of a host for us, opened; undefined when it is not authentic. */
  opened(host: SimHost, bytes: Uint8Array): Uint8Array | undefined {
    const packet = bytes.slice();
    return this.#armor.open(packet, this.#keysWith(host)) ? packet : undefined;
  }

  /** Sends anything, from anywhere. */
  send(bytes: Uint8Array, to: Endpoint, from: Endpoint = this.endpoint): void {
    this.bytesOut += bytes.length;
    this.world.inject({ from, to, bytes });
  }

  /** A packet as an authenticated peer would seal it, with any payload. */
  sealed(to: SimHost, verb: number, payload: Uint8Array, cipher: Cipher): Uint8Array {
    const packet = buildPacket({
      id: this.rng.bytes(8),
      destination: to.address,
      source: this.identity.address,
      verb: verb as Verb,
    }, payload);
    this.#armor.seal(packet, this.#keysWith(to), cipher);
    return packet;
  }

  #keysWith(host: SimHost): SessionKeys {
    let keys = this.#keys.get(host);
    if (!keys) {
      const { primitives } = this.world;
      const key = agree(primitives, this.identity, host.config.identity.publicKey);
      this.#keys.set(host, keys = deriveSessionKeys(primitives, key!));
    }
    return keys;
  }

  /** A correct HELLO. @param sentTo Where it says it was sent to */
  hello(
    to: SimHost,
    planet: { id: bigint; timestampMs: number } = { id: 0n, timestampMs: 0 },
    sentTo = to.endpoints[0],
  ) {
    const w = new Writer();
    const tailAt = encodeHello(
      {
        version: { protocol: 11, major: 1, minor: 14, revision: 1 },
        timestampMs: this.world.wallMs,
        identity: this.identity,
        sentTo,
        planet,
      },
      [],
      w,
    );
    const packet = buildPacket({
      id: this.rng.bytes(8),
      destination: to.address,
      source: this.identity.address,
      verb: Verb.HELLO,
    }, w.finish());
    this.#armor.cryptHelloTail(packet, AT_PAYLOAD + tailAt, this.#keysWith(to));
    this.#armor.seal(packet, this.#keysWith(to), Cipher.POLY1305_NONE);
    return packet;
  }
}
