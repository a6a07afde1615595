/**
 * What `runService()` of `control.ts` is given, and what it gives back while it runs.
 * @module
 */
import type { ServiceView } from "../api/view.ts";
import type { Home } from "./home.ts";
import type { LiveSettings } from "./live_settings.ts";
import type { Log, LogLevel } from "./log.ts";

/** The UDP ports a service has bound. */
export interface ServicePorts {
  /** The API goes to the same TCP port. */
  primary: number;
}

/** A service on one home folder, locked by the caller. */
export interface ServiceOptions {
  home: Home;
  /** What `local.conf` says; the service looks for changes by itself. */
  settings: LiveSettings;
  /** From -p: counts unless `local.conf` names one; 0 picks one. 9993 when absent. */
  port?: number;
  /** Called once, when the sockets are bound: the moment to open the API. */
  onReady?: (view: ServiceView, ports: ServicePorts) => void;
  /** One line for the log. */
  log: Log;
  /** The least grave level that is logged now. */
  logLevel: () => LogLevel;
  /** Asked to end by `POST /zt/stop`. */
  stop: () => void;
  /** Aborts when the service shall end. */
  signal: AbortSignal;
}
