/**
 * Path MTU discovery: how long a datagram a path carries, found by asking with datagrams of that
 * length that must not be fragmented. The reference has none; its users lower the MTU of whole
 * networks by hand.
 *
 * Until a path is measured it is taken to carry what the reference assumes (1432 bytes of UDP
 * payload), with fragmentation by routers allowed. As soon as one such question stays unanswered
 * the path carries what IPv6 guarantees (1280 with headers), and the search goes on downward from
 * the top.
 *
 * Source: issue tracker of the reference, spec 02 section 3.2; RFC 8899 for the idea.
 * @module
 */
import { Timers } from "../base/timers.ts";
import type { Path } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { DEFAULT_PHYSICAL_MTU, HEADER_LENGTH, Verb } from "../wire/packet.ts";
import type { Vl1 } from "./vl1.ts";

/** UDP payload every path must carry: 1280 bytes less IPv6 and UDP headers. */
const SAFE_MTU = 1_232;
/** Lengths tried, longest first: plain Ethernet, tunnels of WireGuard and its like, double tunnels, the guarantee. */
const LENGTHS = [DEFAULT_PHYSICAL_MTU, 1_392, 1_332, 1_272, SAFE_MTU];
const TRIES = 3; // of each length; one in three may be lost without being too long
const SPACING_MIN_MS = 200; // the answering side takes one ECHO per path in 166 ms
const VERIFY_MS = 60_000; // a path in use is asked again whether it still carries its length
const WIDEN_MS = 600_000; // one that carries less than the most is searched again from the top
const SEARCHES_MAX = 1_024; // at a time

interface Search {
  readonly peer: Peer;
  readonly path: Path;
  index: number;
  tries: number;
}

export class PathMtu {
  readonly #timers = new Timers<Search>();
  readonly #searches = new Map<Path, Search>();

  constructor(readonly vl1: Vl1) {}

  get deadlineMs(): number {
    return this.#timers.nextMs;
  }

  /** A path carries frames: see to it that its MTU is known and still true. Cheap when it is. */
  use(peer: Peer, path: Path): void {
    const { nowMs, settings } = this.vl1;
    const configured = peer.bond?.mtuOf(path) ?? settings.pathMtu?.(path.endpoint);
    if (configured !== undefined) {
      path.mtu = configured;
      return;
    }
    if (this.#searches.has(path) || this.#searches.size >= SEARCHES_MAX) return;
    const sinceMs = nowMs - path.mtuCheckedMs;
    if (sinceMs < VERIFY_MS) return;
    const fromTop = path.mtu === DEFAULT_PHYSICAL_MTU || sinceMs >= WIDEN_MS;
    const index = fromTop ? 0 : Math.max(0, LENGTHS.indexOf(path.mtu));
    const search = { peer, path, index, tries: 0 };
    this.#searches.set(path, search);
    this.#ask(search);
  }

  #ask(search: Search): void {
    const { peer, path } = search;
    search.tries++;
    const length = LENGTHS[search.index];
    this.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(length - HEADER_LENGTH), {
      probe: true,
      mtuProbe: length,
    });
    this.#timers.set(
      search,
      this.vl1.nowMs + Math.max(SPACING_MIN_MS, 2.5 * (path.latencyMs ?? 0)),
    );
  }

  /** A question of this length was answered. */
  answered(path: Path, length: number): void {
    const search = this.#searches.get(path);
    if (!search || length < LENGTHS[search.index]) return;
    this.#end(search, length);
  }

  #end(search: Search, mtu: number): void {
    search.path.mtu = mtu;
    search.path.mtuCheckedMs = this.vl1.nowMs;
    this.#searches.delete(search.path);
    this.#timers.delete(search);
    this.vl1.onMtu(search.peer);
  }

  handleTimeout(): void {
    for (;;) {
      const search = this.#timers.pop(this.vl1.nowMs);
      if (!search) return;
      this.#unanswered(search);
    }
  }

  #unanswered(search: Search): void {
    const { path } = search;
    if (!search.peer.find(path)) {
      this.#searches.delete(path);
      return;
    }
    if (path.mtu > SAFE_MTU && LENGTHS[search.index] === path.mtu) {
      path.mtu = SAFE_MTU; // at once: better short datagrams than none
      this.vl1.onMtu(search.peer);
    }
    if (search.tries >= TRIES) {
      search.index++;
      search.tries = 0;
      if (search.index >= LENGTHS.length - 1) return this.#end(search, SAFE_MTU);
    }
    this.#ask(search);
  }
}
