/**
 * Controller records in memory: what the tests of everything above a store run on, and the plainest statement of what a
 * backend does. Two handles on one {@linkcode SharedRecords} act like two processes on one database.
 * @module
 */
import {
  type ControllerStore,
  formatRecordKey,
  keyOfRecord,
  type RecordKey,
  type StoreChange,
  type StoreResult,
  type StoreSnapshot,
  type StoreWrite,
} from "../../lib/controller/store.ts";
import { type JsonObject, toInteger } from "../../lib/controller/json.ts";
import { assignedAddresses } from "./assigned_addresses.ts";

type Listener = (change: StoreChange) => void;

/** The database: copies of records, who claims which address, and who listens. */
export class SharedRecords {
  readonly networks = new Map<string, JsonObject>();
  readonly members = new Map<string, JsonObject>();
  /** "network/address" to the member that has it. */
  readonly claims = new Map<string, string>();
  readonly listeners = new Map<object, Listener>();
}

export class MemoryStore implements ControllerStore {
  readonly #shared: SharedRecords;

  constructor(shared: SharedRecords = new SharedRecords()) {
    this.#shared = shared;
  }

  load(): Promise<StoreSnapshot> {
    return Promise.resolve({
      networks: structuredClone([...this.#shared.networks.values()]),
      members: structuredClone([...this.#shared.members.values()]),
    });
  }

  write(write: StoreWrite): Promise<StoreResult> {
    const { key, expect } = write;
    const current = this.#table(key).get(formatRecordKey(key));
    const taken = write.claims.filter((ip) => {
      const holder = this.#shared.claims.get(`${key.network}/${ip}`);
      return holder !== undefined && holder !== key.member;
    });
    const homeless = key.member !== undefined && !this.#shared.networks.has(key.network);
    if (revisionOf(current) !== expect || taken.length > 0 || homeless) {
      return Promise.resolve({
        result: "conflict",
        current: structuredClone(current ?? null),
        taken,
      });
    }
    const value = structuredClone(write.value);
    if (key.member === undefined) this.#putNetwork(key, value);
    else this.#putMember(key, value);
    for (const [handle, listener] of this.#shared.listeners) {
      if (handle !== this) listener({ key, value: structuredClone(value) });
    }
    return Promise.resolve({ result: "ok" });
  }

  #table(key: RecordKey): Map<string, JsonObject> {
    return key.member === undefined ? this.#shared.networks : this.#shared.members;
  }

  #putNetwork(key: RecordKey, value: JsonObject | null): void {
    if (value) {
      this.#shared.networks.set(key.network, value);
      return;
    }
    this.#shared.networks.delete(key.network);
    for (const member of this.#shared.members.values()) {
      const memberKey = keyOfRecord(member);
      if (memberKey.network === key.network) this.#putMember(memberKey, null);
    }
  }

  #putMember(key: RecordKey, value: JsonObject | null): void {
    for (const ip of assignedAddresses(this.#shared.members.get(formatRecordKey(key)))) {
      const claim = `${key.network}/${ip}`;
      if (this.#shared.claims.get(claim) === key.member) this.#shared.claims.delete(claim);
    }
    if (!value) {
      this.#shared.members.delete(formatRecordKey(key));
      return;
    }
    this.#shared.members.set(formatRecordKey(key), value);
    for (const ip of assignedAddresses(value)) {
      const claim = `${key.network}/${ip}`;
      if (!this.#shared.claims.has(claim)) this.#shared.claims.set(claim, key.member!);
    }
  }

  watch(listener: Listener): void {
    this.#shared.listeners.set(this, listener);
  }

  close(): Promise<void> {
    this.#shared.listeners.delete(this);
    return Promise.resolve();
  }
}

function revisionOf(record: JsonObject | undefined): number | undefined {
  return record && toInteger(record.revision, 0);
}
