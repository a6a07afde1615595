/**
 * Who subscribes to which multicast group, as MULTICAST_LIKE and gathers told us: on joined networks, and at a root for
 * everybody.
 *
 * Source: spec 04 section 12.2; bounded per subscriber and in all (spec 03 section 28 item 24).
 * @module
 */
import type { Address, NetworkId } from "../base/ids.ts";
import { groupKey, type MulticastGroup } from "../base/multicast_group.ts";

const LIKE_LIFE_MS = 600_000; // reference ZT_MULTICAST_LIKE_EXPIRE
const RECORDS_MAX = 524_288; // in all: about 60 MB at a root that is full
const RECORDS_PER_MEMBER_MAX = 4_096; // a host subscribes to a few dozen groups on each of its networks

export class GroupMembers {
  readonly #networks = new Map<NetworkId, Map<string, Map<Address, number>>>();
  readonly #counts = new Map<Address, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns false when the member or the table has too many already; true when recorded, new or again */
  add(network: NetworkId, group: MulticastGroup, member: Address, nowMs: number): boolean {
    const members = this.#membersFor(network, groupKey(group));
    if (!members.has(member)) {
      const count = this.#counts.get(member) ?? 0;
      if (count >= RECORDS_PER_MEMBER_MAX || this.#size >= RECORDS_MAX) return false;
      this.#counts.set(member, count + 1);
      this.#size++;
    }
    members.set(member, nowMs);
    return true;
  }

  #membersFor(network: NetworkId, key: string): Map<Address, number> {
    let groups = this.#networks.get(network);
    if (!groups) this.#networks.set(network, groups = new Map());
    let members = groups.get(key);
    if (!members) groups.set(key, members = new Map());
    return members;
  }

  remove(network: NetworkId, group: MulticastGroup, member: Address): void {
    const members = this.#networks.get(network)?.get(groupKey(group));
    if (members?.delete(member)) this.#forget(member);
  }

  /** How many are subscribed. */
  count(network: NetworkId, group: MulticastGroup): number {
    return this.#networks.get(network)?.get(groupKey(group))?.size ?? 0;
  }

  /**
   * Some who are subscribed, others each time: who is named goes to the end of the line, so a group
   * of a hundred thousand costs no more than a small one, and none of its members is troubled more
   * than the others. The reference draws them at random.
   */
  next(network: NetworkId, group: MulticastGroup, limit: number): Address[] {
    const members = this.#networks.get(network)?.get(groupKey(group));
    const named: Address[] = [];
    if (!members) return named;
    for (const [member, atMs] of members) {
      if (named.length === Math.min(limit, members.size)) break;
      named.push(member);
      members.delete(member);
      members.set(member, atMs);
    }
    return named;
  }

  /** Drops what was not repeated in time. */
  expire(nowMs: number): void {
    for (const [network, groups] of this.#networks) {
      for (const [key, members] of groups) {
        for (const [member, atMs] of members) {
          if (nowMs - atMs < LIKE_LIFE_MS) continue;
          members.delete(member);
          this.#forget(member);
        }
        if (members.size === 0) groups.delete(key);
      }
      if (groups.size === 0) this.#networks.delete(network);
    }
  }

  #forget(member: Address): void {
    this.#size--;
    const count = this.#counts.get(member)! - 1;
    if (count === 0) this.#counts.delete(member);
    else this.#counts.set(member, count);
  }
}
