/**
 * Surface awareness: which addresses the outside sees us at, as peers report them. Only what an
 * upstream confirms, or two unrelated peers, is told to others (spec 03 section 28 items 10 and
 * 26).
 *
 * Source: spec 03 section 17.
 * @module
 */
import type { Address } from "../base/ids.ts";
import { type Endpoint, formatEndpoint, sameIp, Scope, scopeOf } from "../base/ip.ts";
import { dropOldest } from "../base/oldest.ts";
import type { Path, SocketId } from "../peer/path.ts";

const SURFACE_LIFE_MS = 600_000; // reference ZT_SELFAWARENESS_ENTRY_TIMEOUT
/**
 * Reports that tell how our NAT maps ports now: roots are greeted every 120 s, and a mapping
 * renewed before must not look like two.
 */
const LATELY_MS = 150_000;
const REPORTS_MAX = 512; // bounds memory: peers report as they like; the oldest goes first, upstreams' last

/** How one peer sees one of our sockets. */
export interface SurfaceReport {
  readonly reporter: Address;
  /** Where the reporter was when it saw us. */
  readonly remote: Endpoint;
  readonly socket: SocketId;
  readonly surface: Endpoint;
  readonly atMs: number;
  /** Whether the reporter is an upstream. */
  readonly trusted: boolean;
}

export class Surface {
  readonly #reports = new Map<string, SurfaceReport>();

  /**
   * Someone told us what our address looks like from there.
   * @param trusted Whether the reporter is an upstream
   * @returns whether a trusted report says that our address changed: the paths of that scope need a new proof
   */
  report(
    reporter: Address,
    path: Path,
    surface: Endpoint,
    trusted: boolean,
    nowMs: number,
  ): boolean {
    const scope = scopeOf(surface.ip);
    if (scope !== path.scope || scope <= Scope.LOOPBACK) return false;
    const key = `${reporter}|${path.key}|${scope}`;
    const previous = this.#reports.get(key);
    this.#reports.delete(key);
    if (this.#reports.size >= REPORTS_MAX) this.#makeRoom();
    const { socket, endpoint: remote } = path;
    this.#reports.set(key, { reporter, remote, socket, surface, atMs: nowMs, trusted });
    const changed = trusted && previous !== undefined &&
      nowMs - previous.atMs < SURFACE_LIFE_MS && !sameIp(previous.surface.ip, surface.ip);
    if (changed) this.#forgetOthers(key, scope);
    return changed;
  }

  /** One peer comes from as many ports as it likes, and each is a report: upstreams' must outlast them. */
  #makeRoom(): void {
    for (const [key, { trusted }] of this.#reports) {
      if (!trusted) return void this.#reports.delete(key);
    }
    dropOldest(this.#reports);
  }

  #forgetOthers(kept: string, scope: Scope): void {
    for (const [key, report] of this.#reports) {
      if (key !== kept && scopeOf(report.surface.ip) === scope) this.#reports.delete(key);
    }
  }

  /** Addresses worth telling others: confirmed by an upstream or by two peers. */
  confirmed(nowMs: number): Endpoint[] {
    const found = new Map<
      string,
      { surface: Endpoint; reporters: Set<Address>; trusted: boolean }
    >();
    for (const report of this.#reports.values()) {
      if (nowMs - report.atMs >= SURFACE_LIFE_MS) continue;
      const key = formatEndpoint(report.surface);
      const entry = found.get(key) ??
        { surface: report.surface, reporters: new Set<Address>(), trusted: false };
      entry.reporters.add(report.reporter);
      entry.trusted ||= report.trusted;
      found.set(key, entry);
    }
    return [...found.values()]
      .filter((entry) => entry.trusted || entry.reporters.size >= 2)
      .map((entry) => entry.surface);
  }

  /** Surfaces by socket as upstreams see them: how our NAT maps ports (spec 03 section 28 item 11). */
  bySocket(nowMs: number): { socket: SocketId; reporter: Address; surface: Endpoint }[] {
    return [...this.#reports.values()].filter((report) =>
      report.trusted && nowMs - report.atMs < SURFACE_LIFE_MS
    );
  }

  /** Every report made since the last time all roots were greeted, whoever made it: what kind of NAT there is. */
  latelyReported(nowMs: number): SurfaceReport[] {
    return this.reportsSince(nowMs - LATELY_MS);
  }

  /** Every report no older than this, whoever made it. */
  reportsSince(atMs: number): SurfaceReport[] {
    return [...this.#reports.values()].filter((report) => report.atMs >= atMs);
  }

  expire(nowMs: number): void {
    for (const [key, report] of this.#reports) {
      if (nowMs - report.atMs >= SURFACE_LIFE_MS) this.#reports.delete(key);
    }
  }

  dropSocket(socket: SocketId): void {
    for (const [key, report] of this.#reports) {
      if (report.socket === socket) this.#reports.delete(key);
    }
  }
}
