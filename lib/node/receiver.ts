/**
 * From datagrams to opened packets: puts pieces together, finds the sender, proves the packet
 * authentic and hands it on. What comes from a sender nobody knows yet waits, within bounds, until
 * it is known who that is.
 *
 * Source: spec 03 section 7.
 * @module
 */
import { WireError } from "../base/errors.ts";
import type { Address } from "../base/ids.ts";
import type { Endpoint } from "../base/ip.ts";
import { SharedBudget } from "../base/rate.ts";
import { Waiting } from "../base/waiting.ts";
import type { Path, SocketId } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { decompress } from "../wire/compress.ts";
import { Reassembler } from "../wire/fragment.ts";
import {
  AT_FLAGS,
  AT_PAYLOAD,
  AT_VERB,
  Cipher,
  cipherOf,
  destinationOf,
  FLAG_FRAGMENTED,
  FRAGMENT_HEADER_LENGTH,
  HEADER_LENGTH,
  hopsOf,
  isFragment,
  PACKET_LENGTH_MAX,
  packetId,
  PAYLOAD_LENGTH_MAX,
  sourceOf,
  Verb,
  VERB_COMPRESSED,
  verbOf,
} from "../wire/packet.ts";
import { SeenPackets } from "../wire/seen_packets.ts";
import { prefixHash } from "./hello.ts";
import type { Node } from "./node.ts";
import type { Vl1 } from "./vl1.ts";

const QUEUE_CHECK_MS = 500; // reference ZT_WHOIS_RETRY_DELAY: what waits is looked at this often
/** Sealed packets of senders whose identity is being asked for; bounds memory against made-up senders. */
const UNKNOWN_SENDERS = { perKeyMax: 16, keysMax: 256, lifeMs: 5_000 };
/** Of which unproven sources may fill this many: what a root passes on has the rest. */
const UNKNOWN_SENDERS_UNPROVEN_MAX = 128;
/**
 * Questions about who an unknown sender is, where no root passed its packet on. A node that
 * restarted asks about all its peers at once; a flood of made-up senders must not become one of
 * questions at the roots (spec 03 section 28 item 25).
 */
const UNKNOWN_SENDER_QUESTIONS = {
  all: { perSecond: 16, burst: 128 },
  each: { perSecond: 1, burst: 32 }, // a source's /24 or /48
  keysMax: 4_096,
};
/**
 * Unknown senders looked for in the cache, where no root passed their packet on: a file and, if it
 * is there, a key agreement, in all 0.1 ms. Who turns out to be who it says has its share back: all
 * of a root's nodes may return at once.
 */
const UNKNOWN_SENDER_RECALLS = {
  all: { perSecond: 1_000, burst: 1_000 },
  each: { perSecond: 60, burst: 240 },
  keysMax: 4_096,
};
const UNPROVEN_SHARE = "unproven"; // of the slots for pieces: strangers share what one proved path has
const SEEN_PACKETS = 8_192; // ids of frames remembered here; those of the fast path are remembered there
/**
 * Verbs whose copies are dropped: what a bond broadcasts, or somebody replays. Not those that find
 * paths: one HELLO goes out by several sockets, and each copy is to be answered where it came from
 * (spec 03 section 28 item 15).
 */
const FRAMES = new Set<number>([Verb.FRAME, Verb.EXT_FRAME, Verb.MULTICAST_FRAME]);

