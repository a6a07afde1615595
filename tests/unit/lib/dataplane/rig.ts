/**
 * Planes on the bench: a real kernel, a memory each, and what leaves them written down.
 * @module
 */
import { Writer } from "../../../../lib/base/bytes.ts";
import { type Address, macOf, type NetworkId } from "../../../../lib/base/ids.ts";
import { EMPTY_CONFIG, encodeNetworkConfig } from "../../../../lib/credential/network_config.ts";
import type { NetworkConfig } from "../../../../lib/credential/network_config.ts";
import { encodeRules, type Rule, RuleType } from "../../../../lib/credential/rule_codec.ts";
import {
  ARENA_PAGES,
  RUNS_AT,
  TAP_IN_AT,
  UDP_IN_AT,
  WRITES_AT,
} from "../../../../lib/dataplane/arena.ts";
import { Plane, type Source } from "../../../../lib/dataplane/plane.ts";
import { statsMemory } from "../../../../lib/dataplane/stats.ts";
import type { TableRecord } from "../../../../lib/dataplane/table_records.ts";
import { RUN_BYTES, WRITE_BYTES } from "../../../../lib/kernel/data_kernel.ts";
import { packetIdState, randomIdBlock } from "../../../../lib/node/packet_ids.ts";
import { encodeNetworkCredentials } from "../../../../lib/wire/network_credentials.ts";
import { noise } from "../kernel/arena.ts";

export const ALICE = 0x89_e92c_eee5 as Address;
export const BOB = 0x1d_adbe_ef01 as Address;
export const CAROL = 0x2e_adbe_ef02 as Address;
export const NETWORK = 0x8056_c2e2_1c00_0001n as NetworkId;
/** Ids and slots used throughout. */
export const PORT = 7;
export const SOCKET = 3;
export const TICK = 5_000;

/** Datagrams side by side. */
export interface Run {
  readonly session: number;
  readonly segment: number;
  readonly bytes: Uint8Array;
}

/** Datagrams of others, side by side. */
export interface Relayed {
  readonly flow: number;
  readonly segment: number;
  readonly bytes: Uint8Array;
}

/** A frame to be written, virtio header and all. */
export interface Written {
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** What left a plane by its escape. */
export interface Escaped {
  readonly how: "sealed" | "opened" | "frame";
  readonly bytes: Uint8Array;
  /** Port of a frame, tag of the source of a packet. */
  readonly from: number;
}

export const ACCEPT: Rule = { type: RuleType.ACTION_ACCEPT, kind: "none", not: false, or: false };
export const DROP: Rule = { type: RuleType.ACTION_DROP, kind: "none", not: false, or: false };

export function encodedRules(rules: readonly Rule[]): Uint8Array {
  const w = new Writer(1024);
  encodeRules(rules, w);
  return w.finish();
}

/** A configuration with these rules, as a dictionary. */
export function dictionary(
  rules: readonly Rule[] = [ACCEPT],
  changes: Partial<NetworkConfig> = {},
): Uint8Array {
  return encodeNetworkConfig({
    ...EMPTY_CONFIG,
    networkId: NETWORK,
    issuedTo: ALICE,
    timestampMs: 1_000_000,
    credentialTimeMaxDeltaMs: 1_000_000,
    rules: encodedRules(rules),
    ...changes,
  });
}

export function noCredentials(): Uint8Array {
  const w = new Writer(16);
  encodeNetworkCredentials({
    coms: [],
    capabilities: [],
    tags: [],
    revocations: [],
    ownerships: [],
  }, w);
  return w.finish();
}

/** The key two nodes share. */
export function keyOf(a: Address, b: Address): Uint8Array {
  return noise(32, (a % 1_000_003) + (b % 1_000_003));
}

/** A plane and what it did. */
export class Bench {
  readonly runs: Run[] = [];
  readonly relayed: Relayed[] = [];
  readonly written: Written[] = [];
  readonly escaped: Escaped[] = [];
  readonly stats = new Float64Array(statsMemory());
  readonly bytes: Uint8Array;
  readonly plane: Plane;
  readonly source: Source = {
    socketId: SOCKET,
    ip: Uint8Array.of(10, 0, 0, 1),
    ipAt: 0,
    ipLength: 4,
    port: 9993,
    tag: 77,
  };
  vnet: number;

