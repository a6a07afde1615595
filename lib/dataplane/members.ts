/**
 * The data plane's tables of networks and members: which rules apply, who may send here, where a
 * MAC leads to. Looked up per frame without allocating; changed by records only.
 * @module
 */
import type { Address, Mac, NetworkId } from "../base/ids.ts";
import { macOf } from "../base/ids.ts";
import { decodeNetworkConfig } from "../credential/network_config.ts";
import { decodeRules, type Rule, RuleType } from "../credential/rule_codec.ts";
import { localMemberOf, ownershipOf } from "../network/local_member.ts";
import { type FilterPeer, NetworkFilter, type RemoteMember } from "../network/rules/mod.ts";
import { decodeNetworkCredentials } from "../wire/network_credentials.ts";

const MAC_INDEX_SIZE = 32_768; // twice the members, so that probing stays short
const MAC_INDEX_MASK = MAC_INDEX_SIZE - 1;
const NO_MEMBER = -1;
/** CWR, PSH and FIN: the TCP flags in which the segments of one super-frame differ. */
const TCP_BITS = 0x89n;

/** One network with a port here. */
export interface PlaneNetwork {
  readonly slot: number;
  readonly id: NetworkId;
  /** Halves of the id, signed: V8 keeps such numbers out of the heap. */
  readonly idHigh: number;
  readonly idLow: number;
  readonly port: number;
  readonly macHigh: number;
  readonly macLow: number;
  readonly mtu: number;
  readonly filter: NetworkFilter;
  /** Rules that let everything pass need not be asked. */
  readonly acceptsAll: boolean;
  /** The verdict may differ between the segments of one super-frame. */
  readonly perSegment: boolean;
}

/** One member frames are exchanged with. */
export interface PlaneMember {
  readonly slot: number;
  readonly network: PlaneNetwork;
  readonly session: number;
  readonly address: Address;
  readonly admitted: boolean;
  readonly credentials: Uint8Array;
  readonly filterPeer: FilterPeer;
  readonly macHigh: number;
  readonly macLow: number;
}

/** Makes a network of its configuration. @throws {WireError} when control hands in a torn one: a bug */
export function planeNetwork(
  fields: { slot: number; id: NetworkId; port: number; mac: Mac; config: Uint8Array },
  random: () => number,
): PlaneNetwork {
  const config = decodeNetworkConfig(fields.config, Infinity);
  const rules = decodeRules(config.rules);
  return {
    slot: fields.slot,
    id: fields.id,
    idHigh: Number(BigInt.asIntN(32, fields.id >> 32n)),
    idLow: Number(BigInt.asIntN(32, fields.id)),
    port: fields.port,
    macHigh: highOf(fields.mac),
    macLow: lowOf(fields.mac),
    mtu: config.mtu,
    filter: new NetworkFilter(localMemberOf(config), random),
    acceptsAll: rules[0]?.type === RuleType.ACTION_ACCEPT,
    perSegment: [...rules, ...config.capabilities.flatMap(({ rules }) => decodeRules(rules))]
      .some(looksAtSegment),
  };
}

function looksAtSegment(rule: Rule): boolean {
  switch (rule.type) {
    case RuleType.MATCH_FRAME_SIZE_RANGE:
    case RuleType.MATCH_RANDOM:
    case RuleType.INTEGER_RANGE:
      return true;
    case RuleType.MATCH_CHARACTERISTICS:
      return rule.kind === "characteristics" && (rule.mask & TCP_BITS) !== 0n;
    default:
      return false;
  }
}

/** Makes a member of what control knows of it. */
export function planeMember(
  network: PlaneNetwork,
  fields: { slot: number; session: number; admitted: boolean; credentials: Uint8Array },
  address: Address,
): PlaneMember {
  const mac = macOf(address, network.id);
  return {
    ...fields,
    network,
    address,
    filterPeer: network.filter.peer(address, remoteOf(fields.credentials)),
    macHigh: highOf(mac),
    macLow: lowOf(mac),
  };
}