export class Receiver {
  readonly #reassembler = new Reassembler<Path>();
  readonly #seen = new SeenPackets(SEEN_PACKETS);
  readonly #unknownSenders = new Waiting<Address, { packet: Uint8Array; path: Path }>(
    UNKNOWN_SENDERS,
  );
  readonly #questions = new SharedBudget<number>(UNKNOWN_SENDER_QUESTIONS);
  readonly #recalls = new SharedBudget<number>(UNKNOWN_SENDER_RECALLS);
  /** When to be called again. */
  deadlineMs = Infinity;

  constructor(readonly node: Node, readonly vl1: Vl1) {}

  /** A datagram as it came. Lent. @param whole Whether it is no head of several */
  datagram(socket: SocketId, from: Endpoint, bytes: Uint8Array, whole: boolean): void {
    if (bytes.length > PACKET_LENGTH_MAX) return;
    const { paths } = this.vl1;
    if (bytes.length <= FRAGMENT_HEADER_LENGTH) {
      return void this.node.beacons.receive(bytes, paths.get(socket, from));
    }
    const fragment = isFragment(bytes);
    if (!fragment && bytes.length < HEADER_LENGTH) return this.vl1.counters.drop("malformed");
    if (!fragment && sourceOf(bytes) === destinationOf(bytes)) {
      return this.vl1.counters.drop("self-addressed"); // the reference hangs on these
    }
    if (!fragment && sourceOf(bytes) === this.vl1.address) {
      return this.vl1.counters.drop("self-addressed");
    }
    const path = paths.get(socket, from);
    if (destinationOf(bytes) !== this.vl1.address) return this.node.relay.forward(bytes, path);
    const complete = whole || (bytes[AT_FLAGS] & FLAG_FRAGMENTED) === 0;
    if (!fragment && complete) return this.#packet(bytes, path);
    this.#piece(bytes, path);
  }

  /** A head or a fragment; the packet counts as coming the way its head came. */
  #piece(bytes: Uint8Array, path: Path): void {
    const share = this.vl1.isProved(path) ? path.key : UNPROVEN_SHARE;
    const whole = this.#reassembler.add(path, bytes, this.vl1.nowMs, share);
    if (whole) this.#packet(whole.packet, whole.source);
  }

  /** A whole packet for us, still sealed. Lent: most of what strangers send is refused unopened, and costs no copy. */
  #packet(packet: Uint8Array, path: Path): void {
    try {
      this.#open(packet, path);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.vl1.counters.drop("malformed");
    }
  }

  #open(packet: Uint8Array, path: Path): void {
    const { vl1 } = this;
    const cipher = cipherOf(packet);
    if (cipher === Cipher.POLY1305_NONE && verbOf(packet) === Verb.HELLO) {
      const met = this.node.greeter.receive(packet, path);
      if (met) this.node.memory.recalled(met);
      return;
    }
    const source = sourceOf(packet);
    const peer = vl1.peers.get(source);
    if (!peer) return this.#unknownSender(source, packet, path);
    const opened = packet.slice();
    const open = cipher === Cipher.TRUSTED_PATH
      ? this.#isTrustedPath(opened, path)
      : vl1.armor.open(opened, peer.keys);
    if (!open) {
      peer.packetErrors++;
      return vl1.counters.drop("unauthentic");
    }
    vl1.counters.receivedByCipher[cipher]++;
    this.#handle(peer, opened, path);
  }

  /** A packet the data plane opened: its sender is a peer, unless it was forgotten meanwhile. */
  opened(socket: SocketId, from: Endpoint, bytes: Uint8Array): void {
    const peer = this.vl1.peers.get(sourceOf(bytes));
    this.vl1.counters.openedElsewhere++;
    if (!peer) return this.vl1.counters.drop("unknown-sender");
    try {
      this.#handle(peer, bytes.slice(), this.vl1.paths.get(socket, from));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.vl1.counters.drop("malformed");
    }
  }

  #handle(peer: Peer, packet: Uint8Array, path: Path): void {
    const { vl1 } = this;
    // Pieces may have come from elsewhere: only the least a head has is counted for its source.
    const isWhole = (packet[AT_FLAGS] & FLAG_FRAGMENTED) === 0;
    path = vl1.paths.hear(path, isWhole ? packet.length : HEADER_LENGTH);
    let payload: Uint8Array | undefined = packet.subarray(AT_PAYLOAD);
    if ((packet[AT_VERB] & VERB_COMPRESSED) !== 0 && payload.length > 0) {
      payload = decompress(payload, PAYLOAD_LENGTH_MAX);
      if (!payload) return vl1.counters.drop("malformed");
    }
    const verb = verbOf(packet);
    if (verb === Verb.HELLO) return this.node.greeter.accept(peer, packet, path);
    vl1.counters.received[verb]++;
    peer.packetsIn++;
    const received = { peer, path, hops: hopsOf(packet), verb, id: packetId(packet), payload };
    if (peer.bond) this.node.bonds.sampled(received);
    if (FRAMES.has(verb) && this.#seen.isRepeated(packet)) {
      vl1.counters.drop("duplicate");
      return this.node.received(received, false); // of use no more, yet a sign of life of its path
    }
    this.node.dispatch(received);
  }

  /** Id 0 never counts: in the reference it opens a hole (spec 03 section 7.3). */
  #isTrustedPath(packet: Uint8Array, path: Path): boolean {
    const configured = this.vl1.settings.trustedPathId?.(path.endpoint);
    if (configured === undefined || configured === 0n) return false;
    return new DataView(packet.buffer, packet.byteOffset).getBigUint64(19) === configured;
  }

  #unknownSender(source: Address, packet: Uint8Array, path: Path): void {
    const { vl1 } = this;
    if (this.node.greeter.strangers.answered(source, packet)) return;
    // Looking an address up costs a file, asking for it a packet: what no root passed on has a budget for each.
    const passedOn = vl1.upstreams.at(path) !== undefined;
    const prefix = prefixHash(path.endpoint.ip);
    const recalled = passedOn || this.#recalls.take(prefix, vl1.nowMs)
      ? this.node.memory.recall(source)
      : undefined;
    if (recalled) {
      this.#packet(packet, path);
      // Authentic: it owns an identity that was proved, and what it cost is no stranger's.
      if (!passedOn && recalled.packetErrors === 0) this.#recalls.give(prefix);
      return;
    }
    if (!passedOn && !this.#mayAskFor(source, path)) return vl1.counters.drop("rate");
    if (!this.node.whois.ask(source, true)) return vl1.counters.drop("unknown-sender");
    if (!this.#unknownSenders.push(source, { packet: packet.slice(), path }, vl1.nowMs)) {
      this.vl1.counters.drop("queue-full");
    }
    this.deadlineMs = Math.min(this.deadlineMs, this.vl1.nowMs + QUEUE_CHECK_MS);
  }

  #mayAskFor(source: Address, path: Path): boolean {
    if (this.#unknownSenders.has(source)) return true;
    if (this.#unknownSenders.size >= UNKNOWN_SENDERS_UNPROVEN_MAX) return false;
    return this.#questions.take(prefixHash(path.endpoint.ip), this.vl1.nowMs);
  }

  /** The identity of a sender became known: what waited for it is opened. */
  met({ address }: Peer): void {
    for (const { packet, path } of this.#unknownSenders.take(address, this.vl1.nowMs)) {
      this.#packet(packet, path);
    }
  }

  handleTimeout(): void {
    const { nowMs } = this.vl1;
    if (nowMs < this.deadlineMs) return;
    this.#unknownSenders.expire(nowMs);
    this.deadlineMs = this.#unknownSenders.size > 0 ? nowMs + QUEUE_CHECK_MS : Infinity;
  }
}
