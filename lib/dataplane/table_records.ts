/**
 * What the control thread tells the data plane, one record each; applied between batches, so that nothing is ever half
 * updated. Slots are the control thread's to hand out; a record for a slot replaces what was there.
 *
 * As bytes (they cross a ring): kind (1), then the fields in the order below, integers big-endian, lists with a 32-bit
 * length in front.
 * @module
 */
import { Reader, Writer } from "../base/bytes.ts";
import { assert } from "../base/errors.ts";
import type { Address, Mac, NetworkId } from "../base/ids.ts";
import type { Ip } from "../base/ip.ts";
import { FLOW_GROUPS } from "../peer/bond_flows.ts";
import type { BondMode } from "../peer/bond_policy.ts";
import type { Path } from "../peer/path.ts";
import type { RelayFlow } from "./relays.ts";

/** Where packets for a peer go now: its own address, or that of a root that relays. */
export interface Route {
  readonly socket: number;
  readonly ip: Ip;
  readonly port: number;
  /** Longest datagram of this path, in bytes. */
  readonly mtu: number;
}

/** The route by a path. */
export function routeBy({ socket, endpoint: { ip, port }, mtu }: Path): Route {
  return { socket, ip, port, mtu };
}

/** The paths of a session whose frames go by several, and what goes by which. */
export interface BondRoutes {
  readonly mode: BondMode;
  /** Of balance-rr: packets by one path before the next has its turn. */
  readonly packetsPerLink: number;
  /** 1 to {@linkcode BOND_LINKS_MAX} of them */
  readonly routes: readonly Route[];
  /**
   * 256 indexes into the routes: the path of each flow group, see `bond_flows.ts`. A group the peer
   * begins takes the path it comes by.
   */
  readonly groups: Uint8Array;
}

/** AES-GMAC-SIV for a session. */
export interface SessionAes {
  /** 32 bytes each: K0, which authenticates, and K1, which encrypts. */
  readonly k0: Uint8Array;
  readonly k1: Uint8Array;
  /** Length of a packet from which on it is used to seal, 1 to 65,535; received it is always. */
  readonly from: number;
}

/** One change of the tables. */
export type TableRecord =
  /** A peer whose packets may be opened and sealed here. */
  | {
    readonly kind: "session";
    readonly slot: number;
    readonly address: Address;
    /** 32 bytes, Salsa20 */
    readonly key: Uint8Array;
    /** None: sealed and opened with Salsa20/12 alone. */
    readonly aes?: SessionAes;
  }
  | { readonly kind: "no-session"; readonly slot: number }
  | { readonly kind: "route"; readonly session: number; readonly route: Route }
  /** Nothing can be sent to it now: frames for it leave through the escape. */
  | { readonly kind: "no-route"; readonly session: number }
  /** Beside its route, which says where it is reached at all. */
  | { readonly kind: "bond"; readonly session: number; readonly bond: BondRoutes }
  | { readonly kind: "no-bond"; readonly session: number }
  | {
    readonly kind: "network";
    readonly slot: number;
    readonly id: NetworkId;
    /** The TAP's id. */
    readonly port: number;
    readonly mac: Mac;
    /** The configuration in force, as a dictionary: MTU and rules come from it. */
    readonly config: Uint8Array;
  }
  | { readonly kind: "no-network"; readonly slot: number }
  /** A member of a network that frames are exchanged with. */
  | {
    readonly kind: "member";
    readonly slot: number;
    readonly network: number;
    readonly session: number;
    /** Its frames may be delivered. */
    readonly admitted: boolean;
    /** Its tags, capabilities and ownerships that count, as in NETWORK_CREDENTIALS. */
    readonly credentials: Uint8Array;
  }
  | { readonly kind: "no-member"; readonly slot: number }
  /** Datagrams of others to be passed on here, see `relays.ts`. */
  | { readonly kind: "relay"; readonly flow: RelayFlow }
  | { readonly kind: "no-relay"; readonly slot: number };

const KINDS = [
  "session",
  "no-session",
  "route",
  "no-route",
  "network",
  "no-network",
  "member",
  "no-member",
  "relay",
  "no-relay",
  "bond",
  "no-bond",
] as const;