/** Credentials as the rules see them; control has checked signatures and revocations. */
function remoteOf(credentials: Uint8Array): RemoteMember {
  const { tags, capabilities, ownerships } = decodeNetworkCredentials(credentials);
  return {
    tags: tags.map(({ id, value, timestampMs }) => ({ id, value, timestampMs })),
    capabilities: capabilities.map(({ id, rules, timestampMs }) => ({
      id,
      rules: decodeRules(rules),
      timestampMs,
    })),
    ownerships: ownerships.map((ownership) => ({
      ...ownershipOf(ownership),
      timestampMs: ownership.timestampMs,
    })),
  };
}

function highOf(mac: Mac): number {
  return Math.floor(mac / 0x1_0000_0000);
}

function lowOf(mac: Mac): number {
  return (mac % 0x1_0000_0000) | 0;
}

/** Members by slot, by MAC on a port, and by session. */
export class Members {
  readonly #members: (PlaneMember | undefined)[] = [];
  /** Slots by MAC: open addressing with linear probing. */
  readonly #macIndex = new Int32Array(MAC_INDEX_SIZE).fill(NO_MEMBER);
  /** Slots by session: one for each network it is a member of. */
  readonly #sessionLists: (Int32Array | undefined)[] = [];

  get(slot: number): PlaneMember | undefined {
    return this.#members[slot];
  }

  set(member: PlaneMember): void {
    this.remove(member.slot);
    this.#members[member.slot] = member;
    this.#enter(member);
    const others = this.#sessionLists[member.session] ?? [];
    this.#sessionLists[member.session] = Int32Array.of(...others, member.slot);
  }

  remove(slot: number): void {
    const member = this.#members[slot];
    if (!member) return;
    this.#leave(member);
    this.#members[slot] = undefined;
    const others = this.#sessionLists[member.session]!.filter((other) => other !== slot);
    this.#sessionLists[member.session] = others.length > 0 ? others : undefined;
  }

  /** Members of one network: when its configuration changes each is made anew. */
  of(network: PlaneNetwork): PlaneMember[] {
    return this.#members.filter((member) => member?.network === network) as PlaneMember[];
  }

  #enter(member: PlaneMember): void {
    let i = homeOf(member);
    while (this.#macIndex[i] !== NO_MEMBER) i = (i + 1) & MAC_INDEX_MASK;
    this.#macIndex[i] = member.slot;
  }

  /** Takes a member out of the index, moving later entries of its run up so that no probe ends too early. */
  #leave(member: PlaneMember): void {
    const index = this.#macIndex;
    let hole = homeOf(member);
    while (index[hole] !== member.slot) hole = (hole + 1) & MAC_INDEX_MASK;
    for (
      let i = (hole + 1) & MAC_INDEX_MASK;
      index[i] !== NO_MEMBER;
      i = (i + 1) & MAC_INDEX_MASK
    ) {
      const distance = (i - homeOf(this.#members[index[i]]!)) & MAC_INDEX_MASK;
      if (distance < ((i - hole) & MAC_INDEX_MASK)) continue; // it would move before its home
      index[hole] = index[i];
      hole = i;
    }
    index[hole] = NO_MEMBER;
  }

  /** The member with a MAC on the network of a port; allocates nothing. */
  byMac(port: number, macHigh: number, macLow: number): PlaneMember | undefined {
    for (let i = indexOf(port, macHigh, macLow);; i = (i + 1) & MAC_INDEX_MASK) {
      const slot = this.#macIndex[i];
      if (slot === NO_MEMBER) return undefined;
      const member = this.#members[slot]!;
      const same = member.macLow === macLow && member.macHigh === macHigh &&
        member.network.port === port;
      if (same) return member;
    }
  }

  /** The member a session is on a network; allocates nothing. */
  bySession(session: number, idHigh: number, idLow: number): PlaneMember | undefined {
    const slots = this.#sessionLists[session];
    if (!slots) return undefined;
    for (let i = 0; i < slots.length; i++) {
      const member = this.#members[slots[i]]!;
      if (member.network.idLow === idLow && member.network.idHigh === idHigh) return member;
    }
    return undefined;
  }
}

function homeOf({ network, macHigh, macLow }: PlaneMember): number {
  return indexOf(network.port, macHigh, macLow);
}

function indexOf(port: number, macHigh: number, macLow: number): number {
  return (Math.imul(macLow ^ port, 0x9e37_79b1 | 0) ^ macHigh) >>> 17 & MAC_INDEX_MASK;
}
