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
 * A question may stay unanswered for other reasons than its length: the other side answers one
 * ECHO per path in 166 ms, so this waits until the last one's time is over; and it may be busy, so
 * a path that seems to carry less is soon searched again.
 *
 * Source: issue tracker of the reference, spec 02 section 3.2; RFC 8899 for the idea.
 * @module
 */
import { Timers } from "../base/timers.ts";
import { ECHO_GAP_MS, type Path } from "../peer/path.ts";
import type { Peer } from "../peer/peer.ts";
import { DEFAULT_PHYSICAL_MTU, HEADER_LENGTH, Verb } from "../wire/packet.ts";
import type { Vl1 } from "./vl1.ts";

/** UDP payload every path must carry: 1280 bytes less IPv6 and UDP headers. */
const SAFE_MTU = 1_232;
/** Lengths tried, longest first: plain Ethernet, tunnels of WireGuard and its like, double tunnels, the guarantee. */
const LENGTHS = [DEFAULT_PHYSICAL_MTU, 1_392, 1_332, 1_272, SAFE_MTU];
const TRIES = 3; // of each length; one in three may be lost without being too long
const ANSWER_MIN_MS = 200; // an answer may take so long at least
const VERIFY_MS = 60_000; // a path in use is asked again whether it still carries its length
/**
 * One that carries less than the most is searched again from the top: soon, for it may only have
 * been busy...
 */
const WIDEN_MIN_MS = 3_000;
const WIDEN_MAX_MS = 600_000; // ...then after twice the time each, and so often for good
const SEARCHES_MAX = 1_024; // at a time

interface Search {
  readonly peer: Peer;
  readonly path: Path;
  /** What the path was taken to carry when the search began. */
  readonly mtuBefore: number;
  /** Whether it began with the longest. */
  readonly isFromTop: boolean;
  index: number;
  tries: number;
  /** Whether a question is open; else one is to be asked as soon as it may be answered. */
  isAsked: boolean;
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
    const widens = path.widening !== undefined && nowMs >= path.widening.dueMs;
    if (!widens && nowMs - path.mtuCheckedMs < VERIFY_MS) return;
    const isFromTop = widens || path.widening === undefined;
    const index = isFromTop ? 0 : Math.max(0, LENGTHS.indexOf(path.mtu));
    const mtuBefore = path.mtu;
    const search = { peer, path, mtuBefore, isFromTop, index, tries: 0, isAsked: false };
    this.#searches.set(path, search);
    this.#ask(search);
  }

  #ask(search: Search): void {
    const { peer, path } = search;
    const { nowMs } = this.vl1;
    const known = peer.find(path);
    // While it is open whether the path carries anything, how much is not worth asking.
    const isDoubted = known?.probeSentMs !== undefined;
    const freeMs = isDoubted ? nowMs + ECHO_GAP_MS : path.echoFreeMs;
    search.isAsked = nowMs >= freeMs;
    if (!search.isAsked) return this.#timers.set(search, freeMs);
    search.tries++;
    const length = LENGTHS[search.index];
    this.vl1.transmit(peer, path, Verb.ECHO, new Uint8Array(length - HEADER_LENGTH), {
      probe: true,
      mtuProbe: length,
    });
    path.lastOutMs = nowMs; // its answer keeps the path alive as any does
    if (known) known.lastOutMs = nowMs;
    const patienceMs = Math.max(ANSWER_MIN_MS, 2.5 * (path.latencyMs ?? 0));
    this.#timers.set(search, nowMs + patienceMs);
  }

  /** A question of this length was answered. */
  answered(path: Path, length: number): void {
    const search = this.#searches.get(path);
    if (!search || length < LENGTHS[search.index]) return;
    this.#end(search, length);
  }

  #end(search: Search, mtu: number): void {
    const { path } = search;
    path.mtu = mtu;
    path.mtuCheckedMs = this.vl1.nowMs;
    this.#planWidening(search);
    this.#searches.delete(path);
    this.#timers.delete(search);
    this.vl1.onMtu(search.peer);
  }

  /** When to ask again for more than was found. */
  #planWidening({ path, mtuBefore, isFromTop }: Search): void {
    if (path.mtu >= DEFAULT_PHYSICAL_MTU) {
      path.widening = undefined;
    } else if (path.mtu < mtuBefore || !path.widening) {
      path.widening = { delayMs: WIDEN_MIN_MS, dueMs: this.vl1.nowMs + WIDEN_MIN_MS };
    } else if (isFromTop) {
      const delayMs = Math.min(2 * path.widening.delayMs, WIDEN_MAX_MS);
      path.widening = { delayMs, dueMs: this.vl1.nowMs + delayMs };
    }
  }

  handleTimeout(): void {
    for (;;) {
      const search = this.#timers.pop(this.vl1.nowMs);
      if (!search) return;
      if (!search.peer.find(search.path)) this.#searches.delete(search.path);
      else if (search.isAsked) this.#unanswered(search);
      else this.#ask(search);
    }
  }

  #unanswered(search: Search): void {
    const { path } = search;
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