export function encodeTableRecord(record: TableRecord): Uint8Array {
  const w = new Writer(128);
  w.u8(KINDS.indexOf(record.kind));
  switch (record.kind) {
    case "session":
      w.u32(record.slot).address(record.address).raw(record.key).u16(record.aes?.from ?? 0);
      if (record.aes) w.raw(record.aes.k0).raw(record.aes.k1);
      break;
    case "route":
      w.u32(record.session);
      putRoute(w, record.route);
      break;
    case "relay": {
      const { slot, from, source, destination, route, budget, bytesPerSecond } = record.flow;
      w.u32(slot).u32(from.socket).u8(from.ip.length).raw(from.ip).u16(from.port);
      w.address(source).address(destination).u32(budget).u64(BigInt(bytesPerSecond));
      putRoute(w, route);
      break;
    }
    case "bond": {
      const { mode, packetsPerLink, routes, groups } = record.bond;
      w.u32(record.session).u8(mode).u32(packetsPerLink).raw(groups).u8(routes.length);
      for (const route of routes) putRoute(w, route);
      break;
    }
    case "no-route":
    case "no-bond":
      w.u32(record.session);
      break;
    case "network":
      w.u32(record.slot).u64(record.id).u32(record.port).mac(record.mac);
      w.u32(record.config.length).raw(record.config);
      break;
    case "member":
      w.u32(record.slot).u32(record.network).u32(record.session).u8(record.admitted ? 1 : 0);
      w.u32(record.credentials.length).raw(record.credentials);
      break;
    default:
      w.u32(record.slot);
  }
  return w.finish();
}

function putRoute(w: Writer, { socket, ip, port, mtu }: Route): void {
  w.u32(socket).u8(ip.length).raw(ip).u16(port).u16(mtu);
}

function readRoute(r: Reader): Route {
  const socket = r.u32();
  const ip = r.copy(r.u8());
  return { socket, ip, port: r.u16(), mtu: r.u16() };
}

/** Reads what {@linkcode encodeTableRecord} wrote. */
export function decodeTableRecord(bytes: Uint8Array): TableRecord {
  const r = new Reader(bytes, "table record");
  const kind = KINDS[r.u8()];
  assert(kind !== undefined, "control writes only table records the data plane knows");
  switch (kind) {
    case "session": {
      const session = { kind, slot: r.u32(), address: r.address(), key: r.copy(32) };
      const from = r.u16();
      const aes = from === 0 ? undefined : { k0: r.copy(32), k1: r.copy(32), from };
      return { ...session, aes };
    }
    case "route":
      return { kind, session: r.u32(), route: readRoute(r) };
    case "relay": {
      const slot = r.u32();
      const socket = r.u32();
      const from = { socket, ip: r.copy(r.u8()), port: r.u16() };
      const source = r.address();
      const destination = r.address();
      const budget = r.u32();
      const bytesPerSecond = Number(r.u64());
      const route = readRoute(r);
      return {
        kind,
        flow: { slot, from, source, destination, route, budget, bytesPerSecond },
      };
    }
    case "bond": {
      const session = r.u32();
      const mode = r.u8() as BondMode;
      const packetsPerLink = r.u32();
      const groups = r.copy(FLOW_GROUPS);
      const routes = Array.from({ length: r.u8() }, () => readRoute(r));
      return { kind, session, bond: { mode, packetsPerLink, routes, groups } };
    }
    case "no-route":
    case "no-bond":
      return { kind, session: r.u32() };
    case "network": {
      const slot = r.u32();
      const id = r.u64() as NetworkId;
      const port = r.u32();
      const mac = r.mac();
      return { kind, slot, id, port, mac, config: r.copy(r.u32()) };
    }
    case "member": {
      const slot = r.u32();
      const network = r.u32();
      const session = r.u32();
      const admitted = r.u8() === 1;
      return { kind, slot, network, session, admitted, credentials: r.copy(r.u32()) };
    }
    default:
      return { kind, slot: r.u32() };
  }
}
