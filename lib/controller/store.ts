/**
 * Where a controller's records live. The controller decides in memory and asks for writes; a backend (`cli/storage/`)
 * loads everything once, writes what it is told, and reports what somebody else wrote.
 *
 * Every write names the revision it replaces, so that two controllers cannot undo each other's changes, and the
 * addresses it hands out, so that no two members get the same one.
 *
 * Source: DESIGN.md section 4; spec 05 sections 9.2 and 10.
 * @module
 */
import type { Address } from "../base/ids.ts";
import type { JsonObject } from "./json.ts";

/** Which record: a network, or a member of one. Ids are lower-case hexadecimal, 16 and 10 digits. */
export interface RecordKey {
  readonly network: string;
  readonly member?: string;
}

export interface StoreWrite {
  readonly key: RecordKey;
  /** Revision the store must hold for the write to happen; undefined: the record must not exist. */
  readonly expect: number | undefined;
  /** What to store, given away; null deletes. Deleting a network deletes its members. */
  readonly value: JsonObject | null;
  /** IP addresses of `value.ipAssignments` that no other member of the network may hold. */
  readonly claims: readonly string[];
}

export type StoreResult =
  | { readonly result: "ok" }
  | {
    readonly result: "conflict";
    /** What the store holds instead; null: nothing. */
    readonly current: JsonObject | null;
    /** Those of `claims` that belong to somebody else. */
    readonly taken: readonly string[];
  };

/** A record somebody else wrote or deleted (null). */
export interface StoreChange {
  readonly key: RecordKey;
  readonly value: JsonObject | null;
}

export interface StoreSnapshot {
  readonly networks: JsonObject[];
  readonly members: JsonObject[];
}

/** A backend. Calls may overlap; they take effect in the order they were made. */
export interface ControllerStore {
  /** Everything there is; called once, before any write. */
  load(): Promise<StoreSnapshot>;
  /**
   * Returns once the record would survive a crash.
   * @throws {SystemError} when it could not be written (disk full, ...); the store is then as before
   */
  write(write: StoreWrite): Promise<StoreResult>;
  /** Calls `listener` for every change made elsewhere, from now on. Backends only one process can use never do. */
  watch(listener: (change: StoreChange) => void): void;
  close(): Promise<void>;
}

/** One text for a key, e.g. for maps. */
export function formatRecordKey(key: RecordKey): string {
  return key.member === undefined ? key.network : `${key.network}/${key.member}`;
}

/** Key of a stored network or member record, by the ids in it. */
export function keyOfRecord(record: JsonObject): RecordKey {
  return record.objtype === "member"
    ? {
      network: String(record.nwid).toLowerCase(),
      member: String(record.address ?? record.id).toLowerCase(),
    }
    : { network: String(record.id).toLowerCase() };
}

/** The address of a member, from the text in its key. */
export function memberOfKey(text: string): Address {
  return parseInt(text, 16) as Address;
}
