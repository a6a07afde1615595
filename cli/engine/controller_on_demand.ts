/**
 * The controller of a node: opened with its records at the start where there are some, else when somebody first asks
 * the local API for it. Most nodes never are one, and without it they start sooner and take less memory.
 *
 * Source: spec 05 sections 5 and 9.
 * @module
 */
import { pathExists } from "../../ffi/linux/system.ts";
import { SystemError } from "../../lib/base/errors.ts";
import { RequestTimes } from "../../lib/controller/request_times.ts";
import type {
  Controller,
  ControllerAction,
  ControllerInput,
  ControllerStore,
  ControllerTime,
} from "../../lib/controller/mod.ts";
import type { Random } from "../../lib/crypto/primitives.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import type { ControllerMachine } from "../../lib/node/machine.ts";
import { ErrorCode } from "../../lib/wire/packet.ts";
import type { SqliteStore } from "../storage/sqlite.ts";
import type { StorePump } from "../storage/store_pump.ts";
import { type Home, HomeError } from "./home.ts";
import type { Log } from "./log.ts";
import { machinePrimitives } from "./primitives.ts";

const DATABASE = "controller.sqlite";
const FILES = "controller.d"; // as the reference keeps them: taken over once

/** What it is made with. */
export interface OnDemandOptions {
  readonly home: Home;
  readonly identity: Identity;
  readonly random: Random;
  /** `controllerDbPath` of `local.conf`. */
  readonly path: string | undefined;
  /** Hands an input to the node, for us. */
  readonly hand: (input: ControllerInput) => void;
  readonly log: Log;
}

interface Opened {
  readonly controller: Controller;
  readonly store: ControllerStore;
  readonly pump: StorePump;
}

export class ControllerOnDemand implements ControllerMachine {
  readonly #options: OnDemandOptions;
  readonly #requestTimes = new RequestTimes();
  readonly #refusals: ControllerAction[] = []; // as many as a step has requests
  #opened: Opened | undefined;
  #opening: Promise<void> | undefined;
  #trouble: string | undefined; // why it could not be opened
  #isSetAside = false; // the records were damaged: nothing is opened before somebody looked at them
  #isClosed = false;

  constructor(options: OnDemandOptions) {
    this.#options = options;
  }

  /** The controller itself, once it is needed. */
  get current(): Controller | undefined {
    return this.#opened?.controller;
  }

  /** Whether there are records, or `local.conf` says where: then it is needed from the start. */
  get hasRecords(): boolean {
    const { home, path } = this.#options;
    return path !== undefined || home.has(DATABASE) || home.has(FILES);
  }

  get deadlineMs(): number {
    return this.current?.deadlineMs ?? Infinity;
  }

  /** Without records there are no networks: whoever asks for one of ours hears just that. */
  handle(input: ControllerInput, time: ControllerTime): void {
    if (this.current) return this.current.handle(input, time);
    if (input.kind !== "request" || this.#opening) return; // until they are open nobody is answered
    const { network, requestId, from: { address: to } } = input;
    if (!this.#requestTimes.admit(network, to, time.nowMs)) return;
    const { OBJECT_NOT_FOUND, UNSUPPORTED_OPERATION } = ErrorCode;
    const code = this.#trouble ? UNSUPPORTED_OPERATION : OBJECT_NOT_FOUND;
    this.#refusals.push({ kind: "refuse", to, network, requestId, code });
  }

  poll(): ControllerAction | undefined {
    return this.#refusals.shift() ?? this.current?.poll();
  }

  /** Performs a "store" action of the controller's. */
  perform(action: ControllerAction & { kind: "store" }): void {
    this.#opened?.pump.perform(action);
  }

  /**
   * Opens the records, unless they are open.
   * @returns why they cannot be opened, which is logged too; the next call tries again. Damaged ones are set aside: then
   * nothing is opened until the next start, so that nobody takes an empty database for them
   */
  async open(): Promise<string | undefined> {
    if (this.#isClosed) return "it stops";
    if (this.#isSetAside) return this.#trouble;
    if (!this.#opened || this.#opening) {
      await (this.#opening ??= this.#open().finally(() => this.#opening = undefined));
    }
    return this.#trouble;
  }

  async #open(): Promise<void> {
    const { identity, random, hand, log } = this.#options;
    const wasThere = pathExists(this.#file);
    const { Controller } = await import("../../lib/controller/mod.ts");
    const { StorePump } = await import("../storage/store_pump.ts");
    let store: ControllerStore | undefined;
    try {
      store = await this.#openStore();
      const controller = new Controller({ identity, primitives: machinePrimitives, random });
      const pump = new StorePump(store, hand, (error) => {
        log(`the controller could not store a change: ${error.message}`, "error");
      });
      this.#opened = { controller, store, pump };
      await pump.start();
      this.#trouble = undefined;
    } catch (error) {
      if (!(error instanceof SystemError || error instanceof HomeError)) throw error;
      this.#trouble = error.message;
      this.#opened = undefined;
      this.#isSetAside = wasThere && !pathExists(this.#file);
      log(`${error.message}; this node is no controller until then`, "error");
      await store?.close();
    }
  }

  /** The database. */
  get #file(): string {
    const { home, path } = this.#options;
    return path === undefined || this.#folder === path ? home.pathOf(DATABASE) : path;
  }

  /** What is taken over into a new database. */
  get #folder(): string {
    const { home, path } = this.#options;
    // In the reference's local.conf the path names a folder of files, not a database.
    return path !== undefined && isDirectory(path) ? path : home.pathOf(FILES);
  }

  async #openStore(): Promise<ControllerStore> {
    const { openSqliteStore } = await import("../storage/sqlite.ts");
    this.#options.home.create();
    const store = openSqliteStore(this.#file);
    try {
      if (store.wantsImport) await this.#import(store, this.#folder);
    } catch (error) {
      await store.close(); // or nobody could open it again
      throw error;
    }
    return store;
  }

  async #import(store: SqliteStore, folder: string): Promise<void> {
    const { log } = this.#options;
    const { readControllerFiles } = await import("../storage/import_files.ts");
    const { skipped, ...records } = readControllerFiles(folder);
    for (const file of skipped) log(`not imported: ${file.path}: ${file.reason}`, "warn");
    const count = records.networks.length;
    if (store.importOnce(records) && count > 0) log(`imported ${count} networks of ${folder}`);
  }

  /** Closes the records, for good; what is being written gets there first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening;
    await this.#opened?.store.close();
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false; // the store says what is wrong with it
  }
}
