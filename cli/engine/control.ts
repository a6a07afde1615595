/**
 * Starts the service on a home folder and ends it: identity, store, node, and the view the local API works on.
 *
 * Source: spec 06 section 1.2.
 * @module
 */
import { keepLittleFreed } from "../../ffi/linux/memory.ts";
import { thisMachine } from "../../ffi/mod.ts";
import { SystemError } from "../../lib/base/errors.ts";
import type { ControllerStore } from "../../lib/controller/mod.ts";
import type { Identity } from "../../lib/identity/identity.ts";
import type { Home } from "./home.ts";
import { identityTools } from "./identity_tools.ts";
import type { Log } from "./log.ts";
import { keepOwnIdentity, loadOwnIdentity } from "./own_identity.ts";
import { machineRandom } from "./primitives.ts";
import { Service } from "./service.ts";
import type { ServiceOptions } from "./service_options.ts";
import { EngineView } from "./service_view.ts";
import { Validator } from "./validator.ts";

/**
 * Runs until the signal aborts.
 * @throws whatever keeps it from starting, or from going on
 */
export async function runService(options: ServiceOptions): Promise<void> {
  const { home, log, signal } = options;
  keepLittleFreed(); // before the Workers
  const random = machineRandom;
  const identity = await ownIdentity(home, log);
  const store = await openStore(home, options.settings.current.controllerDbPath, log);
  let service: Service | undefined;
  try {
    service = new Service({ ...options, machine: thisMachine(), identity, store, random });
    await service.start();
    options.onReady?.(new EngineView(service), { primary: service.sockets.primaryPort });
    await aborted(signal);
  } finally {
    await service?.close();
    await store?.close(); // also when the port was taken
  }
  if (service.failure !== undefined) throw service.failure;
}

async function ownIdentity(home: Home, log: Log): Promise<Identity> {
  const found = loadOwnIdentity(home, identityTools());
  if (found) return found;
  log("making an identity, which takes a moment");
  const validator = new Validator();
  try {
    const made = await validator.generate({}, () => {});
    keepOwnIdentity(home, made);
    return made;
  } finally {
    validator.close();
  }
}

/** The controller's records; a node whose store cannot be opened goes on without being a controller. */
async function openStore(
  home: Home,
  path: string | undefined,
  log: Log,
): Promise<ControllerStore | undefined> {
  // Loaded now, not at start: commands that only ask a running service need no database.
  const { openSqliteStore } = await import("../storage/sqlite.ts");
  const { readControllerFiles } = await import("../storage/import_files.ts");
  try {
    home.create();
    // In the reference's local.conf the path names a folder of files: what is to be taken over, not a database.
    const isFolder = path !== undefined && isDirectory(path);
    const store = openSqliteStore(
      path === undefined || isFolder ? home.pathOf("controller.sqlite") : path,
    );
    if (store.wantsImport) {
      const folder = isFolder ? path : home.pathOf("controller.d");
      const { skipped, ...records } = readControllerFiles(folder);
      for (const file of skipped) log(`not imported: ${file.path}: ${file.reason}`, "warn");
      const count = records.networks.length;
      if (store.importOnce(records) && count > 0) log(`imported ${count} networks of ${folder}`);
    }
    return store;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    log(`${error.message}; this node is no controller until then`, "error");
    return undefined;
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false; // the store says what is wrong with it
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}
