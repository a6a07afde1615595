/**
 * One network in memory: its record, its members, and the indexes that make a request cost the same whether the network
 * has ten members or ten million.
 *
 * Source: spec 05 sections 5.1 and 10 (in-memory indexes).
 * @module
 */
import { type Address, formatNetworkId, type NetworkId } from "../base/ids.ts";
import { dropOldest } from "../base/oldest.ts";
import type { Identity } from "../identity/identity.ts";
import { ConfigLimits } from "../credential/network_config_binary.ts";
import type { RequestMetadata } from "../credential/request_metadata.ts";
import { type CompiledNetwork, compileNetwork } from "./compiled_network.ts";
import { normalizeAddress } from "./coerced_fields.ts";
import { type JsonObject, toArray, toBoolean } from "./json.ts";
import { STRANGERS_MAX } from "./limits.ts";
import { isAuthorized, isStranger } from "./member_record.ts";
import type { NetworkNames } from "./network_names.ts";

// Addresses the store says are taken; protects memory, forgetting one costs one more conflict
const FOREIGN_MAX = 4_096;

/** What a requester told us; lost at restart, so pushes begin after its next request. */
export interface MemberMemory {
  readonly identity: Identity;
  readonly metadata: RequestMetadata;
  /** When it asked last. */
  readonly askedMs: number;
}

interface MemberEntry {
  record: JsonObject;
  memory: MemberMemory | undefined;
}

export class NetworkState {
  readonly id: NetworkId;
  /** The id as records and keys spell it. */
  readonly text: string;
  #record: JsonObject;
  #compiled: CompiledNetwork | undefined;
  readonly #members = new Map<Address, MemberEntry>();
  readonly #holders = new Map<string, number>();
  readonly #foreign = new Set<string>();
  readonly #bridges = new Set<Address>();
  readonly #strangers = new Set<Address>();
  #sortedBridges: Address[] | undefined;
  #authorizedCount = 0;
  /** What members are called, as last made; undefined when they are not told, or nobody asked. */
  names: NetworkNames | undefined;
  /** Members that should get their config anew. */
  readonly pushes = new Set<Address>();

  constructor(id: NetworkId, record: JsonObject) {
    this.id = id;
    this.text = formatNetworkId(id);
    this.#record = record;
  }

  /** As stored. Never changed in place. */
  get record(): JsonObject {
    return this.#record;
  }

  set record(record: JsonObject) {
    this.#record = record;
    this.#compiled = undefined;
  }

  get compiled(): CompiledNetwork {
    return this.#compiled ??= compileNetwork(this.#record, this.id);
  }

  get memberCount(): number {
    return this.#members.size;
  }

  get authorizedCount(): number {
    return this.#authorizedCount;
  }

  /** Record of a member, as stored. Never changed in place. */
  member(address: Address): JsonObject | undefined {
    return this.#members.get(address)?.record;
  }

  members(): IterableIterator<[Address, MemberEntry]> {
    return this.#members.entries();
  }

  memory(address: Address): MemberMemory | undefined {
    return this.#members.get(address)?.memory;
  }

  /** Keeps what a push needs; nothing when there is no record. */
  remember(address: Address, memory: MemberMemory): void {
    const entry = this.#members.get(address);
    if (entry) entry.memory = memory;
  }

  /** Stores or (undefined) removes a member's record and brings every index up to date. */
  setMember(address: Address, record: JsonObject | undefined): void {
    const entry = this.#members.get(address);
    if (entry) this.#index(address, entry.record, -1);
    if (!record) {
      this.#members.delete(address);
      this.pushes.delete(address);
      return;
    }
    if (entry) entry.record = record;
    else this.#members.set(address, { record, memory: undefined });
    this.#index(address, record, 1);
  }

  #index(address: Address, record: JsonObject, sign: 1 | -1): void {
    if (isAuthorized(record)) this.#authorizedCount += sign;
    for (const text of toArray(record.ipAssignments)) {
      const ip = normalizeAddress(text);
      if (ip !== undefined) this.#count(ip, sign);
    }
    if (toBoolean(record.activeBridge, false)) {
      this.#sortedBridges = undefined;
      toggle(this.#bridges, address, sign);
    }
    if (isStranger(record)) toggle(this.#strangers, address, sign);
  }

  #count(ip: string, sign: 1 | -1): void {
    const count = (this.#holders.get(ip) ?? 0) + sign;
    if (count > 0) this.#holders.set(ip, count);
    else this.#holders.delete(ip);
    this.#foreign.delete(ip);
  }

  /** Whether any member holds an address, in canonical text; unauthorized members count. */
  isTaken(ip: string): boolean {
    return this.#holders.has(ip) || this.#foreign.has(ip);
  }

  /** The store says somebody we do not know holds these. */
  noteTaken(ips: readonly string[]): void {
    for (const ip of ips) {
      if (this.#foreign.size === FOREIGN_MAX) dropOldest(this.#foreign);
      this.#foreign.add(ip);
    }
  }

  /** Active bridges, authorized or not, ascending; as many as one config holds. */
  get bridges(): readonly Address[] {
    this.#sortedBridges ??= [...this.#bridges].sort((a, b) => a - b).slice(
      0,
      ConfigLimits.SPECIALISTS,
    );
    return this.#sortedBridges;
  }

  /** The oldest record a stranger made, once there are more than the network should hold. */
  get surplusStranger(): Address | undefined {
    return this.#strangers.size > STRANGERS_MAX ? this.#strangers.values().next().value : undefined;
  }
}

function toggle(set: Set<Address>, address: Address, sign: 1 | -1): void {
  if (sign === 1) set.add(address);
  else set.delete(address);
}
