/**
 * The network controller: says who is a member of a network, and signs it.
 *
 * All of it is in memory; a record is written before anybody is told what depends on it. Requests,
 * API writes and pushes of one network happen one after another ({@linkcode Lanes}), so no two
 * members get one address and no update is lost.
 *
 * Source: spec 05.
 * @module
 */
import { assert } from "../base/errors.ts";
import {
  type Address,
  controllerOf,
  formatAddress,
  type NetworkId,
  parseAddress,
  parseNetworkId,
} from "../base/ids.ts";
import { KeyedBudgets } from "../base/rate.ts";
import { decodeRequestMetadata } from "../credential/request_metadata.ts";
import type { Primitives, Random } from "../crypto/primitives.ts";
import type { Identity } from "../identity/identity.ts";
import { ApiDesk } from "./api_desk.ts";
import { consequencesOf } from "./consequences.ts";
import { type ConfigRequest, decideRequest, type Verdict } from "./decide_request.ts";
import { type JsonObject, sameJson, toInteger } from "./json.ts";
import { type Decision, type LaneHost, Lanes, type Task } from "./lanes.ts";
import { ONLINE_MS, OWED_NAMES, OWED_NAMES_MEMBERS_MAX, TASKS_PER_STEP_MAX } from "./limits.ts";
import type {
  ControllerAction,
  ControllerCounters,
  ControllerInput,
  ControllerTime,
} from "./machine.ts";
import { isAuthorized } from "./member_record.ts";
import { NameRenewals } from "./name_renewals.ts";
import { changesNames, isOwedNames, namesOf, type NetworkNames } from "./network_names.ts";
import { NetworkState } from "./network_state.ts";
import { Presence, RequestTimes } from "./request_times.ts";
import { Revocations } from "./revocations.ts";
import {
  formatRecordKey,
  keyOfRecord,
  memberOfKey,
  type RecordKey,
  type StoreWrite,
} from "./store.ts";

const METADATA_LENGTH_MAX = 1_024; // spec 04 section 4; more is not read

/** What a controller is made of; given once. */
export interface ControllerConfig {
  /** With its secret: it signs everything the networks' members believe. */
  readonly identity: Identity;
  readonly primitives: Primitives;
  readonly random: Random;
}

export class Controller {
  readonly #config: ControllerConfig;
  readonly #networks = new Map<NetworkId, NetworkState>();
  readonly #view: { isReady: boolean; readonly networks: ReadonlyMap<NetworkId, NetworkState> };
  readonly #time = { nowMs: 0, wallMs: 0 }; // this step's clocks; refilled at each `handle()`
  readonly #lanes: Lanes;
  readonly #desk: ApiDesk;
  readonly #requestTimes = new RequestTimes();
  readonly #presence = new Presence();
  readonly #revocations: Revocations;
  readonly #renewals = new NameRenewals();
  readonly #owedNames = new KeyedBudgets<string>(OWED_NAMES, OWED_NAMES_MEMBERS_MAX);
  #actions: ControllerAction[] = [];
  #nextAction = 0;
  #loadedMs = -Infinity;
  readonly counters: ControllerCounters = {
    requests: 0,
    requestsDropped: 0,
    configsSent: 0,
    configsPushed: 0,
    refused: 0,
    revocations: 0,
    storeConflicts: 0,
    storeFailures: 0,
    recordsSkipped: 0,
    strangersEvicted: 0,
    assignmentTrials: 0,
    networkChanges: 0,
    memberChanges: 0,
    membersAuthorized: 0,
    membersDeauthorized: 0,
    reads: { network: 0, member: 0, configRequest: 0, members: 0, networks: 0 },
  };

