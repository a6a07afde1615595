/**
 * How the outside drives a controller: inputs in, actions out.
 *
 * Rule of use: one `handle()`, then `poll()` until undefined, then sleep until `deadlineMs`.
 * @module
 */
import type { Address, NetworkId } from "../base/ids.ts";
import type { NetworkConfig } from "../credential/network_config.ts";
import type { Revocation } from "../credential/revocation.ts";
import type { Identity } from "../identity/identity.ts";
import type { ErrorCode } from "../wire/packet.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import type { StoredResult } from "./lanes.ts";
import type { RecordKey, StoreWrite } from "./store.ts";

/** Both clocks, read once per step by whoever drives. */
export interface ControllerTime {
  /** Never stops: every timer uses it. */
  readonly nowMs: number;
  /** Milliseconds since the epoch: goes into records and credentials. */
  readonly wallMs: number;
}

/** What happened outside. Records are given away, byte arrays lent. */
export type ControllerInput =
  /** What the store holds; comes first. Until then nobody is answered. */
  | { kind: "load"; networks: JsonObject[]; members: JsonObject[] }
  /**
   * A node asks for its config; its identity is authenticated.
   * requestId: packet id; undefined when our own node asks
   * metadata: dictionary, may be empty
   */
  | {
    kind: "request";
    network: NetworkId;
    from: Identity;
    requestId: bigint | undefined;
    metadata: Uint8Array;
  }
  | { kind: "api"; ticket: number; method: string; path: string; body: string }
  | { kind: "stored"; ticket: number } & StoredResult
  /** Somebody else wrote to the store; null: deleted. */
  | { kind: "changed"; key: RecordKey; value: JsonObject | null }
  /** Any authenticated packet came from a node. */
  | { kind: "seen"; member: Address }
  | { kind: "timeout" };

/** What should happen outside. */
export type ControllerAction =
  /**
   * Send a config: as OK in answer to `requestId`, as NETWORK_CONFIG without one. To our own address: apply it.
   * Sending one also lets the member gather multicast recipients from us for 180 s (spec 05 section 2.5).
   */
  | {
    kind: "config";
    to: Address;
    network: NetworkId;
    requestId: bigint | undefined;
    config: NetworkConfig;
  }
  /** Answer ERROR; without `requestId` our own node asked. */
  | {
    kind: "refuse";
    to: Address;
    network: NetworkId;
    requestId: bigint | undefined;
    code: ErrorCode;
  }
  /** Send these in one NETWORK_CREDENTIALS to each address; our own included, when we are a member. */
  | { kind: "revoke"; to: Address[]; network: NetworkId; revocations: Revocation[] }
  /** Write, then hand in "stored" with this ticket. Writes take effect in the order they were asked for. */
  | { kind: "store"; ticket: number } & StoreWrite
  /** Without `json` the body is empty. */
  | {
    kind: "apiReply";
    ticket: number;
    status: number;
    json: JsonValue | undefined;
    pretty?: boolean;
  };

/** Counters since start, for metrics. */
export interface ControllerCounters {
  requests: number;
  /** Requests too soon after the last, or for networks of others, or while too much waits. */
  requestsDropped: number;
  configsSent: number;
  configsPushed: number;
  refused: number;
  revocations: number;
  storeConflicts: number;
  storeFailures: number;
  /** Records that could not be read at start. */
  recordsSkipped: number;
  strangersEvicted: number;
  /** Addresses tried in pools. */
  assignmentTrials: number;
  /** Networks made, changed or deleted since the start, by whomever. */
  networkChanges: number;
  /** Member records made, changed or deleted since the start. */
  memberChanges: number;
  membersAuthorized: number;
  membersDeauthorized: number;
  /** Reads, by what was looked for. */
  reads: Record<ControllerRead, number>;
}

/** What is looked for in the controller's records. */
export type ControllerRead = "network" | "member" | "configRequest" | "members" | "networks";
