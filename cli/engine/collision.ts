/**
 * What becomes of a service whose address belongs to another key, as a root told it: the identity is put aside and the
 * service runs again with a new one.
 *
 * Source: spec 01 section 4.8.
 * @module
 */
import type { Home } from "./home.ts";
import type { Log } from "./log.ts";

const SAVED_IDENTITY = "identity.secret.saved_after_collision";
/** Bounds what a root that lies can cost: each new identity takes a second of work, and no network knows it. */
const COLLISIONS_MAX = 3;

/** A root knows another key under our address: this identity is of no use any more. */
export class IdentityCollision extends Error {
  override name = "IdentityCollision";

  constructor() {
    super("another node has our address");
  }
}

/**
 * Runs a service, and once more after each collision.
 * @param run One life of the service; it makes an identity where there is none
 * @throws {IdentityCollision} after too many; whatever else ends the service
 */
export async function runDespiteCollisions(
  home: Home,
  log: Log,
  run: () => Promise<void>,
): Promise<void> {
  for (let collisions = 0;; collisions++) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof IdentityCollision) || collisions === COLLISIONS_MAX) throw error;
      saveIdentity(home, log);
      log(
        `${error.message}: starting again with a new identity, which networks have to authorize`,
        "error",
      );
    }
  }
}

/** Under the name the reference gives it; one that lies there from before is kept too. */
function saveIdentity(home: Home, log: Log): void {
  if (home.readBytes(SAVED_IDENTITY)) {
    log(home.setAside(SAVED_IDENTITY, "is from an earlier one"), "warn");
  }
  home.rename("identity.secret", SAVED_IDENTITY);
  home.remove("identity.public");
}