  /** @throws {TypeError} when the identity has no secret */
  constructor(config: ControllerConfig) {
    if (!config.identity.secretKey) throw new TypeError("identity: a controller needs its secret");
    this.#config = config;
    this.#revocations = new Revocations(config.identity, config.primitives, config.random);
    const host: LaneHost = {
      store: (ticket, write) => this.#act({ kind: "store", ticket, ...write }),
      commit: (write, own) => this.#apply(write.key, write.value, own),
      conflict: (write, current, taken) => this.#conflict(write, current, taken),
      idle: (network) => this.#nextPush(network),
    };
    this.#lanes = new Lanes(host);
    this.#view = { isReady: false, networks: this.#networks };
    this.#desk = new ApiDesk({
      ...config,
      view: this.#view,
      time: this.#time,
      lanes: this.#lanes,
      reads: this.counters.reads,
      reply: (ticket, reply) => this.#act({ kind: "apiReply", ticket, ...reply }),
    });
  }

  /** Whether the store has been loaded. */
  get isReady(): boolean {
    return this.#view.isReady;
  }

  get networkCount(): number {
    return this.#networks.size;
  }

  /** Over all networks. */
  get memberCount(): number {
    let count = 0;
    for (const state of this.#networks.values()) count += state.memberCount;
    return count;
  }

  /** Requests, API writes and pushes that wait for their turn. */
  get queuedCount(): number {
    return this.#lanes.queuedCount;
  }

  /** When to hand in a timeout; Infinity when nothing is due. */
  get deadlineMs(): number {
    if (this.#lanes.isReady) return this.#time.nowMs;
    return Math.min(this.#revocations.deadlineMs, this.#renewals.deadlineMs);
  }

  handle(input: ControllerInput, time: ControllerTime): void {
    this.#time.nowMs = time.nowMs;
    this.#time.wallMs = time.wallMs;
    switch (input.kind) {
      case "load":
        this.#load(input.networks, input.members);
        break;
      case "request":
        this.#request(input);
        break;
      case "api":
        this.#desk.handle(input);
        break;
      case "stored":
        if (input.result === "conflict") this.counters.storeConflicts++;
        if (input.result === "failed") this.counters.storeFailures++;
        this.#lanes.stored(input.ticket, input);
        break;
      case "changed":
        this.#changed(input.key, input.value);
        break;
      case "seen":
        this.#presence.seen(input.member, time.nowMs);
        break;
      case "timeout":
        break;
    }
    this.#lanes.run(TASKS_PER_STEP_MAX);
    this.#sendRevocations();
    this.#renewNames();
  }

  poll(): ControllerAction | undefined {
    if (this.#nextAction === this.#actions.length) {
      this.#actions = [];
      this.#nextAction = 0;
      return undefined;
    }
    return this.#actions[this.#nextAction++];
  }

  #act(action: ControllerAction): void {
    this.#actions.push(action);
  }

  // Start

  #load(networks: JsonObject[], members: JsonObject[]): void {
    assert(!this.#view.isReady, "the store is loaded once");
    for (const record of networks) {
      const id = parseNetworkId(keyOfRecord({ ...record, objtype: "network" }).network);
      if (id === undefined) this.counters.recordsSkipped++;
      else this.#networks.set(id, new NetworkState(id, record));
    }
    // Oldest first, so that strangers are evicted in the order they came.
    members.sort((a, b) => toInteger(a.creationTime, 0) - toInteger(b.creationTime, 0));
    for (const record of members) {
      const key = keyOfRecord({ ...record, objtype: "member" });
      const state = this.#networks.get(parseNetworkId(key.network) ?? 0n as NetworkId);
      const address = parseAddress(key.member!);
      if (!state || address === undefined) this.counters.recordsSkipped++;
      else state.setMember(address, record);
    }
    this.#loadedMs = this.#time.nowMs;
    for (const state of this.#networks.values()) this.#loadEnded(state);
    this.#view.isReady = true;
  }

  /** Whose membership ended, the oldest first. Who was to be told of the last ones when we stopped is told now. */
  #loadEnded(state: NetworkState): void {
    const ended: { member: Address; wallMs: number }[] = [];
    for (const [member, { record }] of state.members()) {
      const wallMs = toInteger(record.lastDeauthorizedTime, 0);
      if (!isAuthorized(record) && wallMs > 0) ended.push({ member, wallMs });
    }
    ended.sort((a, b) => a.wallMs - b.wallMs);
    const sinceMs = this.#time.wallMs - ONLINE_MS;
    const audience = (ended.at(-1)?.wallMs ?? -Infinity) >= sinceMs ? this.#online(state) : [];
    for (const { member, wallMs } of ended) {
      if (wallMs < sinceMs) this.#revocations.note(state.id, member, wallMs);
      else this.#revocations.add(state.id, { members: [member], wallMs }, audience.splice(0));
    }
  }

  // Config requests

  #request(input: ControllerInput & { kind: "request" }): void {
    const { network, from, requestId } = input;
    this.counters.requests++;
    const isOurs = controllerOf(network) === this.#config.identity.address;
    const isTimely = requestId === undefined ||
      this.#requestTimes.admit(network, from.address, this.#time.nowMs);
    if (!this.#view.isReady || !isOurs || !isTimely) {
      this.counters.requestsDropped++;
      return;
    }
    const request = {
      from,
      metadata: decodeRequestMetadata(input.metadata.subarray(0, METADATA_LENGTH_MAX)),
      isPush: false,
    };
    const task: Task = {
      decide: () => this.#decide(network, request, requestId),
      fail: () => this.counters.requestsDropped++, // the node asks again in 5 s
    };
    if (!this.#lanes.add(network, task)) this.counters.requestsDropped++;
  }

  #decide(network: NetworkId, request: ConfigRequest, requestId: bigint | undefined): Decision {
    const state = this.#networks.get(network);
    this.counters.reads.configRequest++;
    if (state && request.metadata.namesHeld !== undefined) state.names ??= this.#namesOf(state);
    const verdict = decideRequest(state, request, { ...this.#config, wallMs: this.#time.wallMs });
    this.counters.assignmentTrials += verdict.trials;
    return {
      write: state && this.#saveOf(state, request.from.address, verdict),
      own: true,
      then: () => this.#answer(network, request, { requestId, verdict }),
    };
  }

  /**
   * A member that was away when others were removed, or has started anew, would believe their
   * certificates. Nobody acknowledges a revocation, so who may have missed one is told again.
   */
  #tellWhoLeft(network: NetworkId, to: Address, has: "asked" | "returned" | "pushed"): void {
    const state = this.#networks.get(network);
    if (!state) return;
    const revocations = this.#revocations.recent(
      network,
      this.#time.wallMs - state.compiled.windowMs,
    );
    if (revocations.length === 0) return;
    this.#act({ kind: "revoke", network, to: [to], revocations });
    // Who is pushed to was here all the time: it was told at once, and several times.
    if (has !== "pushed") this.#tellAgain(state, to, has);
  }

  #tellAgain({ id, compiled }: NetworkState, to: Address, has: "asked" | "returned"): void {
    const { nowMs, wallMs } = this.#time;
    const sinceMs = wallMs - (has === "asked" ? ONLINE_MS : compiled.windowMs);
    this.#revocations.tellAgain(id, to, sinceMs, nowMs);
  }

  #saveOf(state: NetworkState, member: Address, verdict: Verdict): StoreWrite | undefined {
    if (!verdict.save) return undefined;
    const stored = state.member(member);
    return {
      key: { network: state.text, member: formatAddress(member) },
      expect: stored && toInteger(stored.revision, 0),
      value: verdict.save,
      claims: verdict.claims,
    };
  }

  #answer(
    network: NetworkId,
    request: ConfigRequest,
    given: { requestId: bigint | undefined; verdict: Verdict },
  ): void {
    const { requestId, verdict: { answer, isKnown } } = given;
    const to = request.from.address;
    // Not by when it was seen: who returns greets us, and asks then.
    const askedMs = this.#networks.get(network)?.memory(to)?.askedMs ?? -Infinity;
    const isHere = this.#time.nowMs - askedMs < ONLINE_MS;
    const has = request.isPush ? "pushed" : isHere ? "asked" : "returned";
    if (isKnown && !request.isPush) this.#remember(network, request);
    if (answer.kind === "config") {
      if (request.isPush) this.counters.configsPushed++;
      else this.counters.configsSent++;
      this.#act({ kind: "config", to, network, requestId, config: answer.config });
      this.#tellWhoLeft(network, to, has);
      const isOwed = isOwedNames(answer.config.names, request.metadata.namesHeld);
      if (isOwed && this.#owedNames.of(`${network}|${to}`).take(this.#time.nowMs)) {
        this.#push(this.#networks.get(network)!, to);
      }
    } else if (!request.isPush) { // nobody asked for a push, so nobody hears that it was refused
      this.counters.refused++;
      this.#act({ kind: "refuse", to, network, requestId, code: answer.code });
      this.#evictStranger(network);
    }
  }

  /**
   * Keeps what a push needs. The reference forgets those it refuses, so that they learn of their
   * authorization only when they ask again, up to 5 s later.
   */
  #remember(network: NetworkId, { from: identity, metadata }: ConfigRequest): void {
    this.#presence.arrived(identity.address, this.#time.nowMs);
    const askedMs = this.#time.nowMs;
    this.#networks.get(network)?.remember(identity.address, { identity, metadata, askedMs });
  }

  /** Makes room when strangers have filled a network with records. */
  #evictStranger(network: NetworkId): void {
    if (this.#networks.get(network)?.surplusStranger === undefined) return;
    this.#lanes.add(network, {
      decide: () => {
        const state = this.#networks.get(network);
        const member = state?.surplusStranger;
        if (!state || member === undefined) return { then: () => {} };
        const expect = toInteger(state.member(member)?.revision, 0);
        const key = { network: state.text, member: formatAddress(member) };
        return {
          write: { key, expect, value: null, claims: [] },
          then: () => this.counters.strangersEvicted++,
        };
      },
      fail: () => {}, // the next stranger brings the next attempt
    });
  }

  // What the store holds now

  /** Somebody else's write reached us. */
  #changed(key: RecordKey, value: JsonObject | null): void {
    const id = parseNetworkId(key.network);
    if (!this.#view.isReady || id === undefined) return;
    this.#lanes.change(id, formatRecordKey(key), () => this.#applyChange(key, value));
  }

  /** A change that comes late, after a newer one, does not count. */
  #applyChange(key: RecordKey, value: JsonObject | null): void {
    const known = this.#recordOf(key);
    if (value && known && toInteger(value.revision, 0) <= toInteger(known.revision, 0)) return;
    this.#apply(key, value, false);
  }

  #recordOf(key: RecordKey): JsonObject | undefined {
    const state = this.#networks.get(parseNetworkId(key.network)!);
    return key.member === undefined ? state?.record : state?.member(memberOfKey(key.member));
  }

  #conflict(
    write: StoreWrite,
    current: JsonObject | null | undefined,
    taken: readonly string[],
  ): void {
    if (current !== undefined && !sameJson(current ?? undefined, this.#recordOf(write.key))) {
      this.#apply(write.key, current, false);
    }
    this.#networks.get(parseNetworkId(write.key.network)!)?.noteTaken(taken);
  }

  #apply(key: RecordKey, value: JsonObject | null, own: boolean): void {
    const id = parseNetworkId(key.network)!;
    if (key.member === undefined) return this.#applyNetwork(id, value);
    const state = this.#networks.get(id);
    if (!state) return;
    this.#applyMember(state, memberOfKey(key.member), value ?? undefined, own);
  }

  #applyNetwork(id: NetworkId, record: JsonObject | null): void {
    const state = this.#networks.get(id);
    this.counters.networkChanges++;
    if (!record) {
      if (state) this.#endNetwork(state);
      this.#networks.delete(id);
      this.#renewals.forget(id);
    } else if (state) {
      const had = state.compiled.names;
      state.record = record;
      if (had || state.compiled.names) this.#renewals.note(id); // addresses may be others, too
      this.#pushAll(state);
    } else {
      this.#networks.set(id, new NetworkState(id, record));
    }
  }

  #endNetwork(state: NetworkState): void {
    const members = [...state.members()].map(([address]) => address);
    this.#revocations.add(state.id, { members, wallMs: this.#time.wallMs }, this.#online(state));
    this.#revocations.forget(state.id);
  }

  #applyMember(
    state: NetworkState,
    member: Address,
    record: JsonObject | undefined,
    own: boolean,
  ): void {
    const before = state.member(member);
    this.counters.memberChanges++;
    if (!isAuthorized(before) && isAuthorized(record)) this.counters.membersAuthorized++;
    if (isAuthorized(before) && !isAuthorized(record)) this.counters.membersDeauthorized++;
    const { push, revoke } = consequencesOf(before, record, own);
    if (revoke) {
      const ended = { members: [member], wallMs: this.#time.wallMs };
      this.#revocations.add(state.id, ended, this.#online(state));
    }
    if (isAuthorized(record)) {
      this.#revocations.forget(state.id, member);
      // Who is not here is told when it asks.
      if (!isAuthorized(before) && this.#isOnline(member)) {
        this.#tellAgain(state, member, "returned");
      }
    }
    state.setMember(member, record);
    if (state.compiled.names && changesNames(before, record)) this.#renewals.note(state.id);
    if (push === "network") this.#pushAll(state);
    else if (push === "member") this.#push(state, member);
  }

  /** Members that can be reached, before whatever is about to change. */
  #online(state: NetworkState): Address[] {
    // Who just started has heard of nobody yet.
    const isStarting = this.#time.nowMs - this.#loadedMs < ONLINE_MS;
    const online: Address[] = [];
    for (const [address, { memory, record }] of state.members()) {
      const isKnown = memory && this.#isOnline(address);
      if (isAuthorized(record) && (isKnown || isStarting)) online.push(address);
    }
    return online;
  }

  #isOnline(address: Address): boolean {
    return address === this.#config.identity.address ||
      this.#presence.isOnline(address, this.#time.nowMs);
  }

  // Pushes and revocations

  #push(state: NetworkState, member: Address): void {
    if (!state.memory(member) || !isAuthorized(state.member(member))) return;
    state.pushes.add(member);
    this.#lanes.wake(state.id);
  }

  #pushAll(state: NetworkState): void {
    for (const [address, { memory, record }] of state.members()) {
      if (memory && isAuthorized(record)) state.pushes.add(address);
    }
    if (state.pushes.size > 0) this.#lanes.wake(state.id);
  }

  /** Makes names anew where they changed and it is time, and tells those who want them. */
  #renewNames(): void {
    const countOf = (id: NetworkId) => this.#networks.get(id)?.authorizedCount ?? 0;
    for (const id of this.#renewals.take(this.#time.nowMs, countOf)) {
      const state = this.#networks.get(id);
      const before = state?.names;
      if (!state || !before) continue; // nobody has asked yet
      state.names = this.#namesOf(state);
      const forOthers = state.names?.listed.hash !== before.listed.hash;
      if (!forOthers && state.names?.all.hash === before.all.hash) continue;
      const own = this.#config.identity.address;
      for (const [address, { memory }] of state.members()) {
        if (memory?.metadata.namesHeld === undefined) continue;
        if (forOthers || address === own) this.#push(state, address);
      }
    }
  }

  #namesOf(state: NetworkState): NetworkNames | undefined {
    const { identity: { address: own }, primitives } = this.#config;
    return namesOf(state.compiled, state.members(), { own, primitives });
  }

  /** The next push of a network, as a task of its lane: it may hand out addresses, so it may write. */
  #nextPush(network: NetworkId): Task | undefined {
    const state = this.#networks.get(network);
    if (!state) return undefined;
    for (const member of state.pushes) {
      state.pushes.delete(member);
      const memory = state.memory(member);
      if (!memory || !this.#isOnline(member)) continue;
      const request = { from: memory.identity, metadata: memory.metadata, isPush: true };
      return { decide: () => this.#decide(network, request, undefined), fail: () => {} };
    }
    return undefined;
  }

  #sendRevocations(): void {
    for (const batch of this.#revocations.take(this.#time.nowMs)) {
      this.counters.revocations += batch.revocations.length;
      this.#act({ kind: "revoke", ...batch });
    }
  }
}
