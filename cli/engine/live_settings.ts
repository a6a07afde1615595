/**
 * `local.conf` while the service runs: read again when it changed, the old settings kept when the new ones are broken.
 *
 * Source: spec 06 sections 1.5 and 6.
 * @module
 */
import type { Home } from "./home.ts";
import { HomeError } from "./home.ts";
import { readLocalConf } from "./home_files.ts";
import { parseSettings, type Settings } from "./settings.ts";

/** The settings in force. */
export class LiveSettings {
  readonly #home: Home;
  readonly #complain: (line: string) => void;
  #modifiedMs: number | undefined;
  #current: Settings;

  /**
   * @param complain Told, in one line, why a changed file is not taken
   * @throws {HomeError} when `local.conf` is broken: at start there are no old settings to keep
   */
  constructor(home: Home, complain: (line: string) => void) {
    this.#home = home;
    this.#complain = complain;
    this.#modifiedMs = home.modifiedMs("local.conf");
    this.#current = parseSettings(readLocalConf(home));
  }

  get current(): Settings {
    return this.#current;
  }

  /** Looks whether the file changed. @returns whether there are new settings */
  refresh(): boolean {
    const modifiedMs = this.#home.modifiedMs("local.conf");
    if (modifiedMs === this.#modifiedMs) return false;
    this.#modifiedMs = modifiedMs;
    try {
      this.#current = parseSettings(readLocalConf(this.#home));
      return true;
    } catch (error) {
      if (!(error instanceof HomeError)) throw error;
      this.#complain(`${error.message}; the settings from before stay in force`);
      return false;
    }
  }
}
