/**
 * How the outside drives a node: inputs in, actions out, one clock. The engine and the simulator use nothing else.
 *
 * Rule of use: one `handle()`, then `poll()` until undefined, then sleep until `deadlineMs`.
 * @module
 */
import type { Endpoint, Prefix } from "../base/ip.ts";
import type { Address, NetworkId } from "../base/ids.ts";
import type { MulticastGroup } from "../base/multicast_group.ts";
import type { ControllerAction, ControllerInput, ControllerTime } from "../controller/machine.ts";
import type { TableRecord } from "../dataplane/table_records.ts";
import type { Primitives, Random } from "../crypto/primitives.ts";
import type { Identity } from "../identity/identity.ts";
import type { World } from "../identity/world.ts";
import type { PacketKernel } from "../kernel/mod.ts";
import type { PortConfig } from "../network/network.ts";
import type { BondPolicy } from "../peer/bond_policy.ts";
import type { LocalSocket, SocketId } from "../peer/path.ts";
import type { IdBlock } from "./packet_ids.ts";
import type { CachedPeer } from "./peer_cache.ts";

/** Both clocks, read once per step by whoever drives. One object, refilled, lent. */
export interface Time {
  /** Never stops and counts sleep (CLOCK_BOOTTIME): every timer uses it. */
  nowMs: number;
  /** Milliseconds since the epoch: only where the protocol signs or sends time. */
  wallMs: number;
}

/** What happened outside. Byte arrays are lent: read during the call, copy what must stay. */
export type Input =
  | {
    kind: "datagram";
    socket: SocketId;
    from: Endpoint;
    bytes: Uint8Array;
    whole?: boolean; // a packet put together of several datagrams already
  }
  | { kind: "frame"; network: NetworkId; bytes: Uint8Array } // Ethernet, 14-byte header first
  | { kind: "links"; sockets: LocalSocket[]; own: Prefix[]; woke?: boolean } // own: addresses of our TAPs
  | { kind: "hung-up"; socket: SocketId; from: Endpoint } // a tunnel made to us ended
  | { kind: "groups"; network: NetworkId; groups: MulticastGroup[] } // what the TAP subscribes to
  | { kind: "port"; network: NetworkId; failed: boolean } // the TAP could (not) be made
  | { kind: "command"; command: Command }
  | { kind: "validated"; ticket: number; valid: boolean }
  | { kind: "opened"; socket: SocketId; from: Endpoint; bytes: Uint8Array } // the data plane opened it
  | {
    kind: "traffic"; // what the data plane did for one session since its last word
    session: number;
    heard?: { socket: SocketId; from: Endpoint; isRelayed: boolean }; // frames came, the last by this path
    packetsOut: number;
    packetsIn: number; // frames delivered
  }
  | { kind: "relayed"; flow: number; packets: number; bytes: number } // datagrams of others it passed on
  | { kind: "plane-reset" } // the data plane has empty tables
  | { kind: "controller"; input: ControllerInput } // for a node that is one: its store and its API
  | { kind: "timeout" };

/** What the user asked for. */
export type Command =
  // config: the cached dictionary; members: whom an earlier run exchanged frames with
  | { kind: "join"; network: NetworkId; config?: Uint8Array; members?: readonly Address[] }
  | { kind: "leave"; network: NetworkId }
  | { kind: "orbit"; world: bigint; seed: Address; moon?: World } // moon: from disk
  | { kind: "deorbit"; world: bigint }
  | { kind: "planet"; planet: World }
  | { kind: "try"; addresses: ReadonlyMap<Address, readonly Endpoint[]> } // by peer: all that local.conf names
  | { kind: "mapped"; endpoints: Endpoint[] } // where gateways pass packets on to us: all there are now
  | { kind: "greet-upstreams" } // ask every upstream from every socket, now: for a diagnosis
  | { kind: "measure-upstreams" }; // find out how long a datagram to each may be, if that is not known: for the same

/** What should happen outside. Byte arrays are given away: the node never touches them again. */
export type Action =
  | {
    kind: "send";
    socket: SocketId;
    to: Endpoint;
    bytes: Uint8Array;
    ttl?: number; // hops it may take
    whole?: boolean; // routers must not fragment it
  }
  | { kind: "open-socket"; socket: SocketId; beside: SocketId } // on any port, where the other is bound; may fail
  | { kind: "close-socket"; socket: SocketId } // opened so before
  | { kind: "deliver"; network: NetworkId; bytes: Uint8Array } // Ethernet, 14-byte header first
  | { kind: "configure"; network: NetworkId; port: PortConfig }
  | { kind: "unconfigure"; network: NetworkId }
  | { kind: "validate"; ticket: number; identity: Identity }
  | { kind: "publish"; record: TableRecord } // to the data plane; the engine fills in a network's port
  | { kind: "controller"; action: ControllerAction & { kind: "store" | "apiReply" } }
  | { kind: "persist"; record: Persistent }
  | { kind: "event"; event: NodeEvent };

