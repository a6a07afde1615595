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
const LOOKS_MAX = 16; // records looked at to find one whose member has more than most: bounds the work of an addition

export class GroupMembers {
  readonly #networks = new Map<NetworkId, Map<string, Map<Address, number>>>();
  readonly #counts = new Map<Address, number>();
  #turn = this.#records();
  #size = 0;

  /** @param recordsMax Bounds memory */
  constructor(readonly recordsMax = RECORDS_MAX) {}

  get size(): number {
    return this.#size;
  }

  /**
   * When the table is full, who has more records than the newcomer loses one.
   * @returns false when the member has too many already, or as many as others have; true when recorded, new or again
   */
  add(network: NetworkId, group: MulticastGroup, member: Address, nowMs: number): boolean {
    const key = groupKey(group);
    if (!this.#networks.get(network)?.get(key)?.has(member)) {
      const count = this.#counts.get(member) ?? 0;
      if (count >= RECORDS_PER_MEMBER_MAX) return false;
      if (this.#size >= this.recordsMax && !this.#makeRoom(count)) return false;
      this.#counts.set(member, count + 1);
      this.#size++;
    }
    this.#membersFor(network, key).set(member, nowMs);
    return true;
  }

  /** Takes a record from who has most, of some that are looked at in turn. @param own How many the newcomer has */
  #makeRoom(own: number): boolean {
    let most = own + 1; // with one more it would only change who is left out
    let found: [members: Map<Address, number>, member: Address] | undefined;
    for (let i = 0; i < LOOKS_MAX; i++) {
      let next = this.#turn.next();
      if (next.done) next = (this.#turn = this.#records()).next();
      if (next.done) break;
      const count = this.#counts.get(next.value[1])!;
      if (count <= most) continue;
      most = count;
      found = next.value;
    }
    if (!found) return false;
    const [members, member] = found;
    members.delete(member);
    this.#forget(member);
    return true;
  }

  /** Every record once; those added meanwhile may be among them, those removed are not. */
  *#records(): Generator<[members: Map<Address, number>, member: Address]> {
    for (const groups of this.#networks.values()) {
      for (const members of groups.values()) {
        for (const member of members.keys()) yield [members, member];
      }
    }
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
