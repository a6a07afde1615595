/**
 * Controller records in SQLite, the store of a controller that runs alone.
 *
 * Records stay JSON; beside each stand the columns the store itself needs. Writes asked for in one
 * turn of the event loop share one transaction, so a burst of joining members costs one `fsync`.
 * One process has the file at a time.
 *
 * A file that is damaged, or not ours, is renamed, never overwritten; see {@linkcode openSqliteStore}.
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { SystemError } from "../../lib/base/errors.ts";
import type { JsonObject } from "../../lib/controller/json.ts";
import { toInteger } from "../../lib/controller/json.ts";
import {
  type ControllerStore,
  keyOfRecord,
  type RecordKey,
  type StoreResult,
  type StoreSnapshot,
  type StoreWrite,
} from "../../lib/controller/store.ts";
import { exists, freeName } from "../engine/free_name.ts";
import { assignedAddresses } from "./assigned_addresses.ts";

const APPLICATION_ID = 0x7a74_6374; // "ztct", in the file's header
const SCHEMA_VERSION = 1;
const BATCH_MAX = 256; // writes in one transaction; bounds how long the event loop waits for the disk

const SCHEMA = `
  CREATE TABLE schema (version INTEGER NOT NULL, imported INTEGER NOT NULL) STRICT;
  CREATE TABLE network (
    id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    record TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE member (
    network TEXT NOT NULL REFERENCES network(id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    revision INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (network, address)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE assignment (
    network TEXT NOT NULL,
    ip TEXT NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (network, ip),
    FOREIGN KEY (network, member) REFERENCES member(network, address) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX assignment_by_member ON assignment (network, member);
  INSERT INTO schema (version, imported) VALUES (${SCHEMA_VERSION}, 0);
  PRAGMA application_id = ${APPLICATION_ID};
`;

export interface SqliteOptions {
  /** Largest size of the file in pages of 4096 bytes; protects the disk. Unlimited unless given. */
  readonly pageCountMax?: number;
}

/**
 * Opens or creates a store.
 * @throws {SystemError} when the file cannot be opened or is in use; when it is damaged or not ours, which then lies
 * under another name beside it; or when a newer version wrote it, which is left as it is
 */
export function openSqliteStore(path: string, options: SqliteOptions = {}): SqliteStore {
  createPrivate(path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    prepare(database, path, options);
    return new SqliteStore(database, path);
  } catch (error) {
    try {
      database?.close();
    } catch { /* it is the first error that counts */ }
    if (error instanceof NotOurs) throw setAside(path, error.message);
    throw systemError(`open ${path}`, error, path);
  }
}

/** SQLite creates files readable by all; tokens and identities are in this one. */
function createPrivate(path: string): void {
  try {
    Deno.openSync(path, { create: true, append: true, mode: 0o600 }).close();
  } catch (error) {
    const code = (error as { code?: string }).code ?? String(error);
    throw new SystemError(`open ${path}`, code, "check that the home folder exists and is yours");
  }
}

class NotOurs extends Error {}

