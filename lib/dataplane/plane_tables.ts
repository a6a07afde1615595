/**
 * The tables of the data plane: sessions and their routes, networks, members, flows of others. They change only by
 * {@linkcode PlaneTables.apply}, between batches.
 * @module
 */
import { assert } from "../base/errors.ts";
import type { Address } from "../base/ids.ts";
import { AT_DESTINATION, AT_SOURCE, AT_VERB, Verb } from "../wire/packet.ts";
import { MEMBER_BYTES, MEMBER_MACS_AT, MEMBERS_AT, SESSIONS_MAX } from "./arena.ts";
import {
  Members,
  type PlaneMember,
  planeMember,
  type PlaneNetwork,
  planeNetwork,
} from "./members.ts";
import { type PlaneBond, PlaneBonds } from "./plane_bonds.ts";
import { Relays } from "./relays.ts";
import { Sessions } from "./sessions.ts";
import type { PlaneAes } from "./plane_aes.ts";
import type { BondRoutes, Route, TableRecord } from "./table_records.ts";

/** Where a session's frames go; `bond` where they go by several paths. */
export interface PlaneRoute extends Route {
  bond: PlaneBond | undefined;
}

export class PlaneTables {
  readonly sessions: Sessions;
  readonly relays: Relays;
  readonly members = new Members();
  readonly bonds: PlaneBonds;
  /** By session. */
  readonly routes: (PlaneRoute | undefined)[] = [];
  readonly #self: Address;
  readonly #random: () => number;
  readonly #aes: PlaneAes;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #networks: (PlaneNetwork | undefined)[] = [];
  readonly #networkOfPort = new Map<number, PlaneNetwork>();
  readonly #addresses: (Address | undefined)[] = []; // by session
  #lastPort = -1; // with its network: a batch is mostly of one port
  #lastNetwork: PlaneNetwork | undefined;

  /**
   * @param memory The arena
   * @param random 32 random bits, for rules that let chance decide
   */
  constructor(memory: ArrayBufferLike, self: Address, random: () => number, aes: PlaneAes) {
    this.#self = self;
    this.#random = random;
    this.#aes = aes;
    this.#bytes = new Uint8Array(memory);
    this.#view = new DataView(memory);
    this.sessions = new Sessions(memory);
    this.relays = new Relays(memory);
    this.bonds = new PlaneBonds(memory);
  }

  apply(record: TableRecord): void {
    switch (record.kind) {
      case "session":
        return this.#setSession(record);
      case "no-session":
        this.sessions.remove(record.slot);
        this.#aes.removeKeys(record.slot);
        this.#addresses[record.slot] = undefined;
        return this.#removeRoute(record.slot);
      case "route": {
        const bond = this.routes[record.session]?.bond;
        this.routes[record.session] = { ...record.route, bond };
        return;
      }
      case "no-route":
        return this.#removeRoute(record.session);
      case "bond":
        return this.#setBond(record.session, record.bond);
      case "no-bond":
        return this.#setBond(record.session, undefined);
      case "network":
        return this.#setNetwork(planeNetwork(record, this.#random));
      case "no-network":
        return this.#removeNetwork(record.slot);
      case "member":
        return this.#setMember(record);
      case "no-member":
        return this.members.remove(record.slot);
      case "relay":
        return this.relays.set(record.flow);
      case "no-relay":
        return this.relays.remove(record.slot);
    }
  }

  #setSession({ slot, address, key, aes }: TableRecord & { kind: "session" }): void {
    if (aes) this.#aes.setKeys(slot, aes.k0, aes.k1);
    else this.#aes.removeKeys(slot);
    this.sessions.set(slot, address, key, aes?.from ?? 0);
    this.#addresses[slot] = address;
  }

  #removeRoute(session: number): void {
    this.#setBond(session, undefined);
    this.routes[session] = undefined;
  }

  #setBond(session: number, routes: BondRoutes | undefined): void {
    const route = this.routes[session];
    if (!route) return;
    if (route.bond) this.bonds.remove(route.bond);
    route.bond = routes && this.bonds.add(routes);
  }

  #setNetwork(network: PlaneNetwork): void {
    const old = this.#networks[network.slot];
    const members = old ? this.members.of(old) : [];
    if (old) this.#networkOfPort.delete(old.port);
    this.#networks[network.slot] = network;
    this.#networkOfPort.set(network.port, network);
    this.#lastPort = -1;
    for (const member of members) this.members.set(planeMember(network, member, member.address));
  }

  #removeNetwork(slot: number): void {
    const network = this.#networks[slot];
    if (!network) return;
    for (const member of this.members.of(network)) this.members.remove(member.slot);
    this.#networks[slot] = undefined;
    this.#networkOfPort.delete(network.port);
    this.#lastPort = -1;
  }

  #setMember(record: TableRecord & { kind: "member" }): void {
    const network = this.#networks[record.network];
    const address = this.#addresses[record.session];
    assert(
      network !== undefined && address !== undefined,
      "a member's network and session come first",
    );
    const member = planeMember(network, record, address);
    this.members.set(member);
    this.#writeTemplate(member);
  }

  /** What every packet to a member begins with, and the addresses of every frame from it. */
  #writeTemplate({ slot, network, address, macHigh, macLow }: PlaneMember): void {
    const at = MEMBERS_AT + slot * MEMBER_BYTES;
    const view = this.#view;
    this.#bytes.fill(0, at, at + MEMBER_BYTES);
    this.#putAddress(at + AT_DESTINATION, address);
    this.#putAddress(at + AT_SOURCE, this.#self);
    view.setUint8(at + AT_VERB, Verb.FRAME);
    view.setInt32(at + AT_VERB + 1, network.idHigh);
    view.setInt32(at + AT_VERB + 5, network.idLow);
    view.setUint16(at + MEMBER_MACS_AT, network.macHigh);
    view.setInt32(at + MEMBER_MACS_AT + 2, network.macLow);
    view.setUint16(at + MEMBER_MACS_AT + 6, macHigh);
    view.setInt32(at + MEMBER_MACS_AT + 8, macLow);
  }

  #putAddress(at: number, address: Address): void {
    this.#view.setUint8(at, Math.floor(address / 0x1_0000_0000));
    this.#view.setUint32(at + 1, address % 0x1_0000_0000);
  }

  /** Where a run goes. @param tag A session's slot, or what stands for one of the paths of a bonded one */
  route(tag: number): Route | undefined {
    return tag < SESSIONS_MAX ? this.routes[tag] : this.bonds.route(tag);
  }

  /** The network of a port. */
  networkAt(port: number): PlaneNetwork | undefined {
    if (port !== this.#lastPort) {
      this.#lastPort = port;
      this.#lastNetwork = this.#networkOfPort.get(port);
    }
    return this.#lastNetwork;
  }
}
