/**
 * When to use TCP: within a second of no root answering by UDP, and not for longer than UDP needs to come back. Decides
 * from the clock and what was authenticated alone; knows nothing of connections.
 *
 * Source: spec 03 section 28 item 16. The reference waits 60 s and lets any datagram, even junk, send it back to UDP.
 * @module
 */
import type { Random } from "../../../lib/crypto/primitives.ts";

/**
 * No root has answered by UDP yet for this long: three HELLOs went unanswered. A round trip takes
 * less, nearly everywhere.
 */
export const ENGAGE_MS = 1_000;
/** No root answers by UDP any more for this long, after two probes of each path went unanswered. */
export const ENGAGE_AGAIN_MS = 500;
/** UDP works again for this long: the tunnel ends. Meanwhile what is on its way in it still arrives. */
export const LINGER_MS = 3_000;
/** A tunnel over which no root answers for this long is given up. */
export const SILENT_MS = 3_000;
/** Waits between attempts that came to nothing: a planet that is down must not be run over when it returns. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
const STEADY_MS = 10_000; // a tunnel that broke sooner counts as an attempt that failed
const WATCH_MS = 500; // how often a tunnel that carries everything is looked at

/** How things stand. */
export interface Situation {
  readonly nowMs: number;
  /** There are roots to reach, and the user does not forbid it. */
  readonly allowed: boolean;
  /** The user wants TCP and nothing else. */
  readonly forced: boolean;
  /** A root answers by UDP. */
  readonly udp: boolean;
  readonly tunnel: "none" | "dialing" | "up";
  /** A root answers over the tunnel. */
  readonly tunnelAnswers: boolean;
}

export class Engagement {
  readonly #random: Random;
  #lostMs: number | undefined; // since when no root answers by UDP
  #backMs: number | undefined; // since when one does again
  #silentMs: number | undefined; // since when none answers over the tunnel
  #worked = false; // whether UDP ever did
  #upMs: number | undefined; // since when there is a tunnel
  #failures = 0;
  #retryMs = -Infinity;
  /** When to decide again, should nothing happen before; Infinity when only events matter. */
  nextMs = Infinity;

  constructor(random: Random) {
    this.#random = random;
  }

  /** @returns what to do now; afterwards {@linkcode nextMs} is set */
  decide(now: Situation): "dial" | "hang-up" | undefined {
    this.nextMs = Infinity;
    if (!now.allowed) {
      this.#lostMs = this.#backMs = undefined;
      return now.tunnel === "none" ? undefined : "hang-up";
    }
    return now.udp && !now.forced ? this.#withUdp(now) : this.#withoutUdp(now);
  }

  #withUdp({ nowMs, tunnel }: Situation): "hang-up" | undefined {
    this.#lostMs = undefined;
    this.#worked = true;
    this.#backMs ??= nowMs;
    this.#failures = 0;
    this.#retryMs = -Infinity;
    if (tunnel === "none") return undefined;
    if (tunnel === "dialing" || nowMs - this.#backMs >= LINGER_MS) return "hang-up";
    this.nextMs = this.#backMs + LINGER_MS;
    return undefined;
  }

  #withoutUdp({ nowMs, forced, tunnel, tunnelAnswers }: Situation): "dial" | "hang-up" | undefined {
    this.#backMs = undefined;
    this.#lostMs ??= nowMs;
    if (tunnel === "none") {
      this.#silentMs = this.#upMs = undefined;
      const patienceMs = forced ? 0 : this.#worked ? ENGAGE_AGAIN_MS : ENGAGE_MS;
      const dueMs = Math.max(this.#lostMs + patienceMs, this.#retryMs);
      if (nowMs >= dueMs) return "dial";
      this.nextMs = dueMs;
    } else if (tunnel === "up") {
      this.#upMs ??= nowMs;
      if (nowMs - this.#upMs >= STEADY_MS) this.#failures = 0;
      this.#silentMs = tunnelAnswers ? undefined : this.#silentMs ?? nowMs;
      if (this.#silentMs !== undefined && nowMs - this.#silentMs >= SILENT_MS) return "hang-up";
      this.nextMs = nowMs + WATCH_MS;
    }
    return undefined;
  }

  /** An attempt came to nothing. */
  failed(nowMs: number): void {
    const waitMs = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
    const byte = new Uint8Array(1);
    this.#random(byte);
    this.#retryMs = nowMs + waitMs * (0.75 + byte[0] / 512); // three to five quarters: not all at once
  }

  /** The tunnel broke: another is looked for at once, unless it lasted only for a moment. */
  broke(nowMs: number): void {
    if (this.#upMs === undefined || nowMs - this.#upMs < STEADY_MS) this.failed(nowMs);
  }

  /** The machine's addresses changed, or it woke: what failed before may work now. */
  reset(): void {
    this.#failures = 0;
    this.#retryMs = -Infinity;
  }
}