function prepare(database: DatabaseSync, path: string, options: SqliteOptions): void {
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  const isEmpty = checkOurs(database, path); // before anything that would write to the file
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL"); // "stored" means: survives a power cut
  database.exec("PRAGMA foreign_keys = ON");
  if (options.pageCountMax !== undefined) {
    database.exec(`PRAGMA max_page_count = ${Math.trunc(options.pageCountMax)}`);
  }
  if (isEmpty) database.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT`);
}

/** @returns whether there is nothing in the file yet */
function checkOurs(database: DatabaseSync, path: string): boolean {
  const application = Number(database.prepare("PRAGMA application_id").get()!.application_id);
  const tables = Number(database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()!.n);
  if (tables === 0) return true;
  if (application !== APPLICATION_ID) throw new NotOurs("it is another program's database");
  const version = Number(database.prepare("SELECT version FROM schema").get()?.version);
  if (version > SCHEMA_VERSION) {
    throw new SystemError(
      `open ${path}`,
      `schema version ${version}`,
      "use the newer zt that wrote it",
    );
  }
  return false;
}

/** Moves a file we cannot use out of the way, with what belongs to it. */
function setAside(path: string, why: string): SystemError {
  const name = freeName(`${path}.damaged`);
  if (name === undefined) return new SystemError(`open ${path}`, why, "move it away");
  for (const suffix of ["", "-wal", "-shm"]) {
    if (exists(path + suffix)) Deno.renameSync(path + suffix, name + suffix);
  }
  return new SystemError(
    `open ${path}`,
    why,
    `it is now ${name}; put a backup in its place, or start again to begin without networks`,
  );
}

/** What SQLite's result codes mean to a person; by the low byte of the code. */
const RESULT_CODES: Readonly<Record<number, { code: string; remedy: string }>> = {
  5: { code: "EBUSY", remedy: "another process has it open" },
  8: { code: "EROFS", remedy: "make the file and its folder writable" },
  10: { code: "EIO", remedy: "check the disk" },
  13: { code: "ENOSPC", remedy: "free some disk space; nothing was lost" },
  14: { code: "ENOENT", remedy: "check that the folder exists and is yours" },
};
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

function systemError(operation: string, error: unknown, path: string): Error {
  if (error instanceof SystemError || !(error instanceof Error)) return error as Error;
  const result = resultCode(error);
  if (result === CORRUPT || result === NOT_A_DATABASE) return setAside(path, "it is damaged");
  const known = RESULT_CODES[result];
  return new SystemError(operation, known?.code ?? error.message, known?.remedy);
}

/** Primary result code of an error of `node:sqlite`; read from its text where the runtime gives no number. */
function resultCode(error: Error): number {
  const { errcode } = error as { errcode?: number };
  if (typeof errcode === "number") return errcode & 0xff;
  if (/not a database/.test(error.message)) return NOT_A_DATABASE;
  if (/malformed/.test(error.message)) return CORRUPT;
  if (/database or disk is full/.test(error.message)) return 13;
  if (/locked/.test(error.message)) return 5;
  return 0;
}

interface Pending {
  readonly write: StoreWrite;
  resolve(result: StoreResult): void;
  reject(error: Error): void;
}

/** See {@linkcode openSqliteStore}. */
export class SqliteStore implements ControllerStore {
  readonly #database: DatabaseSync;
  readonly #sql: ReturnType<typeof prepareStatements>;
  #pending: Pending[] = [];
  #isClosed = false;

  constructor(database: DatabaseSync, readonly path: string) {
    this.#database = database;
    this.#sql = prepareStatements(database);
  }

  load(): Promise<StoreSnapshot> {
    return attempt(() => {
      try {
        return {
          networks: this.#sql.allNetworks.all().map(parseRow),
          members: this.#sql.allMembers.all().map(parseRow),
        };
      } catch (error) {
        this.#closeDatabase();
        if (error instanceof SyntaxError) throw setAside(this.path, "it is damaged");
        throw systemError(`read ${this.path}`, error, this.path);
      }
    });
  }

  write(write: StoreWrite): Promise<StoreResult> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ write, resolve, reject });
      if (this.#pending.length === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, BATCH_MAX);
      try {
        const results = this.#transaction(() => batch.map(({ write }) => this.#apply(write)));
        batch.forEach(({ resolve }, index) => resolve(results[index]));
      } catch (error) {
        // The file stays where it is, whatever the error: the process still works on it.
        const failure = writeError(this.path, error);
        for (const { reject } of batch) reject(failure);
      }
    }
  }

  #transaction<T>(run: () => T): T {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = run();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        this.#database.exec("ROLLBACK");
      } catch { /* SQLite has rolled back already */ }
      throw error;
    }
  }

  #apply(write: StoreWrite): StoreResult {
    const { key, expect, value } = write;
    const current = this.#current(key);
    const taken = write.claims.filter((ip) => {
      const holder = this.#sql.holder.get(key.network, ip)?.member;
      return holder !== undefined && holder !== key.member;
    });
    const homeless = key.member !== undefined && !this.#sql.network.get(key.network);
    if (revisionOf(current) !== expect || taken.length > 0 || homeless) {
      return { result: "conflict", current: current ?? null, taken };
    }
    if (value) this.#put(key, value);
    else if (key.member === undefined) this.#sql.deleteNetwork.run(key.network);
    else this.#sql.deleteMember.run(key.network, key.member);
    return { result: "ok" };
  }

  #current(key: RecordKey): JsonObject | undefined {
    const row = key.member === undefined
      ? this.#sql.network.get(key.network)
      : this.#sql.member.get(key.network, key.member);
    return row && parseRow(row);
  }

  #put(key: RecordKey, value: JsonObject): void {
    const revision = toInteger(value.revision, 0);
    const record = JSON.stringify(value);
    if (key.member === undefined) {
      this.#sql.putNetwork.run(key.network, revision, record);
      return;
    }
    this.#sql.putMember.run(key.network, key.member, revision, record);
    this.#sql.releaseAll.run(key.network, key.member);
    for (const ip of assignedAddresses(value)) this.#sql.claim.run(key.network, ip, key.member);
  }

  /**
   * Takes over records from elsewhere, the first time it is called on this file, all or none.
   * @returns false when that was done before
   */
  importOnce(snapshot: StoreSnapshot): boolean {
    try {
      return this.#transaction(() => {
        if (this.#sql.isImported.get()?.imported !== 0) return false;
        for (const record of [...snapshot.networks, ...snapshot.members]) {
          this.#apply({ key: keyOfRecord(record), expect: undefined, value: record, claims: [] });
        }
        this.#sql.setImported.run();
        return true;
      });
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Whether {@linkcode importOnce} would still take records. */
  get wantsImport(): boolean {
    return this.#sql.isImported.get()?.imported === 0;
  }

  /** No other process has the file, so nothing changes elsewhere. */
  watch(): void {}

  #closeDatabase(): void {
    if (!this.#isClosed) this.#database.close();
    this.#isClosed = true;
  }

  /** What could not be loaded is closed already. */
  close(): Promise<void> {
    if (!this.#isClosed) this.#flush();
    this.#closeDatabase();
    return Promise.resolve();
  }
}

function attempt<T>(run: () => T): Promise<T> {
  return new Promise((resolve) => resolve(run()));
}

function writeError(path: string, error: unknown): Error {
  if (!(error instanceof Error)) return new SystemError(`write ${path}`, String(error));
  const known = RESULT_CODES[resultCode(error)];
  return new SystemError(`write ${path}`, known?.code ?? error.message, known?.remedy);
}

function revisionOf(record: JsonObject | undefined): number | undefined {
  return record && toInteger(record.revision, 0);
}

function parseRow(row: Record<string, unknown>): JsonObject {
  return JSON.parse(String(row.record));
}

function prepareStatements(database: DatabaseSync) {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    allNetworks: sql("SELECT record FROM network ORDER BY id"),
    allMembers: sql("SELECT record FROM member ORDER BY network, address"),
    network: sql("SELECT record FROM network WHERE id = ?"),
    member: sql("SELECT record FROM member WHERE network = ? AND address = ?"),
    holder: sql("SELECT member FROM assignment WHERE network = ? AND ip = ?"),
    putNetwork: sql(
      "INSERT INTO network (id, revision, record) VALUES (?, ?, ?) " +
        "ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, record = excluded.record",
    ),
    putMember: sql(
      "INSERT INTO member (network, address, revision, record) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT (network, address) DO UPDATE " +
        "SET revision = excluded.revision, record = excluded.record",
    ),
    deleteNetwork: sql("DELETE FROM network WHERE id = ?"),
    deleteMember: sql("DELETE FROM member WHERE network = ? AND address = ?"),
    releaseAll: sql("DELETE FROM assignment WHERE network = ? AND member = ?"),
    // An address a person gave to two members belongs, here, to the first.
    claim: sql("INSERT OR IGNORE INTO assignment (network, ip, member) VALUES (?, ?, ?)"),
    isImported: sql("SELECT imported FROM schema"),
    setImported: sql("UPDATE schema SET imported = 1"),
  };
}