  constructor(readonly self: Address, options: { vnet?: number; seed?: number } = {}) {
    this.vnet = options.vnet ?? 0;
    const memory = new WebAssembly.Memory({ initial: ARENA_PAGES, maximum: ARENA_PAGES });
    this.bytes = new Uint8Array(memory.buffer);
    const view = new DataView(memory.buffer);
    const copy = (at: number, length: number) => this.bytes.slice(at, at + length);
    const draw = noise(24, options.seed ?? self % 1_000);
    this.plane = new Plane({
      memory,
      self,
      ids: packetIdState(randomIdBlock((bytes) => bytes.set(draw))),
      random: () => 0,
      escape: {
        sealed: (at, length, source) =>
          this.escaped.push({ how: "sealed", bytes: copy(at, length), from: source.tag }),
        opened: (at, length, source) =>
          this.escaped.push({ how: "opened", bytes: copy(at, length), from: source.tag }),
        frame: (at, length, port) =>
          this.escaped.push({ how: "frame", bytes: copy(at, length), from: port }),
      },
      output: {
        datagrams: (count) => {
          for (let i = 0; i < count; i++) {
            const at = RUNS_AT + i * RUN_BYTES;
            const [from, segment, length, session] = [0, 4, 8, 12].map((offset) =>
              view.getUint32(at + offset, true)
            );
            this.runs.push({ session, segment, bytes: copy(from, length) });
          }
        },
        relayed: (at, length, segment, flow) =>
          this.relayed.push({ flow, segment, bytes: copy(at, length) }),
        frames: (count) => {
          for (let i = 0; i < count; i++) {
            const at = WRITES_AT + i * WRITE_BYTES;
            const [from, length, port] = [0, 4, 8].map((offset) =>
              view.getUint32(at + offset, true)
            );
            this.written.push({ port, bytes: copy(from, length) });
          }
        },
      },
      stats: this.stats,
    });
    this.plane.setPort(PORT, this.vnet);
  }

  apply(...records: TableRecord[]): this {
    for (const record of records) this.plane.apply(record);
    return this;
  }

  /** A session with a route in one slot. @param aesFrom Length of packets sealed with AES-GMAC-SIV, 0 for none */
  meet(slot: number, address: Address, mtu = 1_432, aesFrom = 0): this {
    const key = keyOf(this.self, address);
    const aes = aesFrom > 0 ? { k0: key, k1: key.toReversed(), from: aesFrom } : undefined;
    return this.apply(
      { kind: "session", slot, address, key, aes },
      {
        kind: "route",
        session: slot,
        route: { socket: SOCKET, ip: Uint8Array.of(10, 0, 0, slot + 1), port: 9993, mtu },
      },
    );
  }

  /** Joins the network in slot 0. */
  join(config = dictionary(), port = PORT): this {
    const mac = macOf(this.self, NETWORK);
    return this.apply({ kind: "network", slot: 0, id: NETWORK, port, mac, config });
  }

  /** A member of the network, by default in the slot of its session. */
  admit(session: number, admitted = true, credentials = noCredentials(), slot = session): this {
    return this.apply({ kind: "member", slot, network: 0, session, admitted, credentials });
  }

  /** Hands in frames of one read each. */
  tap(...frames: Uint8Array[]): this {
    this.plane.beginTap(TICK);
    for (const frame of frames) {
      this.bytes.set(frame, TAP_IN_AT);
      this.plane.fromTap(TAP_IN_AT, frame.length, PORT);
    }
    this.plane.endTap();
    return this;
  }

  /** Hands in one received super-datagram. */
  udp(
    bytes: Uint8Array,
    segment = Math.max(1, bytes.length),
    source = this.source,
    tick = TICK,
  ): this {
    this.plane.beginUdp(tick);
    this.bytes.set(bytes, UDP_IN_AT);
    this.plane.fromUdp(UDP_IN_AT, bytes.length, segment, source);
    this.plane.endUdp();
    return this;
  }

  /** What it made so far; forgotten here. */
  takeRuns(): Run[] {
    return this.runs.splice(0);
  }

  takeRelayed(): Relayed[] {
    return this.relayed.splice(0);
  }

  takeWritten(): Written[] {
    return this.written.splice(0);
  }

  takeEscaped(): Escaped[] {
    return this.escaped.splice(0);
  }

  stat(index: number): number {
    return this.stats[index];
  }
}

/** Two members of one network with a direct path, each the other's session 0. */
export function pair(
  options: {
    vnet?: number;
    rules?: readonly Rule[];
    config?: Partial<NetworkConfig>;
    mtu?: number;
    aesFrom?: number;
  } = {},
): [alice: Bench, bob: Bench] {
  const benches: [Bench, Bench] = [new Bench(ALICE, options), new Bench(BOB, options)];
  const [alice, bob] = benches;
  alice.meet(0, BOB, options.mtu, options.aesFrom);
  bob.meet(0, ALICE, options.mtu, options.aesFrom);
  for (const bench of benches) {
    bench.join(dictionary(options.rules, options.config)).admit(0);
  }
  return benches;
}

/** The datagrams of runs, each by itself. */
export function datagrams(runs: readonly Run[]): Uint8Array[] {
  return runs.flatMap(({ bytes, segment }) =>
    Array.from(
      { length: Math.ceil(bytes.length / segment) },
      (_, i) => bytes.slice(i * segment, (i + 1) * segment),
    )
  );
}

/** A frame between two members: MACs filled in over what the frame has. */
export function addressed(frame: Uint8Array, from: Address, to: Address): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  const [destination, source] = [macOf(to, NETWORK), macOf(from, NETWORK)];
  view.setUint16(0, Math.floor(destination / 2 ** 32));
  view.setUint32(2, destination % 2 ** 32);
  view.setUint16(6, Math.floor(source / 2 ** 32));
  view.setUint32(8, source % 2 ** 32);
  return copy;
}
