/**
 * HELLO and OK(HELLO): presenting ourselves, meeting strangers, versions, worlds and how we look from outside.
 *
 * Source: spec 01 section 6.5, spec 02 section 10.2, spec 03 section 7.4. A stranger's packet must
 * prove its key before it costs anything dear, and proof of work is checked elsewhere while the
 * packet waits.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Endpoint } from "../base/ip.ts";
import { KeyedBudgets, TokenBucket } from "../base/rate.ts";
import { RecentMarks } from "../base/recent_marks.ts";
import type { Identity } from "../identity/identity.ts";
import { endpointHash, type Path } from "../peer/path.ts";
import { Peer } from "../peer/peer.ts";
import { encodeError } from "../wire/error.ts";
import {
  decodeHello,
  decodeHelloTail,
  encodeHello,
  encodeOkHello,
  encodeWorlds,
  type ReceivedHello,
  type WorldStamp,
} from "../wire/hello.ts";
import { encodeInRe } from "../wire/ok.ts";
import {
  AT_PAYLOAD,
  buildPacket,
  Cipher,
  ErrorCode,
  HEADER_LENGTH,
  hopsOf,
  packetId,
  PROTOCOL_VERSION_MIN,
  sourceOf,
  Verb,
} from "../wire/packet.ts";
import { type Stranger, Strangers } from "./strangers.ts";
import type { Vl1 } from "./vl1.ts";

const SURFACE_PORT_PROTOCOL = 5; // older peers expect port 0 in the address we see them at
/**
 * Key agreements for strangers: at 0.1 to 0.2 ms each a tenth of a core at most, whatever addresses
 * a flood pretends to come from.
 */
const AGREEMENTS = { perSecond: 500, burst: 500 };
/** While fewer are left, only who asks again is heard: honest newcomers do, made-up addresses seldom come twice. */
const AGREEMENTS_SCARCE = 250;
/** Of one /24 or /48: at about 0.1 ms each no prefix may spend more than 1 % of a core on strangers in the long run. */
const PREFIX_AGREEMENTS = { perSecond: 60, burst: 240 };
const PREFIXES_MAX = 4_096; // source prefixes with a budget of their own

/** An authenticated HELLO, ready to be answered. */
export interface Greeting {
  readonly peer: Peer;
  readonly path: Path;
  readonly hops: number;
  readonly id: bigint;
  readonly hello: ReceivedHello;
}

export class Greeter {
  readonly strangers: Strangers;
  readonly #prefixes = new KeyedBudgets<number>(PREFIX_AGREEMENTS, PREFIXES_MAX);
  readonly #agreements = new TokenBucket(AGREEMENTS.perSecond, AGREEMENTS.burst);
  #seen: RecentMarks | undefined; // sources seen once while agreements were scarce; made when they first are
  #seenSeed = 0;

  /** @param greeted Called for each HELLO of a known, authenticated peer, before the answer is sent */
  constructor(readonly vl1: Vl1, readonly greeted: (greeting: Greeting) => void) {
    this.strangers = new Strangers(vl1);
  }

  /**
   * Sends a HELLO to a peer by a path; a probe: the answer proves the path.
   * @param relayed Whether the path leads to a relay: then there is no address the peer is asked at
   * @param unasked Whether nothing came from there: the rate is bounded by the caller
   */
  hello(peer: Peer, path: Path, { relayed = false, unasked = false } = {}): void {
    const packet = this.#build(peer, relayed ? undefined : path.endpoint);
    this.vl1.counters.sent[Verb.HELLO]++;
    peer.packetsOut++;
    peer.lastHelloSentMs = this.vl1.nowMs;
    this.vl1.emit(peer.address, path, Verb.HELLO, packet, {
      probe: !relayed,
      expect: true,
      unasked,
    });
  }

