/**
 * `local.conf` while the service runs: read again when it changed, the old settings kept when the new ones are broken.
 *
 * Source: spec 06 sections 1.5 and 6.
 * @module
 */
import { type Home, HomeError } from "./home.ts";
import { readLocalConf } from "./home_files.ts";
import type { JsonObject } from "./json.ts";
import { parseSettings, type Settings } from "./settings.ts";

/** The settings in force. */
export class LiveSettings {
  readonly #home: Home;
  readonly #complain: (line: string) => void;
  #modifiedMs: number | undefined;
  #conf: JsonObject;
  #current: Settings;

  /**
   * @param complain Told, in one line, why a changed file is not taken
   * @throws {HomeError} when `local.conf` is broken: at start there are no old settings to keep
   */
  constructor(home: Home, complain: (line: string) => void) {
    this.#home = home;
    this.#complain = complain;
    this.#modifiedMs = home.modifiedMs("local.conf");
    this.#conf = readLocalConf(home);
    this.#current = parseSettings(this.#conf);
  }

  get current(): Settings {
    return this.#current;
  }

  /** `local.conf` as it stands, or as it stood before it was broken. */
  get conf(): JsonObject {
    try {
      return readLocalConf(this.#home);
    } catch (error) {
      if (error instanceof HomeError) return this.#conf;
      throw error;
    }
  }

  /** Looks whether the file changed. @returns whether there are new settings */
  refresh(): boolean {
    const modifiedMs = this.#home.modifiedMs("local.conf");
    if (modifiedMs === this.#modifiedMs) return false;
    this.#modifiedMs = modifiedMs;
    try {
      const conf = readLocalConf(this.#home);
      this.#current = parseSettings(conf);
      this.#conf = conf;
      return true;
    } catch (error) {
      if (!(error instanceof HomeError)) throw error;
      this.#complain(`${error.message}; the settings from before stay in force`);
      return false;
    }
  }
}