/** What should survive a restart. `bytes` undefined: delete it. */
export type Persistent =
  | { what: "planet"; bytes: Uint8Array }
  | { what: "moon"; world: bigint; bytes: Uint8Array | undefined }
  | { what: "network"; network: NetworkId; bytes: Uint8Array | undefined }
  | { what: "members"; network: NetworkId; members: readonly Address[] }
  | { what: "peer"; address: Address; bytes: Uint8Array };

/** What a user might want to hear of. */
export type NodeEvent =
  | { name: "online" }
  | { name: "offline" }
  | { name: "identity-collision" }
  | { name: "upstream"; peer: Address } // it began or stopped answering, by one of its paths
  | { name: "network"; network: NetworkId }
  | { name: "direct"; peer: Address }
  | { name: "relayed"; peer: Address };

/** What may be set differently from node to node. */
export interface NodeSettings {
  /**
   * What we seal with. "auto" is the faster: Salsa20/12, but for long frames when we announce AES.
   * "aes" is that for everything, "salsa" for nothing; with peers that do not understand it, it is
   * always Salsa20/12.
   */
  cipher: "auto" | "salsa" | "aes";
  /** Protocol version announced; decides what we are sent: 11 gives Salsa20/12, 12 AES-GMAC-SIV. */
  announceProtocol: number;
  /** Software version announced: major, minor, revision. */
  announceVersion: readonly [number, number, number];
  /** Platform and architecture told to controllers, e.g. "linux/x86_64". */
  platform: string;
  /** What a root relays for one source, in bytes a second and at once (spec 03 section 28 item 28). */
  relayBytesPerSecond: number;
  /** Whether a physical address must not be used for paths, whoever names it. */
  isForbidden?: (endpoint: Endpoint, peer: Address) => boolean;
  /**
   * Trusted path id (not 0) of a physical address, where one is configured: packets from there that
   * bear it are believed unsealed. Ours are always sealed, which every receiver understands.
   */
  trustedPathId?: (endpoint: Endpoint) => bigint | undefined;
  /** Whether to tell and ask less often what can wait: configurations, and where else we are reached. */
  isLowBandwidth?: () => boolean;
  /** Whether to ask controllers for the names of members. */
  wantsNames?: () => boolean;
  /** How the paths to a peer are used together; undefined: by the best one, as usual. */
  bondPolicy?: (peer: Address) => BondPolicy | undefined;
  /**
   * UDP payload in bytes that datagrams to a physical address may have, where one is configured: it
   * is not measured then.
   */
  pathMtu?: (endpoint: Endpoint) => number | undefined;
}

export const DEFAULT_SETTINGS: NodeSettings = {
  cipher: "auto",
  announceProtocol: 11,
  announceVersion: [1, 14, 1],
  platform: "linux/x86_64",
  relayBytesPerSecond: 256 * 1024 * 1024, // less than one core relays: no source has a root to itself
};

/** Everything a node is made of; given once. */
export interface NodeConfig {
  /** With its secret. */
  identity: Identity;
  planet: World;
  primitives: Primitives;
  random: Random;
  kernel: PacketKernel;
  settings?: Partial<NodeSettings>;
  /** Network authority of this node, if it is one. */
  controller?: ControllerMachine;
  /** A peer known in an earlier run; a root answers WHOIS from it (spec 03 section 28 item 13). */
  recall?: (address: Address) => CachedPeer | undefined;
  /** Blocks of packet ids that nobody else uses; drawn at random unless given. */
  takeIds?: () => IdBlock;
}

/** The controller as a node drives it. */
export interface ControllerMachine {
  handle(input: ControllerInput, time: ControllerTime): void;
  poll(): ControllerAction | undefined;
  readonly deadlineMs: number;
}

/** A sans-I/O state machine. */
export interface Machine {
  handle(input: Input, time: Time): void;
  poll(): Action | undefined;
  /** When to hand in a timeout; Infinity when nothing is due. */
  readonly deadlineMs: number;
}