  #build(peer: Peer, sentTo: Endpoint | undefined): Uint8Array {
    const { vl1 } = this;
    const { planet } = vl1.upstreams;
    const w = new Writer();
    const hello = {
      version: vl1.announced,
      timestampMs: vl1.time.wallMs,
      identity: vl1.identity,
      sentTo,
      planet: { id: planet.id, timestampMs: Number(planet.timestamp) },
    };
    const tailAt = encodeHello(hello, vl1.upstreams.announced(), w);
    const header = {
      id: vl1.newPacketId(),
      destination: peer.address,
      source: vl1.address,
      verb: Verb.HELLO,
    };
    const packet = buildPacket(header, w.finish());
    vl1.armor.cryptHelloTail(packet, AT_PAYLOAD + tailAt, peer.keys);
    vl1.armor.seal(packet, peer.keys, Cipher.POLY1305_NONE);
    return packet;
  }

  /**
   * A HELLO sealed with cipher 0, not authenticated yet. Lent: it is opened in a copy, once it may cost one.
   * @returns the peer met by it, when an earlier run had checked its proof of work
   * @throws {WireError} when malformed
   */
  receive(packet: Uint8Array, path: Path): Peer | undefined {
    const hello = decodeHello(packet.subarray(AT_PAYLOAD));
    if (
      hello.version.protocol < PROTOCOL_VERSION_MIN || hello.identity.address !== sourceOf(packet)
    ) {
      this.vl1.counters.drop("malformed");
      return undefined;
    }
    const known = this.vl1.peers.get(hello.identity.address);
    if (!known) return this.#meet(hello.identity, packet, path);
    if (!known.identity.equals(hello.identity)) {
      this.#collide(hello.identity, packet, path);
      return undefined;
    }
    const opened = packet.slice();
    if (this.vl1.armor.open(opened, known.keys)) {
      this.accept(known, opened, this.vl1.paths.hear(path, packet.length));
    } else {
      known.packetErrors++;
      this.vl1.counters.drop("unauthentic");
    }
    return undefined;
  }

  /** Handles a HELLO that is authentic: from a known peer, or under another cipher. */
  accept(peer: Peer, packet: Uint8Array, path: Path): void {
    const payload = packet.subarray(AT_PAYLOAD);
    const hello = decodeHello(payload);
    if (hello.version.protocol < PROTOCOL_VERSION_MIN) return;
    let moons: WorldStamp[] = [];
    if (hello.tailAt !== undefined) {
      this.vl1.armor.cryptHelloTail(packet, AT_PAYLOAD + hello.tailAt, peer.keys);
      moons = decodeHelloTail(payload.subarray(hello.tailAt));
    }
    this.vl1.counters.received[Verb.HELLO]++;
    peer.packetsIn++;
    this.#answer(peer, path, packetId(packet), hello, moons);
    peer.version = hello.version;
    this.greeted({ peer, path, hops: hopsOf(packet), id: packetId(packet), hello });
  }

  #answer(
    peer: Peer,
    path: Path,
    id: bigint,
    hello: ReceivedHello,
    moons: readonly WorldStamp[],
  ): void {
    const w = new Writer();
    encodeWorlds(this.vl1.upstreams.newerThan(hello.planet, moons), w);
    const worlds = w.finish();
    const answer = this.#encodeAnswer(path, id, hello, worlds);
    // Worlds are long: an address that has not proved itself has them a round trip after the rest.
    if (worlds.length > 0 && !this.vl1.mayAnswer(path, HEADER_LENGTH + answer.length)) {
      const short = this.#encodeAnswer(path, id, hello, worlds.subarray(0, 0));
      this.vl1.reply(peer, path, Verb.OK, short);
    }
    this.vl1.reply(peer, path, Verb.OK, answer);
  }

  #encodeAnswer(path: Path, id: bigint, hello: ReceivedHello, worlds: Uint8Array): Uint8Array {
    const { ip, port } = path.endpoint;
    const ok = {
      timestampMs: hello.timestampMs,
      version: this.vl1.announced,
      surface: { ip, port: hello.version.protocol < SURFACE_PORT_PROTOCOL ? 0 : port },
      worlds,
    };
    const w = new Writer();
    encodeInRe({ inReVerb: Verb.HELLO, inRePacketId: id }, w);
    encodeOkHello(ok, w);
    return w.finish();
  }

  /** An identity we do not know: check its key, then recall its proof of work, or have it checked. */
  #meet(identity: Identity, packet: Uint8Array, path: Path): Peer | undefined {
    const { vl1 } = this;
    if (this.strangers.has(identity.address)) {
      this.strangers.addCopy(identity, packet, path);
      return undefined;
    }
    const prefix = prefixHash(path.endpoint.ip);
    const budget = this.#prefixes.of(prefix);
    if (!budget.take(vl1.nowMs) || !this.#mayAgree(path.endpoint)) {
      vl1.counters.drop("rate");
      return undefined;
    }
    const peer = Peer.meet(vl1.config.primitives, vl1.identity, identity, vl1.nowMs);
    const opened = packet.slice();
    if (!peer || !vl1.armor.open(opened, peer.keys)) {
      vl1.counters.drop("unauthentic");
      return undefined;
    }
    if (vl1.config.recall?.(identity.address)?.identity.equals(identity)) {
      // It owns an identity that was proved: what it cost is no stranger's. All of a root's nodes may return at once.
      budget.give(1);
      this.#agreements.give(1);
      return this.#takeUp(peer, [
        { packet: opened, path: vl1.paths.hear(path, packet.length) },
      ]);
    }
    if (!this.strangers.add(peer, prefix, opened, path)) vl1.counters.drop("rate");
    return undefined;
  }

  #mayAgree(source: Endpoint): boolean {
    const { nowMs } = this.vl1;
    if (this.#agreements.left(nowMs) < AGREEMENTS_SCARCE) {
      if (!this.#seen) {
        this.#seen = new RecentMarks();
        this.#seenSeed = new DataView(this.vl1.random(4).buffer).getUint32(0);
      }
      if (!this.#seen.take(endpointHash(source, this.#seenSeed))) return false;
    }
    return this.#agreements.take(nowMs);
  }

  /** The checker's verdict on a stranger. @returns the peer it is from now on */
  validated(ticket: number, valid: boolean): Peer | undefined {
    const stranger = this.strangers.settle(ticket);
    if (!stranger) return undefined;
    if (!valid) {
      this.vl1.counters.drop("unauthentic");
      return undefined;
    }
    return this.#takeUp(stranger.peer, stranger.packets);
  }

  /** What a root said of somebody has proved true whose own word waits for its turn: no check is needed. */
  met(peer: Peer): void {
    const stranger = this.strangers.withdraw(peer);
    if (stranger) this.#takeUp(stranger.peer, stranger.packets);
  }

  /** @param packets HELLOs of it, all authentic, with paths that were heard */
  #takeUp(met: Peer, packets: Stranger["packets"]): Peer | undefined {
    const peer = this.vl1.adopt(met);
    if (!peer || !peer.identity.equals(met.identity)) return undefined;
    for (const { packet, path } of packets) this.accept(peer, packet, path);
    return peer;
  }

  /** Another valid key under a known address: say so, sealed with that key, and keep whom we know. */
  #collide(identity: Identity, packet: Uint8Array, path: Path): void {
    const budget = this.#prefixes.of(prefixHash(path.endpoint.ip));
    if (!budget.take(this.vl1.nowMs) || !this.#mayAgree(path.endpoint)) {
      return this.vl1.counters.drop("rate");
    }
    const { primitives } = this.vl1.config;
    const other = Peer.meet(primitives, this.vl1.identity, identity, this.vl1.nowMs);
    if (!other || !this.vl1.armor.open(packet.slice(), other.keys)) {
      return this.vl1.counters.drop("unauthentic");
    }
    const w = new Writer(HEADER_LENGTH);
    encodeError({
      inReVerb: Verb.HELLO,
      inRePacketId: packetId(packet),
      code: ErrorCode.IDENTITY_COLLISION,
      body: new Uint8Array(0),
    }, w);
    this.vl1.reply(other, this.vl1.paths.hear(path, packet.length), Verb.ERROR, w.finish());
  }
}

/** Hash of a source's /24 (IPv4) or /48 (IPv6), 14 bits; spec 03 section 20. */
export function prefixHash(ip: Uint8Array): number {
  let hash = 0;
  if (ip.length === 4) {
    hash = (ip[0] << 16) | (ip[1] << 8) | ip[2];
    hash ^= hash >>> 14;
  } else {
    for (let i = 0; i < 6; i++) hash = (hash << 1) + ip[i];
  }
  return hash & 0x3fff;
}
