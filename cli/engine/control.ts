/**
 * Starts the service on a home folder and ends it: identity, node, and the view the local API works on.
 *
 * Source: spec 06 section 1.2.
 * @module
 */
import { keepLittleFreed } from "../../ffi/linux/memory.ts";
import { thisMachine } from "../../ffi/mod.ts";
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
  let service: Service | undefined;
  try {
    service = new Service({ ...options, machine: thisMachine(), identity, random });
    await service.start();
    options.onReady?.(new EngineView(service), { primary: service.sockets.primaryPort });
    await aborted(signal);
  } finally {
    await service?.close();
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

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}
