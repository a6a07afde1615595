/**
 * A controller's records in memory, answering at once: the simulator awaits nothing.
 * @module
 */
import {
  formatRecordKey,
  keyOfRecord,
  type RecordKey,
  type StoreResult,
  type StoreSnapshot,
  type StoreWrite,
} from "../../lib/controller/store.ts";
import { type JsonObject, toInteger } from "../../lib/controller/json.ts";

export class SimStore {
  readonly #records = new Map<string, JsonObject>();

  load(): StoreSnapshot {
    const records = structuredClone([...this.#records.values()]);
    const isMember = (record: JsonObject) => keyOfRecord(record).member !== undefined;
    return {
      networks: records.filter((record) => !isMember(record)),
      members: records.filter(isMember),
    };
  }

  find(key: RecordKey): JsonObject | undefined {
    return this.#records.get(formatRecordKey(key));
  }

  write(write: StoreWrite): StoreResult {
    const { key, value } = write;
    const current = this.find(key);
    const taken = write.claims.filter((ip) => this.#isTaken(key, ip));
    const revision = current && toInteger(current.revision, 0);
    if (revision !== write.expect || taken.length > 0) {
      return { result: "conflict", current: structuredClone(current ?? null), taken };
    }
    const name = formatRecordKey(key);
    if (value) this.#records.set(name, structuredClone(value));
    else this.#delete(name);
    return { result: "ok" };
  }

  #isTaken(key: RecordKey, ip: string): boolean {
    for (const record of this.#records.values()) {
      const other = keyOfRecord(record);
      if (other.network !== key.network || other.member === key.member) continue;
      const assigned = other.member === undefined ? [] : record.ipAssignments;
      if (Array.isArray(assigned) && assigned.includes(ip)) return true;
    }
    return false;
  }

  #delete(name: string): void {
    for (const key of [...this.#records.keys()]) {
      if (key === name || key.startsWith(`${name}/`)) this.#records.delete(key);
    }
  }
}
