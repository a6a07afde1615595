/**
 * LAN beacons: while no root answers, a node calls out its address on its local networks, and who
 * knows it asks there whether it is reached. So members that started anew on other addresses find
 * each other without any root.
 *
 * The wire is the reference's (spec 02 section 12), which itself sends no beacons since 1.0.4 and
 * answers one with a NOP; but on Linux it hears none that is broadcast, as its sockets are bound to
 * addresses (seen with 1.14.1). We answer with a probe, which it understands as well, and whose
 * answer proves the path. Source: spec 03 section 28 item 8.
 * @module
 */
import { Writer } from "../base/bytes.ts";
import type { Address } from "../base/ids.ts";
import { type Ip, Scope, scopeOf } from "../base/ip.ts";
import { TokenBucket } from "../base/rate.ts";
import { isTunnel, type LocalSocket, Path } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { BEACON_LENGTH, BEACON_PORT, decodeBeacon, encodeBeacon } from "../wire/beacon.ts";
import type { Contact } from "./contact.ts";
import type { Vl1 } from "./vl1.ts";

/** Everybody on the link. */
const LIMITED_BROADCAST: Ip = Uint8Array.of(255, 255, 255, 255);
const FIRST_MS = 2_000; // roots that can be reached have answered by then
// Between beacons, half as much again by chance; then the last for ever
const DELAYS_MS = [2_000, 5_000, 10_000, 30_000];
/** What forged beacons can make us send on our own link: 16 probes at once and two a second. */
const ANSWERS = { perSecond: 2, burst: 16 };

/** Those a node looks for on its networks. */
export interface Neighbours {
  /** Whether there is anybody to look for. */
  isWanted(): boolean;
  /** The peer of that address, taken up from an earlier run if need be. */
  find(address: Address): Peer | undefined;
}

export class Beacons {
  readonly #answers = new TokenBucket(ANSWERS.perSecond, ANSWERS.burst);
  #dueMs = Infinity;
  #sent = 0;

  constructor(readonly vl1: Vl1, readonly contact: Contact, readonly others: Neighbours) {}

  get deadlineMs(): number {
    return this.#dueMs;
  }

  /** Something changed that may make beacons useful: links, networks, roots that do not answer. */
  consider(): void {
    if (this.#dueMs !== Infinity || !this.#isUseful()) return;
    this.#dueMs = this.vl1.nowMs + FIRST_MS;
    this.#sent = 0;
  }

  /** With a root in reach it introduces us, and a root is found by its own address. */
  #isUseful(): boolean {
    const { upstreams, nowMs } = this.vl1;
    if (upstreams.amUpstream || upstreams.best()?.best(nowMs) || !this.others.isWanted()) {
      return false;
    }
    return this.vl1.sockets.some(isOnLan);
  }

  handleTimeout(): void {
    const { nowMs } = this.vl1;
    if (nowMs < this.#dueMs) return;
    this.#dueMs = Infinity;
    if (!this.#isUseful()) return;
    this.#call();
    const delayMs = DELAYS_MS[Math.min(this.#sent++, DELAYS_MS.length - 1)];
    this.#dueMs = nowMs + delayMs * (1 + this.vl1.random(1)[0] / 512);
  }

  /** Once from each address, whatever number of ports it has. */
  #call(): void {
    const called = new Set<string>();
    for (const { id, ip } of this.vl1.sockets.filter(isOnLan)) {
      const from = ip.join(".");
      if (called.has(from)) continue;
      called.add(from);
      const w = new Writer(BEACON_LENGTH);
      encodeBeacon(this.vl1.address, this.vl1.random(8), w);
      this.vl1.datagram(new Path(id, { ip: LIMITED_BROADCAST, port: BEACON_PORT }), w.finish());
    }
  }

  /** A datagram that may be a beacon: a peer on our link that we do not reach directly is asked whether it is there. */
  receive(datagram: Uint8Array, path: Path): void {
    const address = decodeBeacon(datagram);
    if (address === undefined || address === this.vl1.address) return;
    // Only who is near: anybody may forge the source, and nobody elsewhere shall have an answer for it.
    if (path.isTunnel || path.scope !== Scope.PRIVATE) return;
    const { nowMs } = this.vl1;
    if (this.vl1.peers.get(address)?.best(nowMs) || !this.#answers.take(nowMs)) return;
    const peer = this.others.find(address);
    if (peer && this.vl1.mayUse(address, path)) {
      this.contact.probeFrom(peer, path.endpoint, path.socket, true); // it may not know us any more
    }
  }
}

/** Whether a socket belongs to a local network that has broadcasts. */
function isOnLan({ id, ip }: LocalSocket): boolean {
  return !isTunnel(id) && ip.length === 4 && scopeOf(ip) === Scope.PRIVATE;
}
