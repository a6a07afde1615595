/**
 * Which link carries which flow. Flows are put into 256 groups by their number, and each group has
 * a link: a table that control and data plane share, needs no entry per flow and never expires.
 * With 2, 4, 8 or 16 links of one capacity the choice is the reference's, flow number modulo links,
 * as long as none was lost.
 *
 * Source: spec 03 sections 24.2 and 24.4.
 * @module
 */

/** Groups of flows there are. */
export const FLOW_GROUPS = 256;
/** The number of what belongs to no flow: anything but TCP, UDP, SCTP and UDP-Lite. */
export const NO_FLOW = -1;

/** Group of a flow, 0 to 255. @param flow 16 bits, not {@linkcode NO_FLOW} */
export function groupOf(flow: number): number {
  return flow & (FLOW_GROUPS - 1);
}

/** The links of groups; `L` is whatever stands for a link. */
export class FlowTable<L> {
  readonly #links: (L | undefined)[] = new Array(FLOW_GROUPS).fill(undefined);

  /** @param flow 16 bits */
  linkOf(flow: number): L | undefined {
    return this.#links[groupOf(flow)];
  }

  /** Groups a link has. */
  count(link: L): number {
    return this.#links.filter((one) => one === link).length;
  }

  /** The table as indexes into `links`, for the data plane. */
  indexes(links: readonly L[]): Uint8Array {
    return Uint8Array.from(this.#links, (link) => Math.max(0, links.indexOf(link as L)));
  }

  /**
   * Gives every group one of these links, each its share of them. What is on a link that stays and
   * has not too many is left there: moving a flow reorders it.
   * @param shares Of the links, the sum is 1
   * @returns whether anything changed
   */
  assign(links: readonly L[], shares: readonly number[]): boolean {
    const left = quotas(shares);
    const before = [...this.#links];
    this.#links.fill(undefined);
    const give = (group: number, index: number) => {
      this.#links[group] = links[index];
      left[index]--;
    };
    // First those that are where their number would have them, then the others as far as there is room.
    for (const atHome of [true, false]) {
      for (let group = 0; group < FLOW_GROUPS; group++) {
        const index = links.indexOf(before[group] as L);
        if (index < 0 || left[index] === 0 || (index === group % links.length) !== atHome) continue;
        give(group, index);
      }
    }
    for (let group = 0; group < FLOW_GROUPS; group++) {
      if (this.#links[group] !== undefined) continue;
      let index = group % links.length;
      while (left[index] === 0) index = (index + 1) % links.length;
      give(group, index);
    }
    return this.#links.some((link, group) => link !== before[group]);
  }

  /** Moves up to so many groups from one link to others in turn. @returns whether there were any */
  move(from: L, others: readonly L[], countMax: number): boolean {
    let moved = 0;
    for (let group = 0; group < FLOW_GROUPS && moved < countMax; group++) {
      if (this.#links[group] !== from) continue;
      this.#links[group] = others[moved++ % others.length];
    }
    return moved > 0;
  }
}

/** Groups each share comes to, 256 in all. */
function quotas(shares: readonly number[]): number[] {
  const counts = shares.map((share) => Math.floor(share * FLOW_GROUPS));
  let rest = FLOW_GROUPS - counts.reduce((sum, count) => sum + count, 0);
  for (let i = 0; rest > 0; i = (i + 1) % counts.length, rest--) counts[i]++;
  return counts;
}
